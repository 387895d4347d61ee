# SPDX-License-Identifier: BSD-3-Clause
"""The plates: what is called in each well, and how strongly."""

from __future__ import annotations

from phenoscale.evaluation.run import Run
from phenoscale.profiles.aggregate import log_odds
from phenoscale.reports import pictures
from phenoscale.reports.page import encode
from phenoscale.tables.predictions import CLASS, probability_columns

__all__ = ["section"]

_MOST_PLATES = 12


def section(run: Run) -> dict:
    """A map of each plate, the held-out ones first."""
    wells = run.wells(run.scored)
    layout = pictures.plate_layout(run.fields["Metadata_Well"]) if wells is not None else None
    if layout is None:
        return {"why": "No predictions of wells, named A01 to AF48, that were not trained on."}
    name, wells["Score"] = _plate_score(run, wells)
    most = max(float(wells["Score"].abs().quantile(0.98)), 0.5)
    limits = (-most, most) if run.positive else (0, 1)
    held = set(run.fields.loc[run.fields["Side"] == "test", "Metadata_Plate"])
    plates = sorted(dict.fromkeys(wells["Metadata_Plate"]), key=lambda plate: plate not in held)
    frames = run.fields[run.fields["Metadata_Well"] != ""].groupby(
        ["Metadata_Plate", "Metadata_Well"], as_index=False)[["Mark", "Truth"]].first()
    frames = frames.merge(wells.drop(columns=["Mark", "Truth"], errors="ignore"), how="left",
                          on=["Metadata_Plate", "Metadata_Well"])
    seen = frames[CLASS].notna()
    frames["Asked"] = seen & frames["Truth"].isin(run.classes)
    frames["Wrong"] = frames["Asked"] & (frames["Truth"] != frames[CLASS])
    maps = []
    for plate in plates[:_MOST_PLATES]:
        frame = frames[frames["Metadata_Plate"] == plate].fillna({CLASS: ""})
        figure = pictures.plate_map(frame, run.classes, "Score", name, limits, plate, layout=layout)
        maps.append({"name": plate or "plate", "image": encode(figure, "png", 125),
                     "held": plate in held, "wells": len(frame), "asked": int(frame["Asked"].sum()),
                     "wrong": int(frame["Wrong"].sum()), "scored": int(seen[frame.index].sum())})
    return {"maps": maps, "score": name, "left_out": plates[_MOST_PLATES:]}


def _plate_score(run, wells):
    """What the heat map shows: its name in words, and its values."""
    if run.positive:
        return (f"log-odds, {run.positive} : {run.negative}",
                log_odds(wells, run.positive, run.negative, run.keys))
    if run.negative:
        return (f"probability of any class but {run.negative}",
                1 - wells[run.column(run.negative)])
    columns = probability_columns(wells, run.keys)
    return "probability of the predicted class", wells[columns].max(axis=1)
