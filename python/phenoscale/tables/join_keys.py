# SPDX-License-Identifier: BSD-3-Clause
"""Which columns tell the rows of a joined table apart, and the row of each field.

Part of `join`.  A key is never shorter than what tells fields apart: where both tables know the
plate, or two maps differ by a column that both have, it takes part.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from itertools import combinations
from typing import NamedTuple

from phenoscale.errors import InputError
from phenoscale.tables.columns import FILE, ROLES
from phenoscale.tables.spellings import comparable, folded, plain_name, same_numbers
from phenoscale.tables.table import Table
from phenoscale.tables.wells import normalise_well, well_position
from phenoscale.words import count, listed

__all__ = ["Key", "Other", "Part", "choose_key"]

#: What may identify a row; the other table has none of the roles left out.
_KEYS = (("plate", "well", "site"), ("plate", "well"), ("well", "site"), ("well",),
         ("compound", "concentration"), ("compound",), ("plate",))
_NAMED = 3  # cells named in a note
_SHORTENED = re.compile(r"\d(\.\d+)?[eE]\+\d+")  # what a spreadsheet makes of a long number
_PLATES = re.compile("plate|barcode|map|layout|batch", re.IGNORECASE)
_INDEX = re.compile(r"(unnamed\d*|index|id|number|no|row|column|col)?")  # no names of a thing


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
    """

    path: str
    header: list[str]
    spelling: dict[str, str]
    rows: list[list[str]]
    lines: list[int]
    roles: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

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


class _Cells(NamedTuple):
    """A part's cells as they are compared, "" where empty, and what is to be said of them."""

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
        self.twice, same, self._rows = None, 0, {}
        for row, key in enumerate(self._theirs):
            first = key and self._rows.setdefault(key, row)
            if key and first != row:
                if not self._is_same(first, row):
                    self.twice = self.twice or (first, row)
                same += 1
        self.partner = [key and self._rows.get(key) for key in self._ours]
        if same and not self.twice:
            self.notes.append(f"{count(same, 'row')} of it say again what another says")

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

    def _is_same(self, a: int, b: int) -> bool:
        at = {self.other.header.index(part.theirs) for part in self.parts}
        a, b = self.other.rows[a], self.other.rows[b]
        return all(k in at or x == y for k, (x, y) in enumerate(zip(a, b)))

    def say_what_is_left(self) -> None:
        """Notes on rows without a key, and on names that differ by case or blanks only."""
        empty = [row for row, key in enumerate(self._theirs) if key is None]
        if empty:
            names = [part.word for part in self.parts if part.role != "concentration"
                     and any(not self.other.cells(part.theirs)[row] for row in empty)]
            self.notes.append(f"{count(len(empty), 'row')} of it (line "
                              f"{listed((self.other.lines[row] for row in empty), limit=_NAMED)}) "
                              f"without {' or '.join(names)} belong to no field: fill in each row")
        self.notes += self.near()

    def near(self) -> list[str]:
        """Keys without a partner that differ by case, blanks or a shortened number only."""
        alone = {key: row for row, (key, partner) in enumerate(zip(self._ours, self.partner))
                 if key and partner is None}
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
            telling = [other.spelling[name] for name in differ if _tells(other, self, name)]
            telling = [name for name in telling if _PLATES.search(name)] or telling
            cure = (f": its column {listed(telling, limit=_NAMED)} tells them apart, which the "
                    "fields lack: --join the table that gives it to them before this one, name "
                    "it with --role, or remove one" if telling else
                    ": remove one, or name what tells them apart with --role")
            return InputError(f"{path} line {other.lines[row]}: {self.words()} "
                              f"{other.place(row, self.parts)} is there twice (line "
                              f"{other.lines[first]}){cure}")
        row = next((row for row, key in enumerate(self._ours) if key), 0)
        theirs = next((row for row, key in enumerate(self._theirs) if key), 0)
        ours = self.place(row)
        more = "".join(f"; {note}" for note in self.near())
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


# ---- the choice ----------------------------------------------------------------------------------


def choose_key(table: Table, other: Other) -> Key:
    """The first key that fits; InputError says why none does."""
    both = [role for role in ROLES if role in table.roles and role in other.roles and role != "z"]
    _refuse_plates(table, other, both)
    bases = [base for base in _KEYS if set(base) <= set(both)]
    if "well" in both:
        bases = bases[:1]
    elif "concentration" in both:
        bases = [base for base in bases if base != ("compound",)]
    cache = {}

    def read(part):
        if part not in cache:
            cache[part] = _read_part(table, other, part)
        return cache[part]

    roles = [[Part(role, table.roles[role], other.roles[role]) for role in base] for base in bases]
    shared = _shared(table, other, both)
    tried = []
    for parts in roles:
        parts = [*_that_tell_fields(table, parts, shared, read), *parts]
        tried.append(Key(table, other, parts, read))
        if tried[-1].fits:
            return _said(tried[-1])
    for key in tried:
        if key.twice and key.meets:
            further = [part for part in shared if part not in key.parts]
            for n in (1, 2):
                for more in combinations(further, n):
                    longer = Key(table, other, [*more, *key.parts], read)
                    if longer.fits:
                        longer.notes.append(
                            f"{' and '.join(part.word for part in more)} takes part, since its "
                            f"rows repeat {key.words()}")
                        return _said(longer)
    if tried:
        raise next((key for key in tried if key.meets), tried[0]).fault()
    return _said(_by_name(table, other, shared, read))


