# SPDX-License-Identifier: BSD-3-Clause
"""Labelled fields and their classic numbers, measured now or before.

For ladder.py, after prediction/measure.py, or tables/measured.py where a file has them.
"""

from __future__ import annotations

import os
import zlib
from dataclasses import dataclass, replace

import numpy as np

from phenoscale.errors import InputError
from phenoscale.images.measures import Measurer, find_nuclei
from phenoscale.images.usable import usable
from phenoscale.prediction.measure import measure_fields
from phenoscale.ranks.crew import Crew
from phenoscale.tables.labels import class_cells
from phenoscale.tables.measured import measured_table
from phenoscale.tables.predictions import is_measure
from phenoscale.tables.read import Reading, read_table
from phenoscale.tables.table import Table

__all__ = ["Measured", "is_measured", "measured_fields"]

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


def measured_fields(source, label: str, reading: Reading | None = None, nuclei: str | None = None,
                    crew: Crew | None = None) -> Measured:
    """The labelled fields of a table or folder, measured; or all of a file of measures, read.

    Parameters
    ----------
    source, reading
        As for `phenoscale.tables.read.read_table`; or what `measure` or `predict` wrote, known by
        its columns of measures.
    label : str
        Column of the classes.
    nuclei : str, optional
        The channel whose cells are counted, or "none".
    crew : Crew, optional
        Who does it; told of the stages "check" and "measure", and of notes.

    Raises
    ------
    InputError
        For anything wrong with table or files; a field that cannot be read is skipped.
    """
    crew = crew or Crew()
    if is_measured(source):
        return _read(source, reading or Reading())
    table = read_table(source, reading)
    crew.watch.note(table.notes)
    table = table.select(class_cells(table, table.known(label)) != "")
    if not len(table):
        raise InputError(f"{table.source}: column {label} is empty: no field has a class")
    found = usable(table, "skip", crew.threads, crew.watch)
    channel, words = find_nuclei(table.channels, nuclei)
    crew.watch.note([words] * bool(words))
    measurer = Measurer(table.channels, channel, crew.threads)
    said = measure_fields(found.open(crew.threads), np.arange(len(found.rows)), measurer, "skip",
                          crew)
    found.leave_out(said.skipped)
    numbers = np.full((len(table), len(measurer.names)), np.nan, np.float32)
    numbers[found.rows] = said.numbers
    return Measured(table, list(measurer.names), numbers, found.left_out)


def is_measured(path) -> bool:
    """Whether a path is a file with columns of measures."""
    import pandas

    if not (isinstance(path, (str, os.PathLike)) and os.path.isfile(path)):
        return False
    try:
        if os.fspath(path).lower().endswith(".parquet"):
            import pyarrow.parquet

            return any(map(is_measure, pyarrow.parquet.read_schema(path).names))
        return any(map(is_measure, pandas.read_csv(path, nrows=0, encoding="utf-8-sig").columns))
    except (OSError, EOFError, ValueError, ModuleNotFoundError, zlib.error):
        return False  # whoever reads it as a table says what is wrong with it


def _read(path, reading: Reading) -> Measured:
    about, numbers = measured_table(path)
    about = about.drop(columns=[name for name in about if name.startswith("Phenoscale_")])
    about.index += _FIRST
    table = replace(read_table(about, reading), source=os.fspath(path))
    if len(table) != len(about):
        raise InputError(f"{path} has several rows of one field: keep one of each")
    names, numbers = list(numbers), numbers.to_numpy(np.float32)
    return Measured(table, names, numbers, {
        row: f"{table.place(row)}: it has no measures"
        for row in np.flatnonzero(np.isnan(numbers).all(axis=1)).tolist()})
