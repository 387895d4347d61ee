# SPDX-License-Identifier: BSD-3-Clause
"""The nearest treatments of each treatment, by the cosine of their consensus profiles."""

from __future__ import annotations

import numpy as np

__all__ = ["NEAREST", "nearest_treatments", "unit_rows"]

NEAREST = 3
_CELLS = 1 << 25  # similarities held at a time


def unit_rows(profiles) -> np.ndarray:
    """Rows of length 1, float32; a row of zeros stays."""
    lengths = np.sqrt(np.einsum("ij,ij->i", profiles, profiles, dtype=np.float64))
    return profiles / np.where(lengths > 0, lengths, 1).astype(np.float32)[:, None]


def nearest_treatments(profiles, most: int = NEAREST) -> tuple[np.ndarray, np.ndarray]:
    """The most alike others of each row, the most alike first.

    Parameters
    ----------
    profiles : ndarray of float32, (n, d)
    most : int

    Returns
    -------
    nearest : ndarray of int64, (n, most)
        Rows, of equally alike ones the first; -1 where there are no more.
    similarity : ndarray of float64, (n, most)
        Cosines, NaN there.
    """
    unit, n = unit_rows(profiles), len(profiles)
    nearest, found = np.full((n, most), -1), np.full((n, most), np.nan)
    few = min(most, n - 1)
    step = max(1, _CELLS // max(1, n))
    for at in range(0, n if few > 0 else 0, step):
        cosines = unit[at : at + step] @ unit.T
        rows = np.arange(len(cosines))
        cosines[rows, at + rows] = -np.inf
        for k in range(few):
            best = cosines.argmax(axis=1)
            nearest[at + rows, k], found[at + rows, k] = best, cosines[rows, best]
            cosines[rows, best] = -np.inf
    return nearest, found
