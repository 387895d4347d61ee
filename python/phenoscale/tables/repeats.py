# SPDX-License-Identifier: BSD-3-Clause
"""Fields that have one name: the same plate, well and site in several rows.

What tells plates apart is then not known: wells of two plates would be one, or one well two.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

import numpy as np

from phenoscale.tables.columns import FILE
from phenoscale.tables.labels import same_spelling
from phenoscale.tables.roles import column_key, field_columns, row_groups
from phenoscale.tables.wells import is_well
from phenoscale.words import listed

if TYPE_CHECKING:
    from phenoscale.tables.table import Table

__all__ = ["doubts", "likely_wells", "repeats", "spellings", "well_groups", "well_roles"]

_NAMED = 4


def well_roles(table: Table) -> list[str]:
    """The roles that tell wells apart: batch, plate, well, those that the table has."""
    return [role for role in ("batch", "plate", "well") if role in table.roles]


def doubts(table: Table) -> list[str]:
    """What keeps a split from being sure: wells that are not known, names that repeat."""
    if "well" in table.roles:
        return [*repeats(table), *_odd_wells(table), *spellings(table)]
    return [*spellings(table),
            "the wells are not known: that fields of one well are trained on and held out cannot "
            "be excluded, and scores may be better than they should be"]


def spellings(table: Table) -> list[str]:
    """A sentence for each batch, plate or compound that seems to be written in several ways."""
    found = []
    for role in ("batch", "plate", "compound"):
        groups = {}
        for word in () if role not in table.roles else table.role(role).unique():
            groups.setdefault(_fold(role, word), []).append(word)
        for words in [words for words in groups.values() if len(words) > 1][:_NAMED]:
            names = listed((f"'{word}'" for word in sorted(words)))
            found.append(f"{role}s {names} may be one: write them alike if they are")
    return found


def likely_wells(table: Table) -> list[tuple]:
    """A key for each field, the same for wells that are one but for the spelling of plate or batch,
    or the one batch that is given for some of its fields only; what must not lie on two sides."""
    folds = {role: {word: _fold(role, word) for word in table.role(role).unique()}
             for role in well_roles(table)}
    columns = {role: [folds[role][word] for word in table.role(role)] for role in folds}
    batches = columns.pop("batch", [""] * len(table))
    keys = list(zip(*columns.values()))
    known: dict[tuple, set] = {}
    for key, batch in zip(keys, batches):
        known.setdefault(key, set()).update({batch} - {""})
    return [(*key, batch or (min(known[key]) if len(known[key]) == 1 else ""))
            for key, batch in zip(keys, batches)]


def well_groups(table: Table) -> list:
    """`likely_wells`; each field by itself where the wells are not known."""
    return likely_wells(table) if "well" in table.roles else list(range(len(table)))


def _fold(role: str, word: str) -> str:
    """A name without what spellings of it differ in."""
    return word if role == "well" else same_spelling(
        word if role == "compound" else re.sub("[-_]", " ", word))


def _odd_wells(table: Table) -> list[str]:
    """What is in the column of wells and names none."""
    words = [word for word in table.role("well").unique() if word and not is_well(word)]
    if not words:
        return []
    return [f"{listed((repr(word) for word in words), limit=_NAMED)} in the column of wells "
            f"{table.own(table.roles['well'])} {'is' if len(words) == 1 else 'are'} not like A01: "
            "each such word is taken for a well of its own"]


def repeats(table: Table) -> list[str]:
    """A sentence where one name stands for several fields, with the columns that may tell them
    apart; fields of one well are no repeats where no column says which site each is, unless the
    plate is not known either."""
    if "well" not in table.roles or ("site" not in table.roles and "plate" in table.roles):
        return []
    frame = table.frame
    roles = [*well_roles(table), *(["site"] if "site" in table.roles else [])]
    columns = field_columns(table.roles, frame.columns)
    named = (table.role("well") != "").to_numpy()
    groups = row_groups(frame[named], columns)
    sizes = np.bincount(groups)
    if not (sizes > 1).any():
        return []
    rows = np.flatnonzero(named)[groups == sizes.argmax()]
    name = " ".join(f"{'site ' * (role == 'site')}{table.role(role).iloc[rows[0]]}"
                    for role in roles)
    where = f"{table.unit}s {listed((table.lines[row] for row in rows), limit=_NAMED)}"
    return [f"well {name} is there {len(rows)} times ({where}), {(sizes > 1).sum():,} such names "
            f"repeat: which column tells plates apart? {_candidates(table, columns)}"]


def _candidates(table: Table, columns) -> str:
    """Columns that tell repeated fields apart, those called like plates first."""
    plates = table.role("plate")  # one plate for all is none
    role = "plate" if plates is None or plates.nunique() < 2 else "batch"
    frame, found = table.frame, []
    taken = {*table.roles.values(), *columns}
    for column in frame.columns:
        match = FILE.fullmatch(column)
        if column in taken or match and match[1] != "PathName":
            continue
        count = frame[column].nunique()
        if count < 2 or 2 * count > len(frame):
            continue
        if np.bincount(row_groups(frame, [*columns, column])).max() == 1:
            key = column_key(column)
            found.append((not ("plate" in key or "barcode" in key), not match, count, column))
            taken |= {c for c in frame.columns if match and "PathName_" in c}  # one says it
    found.sort()
    names = [table.own(column) for *_, column in found[:_NAMED]]
    is_sure = bool(found) and not (found[0][0] and found[0][1])  # a plate or a folder by its name
    folders = {os.path.dirname(row[0]) for row in table.paths}
    if not is_sure and len(folders) > 1:
        there = listed(sorted(map(os.path.basename, folders)), limit=_NAMED)
        names.append(f"a new one of the {len(folders)} folders of their files ({there})")
    if not names:
        return "none does: give one, or remove rows that are there twice"
    return f"{' or '.join(names)}: --role {role}={names[0] if is_sure else 'COLUMN'}"
