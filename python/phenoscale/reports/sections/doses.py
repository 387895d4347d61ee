# SPDX-License-Identifier: BSD-3-Clause
"""Doses: whether the score of a compound rises with it."""

from __future__ import annotations

from phenoscale.evaluation.doses import dose_wells
from phenoscale.evaluation.predicted import COMPOUND
from phenoscale.evaluation.run import Run
from phenoscale.profiles.dose_response import dose_response
from phenoscale.reports import pictures
from phenoscale.reports.page import encode
from phenoscale.words import count, number

__all__ = ["section"]

_MOST_CURVES = 24


def section(run: Run) -> dict:
    """A curve of each compound, the steepest first."""
    found = dose_wells(run)
    if isinstance(found, str):
        return {"why": found}
    names = COMPOUND, "dose rank" if found.is_rank else "concentration", "Score"
    wells = found.wells.rename(columns={"Dose": names[1]})
    table = dose_response(wells, *names).sort_values(
        "spearman", ascending=False, key=abs, na_position="last")
    rows = table.to_dict("records")
    notes = {r["compound"]: f"Spearman {number(r['spearman'])}, {count(r['n'], 'well')}"
             for r in rows}
    drawn = wells[wells[COMPOUND].isin(table["compound"][:_MOST_CURVES])]
    picture = pictures.dose_curves(drawn, *names, found.background, found.label, notes)
    return {"image": encode(picture, "svg+xml"), "rows": rows,
            "shown": min(len(rows), _MOST_CURVES), "label": found.label, "is_rank": found.is_rank,
            "has_marked": bool((drawn["Mark"] != "").any()),
            "controls": max(len(scores) for scores in found.background.values())}
