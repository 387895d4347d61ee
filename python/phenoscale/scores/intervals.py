# SPDX-License-Identifier: BSD-3-Clause
"""How certain a score is."""

from __future__ import annotations

import math

import numpy as np

__all__ = ["DRAWS", "bootstrap", "group_numbers", "wilson"]

DRAWS = 1000
_Z = 1.96  # of 95 %
_ENDS = 0.025, 0.975


def wilson(right: float, n: int) -> tuple[float, float]:
    """The 95 % interval of a share of `right` among n, from 0 to 1 (Wilson 1927, JASA 22:209)."""
    middle = (right + _Z * _Z / 2) / (n + _Z * _Z)
    half = _Z / (n + _Z * _Z) * math.sqrt(right * (n - right) / n + _Z * _Z / 4)
    return max(middle - half, 0.0), min(middle + half, 1.0)


def group_numbers(groups) -> np.ndarray:
    """Equal groups by one number, from 0 in the order of appearance: int64 (n,)."""
    groups = list(groups)
    number = {group: k for k, group in enumerate(dict.fromkeys(groups))}
    return np.array([number[group] for group in groups], np.int64)


def bootstrap(statistic, groups, seed: int = 0, draws: int = DRAWS):
    """The 95 % interval of some scores, by drawing whole groups of rows with replacement.

    Percentiles of the scores of the draws (Efron 1979, Ann Stat 7:1).  Rows of a group, as fields
    of a well, are not independent: they are drawn together or not at all.

    Parameters
    ----------
    statistic : callable
        From how often each row was drawn, float64 (n,), to scores, (m,).
    groups : sequence, (n,)
        The group of each row: any values that are equal or not.
    seed : int
        The same seed gives the same ends.
    draws : int

    Returns
    -------
    low, high : ndarray, float64 (m,)
        Over the draws in which a score is defined; nan where there are fewer than two groups, or
        no such draw.
    """
    of_row = group_numbers(groups)
    rng, n, found = np.random.default_rng(seed), len(np.unique(of_row)), []
    for _ in range(draws if n > 1 else 1):
        drawn = np.bincount(rng.integers(n, size=n), minlength=n)
        found.append(statistic(drawn[of_row].astype(np.float64)))
    ends = np.full((2, len(found[0])), np.nan)
    for at, scores in enumerate(np.asarray(found, dtype=np.float64).T if n > 1 else ()):
        if np.isfinite(scores).any():
            ends[:, at] = np.quantile(scores[np.isfinite(scores)], _ENDS)
    return ends[0], ends[1]
