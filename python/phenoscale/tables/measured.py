# SPDX-License-Identifier: BSD-3-Clause
"""A file of classic numbers, as `measure` and `predict` write it, read again: a few rows at a time,
so that only what is asked for is ever in memory."""

from __future__ import annotations

import csv
import gzip
import itertools
import os
from dataclasses import dataclass, replace

import numpy as np

from phenoscale.errors import InputError
from phenoscale.files.csv import cell_text, plain_cell
from phenoscale.machine import free_memory
from phenoscale.tables.predictions import is_feature, is_measure
from phenoscale.tables.read import Reading, read_table
from phenoscale.tables.table import Table

__all__ = ["Measured", "is_measured", "read_measured"]

_ROWS = 1024  # at a time
_HEADER = 1 << 20  # characters
_LIMIT_ROWS = 10**7
_FIRST = 2  # the number of the row below the header


@dataclass
class Measured:
    """Fields and their classic numbers.

    Attributes
    ----------
    table : Table
    names : list of str
        The measures.
    numbers : ndarray of float32, (fields, names)
    skipped : dict of int to str
        Row of a field without numbers, and why.
    """

    table: Table
    names: list
    numbers: np.ndarray
    skipped: dict


def is_measured(path) -> bool:
    """Whether a path is a file with columns of measures."""
    return os.path.isfile(path) and any(map(is_measure, _header(path)))


def read_measured(path, reading: Reading | None = None) -> Measured:
    """A file of measures; its other features are not read.

    Parameters
    ----------
    path : path
        .csv, .csv.gz or .parquet.
    reading : Reading, optional
        Roles and tables to join.

    Raises
    ------
    InputError
        For a file that is damaged, or larger than the memory.
    """
    import pandas

    header = _header(path)
    names = [name for name in header if is_measure(name)]
    abouts = [name for name in header
              if not is_feature(name) and not name.startswith("Phenoscale_")]
    cells, parts = [], []
    most = min(_LIMIT_ROWS, free_memory() // (8 * len(names)))  # twice: parts, then the whole
    try:
        for some, numbers in _chunks(path, header, names, abouts):
            cells += some
            parts.append(numbers)
            if len(cells) > most:
                raise InputError(f"{path} has more than {most:,} rows of {len(names)} measures, "
                                 "which the free memory does not hold: split it")
    except (OSError, EOFError, ValueError, csv.Error) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path} cannot be read as a file of measures: {error}") from None
    if not cells:
        raise InputError(f"{path} has no fields: it needs one row for each field below the header")
    frame = pandas.DataFrame(cells, columns=abouts, dtype=object)
    frame.index += _FIRST
    table = replace(read_table(frame, reading), source=os.fspath(path), unit="row")
    if len(table) != len(cells):
        raise InputError(f"{path} has several rows of one field: keep one of each")
    numbers = np.concatenate(parts)
    return Measured(table, names, numbers, {
        row: f"{table.place(row)}: it has no measures"
        for row in np.flatnonzero(np.isnan(numbers).all(axis=1)).tolist()})


def _is_parquet(path) -> bool:
    with open(path, "rb") as file:
        return file.read(4) == b"PAR1"


def _open(path):
    """The text of a CSV, packed or not."""
    opened = gzip.open if os.fspath(path).endswith(".gz") else open
    return opened(path, "rt", encoding="utf-8-sig", newline="")


def _header(path) -> list[str]:
    """The names of the columns; none where the file is no table of ours."""
    try:
        if _is_parquet(path):
            import pyarrow.parquet

            return list(pyarrow.parquet.read_schema(path).names)
        with _open(path) as file:
            return next(csv.reader([file.readline(_HEADER)]), [])
    except (OSError, EOFError, ValueError, ModuleNotFoundError, csv.Error):
        return []  # whoever reads it as a table says what is wrong with it


def _chunks(path, header, names, abouts):
    """Yields (cells, numbers) of some rows: lists of text in the order of `abouts`, and the
    measures (rows, names) float32."""
    if _is_parquet(path):
        import pyarrow.parquet

        for batch in pyarrow.parquet.ParquetFile(path).iter_batches(
                _ROWS, columns=[*abouts, *names]):
            frame = batch.to_pandas()
            yield ([[cell_text(cell) for cell in row] for row in
                    frame[abouts].itertuples(index=False)], frame[names].to_numpy(np.float32))
        return
    at_about, at_names = ([header.index(name) for name in some] for some in (abouts, names))
    with _open(path) as file:
        reader = csv.reader(file, strict=True)
        next(reader)
        for rows in iter(lambda: list(itertools.islice(reader, _ROWS)), []):
            for row in rows:
                if len(row) != len(header):
                    raise InputError(f"{path}, up to line {reader.line_num}: a row has {len(row)} "
                                     f"cells where the header has {len(header)}: write it again")
            yield ([[plain_cell(row[at]) for at in at_about] for row in rows],
                   np.array([[float(row[at] or "nan") for at in at_names] for row in rows],
                            np.float32))
