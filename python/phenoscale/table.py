# SPDX-License-Identifier: BSD-3-Clause
"""The table of fields: the first step of the flow, before any image is opened.

One row is one field: the paths of its channels and what is known about it.  Every cell is text,
as the file has it; who needs numbers parses them.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from phenoscale.csv_file import read_csv, write_csv
from phenoscale.errors import InputError, listed

if TYPE_CHECKING:
    import pandas

__all__ = ["ROLES", "Table", "normalise_well", "read_table", "write_table"]

ROLES = {
    "plate": "Metadata_Plate",
    "well": "Metadata_Well",
    "site": "Metadata_Site",
    "compound": "Metadata_Compound",
    "concentration": "Metadata_Concentration",
    "batch": "Metadata_Batch",
}
_FILE = re.compile(r"(?:Image_)?(FileName|PathName)_(.+)")
_WELL = re.compile(r"([A-Za-z]{1,2})[-_ ]?0*(\d{1,2})")


@dataclass
class Table:
    """Fields of a screen.

    Attributes
    ----------
    frame : pandas.DataFrame
        One row a field, every column as read, all cells text ("" where empty).
    channels : list of str
        In the order in which the network gets them.
    paths : list of list of str
        (fields, channels), absolute.
    roles : dict of str to str
        Role ("plate", "well", ...) to column; only the roles that the table has.
    source : str
        Where it was read; with `unit` and `lines` the words for a place in it.
    lines : list
        Line in the CSV (the header is line 1), or row of the frame or folder, of each field.
    file_columns : dict of str to str
        Channel to the spelling of its file-name column in the source, for messages.
    notes : list of str
        What the user should know about how the table was made.
    """

    frame: pandas.DataFrame
    channels: list[str]
    paths: list[list[str]]
    roles: dict[str, str]
    source: str
    lines: list = field(default_factory=list)
    unit: str = "line"
    file_columns: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def __post_init__(self):
        if not len(self.lines):
            self.lines = [row + 2 for row in range(len(self.paths))]

    def __len__(self):
        return len(self.paths)

    def select(self, which) -> Table:
        """The fields of a boolean mask (fields,) or of row numbers, in that order."""
        rows = np.asarray(which)
        rows = np.flatnonzero(rows) if rows.dtype == bool else rows.astype(np.int64)
        return Table(
            self.frame.iloc[rows].reset_index(drop=True),
            self.channels,
            [self.paths[row] for row in rows],
            self.roles,
            self.source,
            [self.lines[row] for row in rows],
            self.unit,
            self.file_columns,
            self.notes,
        )

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

    def digest(self) -> str:
        """SHA-256 of metadata and file names, the same wherever the images lie."""
        kept = [name for name in sorted(self.frame.columns) if "PathName_" not in name]
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


def read_table(source, channels=None, roles=None, root=None) -> Table:
    """Read a table of fields.

    Parameters
    ----------
    source : str, path or pandas.DataFrame
        A LoadData CSV of CellProfiler (`Image_FileName_X` and `Image_PathName_X`, or without
        `Image_`), UTF-8, plain or .gz; or the same as a DataFrame.
    channels : list of str, optional
        The channels to use, in this order; by default all, in the order of the table.
    roles : dict of str to str, optional
        Role to column where it is not `Metadata_Plate`, `Metadata_Well`, ...
    root : str or path, optional
        Where relative paths begin; by default the folder of the CSV, or the current one.

    Returns
    -------
    Table
        Wells as "B02"; `Image_Metadata_X` (with or without a channel after it) as `Metadata_X`;
        `FileName_X` as `Image_FileName_X`.  No image is opened.

    Raises
    ------
    InputError
        For a file that is no such table, naming the line and the column.
    """
    import pandas

    unit = "line"
    if isinstance(source, pandas.DataFrame):
        unit, name, folder = "row", "the DataFrame", root or "."
        header, lines = [str(column).strip() for column in source.columns], list(source.index)
        cells = source.astype(object).where(source.notna(), "")
        rows = [[_text(cell) for cell in row] for row in cells.itertuples(index=False, name=None)]
    else:
        name = os.fspath(source)
        folder = root or os.path.dirname(name) or "."
        header, rows, lines = read_csv(name)
    if not rows:
        raise InputError(f"{name} has no fields: it needs one row for each field below the header")
    header, spelling = _clean_header(header, name)
    file_columns = {
        match[2]: spelling[column]
        for column in header
        if (match := _FILE.fullmatch(column)) and match[1] == "FileName"
    }
    chosen = _choose_channels(file_columns, channels, name)
    frame = pandas.DataFrame(rows, columns=header, dtype=object)
    table = Table(frame, chosen, [], {}, name, lines, unit, file_columns)
    table.roles = _choose_roles(frame, roles or {}, spelling, name)
    if "well" in table.roles:
        column = table.roles["well"]
        frame[column] = frame[column].map(normalise_well)
    table.paths = _join_paths(table, os.path.abspath(folder))
    return table


def write_table(table: Table, path) -> None:
    """Write a clean LoadData CSV: file names, absolute folders, `Metadata_*`, other columns."""
    import pandas

    columns = {}
    for c, channel in enumerate(table.channels):
        columns[f"Image_FileName_{channel}"] = [os.path.basename(row[c]) for row in table.paths]
        columns[f"Image_PathName_{channel}"] = [os.path.dirname(row[c]) for row in table.paths]
    others = [name for name in table.frame.columns if not _FILE.fullmatch(name)]
    for name in sorted(others, key=lambda name: not name.startswith("Metadata_")):
        columns[name] = table.frame[name].to_numpy()
    write_csv(pandas.DataFrame(columns), path)


def _text(cell) -> str:
    """A cell of a DataFrame as the CSV would have it; whole floats without ".0"."""
    if isinstance(cell, (float, np.floating)) and float(cell).is_integer():
        return str(int(cell))
    return str(cell).strip()


def _clean_header(header: list[str], source: str) -> tuple[list[str], dict[str, str]]:
    """Columns in our spelling, and our spelling to the source's."""
    matches = [_FILE.fullmatch(column) for column in header]
    channels = [match[2] for match in matches if match]
    clean, spelling = [], {}
    for number, (column, match) in enumerate(zip(header, matches), 1):
        name = f"Image_{match[1]}_{match[2]}" if match else column
        if column.startswith("Image_Metadata_"):
            name = column[len("Image_") :]
            for channel in channels:
                if name.endswith(f"_{channel}"):
                    name = name[: -len(channel) - 1]
        if not name:
            raise InputError(f"{source} line 1: column {number} has no name: give it one")
        if name in spelling:
            same = column if column == spelling[name] else f"{spelling[name]} and {column}"
            raise InputError(f"{source} line 1: column {same} is there twice: remove or rename one")
        clean.append(name)
        spelling[name] = column
    return clean, spelling


