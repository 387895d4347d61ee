# SPDX-License-Identifier: BSD-3-Clause
"""Two spellings of one thing in two tables: names of columns, plates, wells, sites, doses.

Part of `join`: each function maps the cells of both tables to what they are compared by.
"""

from __future__ import annotations

import re
import unicodedata

from phenoscale.tables.doses import parse_dose, same_dose
from phenoscale.tables.wells import normalise_well
from phenoscale.words import listed

__all__ = ["comparable", "folded", "plain_name", "same_numbers"]

_NUMBER = re.compile(r"0*(\d+)(?:\.0*)?", re.ASCII)
_SITE = re.compile(r"(?:s|f|fov|site|field)?[-_ ]?0*(\d+)(?:\.0*)?", re.ASCII | re.IGNORECASE)
_NAMED = 3  # cells named in a note


def plain_name(column: str) -> str:
    """A column's name without what spellings differ in.

    >>> plain_name("Metadata_Plate_Map_Name"), plain_name("plate map name")
    ('platemapname', 'platemapname')
    """
    name = re.sub(r"[\W_]+", "", column.lower())
    return name.removeprefix("metadata") or name


def folded(cell: str) -> str:
    """A cell without case, blanks and the Unicode form."""
    return re.sub(r"\s+", "", unicodedata.normalize("NFKC", cell)).casefold()


def comparable(role: str | None, ours: set, theirs: set) -> tuple[dict, dict, list[str]]:
    """Cells of both tables to what they are compared by, and what is to be said of it.

    Wells in one spelling, sites and doses as numbers (0.3 = 0.300000), compounds as they are, all
    else as `same_numbers` has it.

    ours, theirs: the distinct cells of the two columns.
    """
    if role == "compound":
        return {cell: cell for cell in ours}, {cell: cell for cell in theirs}, []
    if role in _OF_ROLES:
        found = _OF_ROLES[role](ours | theirs)
        return found, found, []
    found, notes = same_numbers(ours, theirs)
    return {cell: cell for cell in ours}, found, notes


def _wells(cells) -> dict[str, str]:
    return {cell: normalise_well(cell) for cell in cells}


def _sites(cells) -> dict[str, str]:
    return {cell: match[1] if (match := _SITE.fullmatch(cell)) else cell for cell in cells}


def _doses(cells) -> dict:
    """Doses that are one up to rounding have one number, the smallest of them."""
    numbers = {cell: dose[0] for cell in cells if (dose := parse_dose(cell)) is not None}
    found, before, first = {cell: cell for cell in cells}, None, None
    for cell, dose in sorted(numbers.items(), key=lambda item: item[1]):
        first = first if before is not None and same_dose(before, dose) else dose
        found[cell], before = first, dose
    return found


_OF_ROLES = {"well": _wells, "site": _sites, "concentration": _doses}


def same_numbers(ours, theirs) -> tuple[dict[str, str], list[str]]:
    """Cells of theirs to the cells of ours that they mean, and what is to be said of it.

    Where they are not the same text, 12, 0012 and 12.0 are one plate, if no second spelling is on
    either side.

    >>> same_numbers({"0012", "13"}, {"12", "13"})[0] == {"12": "0012", "13": "13"}
    True
    """
    numbers = {}
    for side, cells in enumerate((ours, theirs)):
        for cell in sorted(cells):
            if match := _NUMBER.fullmatch(cell):
                numbers.setdefault(match[1], ([], []))[side].append(cell)
    found, taken, unclear = {cell: cell for cell in theirs}, [], []
    for mine, others in numbers.values():
        for cell in sorted(set(others) - set(mine)):
            if len(mine) == len(others) == 1:
                found[cell] = mine[0]
                taken.append(f"{cell} of it is {mine[0]} of the fields")
            elif mine:
                unclear.append(f"{cell} of it may be {listed(sorted({*mine, *others} - {cell}))}")
    notes = [f"as numbers {listed(taken, limit=_NAMED)}"] if taken else []
    if unclear:
        notes.append(f"{listed(unclear, limit=_NAMED)}: it is taken for none of them; write it as "
                     "the fields have it")
    return found, notes
