# SPDX-License-Identifier: BSD-3-Clause
"""From probabilities that were asked of fields nobody trained on to ones that can be acted on: a
temperature, and sets of classes that hold the true one as often as they say.
"""

from __future__ import annotations

import numpy as np

__all__ = ["at_temperature", "class_sets", "fit_temperature", "set_limits", "softmax"]

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
    with at least this coverage, in every class: conformal prediction by Mondrian classes (Vovk
    2005, Algorithmic Learning in a Random World).

    Fields of one group (a well, a compound) are no independent draws.  So that a group with many
    fields does not say more than one with few, each field weighs as its group's share, and the
    correction for few draws counts groups, not fields.

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
        0, so that it is in every set, for a class with fewer groups than the coverage can be had
        from: 1 / (1 - coverage) - 1.
    """
    limits = np.zeros(probabilities.shape[1])
    for k in range(len(limits)):
        own = labels == k
        _, number, sizes = np.unique(np.asarray(groups)[own], return_inverse=True,
                                     return_counts=True)
        n = len(sizes)
        rank = np.floor((n + 1) * (1 - coverage) + 1e-9)  # of the group whose probability it is
        if rank < 1:
            continue
        chances, weights = probabilities[own, k], 1 / (n * sizes[number])
        order = np.argsort(chances, kind="stable")
        below = np.cumsum(weights[order]) - weights[order]
        limits[k] = chances[order][np.flatnonzero(below <= (rank - 1) / n + 1e-12)[-1]]
    return limits


def class_sets(probabilities: np.ndarray, limits: np.ndarray) -> np.ndarray:
    """Which classes belong to the set of each field, (n, classes) bool."""
    return np.asarray(probabilities, np.float64) >= limits
