# SPDX-License-Identifier: BSD-3-Clause
"""Which column is the plate, the well, the site: found by the names in use, or said to be absent.

Part of reading a table: columns.py has spelled them, stacks.py and split.py rely on them.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np

from phenoscale.errors import InputError
from phenoscale.tables.columns import FILE, ROLES
from phenoscale.tables.wells import is_well, normalise_well, well_at
from phenoscale.words import listed

if TYPE_CHECKING:
    from phenoscale.tables.table import Table

__all__ = ["absent_roles", "column_key", "field_columns", "find_roles", "known_roles",
           "missing_roles", "row_groups", "time_columns"]

#: role -> names of its columns as `column_key` has them, those that are surest first
_NAMES = {role: names.split() for role, names in {
    "plate": "plate plateid platename platenumber plateno platenr platebarcode assayplatebarcode "
             "assayplate assayplateid assayplatename barcode barcodeid",
    "well": "well wellposition wellname wellpos welllabel assaywellposition assaywell "
            "cpdwellposition wellid wellcoordinate wellcoord welllocation wells wellno wellnr "
            "wellnumber wellindex",
    "site": "site siteid sitenumber field fieldid fieldindex fieldnumber fieldno "
            "fieldofview fov imagesite",
    "compound": "compound compoundname compoundid drug drugname cpd cpdname molecule moleculename "
                "pertiname broadsample jcp2022",
    "concentration": "concentration conc dose compoundconcentration concentrationum concum doseum",
    "batch": "batch batchid batchname batchnumber",
    "z": "z zslice zplane zindex zstep zstack planeid"}.items()}
_PAIR = ("row wellrow platerow rowname rowid".split(),
         "column col wellcolumn wellcol platecolumn columnname columnid colid".split())
#: what the key of a column has in it that may play a role but is not known to
_LOOKS = {"plate": re.compile("plate(?!map|layout|type)|barcode"),
          "site": re.compile("site|field|fov"),
          "compound": re.compile("compound|drug|treatment|pert|cpd|molecule"),
          "concentration": re.compile("conc|dose|dosage"), "batch": re.compile("batch")}
_SITE = re.compile(r"[A-Za-z_ ]{0,6}\d{1,5}(\.0)?")
_MANGLED = re.compile(r"\d[.,]\d+E\+\d{1,2}", re.IGNORECASE)
_MOST_PLANES = 1000  # of a stack: larger numbers are heights
_NAMED = 3
_TIMES = ("time", "timepoint", "timepointid", "timeindex")  # as `column_key` has them


def column_key(column: str) -> str:
    """What two spellings of a column's name share.

    >>> column_key("Metadata_CPD_WELL_POSITION"), column_key("Well ID"), column_key("metadata_z")
    ('cpdwellposition', 'wellid', 'z')
    """
    plain = re.sub(r"^(image_)?metadata_", "", re.sub("[µμ]", "u", column.lower()))
    return re.sub(r"[^0-9a-z]", "", plain)


def known_roles(header) -> dict[str, list[str]]:
    """Role to the columns that are called like it, the surest first."""
    keys = {column: column_key(column) for column in header}
    return {role: [column for name in names
                   for column in sorted((c for c, key in keys.items() if key == name),
                                        key=lambda c: c != ROLES[role])]
            for role, names in _NAMES.items()}


def time_columns(columns) -> list[str]:
    """Those of some columns that number points in time."""
    return [column for column in columns
            if column_key(column) in _TIMES and not FILE.fullmatch(column)]


def field_columns(roles: dict, columns) -> list[str]:
    """The columns that name a field: batch, plate, well, site, and points in time."""
    return [*(roles[role] for role in ("batch", "plate", "well", "site") if role in roles),
            *time_columns(columns)]


def row_groups(frame, columns) -> np.ndarray:
    """Numbers from 0, the same where rows have the same cells in all of these columns."""
    import pandas

    groups = np.zeros(len(frame), np.int64)
    for column in columns:
        cells, known = pandas.factorize(frame[column])
        groups = pandas.factorize(groups * max(1, len(known)) + cells)[0]
    return groups


def find_roles(table: Table, named: dict, elsewhere) -> None:
    """Give a table its roles: those named by the user, then those found by their names.

    A role's column is there as Metadata_<Role> afterwards too, wells in one spelling.

    Parameters
    ----------
    table : Table
        Fresh from its source; its roles, frame, spelling and notes are changed.
    named : dict of str to str
        Role to column.
    elsewhere : callable
        Without arguments, to a set of str: columns that `named` may name without this table
        having them.  Called where it names such a column alone.

    Raises
    ------
    InputError
        For roles and columns that there are not, and where two columns could be the plates, or
        the wells, and disagree.
    """
    roles = _named_roles(table, named, elsewhere)
    known = known_roles(column for column in table.frame.columns if not FILE.fullmatch(column))
    guessed = []
    for role in ROLES:
        found = [column for column in known[role] if _fits(table, role, column)]
        if role == "well":
            found.sort(key=lambda column: _rank(role, column) == 2 and not _is_of_wells(
                table.frame[column]))
        if found and role not in roles and (role != "z" or _counts_planes(table, roles, found[0])):
            roles[role] = found[0]
            _compare(table, role, found, [roles["plate"]] if "plate" in roles else [])
            if _rank(role, found[0]) == 2:
                guessed.append(f"{table.own(found[0])} for the {role}")
        if role == "well":
            _wells_of_pairs(table, roles, _pairs(table.frame.columns))
    if guessed:
        table.notes.append(f"taken by the names of columns: {listed(guessed)}; --role ROLE=COLUMN "
                           "says otherwise")
    table.roles = {role: roles[role] for role in ROLES if role in roles}
    _copy_roles(table)
    _suspect_numbers(table)


def _named_roles(table: Table, named: dict, elsewhere) -> dict[str, str]:
    roles = {}
    for role, word in named.items():
        if role not in ROLES:
            raise InputError(f"unknown role {role}: the roles are {listed(ROLES)}")
        column = table.spelling.get(word, word)
        if column in table.frame.columns:
            roles[role] = column
        elif not {column, word} & elsewhere():
            there = listed(table.frame.columns, near=word)
            raise InputError(f"{table.source} has no column {word} for the role {role}: it has "
                             f"{there}")
    return roles


def _rank(role: str, column: str) -> int:
    """0 for our name of a role, 1 for it in other letters, 2 for another name."""
    return 0 if column == ROLES[role] else 1 if column_key(column) == role else 2


def _is_of_wells(cells) -> bool:
    """Whether most of the words in a column name wells."""
    words = [word for word in cells.iloc[:20].tolist() if word]
    if not words or not any(map(is_well, words)):
        return False
    words = [word for word in cells.unique() if word]
    return sum(map(is_well, words)) >= 0.9 * len(words)


def _fits(table: Table, role: str, column: str) -> bool:
    """Whether a column called like a role can play it: wholly empty ones play none."""
    cells = table.frame[column]
    words = cells.unique()
    if not any(words):
        return False
    if _rank(role, column) < 2:
        return True
    if role == "plate":  # one for each row would tell all fields of a well apart
        return len(words) <= max(1, 0.9 * len(cells))
    if role == "well" and not _is_of_wells(cells):  # a number of the row is none
        return len(words) < len(cells) or len(cells) < 3 or not all(map(str.isdecimal, words))
    return role != "site" or not _is_of_wells(cells) and all(
        _SITE.fullmatch(word) for word in words if word)


def _compare(table: Table, role: str, found: list[str], plates: list[str]) -> None:
    """Say where another column could play a role and disagrees."""
    first = found[0]
    others = [other for other in found[1:]
              if not _agree(table.frame, role, first, other, plates)]
    if not others or role == "z":
        return
    names = listed(map(table.own, [first, *others]))
    if role in ("plate", "well") and _rank(role, first) == 2:
        raise InputError(f"{table.source}: columns {names} could each be the {role}, and disagree: "
                         f"say which with --role {role}={table.own(first)}, or "
                         f"{role}={table.own(others[0])}")
    table.notes.append(f"columns {names} could each be the {role}, and disagree: "
                       f"{table.own(first)} is taken; --role {role}={table.own(others[0])} takes "
                       "the other")


def _agree(frame, role: str, first: str, second: str, plates: list[str]) -> bool:
    """Whether two columns say the same, or tell the same rows apart, where neither is empty."""
    frame = frame[(frame[first] != "") & (frame[second] != "")]
    if role == "well" and all(_is_of_wells(frame[column]) for column in (first, second)):
        pairs = frame[[first, second]].drop_duplicates()
        return (pairs[first].map(normalise_well) == pairs[second].map(normalise_well)).all()
    plates = plates if role == "well" else []
    both = row_groups(frame, [*plates, first, second])
    return all(len(set(row_groups(frame, [*plates, column]))) == len(set(both))
               for column in (first, second))


# ---- planes of z ---------------------------------------------------------------------------------


def _counts_planes(table: Table, roles: dict, column: str) -> bool:
    """Whether a column called z counts the planes of stacks, or is the height of the focus."""
    if table.z is not None:  # the user says that there are stacks
        return True
    words = [word for word in table.frame[column].unique() if word]
    if len(words) < 2:  # tells nothing apart
        return False
    if all(word.isdecimal() and int(word) < _MOST_PLANES for word in words):
        return True
    recur = 2 * len(words) <= len(table.frame)  # the same heights everywhere
    if "well" in roles and ("site" in roles or recur):
        keys = field_columns(roles, table.frame.columns)
        fields, planes = row_groups(table.frame, keys), row_groups(table.frame, [*keys, column])
        if len(set(fields)) < len(set(planes)) == len(planes):
            return True
    table.notes.append(f"column {table.own(column)} counts no planes ({listed(words, limit=2)}), "
                       "and is taken for the height of the focus; where it tells planes of one "
                       f"field apart: --role z={table.own(column)}")
    return False


# ---- wells of rows and columns -------------------------------------------------------------------


def _pairs(columns) -> tuple[str, str] | None:
    """The columns of rows and of columns of a plate."""
    keys = {column_key(column): column for column in columns if not FILE.fullmatch(column)}
    found = [next((keys[name] for name in names if name in keys), None) for names in _PAIR]
    return tuple(found) if all(found) else None


def _wells_of_pairs(table: Table, roles: dict, pair) -> None:
    """Wells from a column of rows and one of columns, where no other column has them."""
    if pair is None:
        return
    cells = list(zip(*(table.frame[column].tolist() for column in pair)))
    wells = {cell: well_at(*cell) if all(cell) else "" for cell in set(cells)}
    bad = next((cell for cell, well in wells.items() if any(cell) and not well), None)
    names = " and ".join(map(table.own, pair))
    if "well" in roles:
        if bad is None and _is_of_wells(table.frame[roles["well"]]):
            theirs = table.frame[roles["well"]].tolist()
            differ = sum(wells[cell] != normalise_well(word) for cell, word in set(zip(
                cells, theirs)) if wells[cell] and word)
            if differ:
                table.notes.append(f"columns {names} say other wells than "
                                   f"{table.own(roles['well'])}, which is taken")
        return
    if bad is not None:
        table.notes.append(f"columns {names} make no wells: row '{bad[0]}', column '{bad[1]}'")
    elif any(wells.values()):
        table.frame[ROLES["well"]] = [wells[cell] for cell in cells]
        roles["well"] = ROLES["well"]
        table.notes.append(f"wells are made of the columns {names}")


# ---- after the choice ----------------------------------------------------------------------------


def _copy_roles(table: Table) -> None:
    """Our column beside the one that plays a role, where there is none."""
    frame = table.frame
    for role, column in table.roles.items():
        ours = ROLES[role]
        if role == "z" or column == ours or ours in frame.columns and (frame[ours] != "").any():
            continue
        frame[ours] = frame[column]
        table.spelling[table.own(column)] = table.roles[role] = ours


def _suspect_numbers(table: Table) -> None:
    """Barcodes that a spreadsheet has rounded."""
    seen = set()
    for column in table.frame.columns:
        own = table.own(column)
        if own in seen or FILE.fullmatch(column) or not (
                _LOOKS["plate"].search(column_key(own)) or column == table.roles.get("plate")):
            continue
        seen.add(own)
        words = [word for word in table.frame[column].unique() if _MANGLED.fullmatch(word)]
        if words:
            table.notes.append(f"column {own} has {listed(words, limit=_NAMED)}: a spreadsheet "
                               "seems to have rounded the barcodes, and several plates may have "
                               "become one: export the table again with that column as text")


def missing_roles(table: Table) -> list[str]:
    """The roles that no column plays, but for planes of z; [] where that is the batch alone, which
    many screens do not have."""
    absent = [role for role in ROLES if role != "z" and role not in table.roles]
    return [] if absent == ["batch"] else absent


def absent_roles(table: Table) -> list[str]:
    """What to say of the roles that no column plays, and of columns that look like them."""
    absent, found = missing_roles(table), []
    if not absent:
        return []
    for role in absent:
        for column, words in _alike(table, role)[:_NAMED]:
            found.append(f"{table.own(column)} looks like the {role} ({listed(words, limit=2)}): "
                         f"--role {role}={table.own(column)}")
    return ["; ".join([f"no column is known to be the {listed(absent)}", *found])]


def _alike(table: Table, role: str) -> list[tuple[str, list[str]]]:
    """Columns that look like a role that none is known to play, and some of their cells."""
    found = []
    for column in table.frame.columns:
        if FILE.fullmatch(column) or column in table.roles.values():
            continue
        cells = table.frame[column]
        if _is_of_wells(cells) if role == "well" else _LOOKS[role].search(column_key(column)):
            words = [word for word in cells.unique() if word]
            if words and (role != "plate" or 2 * len(words) <= len(cells)):
                found.append((column, words))
    return found
