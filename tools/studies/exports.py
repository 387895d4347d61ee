# SPDX-License-Identifier: BSD-3-Clause
"""How long exports of a large table take, and how large they are: the figures of docs/exports.md.

    python tools/studies/exports.py [FIELDS COLUMNS]
"""

from __future__ import annotations

import os
import sys
import tempfile
import time

import numpy as np
import pandas

import phenoscale
from phenoscale.files.csv import write_csv
from phenoscale.files.parquet import write_parquet
from phenoscale.tables.predictions import embedding_column, probability_column
from phenoscale.tables.wells import row_name

WELLS = [f"{row_name(row)}{column:02d}" for row in range(16) for column in range(1, 25)]


def drawn(fields: int, columns: int) -> pandas.DataFrame:
    """Predictions of 384-well plates with 9 fields a well."""
    rng, k = np.random.default_rng(0), np.arange(fields)
    up = rng.uniform(size=fields).astype(np.float32)
    about = {"Metadata_Plate": [f"P{n}" for n in k // 3456],
             "Metadata_Well": [WELLS[n] for n in k // 9 % 384],
             "Metadata_Site": [str(n) for n in k % 9 + 1],
             "Image_FileName_DNA": [f"{n}.tif" for n in k], "Image_PathName_DNA": "/data",
             "Phenoscale_Class": np.where(up > 0.5, "up", "down"),
             probability_column("up"): up, probability_column("down"): 1 - up}
    values = rng.normal(size=(fields, columns)).astype(np.float32)
    names = [embedding_column(n) for n in range(columns)]
    return pandas.concat([pandas.DataFrame(about), pandas.DataFrame(values, columns=names)], axis=1)


def timed(name: str, path: str, write) -> None:
    """A line on a file: seconds, megabytes."""
    begin, used = time.perf_counter(), time.process_time()
    write(path)
    seconds, used = time.perf_counter() - begin, time.process_time() - used
    print(f"{name:24s} {seconds:6.1f} s {used:6.1f} s of processors "
          f"{os.path.getsize(path) / 1e6:8.1f} MB", flush=True)


def main() -> None:
    """All formats, from Parquet and with a CSV beside them."""
    fields, columns = map(int, sys.argv[1:] or ("10000", "2048"))
    frame = drawn(fields, columns)
    print(f"{fields:,} fields x {columns:,} columns of float32")
    with tempfile.TemporaryDirectory() as folder:
        table = os.path.join(folder, "p.parquet")
        timed("Parquet", table, lambda path: write_parquet([frame], path))
        for to, name in (("cytotable", "t.parquet"), ("anndata", "a.h5ad"),
                         ("cpa", "c.properties"), ("omero", "o.csv"), ("wells", "w.csv")):
            timed(f"Parquet to {to}", os.path.join(folder, name),
                  lambda path, to=to: phenoscale.export(table, to, path))
        timed("CSV", os.path.join(folder, "p.csv"), lambda path: write_csv(frame, path))


if __name__ == "__main__":
    main()
