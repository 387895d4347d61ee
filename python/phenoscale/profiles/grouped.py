# SPDX-License-Identifier: BSD-3-Clause
"""Rows of numbers to one row a group: fields to wells, wells to treatments.

Equal to pycytominer's `aggregate` and `consensus` by mean or median, in float32 and without a copy
of the table.
"""

from __future__ import annotations

import numpy as np

__all__ = ["SUMMARIES", "grouped"]

#: how -> what becomes of the rows of a group, numbers that are missing left out
SUMMARIES = {"mean": np.nanmean, "median": np.nanmedian}


def grouped(values, group, how: str) -> np.ndarray:
    """One row for each group.

    Parameters
    ----------
    values : ndarray of float32, (rows, features)
    group : ndarray of int, (rows,)
        From 0, each number in use.
    how : {"mean", "median"}

    Returns
    -------
    ndarray of float32, (groups, features)
        `values` itself where each row is its own group, in order.  NaN where no row has a number.
    """
    order = np.argsort(group, kind="stable")
    starts = np.flatnonzero(np.diff(group[order], prepend=-1))
    if len(starts) == len(values) and (order == np.arange(len(order))).all():
        return values
    found = np.empty((len(starts), values.shape[1]), np.float32)
    for at, mine in enumerate(np.split(order, starts[1:])):
        rows = values[mine].astype(np.float64)
        is_there = np.isfinite(rows).any(axis=0)
        found[at] = np.nan
        found[at, is_there] = SUMMARIES[how](rows[:, is_there], axis=0)
    return found
