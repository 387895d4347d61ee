# SPDX-License-Identifier: BSD-3-Clause
"""The table of fields: the first step of the flow, before any image is opened.

One row is one field: the planes of its channels and what is known about it.  Every cell is text,
as the file has it; who needs numbers parses them.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from phenoscale.columns import (
    CHOSEN,
    FILE,
    ROLES,
    SKIP,
    Channel,
    choose_channels,
    choose_roles,
    clean_header,
)
from phenoscale.csv_file import cell_text, read_csv, write_csv
from phenoscale.doses import tidy_doses
from phenoscale.errors import InputError, listed
from phenoscale.file_paths import PathRules
from phenoscale.stacks import stack_rows

if TYPE_CHECKING:
    import pandas

__all__ = ["Plane", "Table", "clean_columns", "file_cells", "normalise_well", "read_frame",
           "read_table", "write_table"]

_WELL = re.compile(r"([A-Za-z]{1,2})[-_ ]?0*(\d{1,2})")
_NUMBER = re.compile(r"(\d{1,6}(\.0*)?)?", re.ASCII)



class Plane(NamedTuple):
    """Where a plane of pixels is: `page` and `sample` from 0, None where the table says nothing."""

    path: str
    page: int | None = None
    sample: int | None = None


@dataclass
class Table:
    """Fields of a screen.

    Attributes
    ----------
    frame : pandas.DataFrame
        One row a field, every column as read, all cells text ("" where empty).
    sources : list of Channel
        In the order in which the network gets them.
    planes : list of list of tuple of Plane
        (fields, channels): one plane, or those of a z-stack that lies in several files; path ""
        where the table names no file.
    roles : dict of str to str
        Role ("plate", "well", ...) to column; only the roles that the table has.
    source : str
        Where it was read; with `unit` and `lines` the words for a place in it.
    lines : list
        Line in the CSV (the header is line 1), or row of the frame or folder, of each field.
    file_columns : dict of str to str
        Column of `Channel` to its spelling in the source, for messages.
    z : str or None
        How a stack becomes one plane: a name of `phenoscale._core.z_names`, or a number.
    chosen : str or None
        The number of the plane of z that the rows were chosen by.
    notes : list of str
        What the user should know about how the table was made.
    """

    frame: pandas.DataFrame
    sources: list[Channel]
    planes: list[list[tuple[Plane, ...]]]
    roles: dict[str, str]
    source: str
    lines: list = field(default_factory=list)
    unit: str = "line"
    file_columns: dict[str, str] = field(default_factory=dict)
    z: str | None = None
    chosen: str | None = None
    notes: list[str] = field(default_factory=list)

    def __post_init__(self):
        if not len(self.lines):
            self.lines = [row + 2 for row in range(len(self.planes))]

    def __len__(self):
        return len(self.planes)

    @property
    def channels(self) -> list[str]:
        """Names of the channels."""
        return [channel.name for channel in self.sources]

    @cached_property
    def paths(self) -> list[list[str]]:
        """(fields, channels): the file of each channel, the first of a stack in several."""
        return [[planes[0].path for planes in row] for row in self.planes]

    def select(self, which) -> Table:
        """The fields of a boolean mask (fields,) or of row numbers, in that order."""
        rows = np.asarray(which)
        rows = np.flatnonzero(rows) if rows.dtype == bool else rows.astype(np.int64)
        return replace(self, frame=self.frame.iloc[rows].reset_index(drop=True),
                       planes=[self.planes[row] for row in rows],
                       lines=[self.lines[row] for row in rows])

    def with_channels(self, names) -> Table:
        """The same fields with these of their channels, in this order."""
        at = [self.channels.index(name) for name in names]
        return replace(self, sources=[self.sources[k] for k in at],
                       planes=[[row[k] for k in at] for row in self.planes])

    def role(self, name: str) -> pandas.Series | None:
        """The column that plays a role ("plate", "well", ...), or None."""
        return self.frame[self.roles[name]] if name in self.roles else None

    def column(self, name: str) -> pandas.Series:
        """A column by name; InputError lists the columns there are, closest first."""
        if name not in self.frame.columns:
            there = listed(self.frame.columns, near=name)
            raise InputError(f"{self.source} has no column {name}: it has {there}")
        return self.frame[name]

    def well_name(self, row: int) -> str:
        """Plate and well of a field, "P1 B02"; "" where the table has no wells."""
        well = self.role("well")
        if well is None or not well.iloc[row]:
            return ""
        plate = self.role("plate")
        return well.iloc[row] if plate is None else f"{plate.iloc[row]} {well.iloc[row]}".strip()

    def place(self, row: int) -> str:
        """Words for a row: "screen.csv line 7 (well P1 B02)"."""
        well = self.well_name(row)
        return f"{self.source} {self.unit} {self.lines[row]}" + (f" (well {well})" if well else "")

    def file_column(self, c: int) -> str:
        """The source's spelling of the column of file names of channel number c."""
        column = self.sources[c].column
        return self.file_columns.get(column, f"Image_FileName_{column}")

    def skipped(self) -> dict[int, str]:
        """Row to the reason, for the fields that a check marked as not to be used."""
        if SKIP not in self.frame.columns:
            return {}
        return {row: why for row, why in enumerate(self.frame[SKIP]) if why}

    def digest(self) -> str:
        """SHA-256 of metadata and file names, the same wherever the images lie."""
        kept = [name for name in sorted(self.frame.columns)
                if "PathName_" not in name and name != SKIP]
        content = hashlib.sha256(json.dumps([self.channels, kept]).encode())
        for row in self.frame[kept].itertuples(index=False, name=None):
            content.update(json.dumps(row).encode())
        return content.hexdigest()


