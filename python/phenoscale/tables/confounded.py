# SPDX-License-Identifier: BSD-3-Clause
"""Classes that a plate, a batch or a place on the plate gives away.

After labels.py, before any image is opened: a network that learns the plate knows such a class.
"""

from __future__ import annotations

from collections import Counter

import numpy as np

from phenoscale.tables.labels import class_cells, single_homes
from phenoscale.tables.table import Table
from phenoscale.tables.wells import plate_layout, row_name, well_position
from phenoscale.words import listed

__all__ = ["confounding"]

_NAMED = 4
_EDGE, _INSIDE = "edge", "inside"
#: words -> the home of a well at row and column, from 0, of a plate of so many rows and columns;
#: _INSIDE is not told of.  The narrowest first.
_PLACES = (
    ("at one well position only", lambda row, column, *_: f"{row_name(row)}{column + 1:02d}"),
    ("in one column of wells only", lambda row, column, *_: f"{column + 1}"),
    ("in one row of wells only", lambda row, column, *_: row_name(row)),
    ("on the edge of the plate only", lambda row, column, rows, columns: _EDGE if (
        row in (0, rows - 1) or column in (0, columns - 1)) else _INSIDE))


def confounding(table: Table, label: str) -> list[str]:
    """Sentences on the classes that lie on one plate, in one batch, or at one place of their plates
    only; of a table with one plate a single one.

    Parameters
    ----------
    table : Table
    label : str
        Column of the classes.
    """
    names = class_cells(table, label)
    found = []
    for role in ("plate", "batch"):
        cells = [] if role not in table.roles else table.role(role).tolist()
        there = {cell for cell, name in zip(cells, names) if cell and name}
        if role == "plate" and len(there) == 1:
            return [f"every labelled field is of plate {min(there)}: nothing can be said of "
                    "another plate"]
        found += _sentence(single_homes(names, cells), names, f"on one {role} only",
                           f"what tells {role}s apart tells the class, whatever the cells do")
    return found + _of_places(table, names)


def _of_places(table: Table, names) -> list[str]:
    """The same of places on the plate; a class is named by its narrowest one."""
    if "well" not in table.roles:
        return []
    places = [well_position(well) for well in table.role("well")]
    rows = [row for row, place in enumerate(places) if place and names[row]]
    layout = plate_layout([table.role("well").iloc[row] for row in rows])
    if layout is None:
        return []
    wells = table.well_names()
    pairs = {(names[row], wells[row]) for row in rows}
    several = {name for name, n in Counter(name for name, _ in pairs).items() if n > 1}
    found, named = [], set()
    for where, home in _PLACES:
        alone = single_homes(names[rows], [home(*places[row], *layout) for row in rows])
        alone = {name: at for name, at in sorted(alone.items())
                 if name in several - named and at != _INSIDE}
        named |= alone.keys()
        found += _sentence(alone, names, where, "the place may tell the class, as evaporation and "
                           "light do")
    return found


def _sentence(alone: dict, names, where: str, why: str) -> list[str]:
    """What is said of the classes that have one home, or nothing."""
    if not alone:
        return []
    n = len(set(np.asarray(names)) - {""})
    who = listed((f"{name} ({home})" if home != _EDGE else name for name, home in alone.items()),
                 limit=_NAMED)
    begin = f"class {who} lies" if len(alone) == 1 else f"{len(alone)} of {n} classes lie"
    return [f"confounded: {begin} {where}" + (f": {who}" if len(alone) > 1 else "") + f"; {why}"]
