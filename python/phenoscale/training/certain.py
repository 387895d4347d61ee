# SPDX-License-Identifier: BSD-3-Clause
"""Temperature, sets of classes and reach from what is said of fields that nobody trained on."""

from __future__ import annotations

import numpy as np

from phenoscale.models.certainty import COVERAGES, Certainty
from phenoscale.scores.calibration import fit_temperature, least_of_most, set_limits
from phenoscale.scores.intervals import group_numbers
from phenoscale.words import count

__all__ = ["found_on", "what_lacks"]

_ENOUGH = 19  # wells, from which sets of 95 % can be had
#: of fields of the classes that shall be known as such: half of what the narrower sets may miss
_KNOWN = 0.975


def found_on(probabilities: np.ndarray, labels: np.ndarray, wells, why: str = "",
             novelty: np.ndarray | None = None) -> Certainty:
    """The certainty of fields that whoever says them was not trained on.

    Parameters
    ----------
    probabilities : ndarray, (n, classes)
    labels : ndarray of int64, (n,)
    wells : sequence of n hashable
        Fields of one are no independent draws.
    why : str
    novelty : ndarray, (n,), optional
        What those models say of it, whose sets are empty above the reach that is found.
    """
    temperature, groups = fit_temperature(probabilities, labels), group_numbers(wells)
    known = Certainty(temperature, {}, why, _reach(novelty, labels, groups))
    calibrated = known.calibrated(probabilities)
    if novelty is not None:  # a field that is in no set is the first to be missed
        calibrated[novelty > known.reach] = 0
    for coverage in COVERAGES:  # from the smaller sets to the larger, which hold them
        limits = set_limits(calibrated, labels, groups, int(coverage) / 100)
        known.sets[coverage] = np.min([limits, *known.sets.values()], axis=0).tolist()
    return known


def _reach(novelty: np.ndarray | None, labels: np.ndarray, groups: np.ndarray) -> float:
    """Below which nearly all fields of every class lie; all those of a class of few wells."""
    if novelty is None or np.isnan(novelty).any() or not len(novelty):
        return 1.0
    least = [(least_of_most(-novelty[own], groups[own], _KNOWN), -novelty[own].max())
             for own in (labels == k for k in np.unique(labels))]
    reach = max(-(of_all if limit is None else limit) for limit, of_all in least)
    return float(reach) if reach > 0 else 1.0


def what_lacks(labels: np.ndarray, wells, classes) -> str:
    """What labels (n,) and wells of n fields that a training watched lack to say how certain its
    answers are, in words; "" for nothing.

    wells: of n hashable, or empty where they are not known.
    """
    if not len(wells):
        return "no column names the wells"
    n, absent = len(set(wells)), sorted(set(range(len(classes))) - set(labels.tolist()))
    there = f"no well of class {classes[absent[0]]} is" if absent else f"{count(n, 'well')} are"
    return (f"{there} among those watched, where {_ENOUGH} with all classes are needed, or "
            "train --cv" if absent or n < _ENOUGH else "")
