# SPDX-License-Identifier: BSD-3-Clause
"""At which dose: how the score of a compound and its cells follow the dose, and the curves through
them."""

from __future__ import annotations

import numpy as np

from phenoscale.evaluation.doses import cell_wells, dose_table, dose_wells
from phenoscale.evaluation.predicted import COMPOUND
from phenoscale.evaluation.run import Run
from phenoscale.reports.dose_pictures import dose_curves
from phenoscale.reports.layers import short
from phenoscale.reports.page import encode
from phenoscale.words import count, number

__all__ = ["section"]

_MOST_CURVES = 24


def section(run: Run) -> dict:
    """A curve of each compound, the steepest first, and one of its cells where they are counted."""
    found = dose_wells(run)
    if isinstance(found, str):
        return {"why": found}
    table = dose_table(run, found)
    table = table.sort_values("spearman", ascending=False, key=abs, na_position="last",
                              kind="stable")
    of_score = table[table["curve"] == found.label]
    rows = of_score.to_dict("records")
    names = [row["compound"] for row in rows][:_MOST_CURVES]
    dose = "dose rank" if found.is_rank else "concentration"
    wells = found.wells.rename(columns={"Dose": dose})
    drawn = wells[wells[COMPOUND].isin(names)]
    fits = {row["compound"]: row for row in rows}
    picture = dose_curves(drawn, COMPOUND, dose, "Score", found.background, found.label,
                          _notes(rows), fits)
    view = {"image": encode(picture, "svg+xml", table=of_score), "shown": len(names),
            "rows": [_row(row) for row in rows], "label": found.label, "is_rank": found.is_rank,
            "has_marked": bool((drawn["Mark"] != "").any()), "cells": None,
            "controls": max(len(scores) for scores in found.background.values())}
    cells = table[table["curve"] != found.label].to_dict("records")
    if cells:
        of_cells, without = cell_wells(run, found)
        of_cells = of_cells.rename(columns={"Dose": dose})
        figure = dose_curves(of_cells[of_cells[COMPOUND].isin(names)], COMPOUND, dose, "Cells",
                             {name: without for name in names}, "cells a field", _notes(cells),
                             {row["compound"]: row for row in cells})
        view["cells"] = encode(figure, "svg+xml", table=of_cells)
    return view


def _notes(rows: list) -> dict:
    return {r["compound"]: f"EC50 {short(r['ec50'])}, {count(r['n'], 'well')}" if r["fit_ok"] else
            f"Spearman {number(r['spearman'])}, {count(r['n'], 'well')}" for r in rows}


def _row(row: dict) -> dict:
    """A row of the table: numbers as words."""
    known = bool(row["fit_ok"])
    span = [short(row[key]) if np.isfinite(row[key]) else "?" for key in ("ec50_low", "ec50_high")]
    return {"compound": row["compound"], "n": row["n"], "spearman": row["spearman"],
            "ec50": short(row["ec50"]) if known else "",
            "interval": " to ".join(span) if known else "",
            "r2": number(row["r2"]) if known else "", "reason": "" if known else row["reason"],
            "v": number(row["v"]) if np.isfinite(row["v"]) else ""}
