# SPDX-License-Identifier: BSD-3-Clause
"""Are the controls good: how far apart they are on every plate, how alike, how they drift."""

from __future__ import annotations

import math

import numpy as np

from phenoscale.evaluation.control_pairs import control_pairs
from phenoscale.evaluation.predicted import PLATE
from phenoscale.reports.page import encode
from phenoscale.reports.screen import Screen
from phenoscale.reports.screen_pictures import drift
from phenoscale.scores.controls import separation
from phenoscale.tables.controls import NEGATIVE, POSITIVE
from phenoscale.words import number

__all__ = ["section"]

_SEPARATED = ("z_prime", "robust_z_prime", "ssmd")
#: a Z' is good above the first, and above the second there is a gap between the controls
_GOOD, _GAP = 0.5, 0.0


def section(screen: Screen) -> dict:
    """Tables by plate and the picture of the drift."""
    wells = screen.wells
    if wells is None or not (wells["Mark"] == NEGATIVE).any():
        return {"why": "No wells are known to be negative controls: mark them in a column "
                       "Metadata_Control, or name them by --controls COLUMN=VALUE."}
    plates = list(dict.fromkeys(wells["Plate"]))
    pairs, why = _pairs(screen)
    scales = [name for name in ("Distance", "Cells", *screen.measures) if name in wells]
    return {"negative": int((wells["Mark"] == NEGATIVE).sum()),
            "positive": int((wells["Mark"] == POSITIVE).sum()), "pairs": pairs, "no_pairs": why,
            "rows": [_spread(wells, plate, scales) for plate in plates],
            "scales": [_title(name) for name in scales], "said": _said(pairs),
            "image": _drift(wells, plates, scales) if scales else None}


def _title(name: str) -> str:
    return {"Distance": "distance from the controls", "Cells": "cells a field"}.get(name, name)


def _pairs(screen: Screen) -> tuple[list, str]:
    """What separates the controls of each plate: by the score of wells that were not trained on,
    and by the distance of the profile; a sentence where there is none."""
    run, rows, why = screen.run, [], ""
    scored = run.scored
    known = None if scored is None else run.wells(
        scored[scored["Truth"].isin(run.classes)], "Truth")
    found = control_pairs(run, known)
    if isinstance(found, str):
        why = found
    else:
        for row in found.to_dict("records"):
            rows.append({"plate": row[PLATE] or "plate", "by": f"log-odds, {row['positive']} : "
                         f"{row['negative']}", **_numbers(row)})
    wells = screen.wells
    if "Distance" in wells:
        for plate, mine in wells.groupby("Plate", sort=False):
            pos, neg = (mine.loc[(mine["Mark"] == mark) & mine["Distance"].notna(), "Distance"]
                        for mark in (POSITIVE, NEGATIVE))
            if len(pos):
                rows.append({"plate": plate or "plate", "by": "distance of the profile", **_numbers(
                    {"positive_wells": len(pos), "negative_wells": len(neg),
                     **separation(pos, neg)})})
    return rows, "" if rows else why


def _numbers(row: dict) -> dict:
    return {"n": (row["positive_wells"], row["negative_wells"]), "reason": row["reason"],
            **{name: row[name] for name in _SEPARATED},
            "verdict": _verdict(row["z_prime"])}


def _verdict(z_prime: float) -> str:
    if not math.isfinite(z_prime):
        return ""
    return "good" if z_prime > _GOOD else "marginal" if z_prime > _GAP else "overlapping"


def _said(pairs: list) -> str:
    """One sentence for the top of the page."""
    by = dict.fromkeys(row["by"] for row in pairs)
    if not by:
        return ""
    first = [row for row in pairs if row["by"] == next(iter(by)) and math.isfinite(row["z_prime"])]
    alone = [row for row in first if row["plate"] != "(all)"] or first
    if not alone:
        return ""
    values = sorted(row["z_prime"] for row in alone)
    span = f" ({number(values[0])} to {number(values[-1])})" if len(values) > 1 else ""
    middle = float(np.median(values))
    return (f"Z′ {number(middle)}{span} of the positive against the negative controls "
            f"({alone[0]['by']}): {_verdict(middle)}")


def _spread(wells, plate: str, scales: list) -> dict:
    """Coefficients of variation of the negative controls of a plate, and how far their medians are
    from those of all plates."""
    negative = wells[wells["Mark"] == NEGATIVE]
    mine, cells = negative[negative["Plate"] == plate], []
    for name in scales:
        values, others = (frame[name].dropna().to_numpy(float) for frame in (mine, negative))
        middle = abs(values.mean()) if len(values) else 0
        cv = 100 * values.std(ddof=1) / middle if len(values) > 1 and middle > 0 else math.nan
        usual = np.median(others) if len(others) else math.nan
        off = 100 * (np.median(values) / usual - 1) if len(values) and usual else math.nan
        cells.append((_percent(cv, ""), _percent(off, "+")))
    return {"plate": plate or "plate", "n": len(mine), "cells": cells}


def _percent(value: float, sign: str) -> str:
    return f"{value:{sign}.0f} %".replace("-", "−") if math.isfinite(value) else ""


def _drift(wells, plates: list, scales: list) -> str:
    def of(name, mark):
        mine = wells[wells["Mark"] == mark]
        return [mine.loc[mine["Plate"] == plate, name].dropna().to_numpy(float)
                for plate in plates]

    panels = [(_title(name), of(name, NEGATIVE), of(name, POSITIVE)) for name in scales]
    table = wells.loc[wells["Mark"].isin([NEGATIVE, POSITIVE]), ["Plate", "Well", "Mark", *scales]]
    return encode(drift([plate or "plate" for plate in plates], panels), "svg+xml", table=table)
