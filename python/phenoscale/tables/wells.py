# SPDX-License-Identifier: BSD-3-Clause
"""Names of wells and where they lie on a plate: one grammar for every module."""

from __future__ import annotations

import re

__all__ = ["PLATE_LAYOUTS", "is_well", "normalise_well", "plate_layout", "row_letters", "row_name",
           "well_at", "well_position"]

#: what names of wells look like; groups Row and Column
_FORMS = tuple(re.compile(form, re.IGNORECASE | re.ASCII) for form in (
    r"(?:well[-_ :]*)?(?P<Row>[A-Z]{1,2})[-_ .,:]?0*(?P<Column>\d{1,2})",  # B02, b-2, Well B.2
    r"r(?:ow)?[-_ ]?0*(?P<Row>\d{1,2})[-_ ,]*c(?:ol(?:umn)?)?[-_ ]?0*(?P<Column>\d{1,2})",  # r02c02
    r"0*(?P<Column>\d{1,2})[-_ ]?(?P<Row>A[A-F]|[A-Z])"))  # 2B


def normalise_well(name: str) -> str:
    """Letters and at least two digits: "b2", "B-02", "r02c02", "2B" become "B02"; others stay.

    >>> normalise_well("b2"), normalise_well("AF48"), normalise_well("r02c11"), normalise_well("17")
    ('B02', 'AF48', 'B11', '17')
    """
    match = next(filter(None, (form.fullmatch(name) for form in _FORMS)), None)
    row = row_letters(match["Row"]) if match else ""
    return f"{row.upper()}{int(match['Column']):02d}" if row else name


def is_well(name: str) -> bool:
    """Whether a word names a well of a plate of at most 1536, in any of the forms.

    >>> is_well("A1"), is_well("r1c2"), is_well("DMSO"), is_well("A0")
    (True, True, False, False)
    """
    place = well_position(normalise_well(name))
    return place is not None and all(at < most for at, most in zip(place, PLATE_LAYOUTS[-1]))


def well_at(row: str, column: str) -> str:
    """The well of a row, letters or a number from 1, and a column; "" for what is no place.

    >>> well_at("B", "2"), well_at("2", "02"), well_at("0", "1"), well_at("DMSO", "1")
    ('B02', 'B02', '', '')
    """
    row, column = row.removesuffix(".0"), column.removesuffix(".0")
    if not (column.isdecimal() and (row.isalpha() or row.isdecimal())):
        return ""
    well = normalise_well(f"{row_letters(row)}{column}")
    return well if is_well(well) else ""


PLATE_LAYOUTS = ((8, 12), (16, 24), (32, 48))


def well_position(well):
    """Row and column from 0: ``B02`` is (1, 1), ``AF48`` is (31, 47), any other word None."""
    found = re.fullmatch("([A-Z]?)([A-Z])([0-9]{1,4})", str(well).strip().upper())
    if not found or int(found[3]) == 0:
        return None
    return (26 * (ord(found[1]) - 64) if found[1] else 0) + ord(found[2]) - 65, int(found[3]) - 1


def plate_layout(wells):
    """The smallest plate of 96, 384 or 1536 wells that holds `wells`: (rows, columns) or None."""
    places = [p for p in map(well_position, wells) if p]
    for rows, columns in PLATE_LAYOUTS:
        if places and all(r < rows and c < columns for r, c in places):
            return rows, columns
    return None


def row_name(row: int) -> str:
    """Letters of a row from 0: 0 is "A", 26 is "AA"."""
    return (chr(64 + row // 26) if row >= 26 else "") + chr(65 + row % 26)


def row_letters(row: str) -> str:
    """1 to 32 as A to AF; letters as they are; "" for what is neither."""
    if not row.isdecimal():
        return row
    number = int(row) if len(row) < 4 else 0
    return row_name(number - 1) if 0 < number <= 52 else ""
