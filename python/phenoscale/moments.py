# SPDX-License-Identifier: BSD-3-Clause
"""Mean and deviation of the fields a network is trained on: its normalisation."""

from __future__ import annotations

import numpy as np

__all__ = ["Moments", "statistics"]


class Moments:
    """Mean and standard deviation of each channel over fields as they come.

    Counts are summed as whole numbers, so they are exact in any order; floats in the order they
    come, as differences from the first pixel, so that a constant channel has no deviation at all.
    """

    def __init__(self, channels: int):
        self._first, self._sums, self._squares = ([None] * channels, [0] * channels,
                                                  [0] * channels)
        self._count = 0

    def add(self, field: np.ndarray) -> None:
        """One field (c, h, w)."""
        for k, plane in enumerate(field):
            is_float = plane.dtype.kind == "f"
            if self._first[k] is None:
                self._first[k] = float(plane[0, 0]) if is_float else 0
            values = (plane.astype(np.float64) - self._first[k] if is_float
                      else plane.astype(np.uint64))
            self._sums[k] += values.sum().item()
            self._squares[k] += (values * values).sum().item()
        self._count += field[0].size

    def result(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation, (c,) float64; that of a constant channel is 1."""
        n = self._count
        mean = np.array([first + total / n for first, total in zip(self._first, self._sums)])
        variance = [(n * square - total**2) / n**2
                    for total, square in zip(self._sums, self._squares)]
        std = np.sqrt(np.maximum(variance, 0))
        return mean, np.where(std > 0, std, 1.0)


def statistics(source, order, progress=None) -> tuple[np.ndarray, np.ndarray]:
    """`Moments` of the fields `order` of a source."""
    moments = Moments(source.shape[0])
    source.start(order)
    for i in range(len(order)):
        moments.add(source.next())
        source.release(1)
        if progress is not None:
            progress(i + 1, len(order))
    return moments.result()
