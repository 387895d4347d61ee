# SPDX-License-Identifier: BSD-3-Clause
"""How certain a share is."""

from __future__ import annotations

import math

import numpy as np

__all__ = ["bootstrap_share", "wilson"]

_Z = 1.96  # of 95 %
_DRAWS = 2000


def wilson(right: float, n: int) -> tuple[float, float]:
    """The 95 % interval of a share of `right` among n, from 0 to 1 (Wilson 1927, JASA 22:209)."""
    middle = (right + _Z * _Z / 2) / (n + _Z * _Z)
    half = _Z / (n + _Z * _Z) * math.sqrt(right * (n - right) / n + _Z * _Z / 4)
    return max(middle - half, 0.0), min(middle + half, 1.0)


def bootstrap_share(right, units, seed: int = 0) -> tuple[float, float]:
    """The 95 % interval of a share of right answers, by drawing whole units with replacement.

    Percentiles of 2,000 draws (Efron 1979, Ann Stat 7:1): what is of one unit, as the fields of a
    well, is drawn together.  Where no unit differs from another, draws cannot either: then it is
    the interval of as many single answers as there are units.

    Parameters
    ----------
    right : ndarray of bool, (n,)
    units : ndarray of int64, (n,)
        The unit of each answer, from 0.
    seed : int

    Returns
    -------
    low, high : float
        From 0 to 1; both nan for fewer than two units.
    """
    sizes = np.bincount(units)
    hits = np.bincount(units, weights=right)[sizes > 0]
    sizes = sizes[sizes > 0]
    n = len(sizes)
    if n < 2:
        return math.nan, math.nan
    shares = hits / sizes
    if np.ptp(shares) == 0:
        return wilson(n * shares[0], n)
    rng, found = np.random.default_rng(seed), []
    for _ in range(_DRAWS):
        times = np.bincount(rng.integers(n, size=n), minlength=n)
        found.append(times @ hits / (times @ sizes))
    low, high = np.percentile(found, [2.5, 97.5])
    return float(low), float(high)
