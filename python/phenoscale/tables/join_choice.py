# SPDX-License-Identifier: BSD-3-Clause
"""Which columns a table is joined on.

Part of `join`.  A key is never shorter than what tells fields apart: where both tables know the
plate, or two maps differ by a column that both have, it takes part.
"""

from __future__ import annotations

import os
import re
from itertools import combinations

from phenoscale.errors import InputError
from phenoscale.tables.columns import FILE, ROLES
from phenoscale.tables.join_keys import PLATES, Cells, Key, Other, Part
from phenoscale.tables.spellings import comparable, plain_name, same_numbers
from phenoscale.tables.table import Table
from phenoscale.tables.wells import normalise_well, well_position
from phenoscale.words import listed

__all__ = ["choose_key"]

#: What may identify a row; the other table has none of the roles left out.
_KEYS = (("plate", "well", "site"), ("plate", "well"), ("well", "site"), ("well",),
         ("compound", "concentration"), ("compound",), ("plate",))
_NAMED = 3  # columns named in a message
_INDEX = re.compile(r"(unnamed\d*|index|id|number|no|row|column|col)?")  # no names of a thing


def choose_key(table: Table, other: Other) -> Key:
    """The first key that fits; InputError says why none does."""
    both = [role for role in ROLES if role in table.roles and role in other.roles and role != "z"]
    _refuse_plates(table, other, both)
    bases = [base for base in _KEYS if set(base) <= set(both)]
    if "well" in other.roles and "well" not in both and "compound" not in both:
        raise InputError(f"{other.path} has a row a well, and nothing says which wells the fields "
                         f"of {table.source} are in: --role well=COLUMN")
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
    if "well" not in both and not any(key.meets for key in tried):
        named = _by_name(other, [Key(table, other, [part], read)
                                 for part in _of_one_name(table, other)])
        if named is not None:
            return _said(named)
    if tried:
        raise next((key for key in tried if key.meets), tried[0]).fault()
    there = ", ".join(" and ".join(key) for key in _KEYS)
    raise InputError(f"{other.path}: nothing tells which of its rows belongs to a field: both "
                     f"tables need columns for {there}, or one of the same name whose cells are "
                     f"there once; name them with --role{_looks_like_wells(other)}")


def _said(key: Key) -> Key:
    key.say_what_is_left()
    return key


def _read_part(table: Table, other: Other, part: Part) -> Cells:
    ours, theirs = table.frame[part.ours].tolist(), other.cells(part.theirs)
    mine, its, notes = comparable(part.role, set(ours) - {""}, set(theirs) - {""})
    mine, its = {**mine, "": ""}, {**its, "": ""}
    return Cells([mine[cell] for cell in ours], [its[cell] for cell in theirs], notes)


def _shared(table: Table, other: Other, both) -> list[Part]:
    """Columns of both tables that may help a key: batch, those of one name, then compounds."""
    roles = {role: Part(role, table.roles[role], other.roles[role]) for role in both}
    first = [roles[role] for role in ("batch", "plate") if role in roles]
    plays = {*table.roles.values(), *other.roles.values(), *ROLES.values()}
    named = [part for part in _of_one_name(table, other) if not plays & {part.ours, part.theirs}]
    return [*first, *named, *(part for part in roles.values() if part not in first)]


def _of_one_name(table: Table, other: Other) -> list[Part]:
    """Columns that are called alike in both tables."""
    ours = {}
    for name in table.frame.columns:
        if not FILE.fullmatch(name) and not name.startswith("Phenoscale_"):
            ours.setdefault(plain_name(name), name)
    return [Part(None, name if name in table.frame.columns else ours[plain_name(name)], name)
            for name in other.header
            if plain_name(name) in ours and not _INDEX.fullmatch(plain_name(name))]


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


def _by_name(other: Other, keys) -> Key | None:
    """Of keys of one column that both tables have under one name, the one that fits."""
    keys = [key for key in keys if key.fits]
    if any(key.partner != keys[0].partner for key in keys):
        names = listed((key.words() for key in keys), limit=_NAMED)
        raise InputError(f"{other.path} may be joined on {names}, which disagree: rename all but "
                         "one in it")
    return keys[0] if keys else None


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
        is_named = PLATES.search(name)
        if is_named or not all(cell.isdecimal() and len(cell) < 4 for cell in found):
            if found:
                raise InputError(f"{source}: column {name} holds plates of {of}, but nothing says "
                                 f"so: --role plate={name}")
        elif set(cells) - {""} == found and found:
            other.notes.append(f"column {name} of {source} has the numbers of plates of {of}, and "
                               f"is taken for none of plates: if it is, --role plate={name}")
