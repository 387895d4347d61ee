# SPDX-License-Identifier: BSD-3-Clause
"""Rows of a table that are planes of one field -> one field.

Part of reading a table; what the pages of one file are is the business of images/survey.py.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace

import numpy as np

from phenoscale.errors import InputError
from phenoscale.tables.columns import CHOSEN, FILE, MARK, SKIP
from phenoscale.tables.roles import field_columns
from phenoscale.tables.table import Plane, Table
from phenoscale.tables.values import row_tuples
from phenoscale.words import listed

__all__ = ["stack_rows"]


def stack_rows(table: Table) -> Table:
    """Rows that are planes of one field, together: each channel has its own stack, of the rows
    that name a file of it."""
    if CHOSEN in table.frame.columns:
        return _chosen_before(table)
    columns = field_columns(table.roles, table.frame.columns)
    groups = {}
    for row, key in enumerate(row_tuples(table.frame[columns])):
        groups.setdefault(key, []).append(row)
    most = max(groups.values(), key=len)
    if len(most) == 1 or not {"well", "z"} & set(table.roles):
        return table
    if "well" not in table.roles:
        raise InputError(f"{table.source}: column {table.roles['z']} tells planes of z apart, but "
                         "nothing says of which well: name its column with --role well=COLUMN")
    _refuse_channels(table, most)
    if "z" not in table.roles:
        return table
    stacks = [[[row for row in rows if table.planes[row][c][0].path]
               for c in range(len(table.sources))] for rows in groups.values()]
    most = max((rows for field in stacks for rows in field), key=len)
    if table.z is None and len(most) > 1:
        more = "" if "site" in table.roles else (", or, if they are fields of their own, which "
                                                 "column counts them: --role site=COLUMN")
        raise InputError(
            f"{table.place(most[0])}: {len(most)} planes of one field (column "
            f"{table.roles['z']}): say with --z how they become one: max, mean, or a number{more}")
    return _stack(table, list(groups.values()), stacks, len(most) > 1)


def _chosen_before(table: Table) -> Table:
    """A table whose planes a check has chosen: the same choice, or none."""
    words = set(table.frame[CHOSEN])
    if len(words) > 1 or table.z not in (None, *words):
        raise InputError(f"{table.source}: column {CHOSEN} says that plane "
                         f"{', '.join(sorted(words))} was chosen already: leave --z {table.z} out, "
                         "or use the table that was checked")
    return replace(table, frame=table.frame.drop(columns=CHOSEN), z=None, chosen=words.pop())


def _refuse_channels(table: Table, rows) -> None:
    """A table with a row for each channel would be read as so many fields."""
    for name in table.frame.columns:
        word = name.removeprefix("Metadata_").lower()
        cells = set(table.frame[name].iloc[rows])
        if word in ("channel", "wavelength", "stain", "dye") and len(cells) > 1:
            raise InputError(
                f"{table.source}: rows of one well and site differ in column {name} "
                f"({listed(sorted(cells), limit=4)}): a table has one row a field, and for each "
                "channel a column of files")


def _stack(table: Table, groups, stacks, is_deep: bool) -> Table:
    """Each group of rows as one field.

    stacks: of each the rows of each channel; is_deep: some have several.
    """
    usual = [Counter(len(field[c]) for field in stacks if field[c]).most_common(1)
             for c in range(len(table.sources))]
    usual = [found[0][0] if found else 1 for found in usual]
    deepest, is_chosen = usual.index(max(usual)), is_deep and table.z.isdigit()
    first, planes, doubtful = [], [], {}
    for number, (rows, field) in enumerate(zip(groups, stacks)):
        ordered = [_in_order(table, mine) for mine in field]
        if is_chosen:
            odd = [c for c, mine in enumerate(ordered) if mine and len(mine) != usual[c]]
            if odd:
                doubtful[number] = (
                    f"{len(ordered[odd[0]])} planes of z where most fields have {usual[odd[0]]}"
                    f"{_of(table, odd[0])}: which is plane {table.z} is not sure")
            ordered = [_chosen(table, mine, c, usual[c]) for c, mine in enumerate(ordered)]
        counted = [row for mine in ordered for row in mine]
        first.append((ordered[deepest] or counted or rows)[0])
        planes.append([tuple(table.planes[row][c][0] for row in mine)
                       + (Plane(""),) * (not mine or not is_chosen and len(mine) < min(
                           usual[c], len(rows)))
                       for c, mine in enumerate(ordered)])
    with_file = [sorted({row for mine in field for row in mine}) or rows[:1]
                 for rows, field in zip(groups, stacks)]
    frame, notes = _one_row(table, with_file, first)
    if doubtful:
        frame[SKIP] = [frame[SKIP][row] if SKIP in frame and frame[SKIP][row]
                       else doubtful.get(row, "") for row in range(len(frame))]
        notes.append(f"{len(doubtful)} fields with other numbers of planes than {max(usual)} are "
                     "left out")
    if len(set(usual)) > 1:
        words = ", ".join(f"{name} {n}" for name, n in zip(table.channels, usual))
        notes.append(f"planes of z by channel: {words}; each channel has its own stack")
    roles = {role: column for role, column in table.roles.items() if role != "z"}
    return replace(table, frame=frame, planes=planes, roles=roles, notes=[*table.notes, *notes],
                   lines=[table.lines[row] for row in first],
                   z=None if is_chosen else table.z, chosen=table.z if is_chosen else None)


def _of(table: Table, c: int) -> str:
    return f" of channel {table.channels[c]}" if len(table.sources) > 1 else ""


def _chosen(table: Table, rows, c: int, usual: int) -> list[int]:
    """The row of the plane asked for; that of a channel of one plane is this one."""
    if not rows or usual == 1:
        return rows[:1]
    if int(table.z) >= len(rows) == usual:
        raise InputError(f"{table.place(rows[0])}: {len(rows)} planes{_of(table, c)}, counted from "
                         f"0: there is no plane {table.z}")
    return [rows[min(int(table.z), len(rows) - 1)]]


def _in_order(table: Table, rows) -> list[int]:
    """The rows of one channel of one field, by their heights."""
    if len(rows) < 2:
        return rows
    column = table.roles["z"]
    try:
        heights = [float(table.frame[column].iloc[row].replace(",", ".")) for row in rows]
        if not all(map(math.isfinite, heights)):
            raise ValueError
    except ValueError:
        raise InputError(f"{table.place(rows[0])}: column {column} is no number for some plane of "
                         "this field") from None
    if len(set(heights)) < len(rows):
        raise InputError(f"{table.place(rows[0])}: two rows are the same plane of one field "
                         f"(column {column}): remove one, or name what tells them apart with "
                         "--role site=COLUMN")
    return [row for _, row in sorted(zip(heights, rows))]


def _one_row(table: Table, groups, first):
    """What the rows of each field have in common, and notes on where they differ."""
    frame = table.frame.iloc[first].reset_index(drop=True).drop(columns=table.roles["z"])
    group = np.repeat(np.arange(len(groups)), [len(rows) for rows in groups])
    every = table.frame.iloc[[row for rows in groups for row in rows]]
    others = [name for name in frame.columns if not FILE.fullmatch(name) and name != SKIP]
    differ = every[others].groupby(group).nunique() > 1
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
    if SKIP in frame.columns:  # a mark on one plane is one on the field, somebody's own first
        frame[SKIP] = [min(cells, key=lambda why: (not why, why.startswith(MARK)))
                       for _, cells in every[SKIP].groupby(group)]
    return frame, notes
