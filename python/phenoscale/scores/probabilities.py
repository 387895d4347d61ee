# SPDX-License-Identifier: BSD-3-Clause
"""Scores of probabilities: the calls that they make, how they rank, how far they can be believed.

After profiles/aggregate.py.  Rows may count several times, as in a bootstrap of intervals.py.
"""

from __future__ import annotations

import numpy as np

from phenoscale.scores.classification import confusion_scores

__all__ = ["BINS", "NAMES", "Scored"]

BINS = 15  # of equal width, for the calibration error
_LEAST = 1e-12  # a smaller probability of the true class counts as this in the log loss


class Scored:
    """Rows of known class beside their probabilities, to be scored as often as one likes.

    Parameters
    ----------
    truth : array_like of int, (n,)
        Number of the true class.
    probabilities : array_like of float, (n, k)
        Not nan.
    """

    def __init__(self, truth, probabilities):
        self._truth = np.asarray(truth, dtype=np.int64)
        self._p = np.asarray(probabilities, dtype=np.float64)
        n, self._k = self._p.shape
        self._calls = self._p.argmax(axis=1)
        top, own = self._p.max(axis=1), self._p[np.arange(n), self._truth]
        self._top = top
        self._bin = np.clip(np.ceil(top * BINS).astype(np.int64) - 1, 0, BINS - 1)
        self._loss = -np.log(np.maximum(own, _LEAST))
        self._square = (self._p ** 2).sum(axis=1) - 2 * own + 1
        self._ranks = [_ranked(column, self._truth == k) for k, column in enumerate(self._p.T)]

    def __len__(self) -> int:
        return len(self._truth)

    def scores(self, weights=None) -> dict[str, float]:
        """Name, of `NAMES`, to score; nan where it is not defined.

        weights : array_like of float, (n,), optional
            How often each row counts.
        """
        weights = np.ones(len(self)) if weights is None else np.asarray(weights, np.float64)
        if not weights.sum():
            return dict.fromkeys(NAMES, np.nan)
        cells = np.bincount(self._truth * self._k + self._calls, weights, self._k ** 2)
        return {**confusion_scores(cells.reshape(self._k, self._k)),
                **{name: score(self, weights) for name, score in _SCORES.items()}}

    def _auc(self, weights) -> float:
        """The mean, over the classes that occur, of the chance that a row of the class has a
        higher probability of it than a row of another class, ties counted half."""
        found = []
        for own, others, first, behind in self._ranks:
            below = np.concatenate([[0], np.cumsum(weights[others])])
            mine = weights[own]
            pairs = mine.sum() * below[-1]
            if pairs:
                found.append(mine @ (below[first] + below[behind]) / (2 * pairs))
        return float(np.mean(found)) if found else np.nan

    def _log_loss(self, weights) -> float:
        """The mean of -log p of the true class."""
        return float(np.average(self._loss, weights=weights))

    def _brier(self, weights) -> float:
        """The mean squared distance to the true class, summed over the classes, 0 to 2 (Brier 1950,
        Mon Weather Rev 78:1); of two classes twice the number that some give."""
        return float(np.average(self._square, weights=weights))

    def _ece(self, weights) -> float:
        """The expected calibration error of the likeliest class: |accuracy - mean probability| in
        `BINS` bins of equal width, closed at the right, weighted by their rows (Guo 2017, ICML)."""
        gap = (self._calls == self._truth) - self._top
        return float(abs(np.bincount(self._bin, weights * gap, BINS)).sum() / weights.sum())


def _ranked(values, is_own):
    """(own, others, first, behind): the rows of a class; all others, the lowest value first; for
    each of the class where among the others the values begin that equal its own, and have ended."""
    own, others = np.flatnonzero(is_own), np.flatnonzero(~is_own)
    others = others[np.argsort(values[others], kind="stable")]
    ends = (np.searchsorted(values[others], values[own], side) for side in ("left", "right"))
    return (own, others, *ends)


#: name -> the function of rows and weights, of what is no matter of calls alone
_SCORES = {"auc": Scored._auc, "log_loss": Scored._log_loss, "brier": Scored._brier,
           "ece": Scored._ece}
NAMES = (*confusion_scores([[1]]), *_SCORES)
