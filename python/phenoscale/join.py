# SPDX-License-Identifier: BSD-3-Clause
"""What another table knows of wells or compounds, joined to the table of fields.

Two forms: a list with a row a well or a treatment, as screens publish them; or the plate drawn as
a grid, as people fill it in a spreadsheet::

    Compound    1      2      3           the corner names the column; a line before it that
    A         DMSO   taxol  taxol         holds one cell names the plate, or the column
    B         DMSO   ALLN   ALLN
"""

from __future__ import annotations

import math
import os
import re
from dataclasses import replace

from phenoscale.columns import ROLES, clean_header
from phenoscale.csv_file import read_cells
from phenoscale.doses import parse_dose, same_dose, tidy_dose
from phenoscale.errors import InputError, listed
from phenoscale.table import Table, normalise_well

__all__ = ["join_table"]

#: What may identify a row, best first; the other table has none of the roles left out.
_KEYS = (("plate", "well", "site"), ("plate", "well"), ("well",), ("compound", "concentration"),
         ("compound",))
_ROW = re.compile(r"[A-Za-z]|A[A-Fa-f]")
_NAMED = 3  # rows named in a note


def join_table(table: Table, path, roles=None) -> Table:
    """Add the columns of another table.

    Parameters
    ----------
    table : Table
    path : str or path
        A CSV or .xlsx: a list, or one or more grids.
    roles : dict of str to str, optional
        Role to column, as for `phenoscale.table.read_table`; columns that the other table lacks
        are no fault.

    Returns
    -------
    Table
        With one note on what was joined.  A list is joined on the first of plate, well and site;
        plate and well; well; compound and concentration (as numbers, 0.3 = 0.300000); compound
        that both tables have.  Rows without a partner have empty cells; a column that the table
        of fields has already keeps its cells where they are not empty.

    Raises
    ------
    InputError
        Where nothing identifies a row, two rows have one key, or no field finds a partner.
    """
    path = os.fspath(path)
    rows, lines = read_cells(path)
    plates = set() if table.role("plate") is None else set(table.role("plate"))
    header, rows, lines = (_from_grids if _is_grid(rows) else _from_list)(path, rows, lines, plates)
    header, _ = clean_header(header, rows, path)
    theirs = _roles_of(header, roles or {})
    key = next((key for key in _KEYS if set(key) <= set(theirs) and set(key) <= set(table.roles)),
               None)
    if key is None:
        there = ", ".join(" and ".join(key) for key in _KEYS)
        raise InputError(f"{path}: nothing tells which of its rows belongs to a field: both tables "
                         f"need columns for {there}; name them with --role")
    partner = _find_partners(path, table, key, [header.index(theirs[role]) for role in key], rows,
                             lines)
    return _with_columns(table, path, header, rows, partner, key,
                         {header.index(theirs[role]) for role in key})


# ---- the two forms -----------------------------------------------------------------------------


def _from_list(path, rows, lines, plates):
    if len(rows) < 2:
        raise InputError(f"{path} has no rows to join: it needs a header and one row for each")
    for cells, line in zip(rows, lines):
        if len(cells) != len(rows[0]):
            raise InputError(f"{path} line {line} has {len(cells)} cells where the header has "
                             f"{len(rows[0])}: a comma or a quote is missing or too many")
    return rows[0], rows[1:], lines[1:]


def _columns_of(cells) -> list[int] | None:
    """1, 2, 3, ... behind the corner of a grid, as many as there are; None for other rows."""
    numbers = [cell for cell in cells[1:] if cell]
    count = len(numbers)
    is_run = count > 1 and numbers == cells[1 : count + 1] and all(map(str.isdecimal, numbers))
    return list(range(1, count + 1)) if is_run and [*map(int, numbers)] == [
        *range(1, count + 1)] else None


def _is_grid(rows) -> bool:
    return any(_columns_of(rows[i]) and i + 1 < len(rows) and _ROW.fullmatch(rows[i + 1][0])
               for i in range(min(4, len(rows))))


