# SPDX-License-Identifier: BSD-3-Clause
"""What is a hit: treatments by how sure it is that they are not the controls, and how far."""

from __future__ import annotations

import numpy as np

from phenoscale.reports.layers import short
from phenoscale.reports.page import encode
from phenoscale.reports.screen import Screen
from phenoscale.reports.screen_pictures import volcano

__all__ = ["section"]

_MOST = 500  # rows of the table
#: heading, and the columns of hits.csv that a cell is made of; those that are there are shown
_COLUMNS = (("hit", ("Hit",)), ("q", ("q",)), ("effect, SD", ("Effect",)),
            ("distance", ("Distance",)), ("wells", ("Wells",)), ("class", ("Class", "Prob")),
            ("none of these", ("None",)), ("cells : controls", ("CellRatio", "CellWord")),
            ("replicates agree", ("Agreement",)), ("reversal", ("Reversal",)),
            ("note", ("Words",)))


def section(screen: Screen) -> dict:
    """The ranked table and its picture."""
    if screen.profile is None:
        return {"why": "Not known. phenoscale profile predictions.csv --out RUN/profile finds "
                       "which treatments differ from the controls of their plates; then make this "
                       "report again."}
    hits = screen.profile.hits
    columns = [(name, [c for c in of if c in hits]) for name, of in _COLUMNS]
    columns = [(name, of) for name, of in columns if of and (hits[of[0]].notna()
                                                             & (hits[of[0]] != "")).any()]
    rows = [{"rank": f"{row['Rank']:.0f}", "treatment": row["Treatment"],
             "control": row.get("Control", ""),
             "cells": [" ".join(filter(None, (_cell(row[c], c) for c in of)))
                       for _, of in columns]}
            for row in hits[:_MOST].to_dict("records")]
    view = {"columns": [name for name, _ in columns], "rows": rows, "more": len(hits) - len(rows),
            "counts": hits["Hit"].value_counts().to_dict(), "n": len(hits), "image": None,
            "about": screen.profile.about, "steps": _steps(screen.profile.about),
            "notes": [note for note in screen.profile.about.get("notes") or []
                      if isinstance(note, str)]}
    if {"Effect", "q"} <= set(hits) and (hits["Effect"].notna() & hits["q"].notna()).any():
        view["image"] = encode(volcano(hits), "svg+xml", table=hits)
    return view


def _cell(value, column: str) -> str:
    if isinstance(value, str):
        return value
    if not np.isfinite(value):
        return ""
    if column in ("None", "CellRatio"):
        return f"{100 * value:.0f} %"
    return f"p {value:.2f}" if column == "Prob" else short(value)


def _steps(about: dict) -> list[tuple[str, str, str]]:
    """What was done to the profiles: step, whether it was kept, why."""
    steps = about.get("steps")
    return [(str(one.get("step", "")), "kept" if one.get("kept") else "left out",
             str(one.get("why", ""))) for one in steps if isinstance(one, dict)
            ] if isinstance(steps, list) else []
