# SPDX-License-Identifier: BSD-3-Clause
"""Doses: whether the score of a compound rises with it."""

from __future__ import annotations

from phenoscale.profiles.aggregate import log_odds
from phenoscale.profiles.dose_response import dose_response
from phenoscale.reports import pictures
from phenoscale.reports.page import encode
from phenoscale.reports.run import Run
from phenoscale.words import count, number

__all__ = ["section"]

_MOST_CURVES = 24


def section(run: Run) -> dict:
    """A curve of each compound, the steepest first."""
    found = _dose_wells(run)
    if isinstance(found, str):
        return {"why": found}
    wells, controls, label = found
    steps = sorted(set(wells["Dose"]))
    is_rank = len(steps) > 2 and steps == list(range(1, len(steps) + 1))
    names = "Metadata_Compound", "dose rank" if is_rank else "concentration", "Score"
    wells = wells.rename(columns={"Dose": names[1]})
    table = dose_response(wells, *names).sort_values(
        "spearman", ascending=False, key=abs, na_position="last")
    rows = table.to_dict("records")
    notes = {r["compound"]: f"Spearman {number(r['spearman'])}, {count(r['n'], 'well')}"
             for r in rows}
    drawn = wells[wells["Metadata_Compound"].isin(table["compound"][:_MOST_CURVES])]
    return {"image": encode(pictures.dose_curves(drawn, *names, controls, label, notes), "svg+xml"),
            "rows": rows, "shown": min(len(rows), _MOST_CURVES), "label": label, "is_rank": is_rank,
            "has_marked": bool((drawn["Mark"] != "").any()),
            "controls": max(len(scores) for scores in controls.values())}


def _dose_wells(run):
    """Wells with Dose and Score, control scores by compound, label; or why there are none."""
    import pandas

    by = ["Metadata_Compound", "Metadata_Concentration"]
    if run.scored is None or not {"Metadata_Well", *by} <= set(run.scored):
        return "There are no predictions of wells with a compound and a concentration."
    if run.negative is None:
        return "No control class is known, so there is nothing to measure a dose against."
    wells = run.wells(run.scored, *by)
    wells["Dose"] = pandas.to_numeric(wells["Metadata_Concentration"], errors="coerce")
    background = wells[(wells["Mark"] == "-") & ~(wells["Dose"] > 0)]
    effects = run.fields[~run.fields["Truth"].isin(["", run.negative])]
    own = effects.groupby("Metadata_Compound")["Truth"].agg(lambda truth: truth.mode().iloc[0])
    treated, parts, controls = wells[wells["Dose"] > 0], [], {}
    for name, part in treated.groupby("Metadata_Compound", sort=False):
        target = run.positive or own.get(name)
        if name and target is not None and part["Dose"].nunique() > 1:
            parts.append(part.assign(Score=log_odds(part, target, run.negative, run.keys)))
            controls[name] = log_odds(background, target, run.negative, run.keys)
    if not parts:
        return "No compound of a known class has two doses or more in wells not trained on."
    label = f"log-odds, {run.positive or 'own class'} : {run.negative}"
    return pandas.concat(parts), controls, label
