# SPDX-License-Identifier: BSD-3-Clause
"""What another table knows of wells or compounds, joined to the table of fields.

Two forms: a list with a row a well or a treatment, as screens publish them; or the plate drawn as
a grid, as people fill it in a spreadsheet::

    P1                                    lines that hold one cell name the plate of the grids
    Compound    1      2      3           that follow, or the column of the next one where its
    A         DMSO   taxol  taxol         corner is empty
    B         DMSO   ALLN   ALLN
"""

from __future__ import annotations

import math
import os
import re
from dataclasses import replace

from phenoscale.errors import InputError
from phenoscale.files.csv import as_table, read_cells
from phenoscale.tables.columns import ROLES, clean_header
from phenoscale.tables.doses import parse_dose, same_dose, tidy_doses
from phenoscale.tables.table import Table
from phenoscale.tables.wells import normalise_well
from phenoscale.words import listed

__all__ = ["columns_of", "join_table"]

#: What may identify a row, best first; the other table has none of the roles left out.
_KEYS = (("plate", "well", "site"), ("plate", "well"), ("well", "site"), ("well",),
         ("compound", "concentration"), ("compound",))
_ROW = re.compile(r"[A-Z]|A[A-F]", re.IGNORECASE)
_TITLES = 20  # lines that may stand before a grid
_NAMED = 3  # rows named in a note


def join_table(table: Table, path, roles=None) -> Table:
    """Add the columns of another table.

    Parameters
    ----------
    table : Table
    path : str or path
        A CSV or .xlsx: a list, or one or more grids.
    roles : dict of str to str, optional
        Role to column, as for `phenoscale.tables.read.read_table`; columns that the other table
        lacks are no fault.

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
    plates = set() if table.role("plate") is None else set(table.role("plate"))
    header, spelling, rows, lines = _read(path, plates)
    theirs = _roles_of(header, spelling, roles or {})
    _tidy_doses(path, header, rows, lines, theirs)
    key = next((key for key in _KEYS if set(key) <= set(theirs) and set(key) <= set(table.roles)),
               None)
    if key is None:
        there = ", ".join(" and ".join(key) for key in _KEYS)
        raise InputError(f"{path}: nothing tells which of its rows belongs to a field: both tables "
                         f"need columns for {there}; name them with --role")
    if "plate" not in theirs and len(plates) > 1 and "well" in key:
        _refuse_plates(path, plates, header, rows)
    partner = _find_partners(path, table, key, [header.index(theirs[role]) for role in key], rows,
                             lines)
    joined = _with_columns(table, path, header, rows, partner, key,
                           {header.index(theirs[role]) for role in key}, theirs)
    own = {own: ours for ours, own in spelling.items() if own not in table.spelling}
    return replace(joined, spelling={**table.spelling, **own})


def columns_of(path) -> set[str]:
    """Columns of another table, as it has them and as we spell them."""
    header, spelling, _, _ = _read(os.fspath(path), set())
    return {*header, *spelling.values()}


# ---- the two forms -----------------------------------------------------------------------------


def _read(path: str, plates):
    """Header in our spelling, our spelling to theirs, rows and their lines."""
    rows, lines = read_cells(path)
    header, rows, lines = (_from_grids if _is_grid(rows) else _from_list)(path, rows, lines, plates)
    return *clean_header(header, rows, path), rows, lines


def _refuse_plates(path, plates, header, rows) -> None:
    """A column that holds plates, whatever it is called, must be joined on."""
    for at, name in enumerate(header):
        cells = {row[at] for row in rows} - {""}
        if cells and cells & plates and name != ROLES["well"]:
            raise InputError(f"{path}: column {name} holds plates of the fields, but nothing says "
                             f"so: --role plate={name}")


def _from_list(path, rows, lines, plates):
    if len(rows) < 2:
        raise InputError(f"{path} has no rows to join: it needs a header and one row for each")
    return as_table(path, rows, lines)


def _numbers_of(cells) -> dict[int, int]:
    """Place of a cell to the number of a column, for the line above a grid; {} for others."""
    found = {at: int(cell) for at, cell in enumerate(cells)
             if at and cell.isdecimal() and len(cell) < 3}
    is_rising = list(found.values()) == sorted(set(found.values()) - {0})
    is_alone = len(found) == sum(map(bool, cells[1:]))
    return found if is_rising and 1 in found and (is_alone or len(found) > 1) else {}


def _is_grid(rows) -> bool:
    rows = _without_margin(rows)
    return any(_numbers_of(above) and _ROW.fullmatch(below[0])
               for above, below in zip(rows[:_TITLES], rows[1:]))


def _without_margin(rows):
    """Without empty columns at the left."""
    margin = min((next(at for at, cell in enumerate(row) if cell) for row in rows
                  if sum(map(bool, row)) > 1), default=0)
    return [row[margin:] if any(row[margin:]) else [next(filter(None, row))] for row in rows]


def _from_grids(path, rows, lines, plates):
    """One row for each plate and well that a grid speaks of."""
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
    word = re.split(r"[\s:=]+", title.strip())[-1]
    same = {title, word} | ({str(int(word))} if word.isdecimal() else set())
    return next((plate for plate in sorted(plates)
                 if plate in same or plate.lstrip("0") in same - {""}), "")


# ---- partners ----------------------------------------------------------------------------------


def _tidy_doses(path, header, rows, lines, theirs) -> None:
    if "concentration" not in theirs:
        return
    at = header.index(theirs["concentration"])
    try:
        doses = tidy_doses([row[at] for row in rows])
    except ValueError as error:
        row, words = error.args
        raise InputError(f"{path} line {lines[row]}, column {header[at]}: {words}") from None
    for row, dose in zip(rows, doses):
        row[at] = dose


def _roles_of(header, spelling, roles) -> dict[str, str]:
    """The roles that the other table's columns play."""
    ours = {theirs: name for name, theirs in spelling.items()}
    theirs = {role: column for role, column in ROLES.items() if column in header}
    named = {role: ours.get(column, column) for role, column in roles.items()}
    theirs.update({role: column for role, column in named.items() if column in header})
    return theirs


