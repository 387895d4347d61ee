# SPDX-License-Identifier: BSD-3-Clause
"""Some columns as the key of a join: whether it tells rows apart, and the row of each field.

Part of `join`; join_choice.py tries keys.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import NamedTuple

from phenoscale.errors import InputError
from phenoscale.tables.spellings import folded
from phenoscale.tables.table import Table
from phenoscale.words import count, listed

__all__ = ["PLATES", "Cells", "Key", "Other", "Part"]

_NAMED = 3  # cells named in a note
_SHORTENED = re.compile(r"\d(\.\d+)?[eE]\+\d+")  # what a spreadsheet makes of a long number
#: Names of columns that may tell plates, or their maps, apart.
PLATES = re.compile("plate|barcode|map|layout|batch", re.IGNORECASE)


@dataclass
class Other:
    """Another table: its columns in our spelling, rows of cells and their lines.

    Attributes
    ----------
    path : str
    header : list of str
    spelling : dict of str to str
        Our spelling of a column to its own.
    rows : list of list of str
    lines : list of int
    roles : dict of str to str
        Role to column.
    notes : list of str
        What was decided in reading it.
    guess : str
        The end of a sentence on roles that were found by the names of columns; "" for none.
    """

    path: str
    header: list[str]
    spelling: dict[str, str]
    rows: list[list[str]]
    lines: list[int]
    roles: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    guess: str = ""

    def cells(self, column: str) -> list[str]:
        """The cells of a column."""
        at = self.header.index(column)
        return [row[at] for row in self.rows]

    def add(self, column: str, cells, spelling: str) -> None:
        """One more column."""
        self.header = [*self.header, column]
        self.rows = [[*row, cell] for row, cell in zip(self.rows, cells)]
        self.spelling = {**self.spelling, column: spelling}

    def drop(self, columns) -> None:
        """Without these columns, in whatever role."""
        kept = [at for at, name in enumerate(self.header) if name not in columns]
        self.header = [self.header[at] for at in kept]
        self.rows = [[row[at] for at in kept] for row in self.rows]
        self.roles = {role: name for role, name in self.roles.items() if name not in columns}

    def place(self, row: int, parts) -> str:
        """The key of a row, as it has it."""
        return " ".join(self.rows[row][self.header.index(part.theirs)] for part in parts)


class Part(NamedTuple):
    """A column of a key: its role or None, and its names in both tables."""

    role: str | None
    ours: str
    theirs: str

    @property
    def word(self) -> str:
        """As messages name it."""
        return self.role or self.ours


class Cells(NamedTuple):
    """A part's cells in both tables as they are compared, "" where empty, and notes on them."""

    ours: list
    theirs: list
    notes: list


