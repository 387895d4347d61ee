# SPDX-License-Identifier: BSD-3-Clause
"""The headline: how the fields that were not trained on are told apart."""

from __future__ import annotations

from phenoscale.evaluation.control_pairs import pair_separation
from phenoscale.evaluation.run import Run, named_values
from phenoscale.evaluation.strictness import shared_with_training
from phenoscale.reports import pictures
from phenoscale.reports.page import encode
from phenoscale.scores.classification import classification
from phenoscale.scores.intervals import wilson
from phenoscale.tables.predictions import CLASS

__all__ = ["section"]


def section(run: Run) -> dict:
    """The headline: how the fields that were not trained on are told apart."""
    labelled = None if run.scored is None else run.scored[run.scored["Truth"].isin(run.classes)]
    held_out = named_values(run.config.get("holdout"))
    view = {"side": run.side, "z": None, "holdout": list(held_out.items()),
            **{name: {} if frame is None else frame[[column, "Side"]].value_counts().to_dict()
               for name, frame, column in (("sides", run.fields, "Truth"),
                                           ("calls", run.scored, CLASS))}}
    if run.refused:
        return view | {"why": run.refused}
    fields = None if labelled is None else labelled[labelled["Side"] == run.side]
    if run.side is None or fields is None or not len(fields):
        return view | {"why": _unscored(run)}
    wells = run.wells(fields, "Truth")
    by_field, by_well = _score(run, fields), None if wells is None else _score(run, wells)
    if run.positive and wells is not None:
        view["z"] = pair_separation(run, wells)
    return view | {
        "field": by_field, "well": by_well, "best": by_well or by_field,
        "unit": "well" if by_well else "field", "chance": 1 / sum(n > 0 for n in by_field["of"]),
        "doubt": run.folder.unscored(), "shared": shared_with_training(run, fields),
        "confusion": encode(pictures.confusion(by_field["confusion"], run.classes), "svg+xml")}


def _unscored(run: Run) -> str:
    """Why there is no score: what the training said of it, where it said anything."""
    said = run.folder.unscored()
    return (f"{said[:1].upper()}{said[1:]}." if said
            else "No labelled field outside the training fields has a prediction.")


def _score(run, frame):
    """`classification` of fields or wells, with the 95 % interval of the accuracy (Wilson)."""
    found = classification(list(frame["Truth"]), list(frame[CLASS]), run.classes)
    right = int(found["confusion"].trace())
    low, high = wilson(right, found["n"])
    return found | {"right": right, "of": found["confusion"].sum(axis=1).tolist(),
                    "hits": found["confusion"].diagonal().tolist(),
                    "low": low, "high": high}