def normalise_well(name: str) -> str:
    """Letters and at least two digits: "b2", "B-02", "B002" become "B02"; others stay.

    >>> normalise_well("b2"), normalise_well("AF48"), normalise_well("17")
    ('B02', 'AF48', '17')
    """
    match = _WELL.fullmatch(name)
    return f"{match[1].upper()}{int(match[2]):02d}" if match else name


def read_table(source, channels=None, roles=None, root=None, path_map=None, z=None,
               elsewhere=()) -> Table:
    """Read a table of fields.

    Parameters
    ----------
    source : str, path or pandas.DataFrame
        A LoadData CSV of CellProfiler (`Image_FileName_X`, `Image_PathName_X`, or without
        `Image_`; also `URL_X` of files, `Frame_X`), BBBC021's own, an index of DeepProfiler, or
        any table with a column of image files: CSV with commas, semicolons or tabs, UTF-8 or
        UTF-16, plain or .gz, the first sheet of an .xlsx; or the same as a DataFrame.
    channels : list of str or Channel, optional
        The channels to use, in this order: NAME, NAME=COLUMN, or NAME=COLUMN:NUMBER for one of
        several channels in a file; by default all, in the order of the table.
    roles : dict of str to str, optional
        Role to column where it is not `Metadata_Plate`, `Metadata_Well`, ...
    root : str or path, optional
        Where relative paths begin, and outside of which nothing is read; by default they begin at
        the folder of the table, or at the current one, and may lead anywhere.
    path_map : dict of str to str, optional
        Beginnings of paths as the table has them, to what they are here.
    z : str, optional
        "max", "mean", or the number of a plane from 0: how rows that differ only in `Metadata_Z`,
        and files with several planes, become one field.
    elsewhere : set of str
        Columns that roles may name without this table having them.

    Returns
    -------
    Table
        Wells as "B02", doses as plain numbers; columns as `phenoscale.columns` spells them.  No
        image is opened.

    Raises
    ------
    InputError
        For a file that is no such table, naming the line and the column.
    """
    import pandas

    if isinstance(source, pandas.DataFrame):
        return read_frame(source, "the DataFrame", channels, roles, root, path_map, z, elsewhere)
    name = os.fspath(source)
    where = PathRules(root or os.path.dirname(name) or ".", root, path_map)
    return _table_of(*read_csv(name), name, "line", where, channels, roles, z, elsewhere)


def read_frame(frame, name: str, channels=None, roles=None, root=None, path_map=None,
               z=None, elsewhere=()) -> Table:
    """The same of a DataFrame, by the name that messages shall give it; see `read_table`."""
    header = [str(column).strip() for column in frame.columns]
    cells = frame.astype(object).where(frame.notna(), "")
    rows = [[cell_text(cell) for cell in row] for row in cells.itertuples(index=False, name=None)]
    return _table_of(header, rows, list(frame.index), name, "row",
                     PathRules(root or ".", root, path_map), channels, roles, z, elsewhere)