class Key:
    """Some parts, tried: is each row of the other table one, and which row has each field?

    Attributes
    ----------
    parts : list of Part
    partner : list of int or None
        For each field the row of the other table.
    twice : tuple of int or None
        Two rows that have one key and differ elsewhere.
    spare : set of int
        Rows of the other table that lack a key, or say again what another says.
    notes : list of str
    """

    def __init__(self, table: Table, other: Other, parts, read):
        self.table, self.other, self.parts = table, other, list(parts)
        cells = [read(part) for part in parts]
        self.notes = [note for part, of in zip(parts, cells) for note in
                      (f"{part.word}: {note}" for note in of.notes)]
        needed = [at for at, part in enumerate(parts) if part.role != "concentration"]
        self._ours = _keys([of.ours for of in cells], needed)
        self._theirs = _keys([of.theirs for of in cells], needed)
        self.twice, self._rows, again = None, {}, set()
        for row, key in enumerate(self._theirs):
            first = key and self._rows.setdefault(key, row)
            if key and first != row:
                again.add(row)
                if self.twice is None and not self._is_same(first, row):
                    self.twice = first, row
        self.spare = again | {row for row, key in enumerate(self._theirs) if key is None}
        self.partner = [key and self._rows.get(key) for key in self._ours]
        if again and not self.twice:
            self.notes.append(f"{count(len(again), 'row')} of it only repeat another, as line "
                              f"{other.lines[min(again)]}")

    @property
    def fits(self) -> bool:
        """No row is there twice, and a field has one."""
        return self.twice is None and self.meets

    @property
    def meets(self) -> bool:
        """Some field has a row."""
        return any(row is not None for row in self.partner)

    def words(self) -> str:
        """ "plate and well"."""
        return " and ".join(part.word for part in self.parts)

    def place(self, row: int) -> str:
        """The key of a field, as the table has it; "" where a cell is empty."""
        if self._ours[row] is None:
            return ""
        return " ".join(self.table.frame[part.ours].iloc[row] for part in self.parts)

    def alone(self) -> dict[tuple, int]:
        """Keys of fields without a row, to the first such field; empty ones left out."""
        found = {}
        for row, (key, partner) in enumerate(zip(self._ours, self.partner)):
            if partner is None and key is not None:
                found.setdefault(key, row)
        return found

    def _is_same(self, a: int, b: int) -> bool:
        at = {self.other.header.index(part.theirs) for part in self.parts}
        a, b = self.other.rows[a], self.other.rows[b]
        return all(k in at or x == y for k, (x, y) in enumerate(zip(a, b)))

    def say_what_is_left(self) -> None:
        """Notes on rows without a key, and on names that differ by case or blanks only."""
        empty = [row for row, key in enumerate(self._theirs) if key is None]
        if empty:
            names = [part.word for part in self.parts if part.role != "concentration"
                     and not all(map(self.other.cells(part.theirs).__getitem__, empty))]
            self.notes.append(f"{count(len(empty), 'row')} of it (line "
                              f"{listed((self.other.lines[row] for row in empty), limit=_NAMED)}) "
                              f"without {' or '.join(names)} belong to no field: fill in each row")
        self.notes += self.near()

    def near(self) -> list[str]:
        """Keys without a partner that differ by case, blanks or a shortened number only."""
        alone = self.alone()
        used = set(self.partner) if alone else ()
        left = {key: row for key, row in self._rows.items() if row not in used} if alone else {}
        fold = {cell: folded(str(cell)) for cells in (*zip(*alone), *zip(*left))
                for cell in set(cells)}
        mine = {tuple(fold[cell] for cell in key): row for key, row in left.items()}
        found = [f"'{self.place(row)}' and '{self.other.place(mine[near], self.parts)}'"
                 for key, row in alone.items()
                 if (near := tuple(fold[cell] for cell in key)) in mine]
        notes = [] if not found else [
            f"{listed(found, limit=_NAMED)} of it differ by case or blanks only, and are not "
            "joined: give them one spelling"]
        cells = {self.other.rows[row][self.other.header.index(part.theirs)]
                 for row in left.values() for part in self.parts if part.role in ("plate", None)}
        short = sorted(cell for cell in cells if _SHORTENED.fullmatch(cell))
        if short:
            notes.append(f"{listed(short, limit=_NAMED)} looks like a long number that a "
                         "spreadsheet shortened: write it out, as text")
        return notes

    def fault(self) -> InputError:
        """Why it does not fit."""
        other, path = self.other, self.other.path
        if self.twice is not None:
            first, row = self.twice
            differ = [name for name, a, b in zip(other.header, other.rows[first], other.rows[row])
                      if a != b and name not in {part.theirs for part in self.parts}]
            telling = [other.spelling[name] for name in differ
                       if PLATES.search(name) or _tells(other, self, name)]
            telling = [name for name in telling if PLATES.search(name)] or telling
            cure = ": remove one, or name what tells them apart with --role"
            if telling:
                cure = (f": its column {listed(telling, limit=_NAMED)} tells them apart, which the "
                        "fields lack: --join the table that gives it to them before this one, "
                        "name it with --role, or remove one")
            return InputError(f"{path} line {other.lines[row]}: {self.words()} "
                              f"{other.place(row, self.parts)} is there twice (line "
                              f"{other.lines[first]}){cure}")
        row = next((row for row, key in enumerate(self._ours) if key), 0)
        theirs = next((row for row, key in enumerate(self._theirs) if key), 0)
        ours = self.place(row)
        more = "".join(f"; {note}" for note in (*self.notes, *self.near()))
        return InputError(f"{path}: no field of {self.table.source} has a {self.words()} of it: "
                          f"the fields have for example '{ours}', it has "
                          f"'{other.place(theirs, self.parts)}'{more}")


def _keys(columns, needed):
    """Tuples of cells, None for a row that lacks one."""
    if len(needed) == len(columns):
        return [key if all(key) else None for key in zip(*columns)]
    return [key if all(key[at] != "" for at in needed) else None for key in zip(*columns)]


def _tells(other: Other, key: Key, name: str) -> bool:
    """Rows with one key are told apart by this column, which is none of numbers of its own."""
    cells = other.cells(name)
    pairs = list(zip(key._theirs, cells))
    return len(set(pairs)) == len(pairs) and len(set(cells)) < len(cells)
