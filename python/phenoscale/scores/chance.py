# SPDX-License-Identifier: BSD-3-Clause
"""What chance would do to a score of matching: expectations, p and q, and intervals.

Beside retrieval.py, whose average precisions these are about.
"""

from __future__ import annotations

from itertools import chain, combinations
from math import comb

import numpy as np

__all__ = ["benjamini_hochberg", "cluster_interval", "expected_precision",
           "mean_average_precision"]

_CELLS = 1 << 24  # of shuffled ranks held at a time


def expected_precision(n_pos, n_total) -> np.ndarray:
    """The average precision that a random order has on average, float64.

    (1/L) [(M - 1)/(L - 1) (L - H_L) + H_L] of M positives among L, H the harmonic numbers; nan for
    no positive.

    >>> expected_precision([1, 2], [2, 2]).tolist()
    [0.75, 1.0]
    """
    m, total = np.asarray(n_pos, np.int64), np.asarray(n_total, np.int64)
    harmonic = np.concatenate([[0], np.cumsum(1 / np.arange(1, total.max(initial=0) + 1))])[total]
    with np.errstate(invalid="ignore", divide="ignore"):
        found = ((m - 1) / np.maximum(total - 1, 1) * (total - harmonic) + harmonic) / total
    return np.where(m > 0, found, np.nan)


def mean_average_precision(found, groups, size: int = 10_000, seed: int = 0) -> dict:
    """The mean of the average precisions of each group, and whether chance reaches it.

    The null of copairs (Kalinin 2025): each row's positives at random ranks; rows with as many
    positives and negatives have one null, so that rows of a group count as one piece of evidence.
    p = (1 + nulls above the mean) / (1 + size) of `size` random orders.  Where all rows of a group
    have as many of both, and these make at most `size` orders, all of them are looked at instead,
    and p is the share that reaches the mean: exact.

    Parameters
    ----------
    found : dict
        Of `phenoscale.scores.retrieval.average_precision`; rows without a precision are left out.
    groups : sequence, (n,)
    size : int
        Random orders.
    seed : int

    Returns
    -------
    dict
        Of arrays (groups,): group, sorted; n, its rows with a precision; mean and normalised,
        float64; p, float64; exact, whether it is; q, of Benjamini and Hochberg.
    """
    kept = np.flatnonzero(np.isfinite(found["precision"]))
    names, group = np.unique(np.asarray(groups)[kept], return_inverse=True)
    kinds, kind = np.unique(np.stack([found["n_pos"], found["n_total"]], axis=1)[kept], axis=0,
                            return_inverse=True)
    group, kind = group.reshape(-1), kind.reshape(-1)
    rows = np.split(np.argsort(group, kind="stable"), np.cumsum(np.bincount(group))[:-1])
    n, nulls = len(names), _Nulls(kinds, size, seed)
    result = {"group": names, "n": np.bincount(group, minlength=n), "mean": np.zeros(n),
              "normalised": np.zeros(n), "p": np.zeros(n), "exact": np.zeros(n, bool)}
    for at, mine in enumerate(rows if n else ()):
        result["mean"][at] = found["precision"][kept[mine]].mean()
        result["normalised"][at] = found["normalised"][kept[mine]].mean()
        result["p"][at], result["exact"][at] = nulls.p(result["mean"][at], kind[mine])
    result["q"] = benjamini_hochberg(result["p"])
    return result


class _Nulls:
    """Average precisions of random orders, for each kind of row: (positives, total)."""

    def __init__(self, kinds, size: int, seed: int):
        self.kinds, self.size = kinds.tolist(), size
        self.seeds = np.random.default_rng(seed).integers(8096, size=len(kinds))  # as copairs draws
        self.drawn = {}

    def p(self, mean: float, kind) -> tuple[float, bool]:
        """Of the mean of rows of some kinds, and whether it is exact."""
        used, counts = np.unique(kind, return_counts=True)
        positives, total = self.kinds[used[0]]
        if len(used) == 1 and comb(total, positives) <= self.size:
            return float(np.mean(_all_orders(positives, total) >= mean - 1e-9)), True
        null = sum(self._random(one) * (n / len(kind)) for one, n in zip(used.tolist(), counts))
        above = np.float32(null) > np.float32(mean)
        return (1 + int(above.sum())) / (1 + self.size), False

    def _random(self, kind: int) -> np.ndarray:
        if kind not in self.drawn:
            self.drawn[kind] = _random_orders(*self.kinds[kind], self.size, self.seeds[kind])
        return self.drawn[kind]


def _precisions(ranks) -> np.ndarray:
    """Average precisions of sorted ranks from 0, (orders, m) -> (orders,)."""
    m = ranks.shape[1]
    return (np.arange(1, m + 1, dtype=np.float32) / (ranks + 1)).sum(axis=1) / m


def _all_orders(positives: int, total: int) -> np.ndarray:
    """The average precision of every order, float64 (orders,)."""
    ranks = np.fromiter(chain.from_iterable(combinations(range(total), positives)), np.int64)
    return _precisions(ranks.reshape(-1, positives))


def _random_orders(positives: int, total: int, size: int, seed) -> np.ndarray:
    """Average precisions of random orders, float32 (size,): the numbers that copairs draws."""
    rng, null = np.random.default_rng(seed), np.empty(size, np.float32)
    line = np.arange(total, dtype=np.uint16 if total < 1 << 16 else np.uint32)
    step = max(1, _CELLS // total)
    for at in range(0, size, step):
        ranks = np.tile(line, (min(step, size - at), 1))
        rng.permuted(ranks, axis=1, out=ranks)
        null[at : at + step] = _precisions(np.sort(ranks[:, :positives], axis=1))
    return null


def benjamini_hochberg(p) -> np.ndarray:
    """The least false discovery rate at which each p counts, float64 (n,).

    Benjamini and Hochberg 1995, J R Stat Soc B 57:289.

    >>> benjamini_hochberg([0.01, 0.5, 0.02]).round(3).tolist()
    [0.03, 0.5, 0.03]
    """
    p = np.asarray(p, np.float64)
    order = np.argsort(p, kind="stable")
    scaled = p[order] * len(p) / np.arange(1, len(p) + 1)
    q = np.empty(len(p))
    q[order] = np.minimum.accumulate(scaled[::-1])[::-1]
    return np.minimum(q, 1)


def cluster_interval(values, clusters, draws: int = 2000, seed: int = 0) -> tuple[float, float]:
    """The 95 % interval of a mean by bootstrap over what is independent, such as compounds.

    Parameters
    ----------
    values : array_like of float, (n,)
        Those that are nan are left out.
    clusters : sequence, (n,)
        The compound of each; all its values are drawn together.
    draws, seed : int

    Returns
    -------
    (low, high) : float
        The 2.5th and 97.5th percentile; nan for fewer than two clusters.
    """
    values = np.asarray(values, np.float64)
    kept = np.isfinite(values)
    cluster = np.unique(np.asarray(clusters)[kept], return_inverse=True)[1].reshape(-1)
    sums, counts = np.bincount(cluster, values[kept]), np.bincount(cluster)
    if len(counts) < 2:
        return np.nan, np.nan
    rng = np.random.default_rng(seed)
    drawn = (rng.integers(len(counts), size=len(counts)) for _ in range(draws))
    means = [sums[mine].sum() / counts[mine].sum() for mine in drawn]
    low, high = np.percentile(means, [2.5, 97.5])
    return float(low), float(high)
