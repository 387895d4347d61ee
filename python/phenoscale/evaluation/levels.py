# SPDX-License-Identifier: BSD-3-Clause
"""Fields, wells, treatments: the scores of each level, with intervals over what is independent.

After predicted.py; before evaluate.py.
"""

from __future__ import annotations

import numpy as np

from phenoscale.evaluation.predicted import COMPOUND, CONCENTRATION, PLATE, WELL, Predicted
from phenoscale.profiles.aggregate import aggregate
from phenoscale.scores.classification import classification
from phenoscale.scores.intervals import bootstrap, wilson
from phenoscale.scores.probabilities import NAMES, Scored
from phenoscale.tables.labels import class_numbers
from phenoscale.tables.predictions import CLASS, probability_columns
from phenoscale.tables.values import row_tuples

__all__ = ["LEVELS", "confusion_table", "headline", "level_frames", "score_table"]

LEVELS = ("field", "well", "treatment")
#: what is drawn whole for an interval -> its columns, the first of which has to be known; fields
#: are never drawn alone
_UNITS = {"well": (WELL, PLATE), "treatment": (COMPOUND, CONCENTRATION), "compound": (COMPOUND,)}
_OVER = {"field": tuple(_UNITS), "well": tuple(_UNITS), "treatment": ("treatment", "compound")}
#: the interval of a headline is over this, where it is of this level
_INDEPENDENT = {"field": "well", "well": "well", "treatment": "compound"}


def level_frames(found: Predicted, fields) -> dict:
    """The rows of each level that there is, by its name of `LEVELS`.

    Parameters
    ----------
    found : Predicted
    fields : pandas.DataFrame
        Of `found.scored`, those of known class.

    Returns
    -------
    dict of str to pandas.DataFrame
        With Truth, `Phenoscale_Class` and probabilities: the fields; the wells, by
        `phenoscale.profiles.aggregate`; of the wells that are no controls the treatments, each
        compound and concentration, where they are of two classes or more.
    """
    frames, wells = {"field": fields}, found.wells(fields, "Truth")
    if wells is not None:
        frames["well"] = wells
    below = fields if wells is None else wells
    if COMPOUND in below:
        below = below[(below["Mark"] == "") & (below[COMPOUND] != "")]
        by = [COMPOUND, *[c for c in [CONCENTRATION] if c in below], "Truth"]
        if below["Truth"].nunique() > 1:
            frames["treatment"] = aggregate(below.drop(columns="Mark"), by, found.keys)
    return frames


def score_table(found: Predicted, frames: dict, seed: int):
    """Each score of each level, with its 95 % interval over each unit that the level has.

    Returns
    -------
    pandas.DataFrame
        level; n, its rows; score, of `phenoscale.scores.probabilities.NAMES`; value; unit, what
        was drawn, "" where the rows of the level belong to none; groups, how many of it; low, high,
        nan for fewer than two groups, and where no draw differs; interval, "bootstrap", or
        "Wilson" for an accuracy of 0 or 1: that of as many groups, all wrong or all right.
    """
    import pandas

    rows = []
    for level, frame in frames.items():
        scored = Scored(class_numbers(found.classes, frame["Truth"]),
                        frame[probability_columns(frame, found.keys)])
        for unit, groups in _units(level, frame):
            rows += [(level, len(frame), name, value, unit, len(set(groups)), *interval)
                     for name, value, interval in _intervals(scored, groups, seed)]
    return pandas.DataFrame(rows, columns=["level", "n", "score", "value", "unit", "groups", "low",
                                           "high", "interval"])


def _intervals(scored: Scored, groups, seed: int):
    """Yields (score, its value, (low, high, how they were found))."""
    n, values = len(set(groups)), scored.scores()
    lows, highs = np.full((2, len(NAMES)), np.nan)
    if n > 1:
        lows, highs = bootstrap(lambda weights: list(scored.scores(weights).values()), groups, seed)
    for name, low, high in zip(NAMES, lows, highs):
        if low < high:
            yield name, values[name], (low, high, "bootstrap")
        elif n > 1 and name == "accuracy":
            yield name, values[name], (*wilson(values[name] * n, n), "Wilson")
        else:
            yield name, values[name], (np.nan, np.nan, "")


def _units(level: str, frame) -> list:
    """(unit, group of each row) of the units that all rows of a level belong to."""
    found = []
    for unit in _OVER[level]:
        key, *more = _UNITS[unit]
        if key in frame and (frame[key] != "").all():
            columns = [key, *(column for column in more if column in frame)]
            found.append((unit, row_tuples(frame[columns])))
    return found or [("", [])]


def confusion_table(found: Predicted, frame):
    """How many rows of each class, the first column, were called what: a column a class."""
    import pandas

    counts = classification(frame["Truth"], frame[CLASS], found.classes)["confusion"]
    table = pandas.DataFrame(counts, columns=found.classes)
    table.insert(0, "class", found.classes, allow_duplicates=True)
    return table


def headline(frames: dict, scores) -> dict:
    """The strictest level whose rows answer the question, with the interval that fits it.

    Treatments, with an interval over compounds, where a class has several compounds; else wells;
    else fields, without an interval.

    Parameters
    ----------
    frames : dict
        Of `level_frames`.
    scores : pandas.DataFrame
        Of `score_table`.

    Returns
    -------
    dict
        level, n, right, unit, groups, interval, and (value, low, high) of each score.
    """
    level = "well" if "well" in frames else "field"
    treatments = frames.get("treatment")
    if treatments is not None and treatments.groupby("Truth")[COMPOUND].nunique().max() > 1:
        level = "treatment"
    mine = scores[scores["level"] == level]
    mine = mine[mine["unit"].isin([_INDEPENDENT[level], ""])]
    first, frame = mine.iloc[0], frames[level]
    return {"level": level, "n": len(frame), "right": int((frame["Truth"] == frame[CLASS]).sum()),
            **{name: first[name] for name in ("unit", "groups", "interval")},
            **{row.score: (row.value, row.low, row.high) for row in mine.itertuples()}}