def _table_of(header, rows, lines, name, unit, where, channels, roles, z, elsewhere) -> Table:
    import pandas

    if not rows:
        raise InputError(f"{name} has no fields: it needs one row for each field below the header")
    header, spelling = clean_header(header, rows, name)
    file_columns = {match[2]: spelling[column] for column in header
                    if (match := FILE.fullmatch(column)) and match[1] in ("FileName", "URL")}
    sources = choose_channels(file_columns, channels, name)
    frame = pandas.DataFrame(rows, columns=header, dtype=object)
    table = Table(frame, sources, [], {}, name, lines, unit, file_columns, _known_z(z))
    table.roles = choose_roles(frame, roles or {}, spelling, name, elsewhere)
    _tidy(table)
    table.planes = _find_planes(table, where)
    return stack_rows(table)


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


def _tidy(table: Table) -> None:
    """Wells and doses in one spelling."""
    if "well" in table.roles:
        wells = table.roles["well"]
        table.frame[wells] = table.frame[wells].map(normalise_well)
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
    return [list(row) for row in zip(*columns)]


def _numbers(series: str, frame: str, sample: str) -> list[int | None]:
    """Page and sample as numbers; ValueError says what else the cells hold."""
    found = []
    for name, cell in (("series", series), ("frame", frame), ("sample", sample)):
        if not _NUMBER.fullmatch(cell) or name == "series" and float(cell or 0) != 0:
            raise ValueError(f"{name} {cell[:20]}: only pages of the first series are read, whole "
                             "numbers from 0 on")
        found.append(int(float(cell)) if cell else None)
    return found[1:]


def file_cells(table: Table, planes) -> dict[str, list]:
    """Columns that say where the channels of some fields are, as LoadData has them.

    planes: list of list of Plane, (rows, channels).
    """
    columns = {}
    for c, channel in enumerate(table.sources):
        mine = [row[c] for row in planes]
        names = [os.path.split(p.path) for p in mine]  # blanks at an end would be lost
        columns[f"Image_FileName_{channel.name}"] = [
            name if name == name.strip() else p.path for (_, name), p in zip(names, mine)]
        columns[f"Image_PathName_{channel.name}"] = [folder for folder, _ in names]
        for word, numbers in (
                ("Frame", [p.page for p in mine]),
                ("Sample", [channel.number(p.sample) for p in mine])):
            if any(number is not None for number in numbers):
                columns[f"Image_{word}_{channel.name}"] = [
                    "" if number is None else number for number in numbers]
    return columns


def write_table(table: Table, path, skip=None) -> None:
    """Write a clean LoadData CSV: file names, absolute folders, `Metadata_*`, other columns.

    Columns that play a role are there as `Metadata_Plate`, ... too.  A field of several files
    becomes several rows, one for each plane, told apart by `Metadata_Z`.

    skip: row to the reason, for the fields that `train` and `predict` are to leave out.
    """
    import pandas

    rows = [(row, z) for row, field in enumerate(table.planes)
            for z in range(max(len(planes) for planes in field))]
    at = [row for row, _ in rows]
    columns = file_cells(table, [[planes[min(z, len(planes) - 1)] for planes in table.planes[row]]
                                 for row, z in rows])
    others = clean_columns(table)
    for name in sorted(others, key=lambda name: not name.startswith("Metadata_")):
        columns[name] = table.frame[others[name]].to_numpy()[at]
    if len(rows) > len(table):
        columns[ROLES["z"]] = [z for _, z in rows]
    if table.chosen is not None:
        columns[CHOSEN] = table.chosen
    if skip:
        columns[SKIP] = [skip.get(row, "") for row in at]
    write_csv(pandas.DataFrame(columns), path)


def clean_columns(table: Table) -> dict[str, str]:
    """Columns of a clean table beside those of files, to those of this table."""
    is_of_files = {name for name in table.frame.columns if (match := FILE.fullmatch(name))
                   and match[2] in table.file_columns}
    found = {name: name for name in table.frame.columns if name not in is_of_files | {SKIP}}
    for role, column in table.roles.items():
        if column != ROLES[role] and ROLES[role] in found:
            raise InputError(f"{table.source} has a column {ROLES[role]}, but {column} is the "
                             f"{role}: remove or rename the first, a clean table calls the {role} "
                             "so")
        found[ROLES[role]] = column
    return found
