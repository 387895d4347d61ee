# SPDX-License-Identifier: BSD-3-Clause
"""The table of fields: the first step of the flow, before any image is opened.

One row is one field: the planes of its channels and what is known about it.  Every cell is text,
as the file has it; who needs numbers parses them.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from phenoscale.errors import InputError
from phenoscale.files.csv import cell_text, write_csv
from phenoscale.tables.columns import (
    CHOSEN,
    FILE,
    ROLES,
    SKIP,
    Channel,
)
from phenoscale.tables.keys import field_keys
from phenoscale.tables.values import pairs_of, row_tuples, same_cells, values_of
from phenoscale.words import listed

if TYPE_CHECKING:
    import pandas

__all__ = ["DEPTHS", "Plane", "Table", "clean_columns", "file_cells", "write_table"]

#: the depths that fields may have; each holds the counts of those before it
DEPTHS = ("uint8", "uint16", "float32")


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
    spelling : dict of str to str
        A column as the source has it, to how it is called here.
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
    spelling: dict[str, str] = field(default_factory=dict)

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

    @cached_property
    def keys(self) -> list[str]:
        """What tells each field from all others, in every file that is written of it; see
        `field_keys`.  Some fields of a table keep those that they had in it."""
        return field_keys(self)

    def select(self, which) -> Table:
        """The fields of a boolean mask (fields,) or of row numbers, in that order."""
        rows = np.asarray(which)
        rows = np.flatnonzero(rows) if rows.dtype == bool else rows.astype(np.int64)
        some = replace(self, frame=self.frame.iloc[rows].reset_index(drop=True),
                       planes=[self.planes[row] for row in rows],
                       lines=[self.lines[row] for row in rows])
        some.keys = [self.keys[row] for row in rows]
        return some

    def with_channels(self, names) -> Table:
        """The same fields with these of their channels, in this order."""
        names = values_of(names, "channels")
        if names == self.channels:
            return self
        at = [self.channels.index(name) for name in names]
        return replace(self, sources=[self.sources[k] for k in at],
                       planes=[[row[k] for k in at] for row in self.planes])

    def role(self, name: str) -> pandas.Series | None:
        """The column that plays a role ("plate", "well", ...), or None."""
        return self.frame[self.roles[name]] if name in self.roles else None

    def known(self, name: str) -> str:
        """The column that a name means, in the spelling of the source or in ours; InputError
        lists the columns there are, closest first."""
        if not isinstance(name, str):
            raise InputError(f"{name!r} is no name of a column: give one text")
        role = next((column for role, column in self.roles.items() if name == ROLES[role]), None)
        for column in (self.spelling.get(name), name, role):
            if column in self.frame.columns:
                return column
        there = listed(self.frame.columns, near=name)
        raise InputError(f"{self.source} has no column {name}: it has {there}")

    def own(self, column: str) -> str:
        """A column in the spelling of the source."""
        return next((own for own, ours in self.spelling.items() if ours == column), column)

    def column(self, name: str) -> pandas.Series:
        """A column by its name; see `known`."""
        return self.frame[self.known(name)]

    def known_values(self, values: dict, purpose: str = "to match") -> dict[str, list[str]]:
        """Pairs of column and values as this table has them: columns and wells in our spelling,
        numbers and doses as in its cells.

        InputError names a value that no field has, and the nearest that there are.
        """
        found = {}
        for name, wanted in pairs_of(values, f"the values {purpose}").items():
            column, cells = self.known(name), found.setdefault(self.known(name), [])
            there = self.frame[column].unique().tolist()
            role = next((role for role, mine in self.roles.items() if mine == column), "")
            for value in wanted:
                same = same_cells(role, cell_text(value), there)
                if not same:
                    near = [f'"{cell}"' if "," in cell else cell for cell in there if cell]
                    raise InputError(f"{self.source}: column {name} has no {value} {purpose}: it "
                                     f"has {listed(near, near=str(value))}")
                cells += [cell for cell in same if cell not in cells]
        return found

    def matches(self, values: dict, purpose: str = "to match") -> np.ndarray:
        """Fields that match any of the pairs of column and values, bool (fields,); InputError for
        a value that no field has."""
        mask = np.zeros(len(self), bool)
        for column, wanted in self.known_values(values, purpose).items():
            mask |= self.frame[column].isin(wanted).to_numpy()
        return mask

    def well_name(self, row: int) -> str:
        """Batch, plate and well of a field, "P1 B02"; "" where the table has no wells."""
        well = self.role("well")
        if well is None or not well.iloc[row]:
            return ""
        words = [self.role(role).iloc[row] for role in ("batch", "plate") if role in self.roles]
        return " ".join(filter(None, [*words, well.iloc[row]]))

    def well_names(self) -> list[str]:
        """`well_name` of every field."""
        if "well" not in self.roles:
            return [""] * len(self)
        roles = [role for role in ("batch", "plate", "well") if role in self.roles]
        cells = zip(*(self.role(role).tolist() for role in roles))
        return [" ".join(filter(None, words)) if words[-1] else "" for words in cells]

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
        for row in row_tuples(self.frame[kept]):
            content.update(json.dumps(row).encode())
        return content.hexdigest()


def file_cells(table: Table, planes=None) -> dict[str, list]:
    """Columns that say where the channels of some fields are, as LoadData has them.

    planes: list of list of Plane, (rows, channels); None: the first of each channel of all fields.
    """
    if planes is None:
        planes = [[channel[0] for channel in field] for field in table.planes]
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
    columns = file_cells(table, [[planes[z] if z < len(planes) else Plane("")
                                  for planes in table.planes[row]] for row, z in rows])
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
