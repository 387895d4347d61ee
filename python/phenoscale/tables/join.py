# SPDX-License-Identifier: BSD-3-Clause
"""What another table knows of plates, wells or compounds, joined to the table of fields.

    a list or a grid -> Other: its columns, their roles      grids.py draws wells from a grid
             -> the key: which columns tell its rows apart   join_choice.py
             -> for each field its row                       join_keys.py
                (A1 is A01, 12 is 0012)                      spellings.py
             -> the columns, and notes on all that was decided
"""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import replace

from phenoscale.errors import InputError
from phenoscale.files.csv import as_table, read_cells
from phenoscale.tables.columns import CHOSEN, FILE, ROLES, clean_header, without_index
from phenoscale.tables.doses import tidy_doses
from phenoscale.tables.grids import from_grids, grid_columns, is_grid
from phenoscale.tables.join_choice import choose_key
from phenoscale.tables.join_keys import Other
from phenoscale.tables.roles import known_roles
from phenoscale.tables.spellings import comparable, plain_name
from phenoscale.tables.table import Table
from phenoscale.tables.wells import is_well, normalise_well, well_at
from phenoscale.words import count, listed

__all__ = ["columns_of", "join_table"]

_NAMED = 3  # rows named in a note
_MOST_COLUMNS = 8  # with a note each
#: Columns that are a row and a column of a plate, as `plain_name` has them.
_PLATE_ROWS = ("row", "wellrow", "platerow")
_PLATE_COLUMNS = ("column", "col", "wellcolumn", "wellcol", "platecolumn", "platecol")


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
        With notes on what was joined, and on what.  A list is joined on the well, with plate and
        site where both tables have them; else on the compound, with the concentration (as
        numbers, 0.3 = 0.300000); else on the plate; else on another column that both have.  A
        further column of both takes part where rows are told apart by it alone.  Fields without a
        row have empty cells; a column that the table of fields has already keeps its cells where
        they are not empty.

    Raises
    ------
    InputError
        Where nothing identifies a row, two rows have one key, or no field finds a partner.
    """
    other = _read(os.fspath(path), set() if table.role("plate") is None else
                  set(table.role("plate")))
    own = {theirs: ours for ours, theirs in other.spelling.items()}
    named = {role: own.get(column, column) for role, column in (roles or {}).items()}
    named = {role: column for role, column in named.items() if column in other.header}
    guessed = {role: column for role, column in _roles_of(other).items() if role not in named}
    other.roles = {**guessed, **named}
    guessed = [f"{other.spelling[column]} for the {role}" for role, column in guessed.items()
               if plain_name(column) != role and role != "z"]
    if guessed:
        other.guess = (f"; taken by the names of its columns: {listed(guessed)} (--role "
                       "ROLE=COLUMN says otherwise)")
    _wells_of_rows_and_columns(other)
    _tidy_doses(other)
    _leave_out_files(other)
    key = choose_key(table, other)
    return _with_columns(table, other, key, named)


def columns_of(path) -> set[str]:
    """Columns of another table, as it has them and as we spell them; of grids all that may be one,
    as their plates are not known yet."""
    rows, _ = read_cells(os.fspath(path))
    if is_grid(rows):
        return grid_columns(path, rows)
    other = _read(os.fspath(path), set())
    return {*other.header, *other.spelling.values()}


# ---- the other table -----------------------------------------------------------------------------


def _read(path: str, plates) -> Other:
    rows, lines = read_cells(path)
    header, rows, lines = (from_grids(path, rows, lines, plates) if is_grid(rows)
                           else _from_list(path, rows, lines))
    header, rows, _ = without_index(header, rows, path)
    return Other(path, *clean_header(header, rows, path), rows, lines)


def _from_list(path, rows, lines):
    if len(rows) < 2:
        raise InputError(f"{path} has no rows to join: it needs a header and one row for each")
    return as_table(path, rows, lines)


def _roles_of(other: Other) -> dict[str, str]:
    """The roles that its columns play by their names; an empty column plays none."""
    filled = {role: [column for column in columns if any(other.cells(column))]
              for role, columns in known_roles(other.header).items()}
    for second in filled["well"][1:]:
        first = filled["well"][0]
        if any(is_well(a) and is_well(b) and normalise_well(a) != normalise_well(b)
               for a, b in zip(other.cells(first), other.cells(second))):
            raise InputError(f"{other.path}: columns {other.spelling[first]} and "
                             f"{other.spelling[second]} could each be the well, and disagree: "
                             "remove one, or rename it")
    return {role: columns[0] for role, columns in filled.items() if columns}


def _wells_of_rows_and_columns(other: Other) -> None:
    """Row and Column make a well, where nothing else does."""
    names = {plain_name(name): name for name in reversed(other.header)}
    row = next((names[name] for name in _PLATE_ROWS if name in names), None)
    column = next((names[name] for name in _PLATE_COLUMNS if name in names), None)
    if row is None or column is None or "well" in other.roles or ROLES["well"] in other.header:
        return
    wells = []
    for letters, number in zip(other.cells(row), other.cells(column)):
        if {"0", "0.0"} & {letters, number}:
            raise InputError(f"{other.path}: columns {row} and {column} count from 0: let them "
                             "count from 1, or give the wells one column, as A01")
        wells.append(well_at(letters, number))
    if not any(wells):
        return
    other.drop({row, column})
    other.add(ROLES["well"], wells, f"{row} and {column}")
    other.roles["well"] = ROLES["well"]
    other.notes.append(f"{row} and {column} are its wells, for example {next(filter(None, wells))}")


def _tidy_doses(other: Other) -> None:
    if "concentration" not in other.roles:
        return
    column = other.roles["concentration"]
    try:
        doses = tidy_doses(other.cells(column))
    except ValueError as error:
        row, words = error.args
        raise InputError(f"{other.path} line {other.lines[row]}, column {column}: "
                         f"{words}") from None
    at = other.header.index(column)
    for row, dose in zip(other.rows, doses):
        row[at] = dose


def _leave_out_files(other: Other) -> None:
    """Which files a field has is said by the table of fields alone."""
    names = {name for name in other.header if FILE.fullmatch(name) or name == CHOSEN}
    if names:
        other.drop(names)
        other.notes.append(f"{listed(sorted(names), limit=_NAMED)} left out: images are taken from "
                           "the table of fields alone")


# ---- its columns ---------------------------------------------------------------------------------


def _with_columns(table: Table, other: Other, key, named) -> Table:
    """The table with the other's columns, and the roles that they play.

    named: role to column, as the user says.
    """
    frame, roles, notes = table.frame.copy(), dict(table.roles), []
    in_key = {part.theirs for part in key.parts}
    plain = {plain_name(name): name for name in frame.columns}
    alien = set() if "compound" in named else _of_other_compounds(table, other, key)
    for name in other.header:
        if name in in_key:
            continue
        theirs = other.cells(name)
        cells = ["" if row is None else theirs[row] for row in key.partner]
        role = next((role for role, column in other.roles.items() if column == name), None)
        if role == "concentration" and any(cells[row] for row in alien):
            cells = ["" if row in alien else cell for row, cell in enumerate(cells)]
            notes.append(f"{other.spelling[name]} is not taken where the compounds differ "
                         f"({count(len(alien), 'field')})")
        if name in frame.columns:
            old = frame[name].tolist()
            notes += _conflict(table, other, name, role, old, cells)
            cells = [a or b for a, b in zip(old, cells)]
        elif plain_name(name) in plain and any(cells):
            notes.append(f"its column {other.spelling[name]} stands beside the table's "
                         f"{plain[plain_name(name)]}")
        is_named = name == named.get(role, "")
        notes += _rival(table, other, name, role, cells, is_named)
        frame[name] = cells
        if role not in (None, "z") and any(cells) and (role not in roles or is_named):
            roles[role] = name  # one that the user named comes first
    if len(notes) > _MOST_COLUMNS:
        notes[_MOST_COLUMNS:] = [f"{len(notes) - _MOST_COLUMNS} more columns are there twice"]
    if not set(other.header) - in_key:
        notes.append("it has no further column, and adds nothing")
    name = os.path.basename(other.path)
    said = [_sentence(other, key)]
    said += [f"{name}: {note}" for note in (*other.notes, *key.notes, *notes)]
    own = {theirs: ours for ours, theirs in other.spelling.items()
           if theirs != ours and ours in frame.columns}
    return replace(table, frame=frame, roles=roles, notes=[*table.notes, *said],
                   spelling={**own, **table.spelling})


def _of_other_compounds(table: Table, other: Other, key) -> set[int]:
    """Fields that keep a compound of their own, whose dose is not that of the other table's."""
    column = other.roles.get("compound")
    if column is None or "compound" not in table.roles or any(
            part.role == "compound" for part in key.parts):
        return set()
    theirs, ours = other.cells(column), table.role("compound").tolist()
    return {row for row, (partner, mine) in enumerate(zip(key.partner, ours))
            if partner is not None and mine and theirs[partner] not in ("", mine)}


