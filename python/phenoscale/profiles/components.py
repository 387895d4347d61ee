# SPDX-License-Identifier: BSD-3-Clause
"""Principal components of wells, found and applied in blocks of rows.

After the standardising; before the sphering.
"""

from __future__ import annotations

import numpy as np

__all__ = ["MOST", "applied", "covariance", "directions", "kept_components"]

MOST = 256  # components kept
_ROWS = 4096  # multiplied at a time


def covariance(values, rows=None) -> tuple[np.ndarray, np.ndarray]:
    """Mean and covariance of wells, float64 (features,), (features, features).

    Parameters
    ----------
    values : ndarray of float32, (wells, features)
    rows : ndarray of int, optional
        Of these wells.
    """
    rows = np.arange(len(values)) if rows is None else rows
    blocks = [rows[at : at + _ROWS] for at in range(0, len(rows), _ROWS)]
    mean = sum(values[block].sum(axis=0, dtype=np.float64) for block in blocks) / len(rows)
    total, near = np.zeros((values.shape[1],) * 2), mean.astype(np.float32)
    for block in blocks:
        apart = values[block] - near
        total += apart.T @ apart
    return mean, total / max(1, len(rows) - 1)


def directions(matrix) -> tuple[np.ndarray, np.ndarray]:
    """Variances, the largest first, float64 (features,), and their directions as columns (features,
    features), the largest number of each of which is above 0."""
    variances, columns = np.linalg.eigh(matrix)
    variances, columns = np.maximum(variances[::-1], 0), columns[:, ::-1]
    largest = np.abs(columns).argmax(axis=0)
    return variances, columns * np.where(columns[largest, range(len(largest))] < 0, -1, 1)


def kept_components(variances, share: float) -> int:
    """How many of the first components have this share of all variance together, `MOST` at most."""
    sums = np.cumsum(variances)
    enough = int(np.searchsorted(sums, share * sums[-1] * (1 - 1e-12))) + 1
    return min(enough, MOST, int((variances > 1e-10 * variances[0]).sum()) or 1)


def applied(values, matrix, plates_rows) -> np.ndarray:
    """values @ matrix, float32, a plate at a time: the rows of a plate have the same bits whatever
    other plates are beside them.

    plates_rows: iterable of ndarray of int, the rows of each plate, all rows once.
    """
    found = np.empty((len(values), matrix.shape[1]), np.float32)
    matrix = np.asarray(matrix, np.float64)
    for rows in plates_rows:
        found[rows] = values[rows].astype(np.float64) @ matrix
    return found
