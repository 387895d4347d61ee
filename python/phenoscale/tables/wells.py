# SPDX-License-Identifier: BSD-3-Clause
"""Names of wells and where they lie on a plate: one grammar for every module."""

from __future__ import annotations

import re

__all__ = ["PLATE_LAYOUTS", "normalise_well", "plate_layout", "row_letters", "row_name",
           "well_position"]


_WELL = re.compile(r"([A-Za-z]{1,2})[-_ ]?0*(\d{1,2})")


def normalise_well(name: str) -> str:
    """Letters and at least two digits: "b2", "B-02", "B002" become "B02"; others stay.

    >>> normalise_well("b2"), normalise_well("AF48"), normalise_well("17")
    ('B02', 'AF48', '17')
    """
    match = _WELL.fullmatch(name)
    return f"{match[1].upper()}{int(match[2]):02d}" if match else name


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
