# SPDX-License-Identifier: BSD-3-Clause
"""What the score is no answer to: classes that only one place has, how far the probabilities can be
believed, and the same question asked more strictly, where `ladder` was asked."""

from __future__ import annotations

import numpy as np

from phenoscale.evaluation.run import Run
from phenoscale.evaluation.strictness import confounded
from phenoscale.scores.probabilities import Scored
from phenoscale.tables.predictions import probability_columns, text_frame

__all__ = ["section"]

LADDER = "ladder.csv"  # of `ladder --out RUN`
_MOST_RUNGS, _LEAST = 12, 10
_BINS = (0.0, 0.5, 0.7, 0.8, 0.9, 0.95, 1.0)


def section(run: Run) -> dict:
    """Sentences, and two tables."""
    return {"confounded": confounded(run) if run.fields is not None else [],
            **_calibration(run), "ladder": _ladder(run)}


def _calibration(run: Run) -> dict:
    """How often the class is right that has such a probability, over the scored fields."""
    none = {"bins": [], "error": None}
    if run.scored is None or run.side is None:
        return none
    fields = run.scored[run.scored["Truth"].isin(run.classes) & (run.scored["Side"] == run.side)]
    if len(fields) < _LEAST:
        return none
    chances = fields[probability_columns(fields, run.keys)].to_numpy(float)
    truth = np.array([run.classes.index(name) for name in fields["Truth"]])
    top, is_right = chances.max(axis=1), chances.argmax(axis=1) == truth
    rows = []
    for low, high in zip(_BINS, _BINS[1:]):
        mine = (top > low) & (top <= high)
        if mine.any():
            rows.append((f"{low:g} to {high:g}", int(mine.sum()), float(top[mine].mean()),
                         float(is_right[mine].mean())))
    return {"bins": rows, "error": Scored(truth, chances).scores()["ece"]}


def _ladder(run: Run):
    """Header and rows of the table of rungs, where it lies in the folder of the run."""
    if not run.folder.has(LADDER):
        return None
    frame = text_frame(run.folder.file(LADDER))
    return None if frame is None else {"header": list(frame.columns),
                                       "rows": frame[:_MOST_RUNGS].to_numpy().tolist()}
