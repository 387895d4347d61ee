# SPDX-License-Identifier: BSD-3-Clause
"""Positive controls against negative ones: of all wells, and plate by plate.

After predicted.py; for evaluate.py and the headline of a report.
"""

from __future__ import annotations

from phenoscale.evaluation.predicted import PLATE, Predicted
from phenoscale.profiles.aggregate import log_odds
from phenoscale.scores.controls import separation
from phenoscale.tables.controls import NEGATIVE, POSITIVE

__all__ = ["ALL_PLATES", "control_pairs", "pair_separation"]

ALL_PLATES = "(all)"


def pair_separation(found: Predicted, wells, positive: str | None = None) -> dict:
    """`separation` of the wells of a class from those of the negative one, by their log-odds.

    Parameters
    ----------
    found : Predicted
    wells : pandas.DataFrame
        With Truth, Mark and probabilities.
    positive : str, optional
        Of several classes the one of the positive controls: only wells that are marked as controls
        count then.  Default: of two classes the other.

    Returns
    -------
    dict
        positive_wells and negative_wells, how many, and the entries of `separation`.
    """
    pairs = ((positive or found.positive, POSITIVE), (found.negative, NEGATIVE))
    scores = log_odds(wells, pairs[0][0], found.negative, found.keys)
    pos, neg = (scores[((wells["Truth"] == name)
                        & (positive is None or wells["Mark"] == mark)).to_numpy()]
                for name, mark in pairs)
    return {"positive_wells": len(pos), "negative_wells": len(neg), **separation(pos, neg)}


def control_pairs(found: Predicted, wells):
    """How well each plate tells its controls apart.

    Parameters
    ----------
    found : Predicted
    wells : pandas.DataFrame or None
        Those of known class that were not trained on.

    Returns
    -------
    pandas.DataFrame or str
        Metadata_Plate, `ALL_PLATES` where there are several; positive, negative (classes), and the
        entries of `pair_separation`.  Or why there is none, in a sentence.
    """
    import pandas

    if wells is None:
        return "No wells are known, so no controls can be compared."
    if found.negative is None:
        return "No negative controls of a known class, so no controls can be compared."
    marked = wells[(wells["Mark"] == POSITIVE) & (wells["Truth"] != found.negative)]
    positives = [None] if found.positive else sorted(set(marked["Truth"]))
    if not positives:
        return "No wells are marked as positive controls, so no controls can be compared."
    plates = list(wells.groupby(PLATE, sort=True))
    if len(plates) > 1:
        plates.append((ALL_PLATES, wells))
    return pandas.DataFrame([
        {PLATE: plate, "positive": positive or found.positive, "negative": found.negative,
         **pair_separation(found, part, positive)}
        for positive in positives for plate, part in plates])
