# SPDX-License-Identifier: BSD-3-Clause
"""What is like a class: centres and spread of the measures of the training fields, and how far from
them fields lie that these were not taken from."""

from __future__ import annotations

import numpy as np

from phenoscale.models.head import Head, standardised
from phenoscale.models.novelty import Novelty, nearest
from phenoscale.training.head import inner_folds

__all__ = ["fit_novelty"]

_LEAST = 1e-3  # of the mean variance, that every direction has
_SHARE = 0.95  # of fields of the classes that shall be within the limit


def fit_novelty(head: Head, numbers: np.ndarray, labels: np.ndarray, groups) -> Novelty | None:
    """Centres, spread and limit; None where no folds can be made to find the limit, or it is 0.

    Parameters
    ----------
    head : Head
        Its means and scales standardise.
    numbers : ndarray of float32, (n, measures)
        Of the training fields.
    labels : ndarray of int64, (n,)
    groups : sequence of n hashable
        What stays together in the inner folds.
    """
    values = standardised(numbers, head.mean, head.scale)
    folds, _ = inner_folds(values, labels, groups)
    if not folds:
        return None
    far = np.full(len(labels), np.nan)
    for fit, rest in folds:
        far[rest] = nearest(values[rest], *_spread(values[fit], labels[fit]))
    limit = float(np.nanquantile(far, _SHARE))
    if not limit > 0:  # all fields of a class are alike: none can be said to be unlike it
        return None
    whiten, centres = _spread(values, labels)
    return Novelty(limit, f"{_SHARE:.0%} of the training fields are nearer in {len(folds)} inner "
                   "folds", whiten.astype(np.float32), centres.astype(np.float32))


def _spread(values: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A matrix that whitens values within classes (Ledoit 2004, J. Multivariate Analysis 88:365,
    for the covariance), and the whitened centres."""
    from sklearn.covariance import ledoit_wolf
    from threadpoolctl import threadpool_limits

    centres = np.stack([values[labels == k].mean(axis=0) for k in range(labels.max() + 1)])
    with threadpool_limits(1):
        covariance, _ = ledoit_wolf(values - centres[labels], assume_centered=True)
        variances, directions = np.linalg.eigh(covariance)
        # a direction in which nothing varies must not make every field a stranger
        floor = _LEAST * variances.mean()
        whiten = directions / np.sqrt(np.maximum(variances, floor if floor > 0 else 1.0))
    return whiten, centres @ whiten