def _sentence(other: Other, key) -> str:
    """On what it was joined, how many fields have a row, and what has none."""
    n, found = len(key.partner), sum(row is not None for row in key.partner)
    words = (f"{os.path.basename(other.path)} joined on {key.words()}: {found:,} of {n:,} fields "
             "have a row")
    used = set(key.partner) | key.spare
    unused = [row for row in range(len(other.rows)) if row not in used]
    if unused:
        places = [other.place(row, key.parts) for row in unused[:_NAMED]]
        more = f" and {len(unused) - _NAMED} more" if len(unused) > _NAMED else ""
        words += f"; {len(unused):,} of its rows have no field: {', '.join(places)}{more}"
    alone = [key.place(row) for row in list(key.alone().values())[:_NAMED]]
    if alone:
        words += f"; {count(n - found, 'field')} without a row, for example {', '.join(alone)}"
    return words + other.guess


def _conflict(table: Table, other: Other, name: str, role, old, new) -> list[str]:
    """What is to be said where both tables have a cell and the two differ."""
    words = _differ(table, role, old, new)
    return [f"{other.spelling[name]} differs in {words}: the table's own is kept; rename one, or "
            "remove the table's"] if words else []


def _rival(table: Table, other: Other, name: str, role, new, is_named) -> list[str]:
    """What is to be said where a column plays a role that another column of the fields plays."""
    mine = table.roles.get(role, name)
    words = "" if role in (None, "z") or mine == name else _differ(
        table, role, table.frame[mine].tolist(), new)
    if not words:
        return []
    kept, left = (name, mine) if is_named else (mine, name)
    return [f"its {role}, {other.spelling[name]}, differs from {mine} in {words}: the "
            f"{role} is {kept}, and {left} a column beside it; --role {role}={left} says otherwise"]


def _differ(table: Table, role, old, new) -> str:
    """ "2 of 96 fields (P1 A01: 'Sample', here 'DMSO')", "" where nothing differs."""
    pairs = Counter(pair for pair in zip(old, new) if all(pair))
    ours, theirs, _ = comparable(role, {a for a, _ in pairs}, {b for _, b in pairs})
    differ = {(a, b): n for (a, b), n in pairs.items() if ours[a] != theirs[b]}
    if not differ:
        return ""
    row = next(row for row, pair in enumerate(zip(old, new)) if pair in differ)
    return (f"{sum(differ.values()):,} of {count(len(old), 'field')} "
            f"({table.well_name(row) or table.place(row)}: '{old[row]}', here '{new[row]}')")
