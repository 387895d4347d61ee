# SPDX-License-Identifier: BSD-3-Clause
"""From probabilities that were asked of fields nobody trained on to ones that can be acted on: a
temperature, and sets of classes that hold the true one as often as they say.
"""

from __future__ import annotations

import numpy as np

__all__ = ["at_temperature", "class_sets", "fit_temperature", "least_of_most", "set_limits",
           "softmax"]

_LEAST = 1e-12  # a probability, before its logarithm
_TEMPERATURES = np.geomspace(0.05, 20.0, 241)  # 2.5 % apart


def at_temperature(probabilities: np.ndarray, temperature: float) -> np.ndarray:
    """Probabilities (n, classes), sharper below 1 and flatter above, float64: each to the power of
    1 / temperature, so that of a softmax the logits are divided by it (Guo 2017, ICML)."""
    scores = np.log(np.maximum(np.asarray(probabilities, np.float64), _LEAST)) / temperature
    return softmax(scores)


def softmax(scores: np.ndarray) -> np.ndarray:
    """Probabilities (n, classes) of scores, float64."""
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def fit_temperature(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """The temperature of the least log loss, each class counting alike.

    Parameters
    ----------
    probabilities : ndarray, (n, classes)
        Of fields that whoever says them was not trained on.
    labels : ndarray of int64, (n,)

    Returns
    -------
    float
        From 0.05 to 20; 1 for no fields.
    """
    if not len(labels):
        return 1.0
    weights = (1 / np.bincount(labels, minlength=probabilities.shape[1]).clip(1))[labels]
    rows = np.arange(len(labels))
    losses = [-(weights * np.log(at_temperature(probabilities, t)[rows, labels].clip(_LEAST))).sum()
              for t in _TEMPERATURES]
    return float(_TEMPERATURES[int(np.argmin(losses))])


def set_limits(probabilities: np.ndarray, labels: np.ndarray, groups, coverage: float
               ) -> np.ndarray:
    """From which probability on a class belongs to the set, so that the set holds the true class
    with this coverage, in every class: conformal prediction by Mondrian classes (Vovk 2005,
    Algorithmic Learning in a Random World).

    Fields of one group (a well, a compound) are no independent draws; `least_of_most` says how they
    count.  A class of too few groups for a limit of its own has that of the fields of all classes
    (Ding 2023, NeurIPS, where it is of the null cluster): put into every set, it would make sets
    that hold more than they promise and tell nothing.

    Parameters
    ----------
    probabilities : ndarray, (n, classes)
        Of fields that whoever says them was not trained on.
    labels : ndarray of int64, (n,)
    groups : ndarray, (n,)
    coverage : float
        0.9, 0.95, ...

    Returns
    -------
    ndarray of float64, (classes,)
        0, so that it is in every set, where all classes together have too few groups.
    """
    groups, own = np.asarray(groups), probabilities[np.arange(len(labels)), labels]
    of_all = least_of_most(own, groups, coverage)
    found = [least_of_most(own[labels == k], groups[labels == k], coverage)
             for k in range(probabilities.shape[1])]
    return np.array([next((one for one in (limit, of_all) if one is not None), 0.0)
                     for limit in found])


def least_of_most(values: np.ndarray, groups: np.ndarray, share: float) -> float | None:
    """The value that a field of a new group is not below in this share of cases, by values of
    fields in groups: each group counts alike, as one of so many and the new one (Lee 2023,
    arXiv 2306.06342, hierarchical conformal prediction).

    Returns
    -------
    float or None
        None for fewer groups than the share can be had from: share / (1 - share).
    """
    _, number, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    may_lie_below = (len(sizes) + 1) * (1 - share) - 1 + 1e-9  # in groups
    if may_lie_below < 0:
        return None
    order, weights = np.argsort(values, kind="stable"), 1 / sizes[number]
    below = np.cumsum(weights[order]) - weights[order]
    return float(values[order][np.flatnonzero(below <= may_lie_below)[-1]])


def class_sets(probabilities: np.ndarray, limits: np.ndarray) -> np.ndarray:
    """Which classes belong to the set of each field, (n, classes) bool."""
    return np.asarray(probabilities, np.float64) >= limits
