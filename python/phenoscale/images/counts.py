# SPDX-License-Identifier: BSD-3-Clause
"""What the counts of a plane are like, in five numbers, and where they pile up at the top.

    plane -> KINDS -> models/counts.py keeps their ranges, and judges plates by them

Whatever reads pixels asks here: the first pass of a training, a prediction, a check.
"""

from __future__ import annotations

import math

import numpy as np

from phenoscale import _core

__all__ = ["KINDS", "PILE", "levels_of", "looks_at", "pile_of", "sample_of",
           "sharpness_of"]

#: mean: of all counts; floor: 1 % are below it, the background and the camera's offset;
#: deviation: of the counts; detail: log2 of fine over coarse detail, 0 where that is not known;
#: bits: all bits set in any count, as a number, 0 for floats
KINDS = ("mean", "floor", "deviation", "detail", "bits")
PILE = 0.01  # of the pixels in one count at the top, from which on they are a pile
_FLOOR, _TOP = 0.01, 0.998  # shares of the pixels below; above the top lie hot pixels
_SAMPLE = 1 << 16  # pixels that stand for a plane, about
_WIDTH = 64  # a pile holds more than this part of the range below it
#: octaves of detail whose ratio tells focus: neighbours of 2 pixels against those of 16
_FINE, _COARSE = 1, 4


def sample_of(plane: np.ndarray) -> np.ndarray:
    """Some pixels of a plane, on a grid, flat and sorted: the same for the same plane."""
    step = max(1, math.isqrt(plane.size // _SAMPLE))
    return np.sort(plane[::step, ::step], axis=None)


def levels_of(plane: np.ndarray, about: dict | None = None, sample=None) -> list[float]:
    """The five numbers of `KINDS`.

    Parameters
    ----------
    plane : ndarray (height, width)
    about : dict, optional
        Of `_core.measure`, where it is known.
    sample : ndarray, optional
        Of `sample_of`, where it is known.
    """
    about = about or _core.measure(np.ascontiguousarray(plane))
    sample = sample_of(plane) if sample is None else sample
    fine = sharpness_of(about)
    deviation = float(sample.std(dtype=np.float64)) if about["min"] < about["max"] else 0.0
    return [about["mean"], float(sample[int(_FLOOR * sample.size)]), deviation,
            fine if math.isfinite(fine) else 0.0, float(about["bits"])]


def sharpness_of(about: dict) -> float:
    """log2 of fine over coarse detail, of `_core.measure`; falls out of focus, NaN where a plane is
    too small or too smooth to tell."""
    detail = about["detail"]
    if len(detail) <= _COARSE or min(detail[_FINE], detail[_COARSE]) <= 0:
        return math.nan
    return math.log2(detail[_FINE] / detail[_COARSE])


def looks_at(field) -> list[list[float]]:
    """`levels_of` of each channel of a field (channels, height, width)."""
    return [levels_of(plane) for plane in field]


def pile_of(sample: np.ndarray) -> float:
    """The count at the top that holds a pile of pixels; NaN without one.

    A camera, or a program that clips, puts all that was brighter into one count, which therefore
    holds more than a stretch of counts below it does; few hot pixels may lie above.

    sample: of `sample_of`.
    """
    top = sample[int(_TOP * sample.size)]
    first, end = np.searchsorted(sample, top), np.searchsorted(sample, top, "right")
    stretch = (float(top) - float(sample[0])) / _WIDTH
    if sample.dtype.kind != "f":
        stretch = max(1.0, stretch)
    below = first - np.searchsorted(sample, float(top) - stretch)
    is_pile = end - first > max(PILE * sample.size, below) and top > sample[0]
    return float(top) if is_pile else math.nan
