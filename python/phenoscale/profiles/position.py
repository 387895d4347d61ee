# SPDX-License-Identifier: BSD-3-Clause
"""Effects of the place on a plate, taken out by median polish (Tukey 1977, Exploratory Data
Analysis; Brideau 2003, J Biomol Screen 8:634, on plates).

Between the wells and their standardising; kept where replicates then find each other better: where
whole rows or columns have one treatment, their effect is what it takes out.
"""

from __future__ import annotations

import numpy as np

from phenoscale.tables.wells import well_position

__all__ = ["can_polish", "places_of", "polish"]

_LEAST = 4  # rows and columns, and wells of each on the average
_ROUNDS = 3  # what is left after them is small, and it never quite ends


def places_of(wells) -> np.ndarray:
    """Row and column from 0 of each well, int (wells, 2); -1 where its name says none."""
    found = [well_position(well) or (-1, -1) for well in wells]
    return np.array(found, int).reshape(len(found), 2)


def can_polish(places) -> bool:
    """Whether the wells of a plate are enough: four rows and columns, four wells in each on the
    average, and none without a place."""
    if not len(places) or (places < 0).any():
        return False
    return all(len(np.unique(side)) >= _LEAST and len(side) >= _LEAST * len(np.unique(side))
               for side in places.T)


def polish(values, places) -> np.ndarray:
    """The wells of one plate without the effects of rows and columns.

    Parameters
    ----------
    values : ndarray of float32, (wells, features)
    places : ndarray of int, (wells, 2)
        Of `places_of`, all there.

    Returns
    -------
    ndarray of float32, (wells, features)
        The plate's own level stays: effects of rows, and of columns, have the median 0.
    """
    left = values.copy()
    groups = [[np.flatnonzero(side == at) for at in np.unique(side)] for side in places.T]
    for _ in range(_ROUNDS):
        for lines in groups:
            effects = np.stack([_median(left[line]) for line in lines])
            effects -= _median(effects)
            for line, effect in zip(lines, effects):
                left[line] -= effect
    return left


def _median(values):
    """Of each column, 0 where it has no number."""
    if not np.isnan(values).any():
        return np.median(values, axis=0)
    is_empty = np.isnan(values).all(axis=0)
    found = np.zeros(values.shape[1], values.dtype)
    found[~is_empty] = np.nanmedian(values[:, ~is_empty], axis=0)
    return found
