# SPDX-License-Identifier: BSD-3-Clause
"""Why a training has no score, in a sentence that every host says at its end.

After the rest has been predicted, from the sides as they were drawn and as they ended.
"""

from __future__ import annotations

from phenoscale.models.certainty import Certainty
from phenoscale.tables.labels import class_cells
from phenoscale.tables.split import ENOUGH, Split
from phenoscale.training.first_pass import Labelled

__all__ = ["why_unscored"]

_CURE = ("hold out whole wells or plates that have classes (phenoscale train --holdout "
         f"COLUMN=VALUE), or label {ENOUGH} wells or more of each class in a table that names them")
_SEE = "see errors.csv"
_NO_VALIDATION = "no validation fields"  # how the notes of a split begin that has none


def why_unscored(fields: Labelled, split: Split, certainty: Certainty | None = None) -> str:
    """Why the fields that were not trained on give no score that tells classes apart, and the cure.

    Parameters
    ----------
    fields : Labelled
        Their sides at the end: "skipped" is one that could not be read.
    split : Split
        As it was asked for.
    certainty : Certainty, optional
        What folds found, where there were any.

    Returns
    -------
    str
        One sentence; "" where there is a score.
    """
    for side, name in (("test", "held-out"), ("val", "validation")):
        scored = fields.rows(side)
        if side == "val" and len(scored) and _drawn(fields, "test"):
            return f"no score of held-out fields: none of them can be read ({_SEE}); mend them"
        if len(scored):
            classes = {fields.classes[k] for k in fields.labels[scored]}
            return "" if len(classes) > 1 else (
                f"no score that tells classes apart: all {name} fields are of class "
                f"{min(classes)}; hold out fields of two classes or more")
    if certainty is not None:
        return f"no score of its own: the score is that of the folds ({certainty.why})"
    why = (_of_column(fields, split.column) if split.column is not None
           else f"{_held_out(fields, split)}, and {_validation(fields)}")
    return f"no score: {why}; {_CURE}"


def _of_column(fields: Labelled, column: str) -> str:
    """Why no field has a score that a column was to choose."""
    return (f"no field that column {column} calls test or val can be read: {_SEE}"
            if _drawn(fields, "test") or _drawn(fields, "val")
            else f"column {column} says test or val of no labelled field")


def _held_out(fields: Labelled, split: Split) -> str:
    """Why no field was scored as held out."""
    if not split.holdout:
        return "no field was held out"
    whole = fields.usable.whole
    names = class_cells(whole, fields.label)[whole.matches(split.holdout)]
    return (f"no labelled field that was held out can be read ({_SEE})" if (names != "").any()
            else "no field that was held out has a class")


def _validation(fields: Labelled) -> str:
    """Why no field was watched in validation."""
    if _drawn(fields, "val"):
        return f"no validation field can be read ({_SEE})"
    said = [note for note in fields.notes if note.startswith(_NO_VALIDATION)]
    return f"there are {(said or [_NO_VALIDATION])[0]}"


def _drawn(fields: Labelled, side: str) -> bool:
    return bool((fields.drawn == side).any())
