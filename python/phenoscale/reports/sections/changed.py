# SPDX-License-Identifier: BSD-3-Clause
"""What changed against the negative controls, class by class and well by well, in words."""

from __future__ import annotations

from phenoscale.errors import InputError
from phenoscale.evaluation.run import Run
from phenoscale.profiles.explain import explain_fields, in_words
from phenoscale.reports import pictures
from phenoscale.reports.page import encode
from phenoscale.tables.keys import KEY
from phenoscale.tables.predictions import CLASS

__all__ = ["section"]

_MOST_WELLS = 400  # in the table


def section(run: Run) -> dict:
    """Words and bars of effects of the classes, and words of each well."""
    if run.scored is None:
        return {"why": "There are no predictions of fields that were not trained on."}
    fields, is_called = run.scored, not run.scored["Truth"].isin(run.classes).any()
    if is_called:
        fields = fields.assign(Truth=fields[CLASS])
    try:
        found = explain_fields(fields, _measures(run))
    except InputError as error:
        return {"why": f"Not said: {error}."}
    classes = [(name, found.classes[name]) for name in run.classes if name in found.classes]
    bars = {name: [(one.words, one.effect) for one in told.changes or []] for name, told in classes}
    wells = [(where, mark, in_words(changes)) for where, mark, changes in zip(
        (found.wells["Plate"] + " " + found.wells["Well"]).str.strip(), found.wells["Mark"],
        found.each)]
    view = {"rows": [(name, told.wells, in_words(told.changes)) for name, told in classes],
            "notes": found.notes, "wells": wells[:_MOST_WELLS], "more": wells[_MOST_WELLS:],
            "is_called": is_called, "image": None}
    if any(bars.values()):
        view["image"] = encode(pictures.effect_bars(bars), "svg+xml")
    return view


def _measures(run: Run):
    """The measures of the fields that were not trained on."""
    about, numbers = run.measured
    if not len(numbers.columns) or not {KEY} <= {*run.scored} & {*about}:
        raise InputError("predictions.csv has no measures: predict again with --measures all")
    place = about.reset_index().drop_duplicates(KEY).set_index(KEY)["index"]
    return numbers.iloc[place[run.scored[KEY]]]
