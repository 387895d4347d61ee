# SPDX-License-Identifier: BSD-3-Clause
"""Sphering: directions in which control wells differ from each other count less.

What differs among wells of the same treatment is technical (typical variation normalization, Ando
2017, bioRxiv 161422).  W = V (L + eps mean(L))^(-1/2) V', of the covariance V L V' of the controls;
eps decides where there are fewer controls than columns, and is chosen by the retrieval of
replicates (`phenoscale.screening.choice`).
"""

from __future__ import annotations

import numpy as np

__all__ = ["STRENGTHS", "sphering_gains", "sphering_matrix"]

#: eps that are tried, the weakest first: with a large one nothing is sphered
STRENGTHS = (10.0, 3.0, 1.0, 0.3, 0.1, 0.03, 0.01)


def sphering_gains(variances, eps: float) -> np.ndarray:
    """What each direction of the controls is multiplied by, float64 (columns,).

    variances: of the controls along their directions; all 0 leaves everything as it is.
    """
    mean = variances.mean()
    return 1 / np.sqrt(variances + eps * mean) if mean > 0 else np.ones(len(variances))


def sphering_matrix(variances, columns, eps: float) -> np.ndarray:
    """The matrix that wells are multiplied by from the right, float64 (columns, columns).

    variances, columns: of `phenoscale.profiles.components.directions` of the controls' covariance.
    """
    return (columns * sphering_gains(variances, eps)) @ columns.T
