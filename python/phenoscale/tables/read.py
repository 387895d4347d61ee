# SPDX-License-Identifier: BSD-3-Clause
"""Tables read: a CSV, a DataFrame, or a folder, to a `Table` of fields."""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import NamedTuple

from phenoscale.errors import InputError
from phenoscale.files.csv import cell_text, read_csv
from phenoscale.tables.columns import (
    Channel,
    choose_channels,
    clean_header,
    file_columns_of,
    without_index,
)
from phenoscale.tables.controls import control_notes
from phenoscale.tables.doses import tidy_doses
from phenoscale.tables.folders import find_preset, folder_frame
from phenoscale.tables.join import columns_of, join_table
from phenoscale.tables.paths import PathRules
from phenoscale.tables.roles import find_roles
from phenoscale.tables.stacks import stack_rows
from phenoscale.tables.table import Plane, Table
from phenoscale.tables.values import row_tuples, values_of, words_of
from phenoscale.tables.wells import normalise_well
from phenoscale.words import count, listed

__all__ = ["Reading", "read_table", "tidy_cells"]

_NUMBER = re.compile(r"(\d{1,6}(\.0*)?)?", re.ASCII)


@dataclass(frozen=True)
class Reading:
    """How fields are read: the words of every verb, task and function that takes fields.

    Attributes
    ----------
    preset : str, optional
        How the files of a folder are named: a name of `phenoscale.tables.folders.PRESETS`.
    pattern : str, optional
        The names of a folder's files in your own words: a regular expression with named groups.
    channels : list of str or Channel, optional
        The channels to use, in this order: NAME, NAME=COLUMN, or NAME=COLUMN:NUMBER for one of
        several channels in a file; by default all, in the order of the table.
    roles : dict of str to str, optional
        Role to column where it is not `Metadata_Plate`, `Metadata_Well`, ...
    join : list of path
        Tables that say more about wells or compounds; see `phenoscale.tables.join.join_table`.
    root : str or path, optional
        Where relative paths begin, and outside of which nothing is read; by default they begin at
        the folder of the table, or at the current one, and may lead anywhere.
    path_map : dict of str to str, optional
        Beginnings of paths as the table has them, to what they are here.
    z : str, optional
        "max", "mean", or the number of a plane from 0: how rows that differ only in `Metadata_Z`,
        and files with several planes, become one field.
    """

    preset: str | None = None
    pattern: str | None = None
    channels: Sequence | None = None
    roles: Mapping | None = None
    join: Sequence = ()
    root: str | os.PathLike | None = None
    path_map: Mapping | None = None
    z: str | None = None

    def __post_init__(self):
        for name in ("channels", "join"):
            given = getattr(self, name)
            if given is not None:
                one = [given] if isinstance(given, Channel) else given
                object.__setattr__(self, name, values_of(one, name))
        for name in ("roles", "path_map"):
            if getattr(self, name) is not None:
                object.__setattr__(self, name, words_of(getattr(self, name), name))
        for name in ("preset", "pattern"):
            if not isinstance(getattr(self, name), (str, type(None))):
                raise InputError(f"{name}={getattr(self, name)!r}: give one text")

    @classmethod
    def of(cls, words: Mapping) -> Reading:
        """From words and their values; InputError names a word that is none."""
        known = [entry.name for entry in fields(cls)]
        for word in words:
            if word not in known:
                raise InputError(f"unknown word {word}: fields are read by {listed(known, word)}")
        return cls(**words)


class _Cells(NamedTuple):
    """A table as text, and the words for a place in it."""

    header: list
    rows: list
    lines: list
    name: str
    unit: str
    begin: str | os.PathLike  # where relative paths begin unless a root is given
    notes: list


def read_table(source, reading: Reading | None = None, **words) -> Table:
    """Read a table or a folder of fields.

    Parameters
    ----------
    source : str, path or pandas.DataFrame
        A LoadData CSV of CellProfiler (`Image_FileName_X`, `Image_PathName_X`, or without
        `Image_`; also `URL_X` of files, `Frame_X`), BBBC021's own, an index of DeepProfiler, or
        any table with a column of image files: CSV with commas, semicolons or tabs, UTF-8 or
        UTF-16, plain or .gz, the first sheet of an .xlsx; or the same as a DataFrame; or a folder
        whose file names a preset or a pattern explains.
    reading : Reading, optional
    words
        In place of it, its attributes: ``read_table("screen.csv", channels=["DNA"])``.

    Returns
    -------
    Table
        Wells as "B02", doses as plain numbers; columns as `phenoscale.tables.columns` spells
        them.  No image is opened.

    Raises
    ------
    InputError
        For a file that is no such table, naming the line and the column.
    """
    reading = reading or Reading.of(words)
    roles = dict(reading.roles or {})
    table = _table_of(_cells(source, reading), reading, roles)
    for other in reading.join:
        table = join_table(table, other, roles)
    table.notes = [*table.notes, *control_notes(table.frame)]
    return table


def _cells(source, reading: Reading) -> _Cells:
    """The text of a source of any kind."""
    import pandas

    if isinstance(source, (str, os.PathLike)) and os.path.isdir(source):
        preset = find_preset(source, reading.preset, reading.pattern)
        frame, notes = folder_frame(source, preset)
        return _frame_cells(frame, os.path.abspath(source), notes)
    if reading.preset is not None or reading.pattern is not None:
        raise InputError(f"{source} is no folder: a preset or pattern describes the files of a "
                         "folder")
    if isinstance(source, pandas.DataFrame):
        return _frame_cells(source, "the DataFrame")
    if not isinstance(source, (str, os.PathLike)):
        raise InputError(f"a table is read from a path or a DataFrame, not {type(source).__name__}")
    name = os.fspath(source)
    return _Cells(*read_csv(name), name, "line", os.path.dirname(name) or ".", [])


