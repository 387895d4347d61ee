# SPDX-License-Identifier: BSD-3-Clause
"""A frame to a file of the kind that its name says, CSV or Parquet; Parquet beside CSV."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from phenoscale.files.csv import cell_text, write_csv
from phenoscale.files.names import PARQUET, check_name
from phenoscale.files.parquet import write_parquet

if TYPE_CHECKING:
    import pandas

__all__ = ["parquet_beside", "write_frame", "write_tables"]


def write_frame(frame: pandas.DataFrame, path, safe: bool = False) -> None:
    """Write a table as .csv, .csv.gz or .parquet, whole or not at all.

    safe: as for `phenoscale.files.csv.write_csv`; Parquet needs it not.
    """
    check_name(path, "frame")
    if not os.fspath(path).lower().endswith(PARQUET):
        write_csv(frame, path, safe)
        return
    text = {name: frame[name].map(cell_text).astype(object) for name in frame.columns
            if frame[name].dtype.kind not in "biuf"}
    write_parquet([frame.assign(**text)], path)


def parquet_beside(path) -> str:
    """The name of the Parquet beside a .csv."""
    return os.fspath(path).removesuffix(".csv") + PARQUET


def write_tables(tables: dict, parquet: bool, safe: bool = False) -> list[str]:
    """Write some tables as CSV, and where `parquet` says so as Parquet beside them; their paths.

    tables: path, which ends in .csv, to pandas.DataFrame.
    """
    written = []
    for path, frame in tables.items():
        for name in (path, *[parquet_beside(path)] * parquet):
            write_frame(frame, name, safe)
            written.append(name)
    return written
