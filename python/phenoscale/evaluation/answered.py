# SPDX-License-Identifier: BSD-3-Clause
"""How right the answers are where only the surest are given: accuracy against the share answered.

After levels.py; before evaluate.py.
"""

from __future__ import annotations

import numpy as np

from phenoscale.evaluation.predicted import Predicted
from phenoscale.tables.labels import class_numbers
from phenoscale.tables.predictions import probability_columns

__all__ = ["SHARES", "answered_table"]

#: of the rows of a level that are answered, the surest first
SHARES = (1.0, 0.95, 0.9, 0.8, 0.5)


def answered_table(found: Predicted, frames: dict):
    """Accuracy of the surest fields and wells, by the probability of the likeliest class.

    Parameters
    ----------
    found : Predicted
    frames : dict
        Of `phenoscale.evaluation.levels.level_frames`.

    Returns
    -------
    pandas.DataFrame
        level; share, of `SHARES`; n, how many are answered, at least one; right; accuracy; least,
        the probability of the least sure of them; area, the mean accuracy over all shares of the
        level, whose best is 1.
    """
    import pandas

    rows = []
    for level in [name for name in ("field", "well") if name in frames]:
        frame = frames[level]
        chances = frame[probability_columns(frame, found.keys)].to_numpy(np.float64)
        truth = class_numbers(found.classes, frame["Truth"])
        sure, right = _surest_first(chances, truth)
        area = float((right / np.arange(1, len(right) + 1)).mean())
        for share in SHARES:
            n = max(1, int(np.floor(share * len(right) + 1e-9)))
            rows.append((level, share, n, right[n - 1], right[n - 1] / n, sure[n - 1], area))
    return pandas.DataFrame(rows, columns=["level", "share", "n", "right", "accuracy", "least",
                                           "area"])


def _surest_first(chances: np.ndarray, truth) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities of the likeliest classes, falling, and how many of so many first rows are
    right; of rows as sure as one another each counts as right as all of them are on average, so
    that their order says nothing."""
    sure, is_right = chances.max(axis=1), chances.argmax(axis=1) == np.asarray(truth)
    levels, number = np.unique(-sure, return_inverse=True)
    means = np.bincount(number, is_right) / np.bincount(number)
    number.sort()
    return -levels[number], np.cumsum(means[number])