def _frame_cells(frame, name: str, notes=()) -> _Cells:
    """The text of a DataFrame, by the name that messages shall give it."""
    header = [str(column).strip() for column in frame.columns]
    cells = frame.astype(object).where(frame.notna(), "")
    rows = [[cell_text(cell) for cell in row] for row in row_tuples(cells)]
    return _Cells(header, rows, list(frame.index), name, "row", ".", list(notes))


def _table_of(cells: _Cells, reading: Reading, roles: dict) -> Table:
    import pandas

    name = cells.name
    if not cells.rows:
        raise InputError(f"{name} has no fields: it needs one row for each field below the header")
    header, rows, notes = without_index(cells.header, cells.rows, name)
    header, spelling = clean_header(header, rows, name)
    file_columns, more = file_columns_of(header, spelling, rows, name, reading.channels)
    sources = choose_channels(file_columns, reading.channels, name)
    frame = pandas.DataFrame(rows, columns=header, dtype=object)
    table = Table(frame, sources, [], {}, name, cells.lines, cells.unit, file_columns,
                  _known_z(reading.z), notes=[*notes, *more],
                  spelling={own: ours for ours, own in spelling.items()})
    find_roles(table, roles, lambda: set().union(*map(columns_of, reading.join)))
    tidy_cells(table)
    root = reading.root
    table.planes = _find_planes(table, PathRules(root or cells.begin, root, reading.path_map))
    table = stack_rows(table)
    table.notes = [*cells.notes, *table.notes]
    return table


def _known_z(z) -> str | None:
    """The word of `--z`, checked."""
    if z is None:
        return None
    from phenoscale import _core

    word = str(z)
    if word not in _core.z_names() and not re.fullmatch(r"\d{1,4}", word):
        raise InputError(f"z={word}: give {', '.join(_core.z_names())} or the number of a plane, 0 "
                         "for the first")
    return word


def tidy_cells(table: Table) -> None:
    """Wells and doses of a table in one spelling; InputError names a dose that may be two."""
    if "well" in table.roles:
        wells = table.roles["well"]
        names = {name: normalise_well(name) for name in table.frame[wells].unique()}
        table.frame[wells] = table.frame[wells].map(names)
    if "concentration" in table.roles:
        doses = table.roles["concentration"]
        try:
            table.frame[doses] = tidy_doses(table.frame[doses].tolist())
        except ValueError as error:
            row, words = error.args
            raise InputError(f"{table.place(row)}, column {doses}: {words}") from None


def _find_planes(table: Table, rules: PathRules) -> list[list[tuple[Plane, ...]]]:
    """The plane of each channel of each row."""
    frame, columns = table.frame, []
    for c, channel in enumerate(table.sources):
        cells = {what: frame[f"Image_{what}_{channel.column}"].tolist()
                 if f"Image_{what}_{channel.column}" in frame.columns else [""] * len(frame)
                 for what in ("FileName", "PathName", "URL", "Series", "Frame", "Sample")}
        planes = []
        for row, (name, folder, url, series, *numbers) in enumerate(zip(*cells.values())):
            try:
                path = rules.find(name or url, folder if name else "") if name or url else ""
                if not path.isascii():
                    path.encode()
                page, sample = _numbers(series, *numbers)
                if None not in (sample, channel.plane) and sample != channel.plane:
                    raise ValueError(f"channel {channel.plane} of the file is asked for, column "
                                     f"Image_Sample_{channel.column} says {sample}: leave one out")
            except UnicodeEncodeError:
                raise InputError(f"{table.place(row)}: the path {path!r} is not UTF-8: rename that "
                                 "file or folder") from None
            except ValueError as error:
                raise InputError(f"{table.place(row)}, column {table.file_column(c)}: "
                                 f"{error}") from None
            planes.append((Plane(path, page, sample),))
        columns.append(planes)
    unused = [old for old, _ in rules.maps if old not in rules.used]
    if unused:
        raise InputError(f"{table.source}: no path begins with {unused[0]}, which --path-map names")
    _take_other_names(table, columns, rules)
    return [list(row) for row in zip(*columns)]


def _take_other_names(table: Table, columns, rules: PathRules) -> None:
    """Files that are there by a name in another spelling, with a word."""
    others = rules.found_as(plane.path for planes in columns for plane, in planes if plane.path)
    if others:
        for planes in columns:
            planes[:] = [(plane._replace(path=others.get(plane.path, plane.path)),)
                         for plane, in planes]
        path, other = next(iter(others.items()))
        table.notes.append(f"{count(len(others), 'file')} there by a name in another spelling: "
                           f"{path} is {other!r}")


@functools.lru_cache(maxsize=4096)  # nearly all fields have the same
def _numbers(series: str, frame: str, sample: str) -> list[int | None]:
    """Page and sample as numbers; ValueError says what else the cells hold."""
    found = []
    for name, cell in (("series", series), ("frame", frame), ("sample", sample)):
        if not _NUMBER.fullmatch(cell) or name == "series" and float(cell or 0) != 0:
            raise ValueError(f"{name} {cell[:20]}: only pages of the first series are read, whole "
                             "numbers from 0 on")
        found.append(int(float(cell)) if cell else None)
    return found[1:]
