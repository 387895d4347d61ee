# SPDX-License-Identifier: BSD-3-Clause
"""How far as many control wells, on as many plates, lie from their plates' other controls: what a
treatment is compared with.

Wells are drawn whole.  A treatment with wells on some plates, 2 on one and 1 on another, is
compared with sets of 2 control wells of a plate and 1 of another, drawn without regard to which
plates; each set once.  p = (1 + sets as far or farther) / (1 + sets): it is never below 1 /
(1 + sets), and where there are few control wells it cannot be small (Phipson 2010, Stat Appl Genet
Mol Biol 9:39).
"""

from __future__ import annotations

import numpy as np

from phenoscale.profiles.standardise import plate_rows

__all__ = ["DRAWS", "Null", "pattern_of"]

#: sets of a pattern, at most, and at least where there are so many: fewer of many wells
DRAWS, _LEAST_DRAWS, _WELLS = 100_000, 10_000, 1_600_000
_TRIES = 100  # for a plate that is not taken: where there are few, sets that find none are left out
_CELLS = 1 << 24  # numbers of drawn wells held at a time


def pattern_of(plates) -> tuple[int, ...]:
    """How many of some wells lie on each plate, the most first.

    >>> pattern_of(["P1", "P2", "P1"])
    (2, 1)
    """
    return tuple(sorted(np.unique(plates, return_counts=True)[1].tolist(), reverse=True))


class Null:
    """Distances of sets of control wells.

    Parameters
    ----------
    profiles : ndarray of float32, (wells, d)
        Of control wells, each standardised without itself
        (`phenoscale.profiles.standardise.held_out`).
    plates : ndarray, (wells,)
    draws : int, optional
        Sets of each pattern, at most; by default from 100,000 of few wells to 10,000 of many.
    seed : int
    """

    def __init__(self, profiles, plates, draws: int | None = None, seed: int = 0):
        self._profiles, self._draws, self._seed = profiles, draws, seed
        self._rows = [rows for rows in plate_rows(plates).values() if len(rows) > 1]
        self._known: dict = {}

    def __len__(self):
        """Control wells that can be drawn."""
        return sum(map(len, self._rows))

    def fitting(self, pattern) -> tuple[int, ...]:
        """The pattern that can be drawn: of as many plates as there are, and of each a control less
        than it has, since the others are what they are compared with.  Fewer wells than asked for
        lie farther away by chance, and make p larger."""
        sizes = sorted((len(rows) - 1 for rows in self._rows), reverse=True)
        wells = [0] * min(len(pattern), len(sizes))
        for k, m in enumerate(pattern):
            if wells:
                wells[k % len(wells)] += m
        wells.sort(reverse=True)
        return tuple(min(m, size) for m, size in zip(wells, sizes))

    def distances(self, pattern) -> np.ndarray:
        """Of sets of such a pattern, sorted, float64; none where no plate has two controls."""
        pattern = self.fitting(pattern)
        if pattern not in self._known:
            self._known[pattern] = np.sort(self._drawn(pattern))
        return self._known[pattern]

    def p(self, distance: float, pattern) -> tuple[float, float]:
        """p of a distance, and the smallest that it could be; NaN without a null."""
        null = self.distances(pattern)
        if not len(null):
            return np.nan, np.nan
        far = len(null) - int(np.searchsorted(null, distance * (1 - 1e-6)))
        return (1 + far) / (1 + len(null)), 1 / (1 + len(null))

    def _drawn(self, pattern) -> np.ndarray:
        if not pattern:
            return np.empty(0)
        sets, weights = self._sets(pattern)
        found = np.empty(len(sets))
        step = max(1, _CELLS // (sets.shape[1] * self._profiles.shape[1]))
        for at in range(0, len(sets), step):
            some = slice(at, at + step)
            mean = np.einsum("sm,smd->sd", weights[some], self._profiles[sets[some]])
            found[some] = np.sqrt((mean.astype(np.float64) ** 2).sum(axis=1))
        return found

    def _sets(self, pattern) -> tuple[np.ndarray, np.ndarray]:
        """Different sets of wells (sets, wells), and what each well is multiplied by.

        A well was standardised by the n - 1 others of its plate; of m that are drawn together the
        mean is one by the n - m that are not drawn.
        """
        rng, total = np.random.default_rng([self._seed, *pattern]), sum(pattern)
        draws = self._draws or int(np.clip(_WELLS // total, _LEAST_DRAWS, DRAWS))
        sizes = np.array([len(rows) for rows in self._rows])
        padded = np.full((len(sizes), sizes.max()), -1)
        for k, rows in enumerate(self._rows):
            padded[k, : len(rows)] = rows
        parts, weights, taken = [], [], np.zeros((draws, len(sizes)), bool)
        for m in pattern:
            plate, is_free = _drawn_plates(rng, np.flatnonzero(sizes > m), taken)
            order = rng.random((draws, padded.shape[1]))
            order[padded[plate] < 0] = 2
            rows = np.take_along_axis(padded[plate], np.argsort(order, axis=1)[:, :m], axis=1)
            parts.append(np.where(is_free[:, None], rows, -1))
            n = sizes[plate]
            weights.append(np.repeat(((n - 1) / (n - m))[:, None], m, axis=1))
        sets, weights = np.concatenate(parts, axis=1), np.concatenate(weights, axis=1) / total
        order = np.argsort(sets, axis=1)
        sets, weights = (np.take_along_axis(one, order, axis=1) for one in (sets, weights))
        whole = (sets >= 0).all(axis=1)
        sets, first = np.unique(sets[whole], axis=0, return_index=True)
        return sets, weights[whole][first].astype(np.float32)


def _drawn_plates(rng, plates, taken):
    """One of some plates for each draw that has not taken it, which it then has; and where that was
    found."""
    line = np.arange(len(taken))
    found = plates[rng.integers(len(plates), size=len(taken))]
    for _ in range(_TRIES):
        again = np.flatnonzero(taken[line, found])
        if not len(again):
            break
        found[again] = plates[rng.integers(len(plates), size=len(again))]
    is_free = ~taken[line, found]
    taken[line, found] = True
    return found, is_free
