# SPDX-License-Identifier: BSD-3-Clause
"""How well the plate of a well can be read from its profile: what plates do to all their wells."""

from __future__ import annotations

import numpy as np

__all__ = ["plate_accuracy"]

_FOLDS, _WELLS = 5, 3000


def plate_accuracy(profiles, plate, group, seed: int = 0) -> tuple[float, float]:
    """How often a well is nearest to the mean of its own plate, of plates' means without its
    treatment.

    Parameters
    ----------
    profiles : ndarray of float32, (wells, d)
        Scaled here by their deviation; of more than 3,000 as many are drawn.
    plate : ndarray of int, (wells,)
    group : ndarray of int, (wells,)
        What is held out together, so that a plate is not known by what stands on it: treatments;
        controls one by one.

    Returns
    -------
    accuracy, chance : float
        Mean over plates (balanced), in five folds; 1 / plates. NaN for one plate.
    """
    rng, names = np.random.default_rng(seed), np.unique(plate)
    if len(names) < 2:
        return np.nan, np.nan
    rows = np.arange(len(plate)) if len(plate) <= _WELLS else np.sort(
        rng.choice(len(plate), _WELLS, replace=False))
    values, plate = profiles[rows].astype(np.float64), np.searchsorted(names, plate[rows])
    spread = values.std(axis=0)
    values = values / np.where(spread > 0, spread, 1)
    group = np.unique(group[rows], return_inverse=True)[1].reshape(-1)
    fold = rng.permutation(group.max() + 1)[group] % _FOLDS
    right, asked = np.zeros(len(names)), np.bincount(plate, minlength=len(names))
    for out in range(_FOLDS):
        is_out = fold == out
        count = np.bincount(plate[~is_out], minlength=len(names))
        sums = np.zeros((len(names), values.shape[1]))
        np.add.at(sums, plate[~is_out], values[~is_out])
        means = sums / np.maximum(count, 1)[:, None]
        far = (means**2).sum(axis=1) - 2 * values[is_out] @ means.T
        far[:, count == 0] = np.inf
        right += np.bincount(plate[is_out][far.argmin(axis=1) == plate[is_out]],
                             minlength=len(names))
    return float((right[asked > 0] / asked[asked > 0]).mean()), 1 / len(names)
