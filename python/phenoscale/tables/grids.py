# SPDX-License-Identifier: BSD-3-Clause
"""The plate drawn as a grid, as people fill it in a spreadsheet, to a list of wells.

Part of `join`, which tells a list from a grid::

    P1                                    lines that hold one cell name the plate of the grids
    Compound    1      2      3           that follow, or the column of the next one where its
    A         DMSO   taxol  taxol         corner is empty
    B         DMSO   ALLN   ALLN
"""

from __future__ import annotations

import os
import re

from phenoscale.errors import InputError
from phenoscale.tables.spellings import same_numbers
from phenoscale.tables.wells import normalise_well
from phenoscale.words import listed

__all__ = ["from_grids", "grid_columns", "is_grid"]

_ROW = re.compile(r"[A-Z]|A[A-F]", re.IGNORECASE)
_TITLES = 20  # lines that may stand before a grid
_NAMED = 3  # plates named in a message


def _numbers_of(cells) -> dict[int, int]:
    """Place of a cell to the number of a column, for the line above a grid; {} for others."""
    found = {at: int(cell) for at, cell in enumerate(cells)
             if at and cell.isdecimal() and len(cell) < 3}
    is_rising = list(found.values()) == sorted(set(found.values()) - {0})
    is_alone = len(found) == sum(map(bool, cells[1:]))
    return found if is_rising and 1 in found and (is_alone or len(found) > 1) else {}


def is_grid(rows) -> bool:
    """Whether rows of cells begin with a line of numbers above a line with a letter."""
    rows = _without_margin(rows)
    return any(_numbers_of(above) and _ROW.fullmatch(below[0])
               for above, below in zip(rows[:_TITLES], rows[1:]))


def grid_columns(path, rows) -> set[str]:
    """What may be the name of a column of the list that grids become, whatever the plates are."""
    rows = _without_margin(rows)
    names = {row[0] for row in rows} | {max(row) for row in rows if sum(map(bool, row)) == 1}
    return {"Plate", "Well", os.path.basename(path).split(".")[0], *names} - {""}


def _without_margin(rows):
    """Without empty columns at the left."""
    margin = min((next(at for at, cell in enumerate(row) if cell) for row in rows
                  if sum(map(bool, row)) > 1), default=0)
    return rows if not margin else [
            row[margin:] if any(row[margin:]) else [next(filter(None, row))] for row in rows]


def from_grids(path, rows, lines, plates):
    """Header, rows, lines: one row for each plate and well that a grid speaks of.

    plates: those of the fields; a line before a grid may name one.
    """
    stem = os.path.basename(path).split(".")[0]
    plate, heading, numbers, found, names = "", "", {}, {}, []
    for cells, line in zip(_without_margin(rows), lines):
        is_row = numbers and _ROW.fullmatch(cells[0])
        above = {} if is_row else _numbers_of(cells)
        if above:
            name, numbers = cells[0] or heading or stem, above
            if heading and (plates or found) and (cells[0] or stem in names):
                known = f"which has {listed(sorted(plates), limit=_NAMED)}" if plates else \
                    "which has no column of plates"
                raise InputError(f"{path} line {line}: '{heading}' before this grid is no plate of "
                                 f"the table of fields, {known}: correct or remove it")
            heading = ""
            if name not in names:
                names.append(name)
        elif is_row:
            wells = ((number, cells[at] if at < len(cells) else "")
                     for at, number in numbers.items())
            for number, cell in wells:
                well = found.setdefault((plate, normalise_well(f"{cells[0]}{number}")), {})
                if name in well:
                    raise InputError(f"{path} line {line}: well {cells[0]}{number} has a second "
                                     f"{name}: name the plate in a line before each grid")
                well[name] = cell
        elif sum(map(bool, cells)) == 1:
            title = next(filter(None, cells))
            known = _plate_of(title, plates)
            plate, heading = (known, "") if known else (plate, title)
        else:
            raise InputError(f"{path} line {line} is no part of a grid: it needs a letter and a "
                             "cell for each column, and a grid begins with the columns' numbers")
        beside = [at for at, cell in enumerate(cells) if at and cell and at not in numbers]
        if (above or is_row) and beside:
            raise InputError(f"{path} line {line}: '{cells[beside[0]]}' stands in no numbered "
                             "column of the grid: number its column, or remove it")
    if not found:
        raise InputError(f"{path} has a grid without a well: fill in its rows")
    is_by_plate = any(plate for plate, _ in found)
    header = [*(["Plate"] if is_by_plate else []), "Well", *names]
    body = [[*([plate] if is_by_plate else []), well, *(cells.get(name, "") for name in names)]
            for (plate, well), cells in found.items()]
    return header, body, [lines[0]] * len(body)


def _plate_of(title: str, plates) -> str:
    """The plate that a line before a grid names, "Plate: P1" or "0012" for "12"; "" for none."""
    *before, last = re.split(r"[\s:=#]+", title.strip())
    is_named = not before or re.search("plate|barcode", " ".join(before), re.IGNORECASE)
    for word in (title, last) if is_named else (title,):
        plate = same_numbers(plates, {word})[0][word]
        if plate in plates:
            return plate
    return ""
