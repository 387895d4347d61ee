# SPDX-License-Identifier: BSD-3-Clause
"""Whose opinion the class of a field is: network, measures, both, and what these have to beat."""

from __future__ import annotations

import math

from phenoscale.errors import InputError
from phenoscale.evaluation.run import Run
from phenoscale.models.head import HEADS
from phenoscale.reports import pictures
from phenoscale.reports.page import encode
from phenoscale.training.ending import COUNT_ALONE, UNTRAINED
from phenoscale.training.head import COME_FROM

__all__ = ["section"]

#: what any head has to beat, and how it is made
_FLOORS = {COUNT_ALONE: "a regression on the cell count alone",
           UNTRAINED: "a regression on the embeddings of an untrained network"}
_ROWS = (*HEADS, *_FLOORS)  # as they are drawn
_SIDES = {"test": "held-out", "val": "validation"}
_MOST = 1e9  # fields or wells
_SHARES = ("Low", "Accuracy", "High")


def section(run: Run) -> dict:
    """How many fields and wells each is right in, as the training counted them at its end."""
    cells = run.folder.cells(run.folder.HEADS)
    said = [note for note in run.config.get("notes") or [] if note.startswith(COME_FROM)]
    view = {"choice": said[-1] if said else ""}
    if cells is None:
        return view | {"why": "The folder holds no heads.csv: the network alone was asked, or no "
                              "labelled field was kept out of the training."}
    path = run.folder.file(run.folder.HEADS)
    rows = [_row(path, row) for row in cells.to_dict("records")]
    _check(path, rows)
    rows.sort(key=lambda row: _ROWS.index(row["name"]))
    unit = "well" if all(row["wells"] for row in rows) else "field"
    floors = [_FLOORS[row["name"]] for row in rows[len(HEADS):]]
    return view | {"rows": rows, "unit": unit, "side": rows[0]["side"], "floors": floors,
                   "image": encode(pictures.heads(rows, len(HEADS), unit), "svg+xml")}


def _row(path: str, cells: dict) -> dict:
    """A row of heads.csv: what it is of, and its numbers."""
    name, side = (cells.get(column, "") for column in ("Head", "Side"))
    if name not in _ROWS or side not in _SIDES:
        raise InputError(f"{path}: {name!r} of the side {side!r} is no head of a model of this "
                         "version: give a folder that train wrote")
    low, share, high = (_number(path, cells, column, 1) for column in _SHARES)
    row = {"name": name, "side": _SIDES[side], "is_chosen": cells.get("Chosen") == "True",
           "share": share, "low": min(low, share), "high": max(high, share), "wells": None,
           "fields": _counts(path, cells, "Fields")}
    return row | {"wells": _counts(path, cells, "Wells")} if cells.get("Wells") else row


def _counts(path: str, cells: dict, what: str) -> tuple[int, int]:
    """(right, all) of fields or wells."""
    n = _number(path, cells, what, _MOST)
    return int(_number(path, cells, f"{what}Right", n)), int(n)


def _number(path: str, cells: dict, column: str, most: float) -> float:
    """A number from 0 to `most`."""
    try:
        number = float(cells.get(column, ""))
    except ValueError:
        number = math.nan
    if not 0 <= number <= most:
        raise InputError(f"{path}: {column} of {cells['Head']} is {cells.get(column, '')!r}: give "
                         f"a number from 0 to {most:g}, as train writes it")
    return number


def _check(path: str, rows: list) -> None:
    """Each once, one of them chosen, all of the same fields."""
    names, alike = {row["name"] for row in rows}, {row["side"] for row in rows}
    if (len(names) < len(rows) or not names.issuperset(HEADS) or len(alike) > 1
            or [row["is_chosen"] for row in rows].count(True) != 1):
        raise InputError(f"{path} does not have each of {', '.join(HEADS)} once, of one side and "
                         "one of them chosen: give a folder that train wrote")