def _choose_channels(file_columns: dict, channels, source: str) -> list[str]:
    if not file_columns:
        raise InputError(
            f"{source} has no column Image_FileName_<channel> (or FileName_<channel>): "
            "the table needs one for each channel"
        )
    if channels is None:
        return list(file_columns)
    chosen = list(channels)
    for channel in chosen:
        if channel not in file_columns:
            raise InputError(
                f"{source} has no channel {channel} (column Image_FileName_{channel}): "
                f"its channels are {listed(file_columns, near=channel)}"
            )
    if not chosen or len(set(chosen)) < len(chosen):
        raise InputError(f"channels {listed(chosen)}: name each channel once, and at least one")
    return chosen


def _choose_roles(frame, roles: dict, spelling: dict, source: str) -> dict[str, str]:
    """Role to column; default columns that are missing or wholly empty play none."""
    ours = {theirs: name for name, theirs in spelling.items()}
    for role, column in roles.items():
        if role not in ROLES:
            raise InputError(f"unknown role {role}: the roles are {listed(ROLES)}")
        if ours.get(column, column) not in frame.columns:
            there = listed(frame.columns, near=column)
            raise InputError(f"{source} has no column {column} for the role {role}: it has {there}")
    chosen = {role: ours.get(column, column) for role, column in {**ROLES, **roles}.items()}
    return {
        role: column
        for role, column in chosen.items()
        if role in roles or (column in frame.columns and (frame[column] != "").any())
    }


def _join_paths(table: Table, root: str) -> list[list[str]]:
    """Absolute paths (fields, channels); folders are relative to the root."""
    columns = []
    for channel in table.channels:
        names = table.frame[f"Image_FileName_{channel}"].tolist()
        folders = [""] * len(names)
        if f"Image_PathName_{channel}" in table.frame.columns:
            folders = table.frame[f"Image_PathName_{channel}"].tolist()
        for row, name in enumerate(names):
            if not name:
                raise InputError(
                    f"{table.place(row)}: column {table.file_columns[channel]} is empty: "
                    "give the file, or leave the whole row out"
                )
        columns.append(
            [
                os.path.normpath(os.path.join(root, folder, name))
                for folder, name in zip(folders, names)
            ]
        )
    return [list(paths) for paths in zip(*columns)]
