# SPDX-License-Identifier: BSD-3-Clause
"""Rows of a table that are planes of one field -> one field.

Part of reading a table; what the pages of one file are is the business of survey.py.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from phenoscale.columns import FILE, SKIP
from phenoscale.errors import InputError

if TYPE_CHECKING:
    from phenoscale.table import Table

__all__ = ["stack_rows"]


def stack_rows(table: Table) -> Table:
    """Rows that are planes of one field, together."""
    if "z" not in table.roles:
        return table
    known = [role for role in ("plate", "well", "site", "batch") if role in table.roles]
    columns = [table.roles[role] for role in known]
    columns += [name for name in ("Metadata_Time",) if name in table.frame.columns]
    groups = {}
    for row, key in enumerate(table.frame[columns].itertuples(index=False, name=None)):
        groups.setdefault(key, []).append(row)
    most = max(groups.values(), key=len)
    if len(most) == 1:
        return table
    if "well" not in known or "site" not in known:
        raise InputError(f"{table.source}: column {table.roles['z']} has planes of a stack, but "
                         "nothing says of which well and site: name the columns with --role")
    if table.z is None:
        raise InputError(
            f"{table.place(most[0])}: {len(most)} planes of one field (column "
            f"{table.roles['z']}): say with --z how they become one: max, mean, or a number")
    return _stack(table, list(groups.values()))


def _stack(table: Table, groups) -> Table:
    """Each group of rows as one field, planes in the order of their z."""
    heights, first, planes = table.frame[table.roles["z"]], [], []
    for rows in groups:
        try:
            rows = sorted(rows, key=lambda row: float(heights.iloc[row]))
        except ValueError:
            raise InputError(f"{table.place(rows[0])}: column {table.roles['z']} is no number for "
                             "some plane of this field") from None
        if len({heights.iloc[row] for row in rows}) < len(rows):
            raise InputError(f"{table.place(rows[0])}: two rows are the same plane of one field "
                             f"(column {table.roles['z']}): remove one")
        if table.z.isdigit():
            if int(table.z) >= len(rows):
                raise InputError(f"{table.place(rows[0])}: {len(rows)} planes, counted from 0: "
                                 f"there is no plane {table.z}")
            rows = [rows[int(table.z)]]
        first.append(rows[0])
        planes.append([tuple(plane for row in rows for plane in table.planes[row][c])
                       for c in range(len(table.sources))])
    frame, notes = _one_row(table, groups, first)
    roles = {role: column for role, column in table.roles.items() if role != "z"}
    return replace(table, frame=frame, planes=planes, roles=roles, notes=[*table.notes, *notes],
                   lines=[table.lines[row] for row in first],
                   z=None if table.z.isdigit() else table.z)  # a plane is chosen already


def _one_row(table: Table, groups, first):
    """What the rows of each field have in common, and notes on where they differ."""
    frame = table.frame.iloc[first].reset_index(drop=True).drop(columns=table.roles["z"])
    group = np.empty(len(table), np.int64)
    for number, rows in enumerate(groups):
        group[rows] = number
    others = [name for name in frame.columns if not FILE.fullmatch(name) and name != SKIP]
    differ = table.frame[others].groupby(group).nunique() > 1
    notes = []
    for name in differ.columns[differ.any()]:
        fields = np.flatnonzero(differ[name])
        if name in (table.roles.get("compound"), table.roles.get("concentration")):
            raise InputError(f"{table.place(first[fields[0]])}: the planes of this field (column "
                             f"{table.roles['z']}) differ in column {name}: they are not of one "
                             "field, or one cell is wrong")
        frame.loc[fields, name] = ""
        notes.append(f"column {name} differs among the planes of {len(fields)} fields: it is left "
                     "empty there")
    if SKIP in frame.columns:  # a mark on one plane is one on the field
        frame[SKIP] = table.frame[SKIP].groupby(group).max().to_numpy()
    return frame, notes