def _from_grids(path, rows, lines, plates):
    """One row for each plate and well that a grid speaks of."""
    stem, title, columns, found, names = os.path.basename(path).split(".")[0], "", None, {}, []
    for cells, line in zip(rows, lines):
        is_row = columns and _ROW.fullmatch(cells[0])
        numbers = None if is_row else _columns_of(cells)
        if numbers:
            plate = title if title in plates else ""
            name = cells[0] or ("" if plate else title) or stem
            columns, title = numbers, ""
            if name not in names:
                names.append(name)
        elif is_row:
            for number, cell in zip(columns, cells[1:]):
                well = found.setdefault((plate, normalise_well(f"{cells[0]}{number}")), {})
                if name in well:
                    raise InputError(f"{path} line {line}: well {cells[0]}{number} has a second "
                                     f"{name}: name the plate in a line before each grid")
                well[name] = cell
        elif sum(map(bool, cells)) == 1:
            title = next(filter(None, cells))
        else:
            raise InputError(f"{path} line {line} is no part of a grid: it needs a letter and a "
                             "cell for each column, and a grid begins with the numbers 1, 2, 3")
    is_by_plate = any(plate for plate, _ in found)
    header = [*(["Plate"] if is_by_plate else []), "Well", *names]
    body = [[*([plate] if is_by_plate else []), well, *(cells.get(name, "") for name in names)]
            for (plate, well), cells in found.items()]
    return header, body, [lines[0]] * len(body)


# ---- partners ----------------------------------------------------------------------------------


def _roles_of(header, roles) -> dict[str, str]:
    """The roles that the other table's columns play."""
    theirs = {role: column for role, column in ROLES.items() if column in header}
    theirs.update({role: column for role, column in roles.items() if column in header})
    return theirs


def _cell(role: str, text: str):
    """A cell as it is compared: wells in one spelling, doses as numbers."""
    if role == "well":
        return normalise_well(text)
    if role == "concentration":
        dose = parse_dose(text)
        return text if dose is None else dose[0]
    return text


def _find_partners(path, table, key, at, rows, lines) -> list[int | None]:
    """For each field the row of the other table."""
    exact = [role != "concentration" for role in key]
    places = {}  # the exact part of a key -> [(dose or None, row)]
    for number, row in enumerate(rows):
        cells = [_cell(role, row[c]) for role, c in zip(key, at)]
        if not all(row[c] for c in at):
            continue
        dose = next((cell for cell, is_exact in zip(cells, exact) if not is_exact), None)
        others = places.setdefault(tuple(c for c, is_exact in zip(cells, exact) if is_exact), [])
        if any(_same(dose, other) for other, _ in others):
            words = " ".join(row[c] for c in at)
            raise InputError(f"{path} line {lines[number]}: {' and '.join(key)} {words} is there "
                             "twice: remove one")
        others.append((dose, number))
    found, columns = [], [table.role(role).tolist() for role in key]
    for cells in zip(*columns):
        cells = [_cell(role, cell) for role, cell in zip(key, cells)]
        dose = next((cell for cell, is_exact in zip(cells, exact) if not is_exact), None)
        others = places.get(tuple(c for c, is_exact in zip(cells, exact) if is_exact), [])
        found.append(next((row for other, row in others if _same(dose, other)), None))
    if not any(row is not None for row in found):
        ours, other = table.role(key[0]).iloc[0], rows[0][at[0]]
        raise InputError(f"{path}: no field of {table.source} has a {' and '.join(key)} of it: "
                         f"the fields have for example '{ours}', it has '{other}'")
    return found


def _same(a, b) -> bool:
    if isinstance(a, float) and isinstance(b, float):
        return same_dose(a, b) and not math.isnan(a)
    return a == b


def _with_columns(table, path, header, rows, partner, key, at) -> Table:
    frame = table.frame.copy()
    roles = dict(table.roles)
    for c, name in enumerate(header):
        if c in at:
            continue
        cells = ["" if row is None else rows[row][c] for row in partner]
        if name == ROLES["concentration"]:
            cells = [tidy_dose(cell) for cell in cells]
        if name in frame.columns:
            cells = [old or new for old, new in zip(frame[name], cells)]
        frame[name] = cells
        role = next((role for role, column in ROLES.items() if column == name), None)
        if role is not None and any(cells):
            roles.setdefault(role, name)
    used = {row for row in partner if row is not None}
    unused = [" ".join(rows[row][c] for c in sorted(at)) for row in range(len(rows))
              if row not in used]
    note = (f"{os.path.basename(path)} joined on {' and '.join(key)}: "
            f"{sum(row is not None for row in partner):,} of {len(partner):,} fields have a row")
    if unused:
        note += f"; {len(unused):,} of its rows have no field: {listed(unused, limit=_NAMED)}"
    return replace(table, frame=frame, roles=roles, notes=[*table.notes, note])