def _said(key: Key) -> Key:
    key.say_what_is_left()
    return key


def _read_part(table: Table, other: Other, part: Part) -> _Cells:
    ours, theirs = table.frame[part.ours].tolist(), other.cells(part.theirs)
    mine, its, notes = comparable(part.role, set(ours) - {""}, set(theirs) - {""})
    mine, its = {**mine, "": ""}, {**its, "": ""}
    return _Cells([mine[cell] for cell in ours], [its[cell] for cell in theirs], notes)


def _shared(table: Table, other: Other, both) -> list[Part]:
    """Columns of both tables that may help a key: batch, those of one name, then compounds."""
    plays = {*table.roles.values(), *other.roles.values(), *ROLES.values()}
    ours = {}
    for name in table.frame.columns:
        if name not in plays and not FILE.fullmatch(name) and not name.startswith("Phenoscale_"):
            ours.setdefault(plain_name(name), name)
    named = [Part(None, name if name in table.frame.columns else ours[plain_name(name)], name)
             for name in other.header if name not in plays and plain_name(name) in ours
             and not _INDEX.fullmatch(plain_name(name))]
    roles = {role: Part(role, table.roles[role], other.roles[role]) for role in both}
    first = [roles[role] for role in ("batch", "plate") if role in roles]
    return [*first, *named, *(part for part in roles.values() if part not in first)]


def _that_tell_fields(table: Table, parts, shared, read) -> list[Part]:
    """Further columns without which the rows of one plate would go to the fields of another: a
    batch, and beside a well without its plate, what differs from plate to plate."""
    plate, found = table.role("plate"), []
    if not {"well", "plate"} & {part.role for part in parts}:
        return found
    base = [read(part).ours for part in parts]
    n = len(set(zip(*base)))
    for part in shared:
        is_of_plates = part.role is None and plate is not None and "plate" not in {
            part.role for part in parts}
        if part in parts or not (part.role == "batch" or is_of_plates):
            continue
        cells = read(part)
        if is_of_plates and len(set(zip(plate, cells.ours))) > plate.nunique():
            continue
        if len(set(zip(*base, cells.ours))) > n and set(cells.ours) & set(cells.theirs) - {""}:
            found.append(part)
    return found


def _by_name(table: Table, other: Other, shared, read) -> Key:
    """A key of one column that both tables have under one name, such as that of a plate map."""
    keys = [key for part in shared if part.role is None
            for key in [Key(table, other, [part], read)] if key.fits]
    if len(keys) > 1 and any(key.partner != keys[0].partner for key in keys):
        names = listed((key.words() for key in keys), limit=_NAMED)
        raise InputError(f"{other.path} may be joined on {names}, which disagree: rename all but "
                         "one in it")
    if keys:
        return keys[0]
    there = ", ".join(" and ".join(key) for key in _KEYS)
    raise InputError(f"{other.path}: nothing tells which of its rows belongs to a field: both "
                     f"tables need columns for {there}, or one of the same name whose cells are "
                     f"there once; name them with --role{_looks_like_wells(other)}")


def _looks_like_wells(other: Other) -> str:
    """The cure where a column holds names of wells; of several that with most of them."""
    found = {}
    for name in other.header:
        cells = set(other.cells(name)) - {""}
        if cells and all(well_position(normalise_well(cell)) for cell in cells):
            found[name] = len(cells)
    return f", as --role well={other.spelling[max(found, key=found.get)]}" if found else ""


def _refuse_plates(table: Table, other: Other, both) -> None:
    """A column that holds plates, whatever it is called and in whichever table, is joined on."""
    if "plate" in both or "well" not in both:
        return
    plate = table.role("plate")
    if plate is not None and plate.nunique() > 1:
        plays = {name for role, name in other.roles.items() if role != "plate"}
        _refuse(other, other.path, "the fields", set(plate),
                {other.spelling[name]: other.cells(name) for name in other.header
                 if name not in plays})
    elif plate is None and "plate" in other.roles:
        plays = set(table.roles.values())
        _refuse(other, table.source, os.path.basename(other.path),
                set(other.cells(other.roles["plate"])),
                {name: table.frame[name].tolist() for name in table.frame.columns
                 if name not in plays and not FILE.fullmatch(name)})


def _refuse(other: Other, source, of, plates, columns) -> None:
    """Short numbers may be anything: under a name that does not say plate they are but noted."""
    plates = plates - {""}
    for name, cells in columns.items():
        found = {cell for cell, plate in same_numbers(plates, set(cells))[0].items()
                 if plate in plates}
        is_named = _PLATES.search(name)
        if is_named or not all(cell.isdecimal() and len(cell) < 4 for cell in found):
            if found:
                raise InputError(f"{source}: column {name} holds plates of {of}, but nothing says "
                                 f"so: --role plate={name}")
        elif set(cells) - {""} == found and found:
            other.notes.append(f"column {name} of {source} has the numbers of plates of {of}, and "
                               f"is taken for none of plates: if it is, --role plate={name}")
