# SPDX-License-Identifier: BSD-3-Clause
"""How far a profile is on the way from one state to another, as from disease to healthy."""

from __future__ import annotations

import numpy as np

from phenoscale.errors import InputError

__all__ = ["reversal"]


def reversal(profiles, disease, healthy) -> tuple[np.ndarray, np.ndarray]:
    """Where profiles lie along the axis between two states, and how far beside it.

    Parameters
    ----------
    profiles : array_like of float, (n, d)
    disease, healthy : array_like of float, (d,)
        Mean profiles of the two.

    Returns
    -------
    score : ndarray of float64, (n,)
        0 at the disease, 1 at the healthy state; above 1 beyond it, below 0 away from it.
    off : ndarray of float64, (n,)
        Distance from the axis, in its length: a compound with a score of 1 and much of it changes
        the cells into something else.

    Raises
    ------
    InputError
        Where both states have the same profile.
    """
    start = np.asarray(disease, np.float64)
    axis = np.asarray(healthy, np.float64) - start
    length = np.sqrt(axis @ axis)
    if not length > 0:
        raise InputError("--reversal: both states have the same profile, and there is no way "
                         "between them: name two that differ")
    apart = np.asarray(profiles, np.float64) - start
    score = apart @ axis / length**2
    beside = apart - score[:, None] * axis
    return score, np.sqrt((beside**2).sum(axis=1)) / length
