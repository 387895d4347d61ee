# SPDX-License-Identifier: BSD-3-Clause
"""Temperature and sets of classes from what folds say of their held-out fields, and whether they
keep their promise in a fold that they were not found on.
"""

from __future__ import annotations

import numpy as np

from phenoscale.models.certainty import COVERAGES, Certainty
from phenoscale.scores.calibration import (
    at_temperature,
    class_sets,
    fit_temperature,
    set_limits,
)
from phenoscale.scores.intervals import group_numbers
from phenoscale.scores.probabilities import Scored

__all__ = ["checked", "found_on"]


def found_on(probabilities: np.ndarray, labels: np.ndarray, wells, why: str = "") -> Certainty:
    """The certainty of fields that whoever says them was not trained on.

    Parameters
    ----------
    probabilities : ndarray, (n, classes)
    labels : ndarray of int64, (n,)
    wells : sequence of n hashable
        Fields of one are no independent draws.
    why : str
    """
    temperature = fit_temperature(probabilities, labels)
    calibrated = at_temperature(probabilities, temperature)
    groups = group_numbers(wells)
    return Certainty(temperature, {
        coverage: set_limits(calibrated, labels, groups, int(coverage) / 100).tolist()
        for coverage in COVERAGES}, why)


def checked(probabilities: np.ndarray, labels: np.ndarray, wells, folds: np.ndarray) -> dict:
    """What temperature and sets are worth, each fold with those that the others give.

    Parameters
    ----------
    probabilities, labels, wells
        As for `found_on`.
    folds : ndarray of int64, (n,)
        Which fold said it.

    Returns
    -------
    dict
        ece_before, ece: the calibration error without and with the temperature; and of each
        coverage covered_90, size_90, ...: the share of fields whose class is in the set, and how
        many classes a set has.
    """
    calibrated = np.empty(probabilities.shape)
    sets = {coverage: np.zeros(probabilities.shape, bool) for coverage in COVERAGES}
    for fold in np.unique(folds):
        rest = folds == fold
        others = np.flatnonzero(~rest)
        known = found_on(probabilities[others], labels[others], [wells[k] for k in others])
        calibrated[rest] = at_temperature(probabilities[rest], known.temperature)
        for coverage, limits in known.sets.items():
            sets[coverage][rest] = class_sets(calibrated[rest], np.array(limits))
    found = {"ece_before": Scored(labels, probabilities).scores()["ece"],
             "ece": Scored(labels, calibrated).scores()["ece"]}
    for coverage, held in sets.items():
        found[f"covered_{coverage}"] = float(held[np.arange(len(labels)), labels].mean())
        found[f"size_{coverage}"] = float(held.sum(axis=1).mean())
    return found