def _cell(role: str, text: str):
    """A cell as it is compared: wells in one spelling, doses as numbers."""
    if role == "well":
        return normalise_well(text)
    if role == "site" and text.isdecimal():
        return str(int(text))
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
                             "twice: remove one, or name what tells them apart with --role")
        others.append((dose, number))
    found, columns = [], [table.role(role).tolist() for role in key]
    for cells in zip(*columns):
        cells = [_cell(role, cell) for role, cell in zip(key, cells)]
        dose = next((cell for cell, is_exact in zip(cells, exact) if not is_exact), None)
        others = places.get(tuple(c for c, is_exact in zip(cells, exact) if is_exact), [])
        found.append(next((row for other, row in others if _same(dose, other)), None))
    if not any(row is not None for row in found):
        ours = " ".join(table.role(role).iloc[0] for role in key)
        other = " ".join(rows[0][c] for c in at)
        raise InputError(f"{path}: no field of {table.source} has a {' and '.join(key)} of it: "
                         f"the fields have for example '{ours}', it has '{other}'")
    return found


def _same(a, b) -> bool:
    if isinstance(a, float) and isinstance(b, float):
        return same_dose(a, b) and not math.isnan(a)
    return a == b


def _with_columns(table, path, header, rows, partner, key, at, theirs) -> Table:
    """The table with the other's columns, and the roles that they play."""
    frame = table.frame.copy()
    roles = dict(table.roles)
    for c, name in enumerate(header):
        if c in at:
            continue
        cells = ["" if row is None else rows[row][c] for row in partner]
        if name in frame.columns:
            cells = [old or new for old, new in zip(frame[name], cells)]
        frame[name] = cells
        role = next((role for role, column in theirs.items() if column == name), None)
        if role is not None and any(cells) and (role not in roles or name != ROLES[role]):
            roles[role] = name  # one that the user named comes first
    used = {row for row in partner if row is not None}
    unused = [" ".join(rows[row][c] for c in sorted(at)) for row in range(len(rows))
              if row not in used]
    note = (f"{os.path.basename(path)} joined on {' and '.join(key)}: "
            f"{sum(row is not None for row in partner):,} of {len(partner):,} fields have a row")
    if unused:
        note += f"; {len(unused):,} of its rows have no field: {listed(unused, limit=_NAMED)}"
    return replace(table, frame=frame, roles=roles, notes=[*table.notes, note])
