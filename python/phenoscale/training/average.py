# SPDX-License-Identifier: BSD-3-Clause
"""The mean of the weights at the ends of the last epochs, as the model of a training.

    weights after epoch n - N + 1, ..., n -> their sum, kept in checkpoints -> over N, the weights

Steps that go about a minimum lie around it (Izmailov 2018, arXiv 1803.05407, with a rate that
follows the schedule).  The networks have no statistics that would have to be found again.
"""

from __future__ import annotations

import numpy as np

__all__ = ["Average"]


class Average:
    """The sum so far.

    Parameters
    ----------
    epochs : int
        Of the training.
    last : int
        How many of them count; with 1 nothing is kept.
    count : int
        Of the weights.
    """

    def __init__(self, epochs: int, last: int, count: int):
        self._epochs, self._last = epochs, last
        self._sum = np.zeros(count, np.float32) if last > 1 else None

    def tensors(self) -> list:
        """What a checkpoint keeps of it, [(name, flat array of float32)]; views."""
        return [] if self._sum is None else [("sum", self._sum)]

    def end_epoch(self, epoch: int, weights: np.ndarray) -> None:
        """Count the weights at the end of an epoch (1, 2, ...); those of the last one become the
        mean, in place."""
        if self._sum is None or epoch <= self._epochs - self._last:
            return
        self._sum += weights
        if epoch == self._epochs:
            np.divide(self._sum, np.float32(self._last), out=weights)
