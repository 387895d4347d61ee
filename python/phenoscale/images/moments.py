# SPDX-License-Identifier: BSD-3-Clause
"""Mean and deviation of the fields a network is trained on: its normalisation; and what the counts
of each are like."""

from __future__ import annotations

import numpy as np

from phenoscale.images.counts import levels_of
from phenoscale.progress import Watch

__all__ = ["Moments", "measure", "statistics"]


def measure(field: np.ndarray) -> list:
    """A field (c, h, w) as (first, sum, sum of squares, levels) of each channel: of counts as whole
    numbers, of floats as differences from the first pixel; see `levels_of`."""
    measured = []
    for plane in field:
        is_float = plane.dtype.kind == "f"
        first = float(plane[0, 0]) if is_float else 0
        values = plane.astype(np.float64) - first if is_float else plane.astype(np.uint64)
        measured.append((first, values.sum().item(), (values * values).sum().item(),
                         levels_of(plane)))
    return measured


class Moments:
    """Mean and standard deviation of each channel over fields as they come.

    Counts are summed as whole numbers, so they are exact in any order; floats in the order they
    come, as differences from the first pixel of all, so that a constant channel has no deviation
    at all.

    Attributes
    ----------
    levels : list of list of list of float
        By field and channel; see `levels_of`.
    """

    def __init__(self, channels: int, pixels: int):
        self._first, self._sums, self._squares = ([None] * channels, [0] * channels,
                                                  [0] * channels)
        self._pixels, self._count, self.levels = pixels, 0, []

    def add(self, measured) -> None:
        """One field, from `measure`."""
        n = self._pixels
        self.levels.append([levels for *_, levels in measured])
        for k, (first, total, square, _) in enumerate(measured):
            if self._first[k] is None:
                self._first[k] = first
            shift = first - self._first[k]
            self._sums[k] += total + n * shift
            self._squares[k] += square + 2 * shift * total + n * shift**2
        self._count += n

    def result(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation, (c,) float64; that of a constant channel is 1."""
        n = self._count
        mean = np.array([first + total / n for first, total in zip(self._first, self._sums)])
        variance = [(n * square - total**2) / n**2
                    for total, square in zip(self._sums, self._squares)]
        std = np.sqrt(np.maximum(variance, 0))
        return mean, np.where(std > 0, std, 1.0)


def statistics(source, order, progress=None) -> Moments:
    """`Moments` of the fields `order` of a source; `progress` takes events of the stage
    "statistics"."""
    moments, watch = Moments(source.shape[0], source.shape[1] * source.shape[2]), Watch(progress)
    source.start(order)
    for i in range(len(order)):
        moments.add(measure(source.next()))
        source.release(1)
        watch.tell("statistics", i + 1, len(order))
    return moments
