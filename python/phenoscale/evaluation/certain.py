# SPDX-License-Identifier: BSD-3-Clause
"""Whether temperature and sets of classes keep their promise in a fold that they were not found on.
"""

from __future__ import annotations

import numpy as np

from phenoscale.models.certainty import COVERAGES
from phenoscale.scores.probabilities import Scored
from phenoscale.training.certain import found_on

__all__ = ["checked"]


def checked(probabilities: np.ndarray, labels: np.ndarray, wells, folds: np.ndarray,
            novelty: np.ndarray | None = None) -> dict:
    """What temperature and sets are worth, each fold with those that the others give.

    Parameters
    ----------
    probabilities, labels, wells, novelty
        As for `phenoscale.training.certain.found_on`.
    folds : ndarray of int64, (n,)
        Which fold said it.

    Returns
    -------
    dict
        ece_before, ece: the calibration error without and with the temperature; and of each
        coverage covered_90, size_90, none_90, ...: the share of fields whose class is in the set,
        how many classes a set has, and the share of fields whose set is empty.
    """
    calibrated = np.empty(probabilities.shape)
    sets = {coverage: np.zeros(probabilities.shape, bool) for coverage in COVERAGES}
    far = np.full(len(labels), np.nan) if novelty is None else novelty
    for fold in np.unique(folds):
        rest = folds == fold
        others = np.flatnonzero(~rest)
        known = found_on(probabilities[others], labels[others], [wells[k] for k in others],
                         novelty=None if novelty is None else novelty[others])
        calibrated[rest] = known.calibrated(probabilities[rest])
        for coverage, held in sets.items():
            held[rest] = known.of_fields(calibrated[rest], coverage, far[rest] / known.reach)
    found = {"ece_before": Scored(labels, probabilities).scores()["ece"],
             "ece": Scored(labels, calibrated).scores()["ece"]}
    for coverage, held in sets.items():
        found[f"covered_{coverage}"] = float(held[np.arange(len(labels)), labels].mean())
        found[f"size_{coverage}"] = float(held.sum(axis=1).mean())
        found[f"none_{coverage}"] = float((~held.any(axis=1)).mean())
    return found
