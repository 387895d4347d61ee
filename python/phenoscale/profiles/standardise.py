# SPDX-License-Identifier: BSD-3-Clause
"""Wells in units of their plate's negative controls: the first step of a profile.

    values --centre of the plate's controls--> / spread of them, at least half of all plates' spread

Spreads of a few wells are noisy, and a spread that is small by chance makes every other well look
far away: so none is taken to be less than half of what the controls of all plates of the fit have
about their own centres, and that of fewer than 4 wells is not looked at.  Equal to pycytominer's
`normalize` by plate (standardize, mad_robustize) where no spread is lifted.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

__all__ = ["LEAST", "METHODS", "Scale", "held_out", "in_control_units", "plate_rows", "plate_scale",
           "pooled_spread"]

LEAST = 4  # control wells from which on a plate's own spread is looked at
_FLOOR = 0.5  # of the pooled spread
_MAD = 1.4826  # times the median absolute deviation = the SD of a normal distribution
_PARTS = 16  # into which the controls of a plate are dealt, each left out in turn


def _mean(values):
    with np.errstate(invalid="ignore"):
        return np.nanmean(values, axis=0, dtype=np.float64) if len(values) else _none(values)


def _deviation(values):
    if len(values) < 2:
        return _none(values)
    return np.nanstd(values, axis=0, dtype=np.float64, ddof=1)


def _median(values):
    return np.nanmedian(values, axis=0).astype(np.float64) if len(values) else _none(values)


def _robust_deviation(values):
    return _MAD * _median(np.abs(values - _median(values)))


def _none(values):
    return np.full(values.shape[1], np.nan)


#: how -> centre and spread of some wells, each (wells, features) -> (features,)
METHODS = {"mean": (_mean, _deviation), "robust": (_median, _robust_deviation)}


class Scale(NamedTuple):
    """Of one plate.

    Attributes
    ----------
    centre, spread : ndarray of float64, (features,)
    lifted : int
        Features whose own spread was below the floor.
    """

    centre: np.ndarray
    spread: np.ndarray
    lifted: int


def plate_rows(plates) -> dict:
    """Plate to the numbers of its rows, in the order of appearance."""
    order = np.argsort(plates, kind="stable")
    names, first = np.unique(plates, return_index=True)
    parts = np.split(order, np.cumsum(np.unique(plates, return_counts=True)[1])[:-1])
    return {names[k]: parts[k] for k in np.argsort(first)}


def pooled_spread(values, plates, is_control, how: str) -> np.ndarray:
    """What controls have about the centre of their plate, over all plates, float64 (features,).

    Parameters
    ----------
    values : ndarray of float32, (wells, features)
    plates : ndarray, (wells,)
    is_control : ndarray of bool, (wells,)
    how : {"mean", "robust"}
        The square root of the pooled variance; 1.4826 times the median absolute deviation.

    Returns
    -------
    ndarray
        NaN where no plate has two controls with a number, 0 for a feature that is constant.
    """
    centre = METHODS[how][0]
    apart, freedom = [], 0
    for rows in plate_rows(plates).values():
        mine = values[rows[is_control[rows]]]
        if len(mine) > 1:
            apart.append(mine - centre(mine).astype(np.float32))
            freedom = freedom + np.maximum(np.isfinite(mine).sum(axis=0) - 1, 0)
    if not apart:
        return np.full(values.shape[1], np.nan)
    apart = np.concatenate(apart)
    if how == "robust":
        return _MAD * np.nanmedian(np.abs(apart), axis=0).astype(np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.sqrt(np.nansum(apart.astype(np.float64) ** 2, axis=0) / freedom)


def plate_scale(controls, how: str, pooled) -> Scale:
    """Centre and spread of a plate.

    Parameters
    ----------
    controls : ndarray of float32, (wells, features)
        Its negative controls, at least one.
    how : {"mean", "robust"}
    pooled : ndarray of float64, (features,)
        Of `pooled_spread`.
    """
    centre, spread = METHODS[how]
    if len(controls) < LEAST:
        return Scale(centre(controls), pooled, 0)
    own, floor = spread(controls), _FLOOR * pooled
    return Scale(centre(controls), np.fmax(own, floor), int((own < floor).sum()))


def in_control_units(values, scale: Scale) -> np.ndarray:
    """float32, as many as `values`; 0, no difference, where a number is missing."""
    found = ((values - scale.centre.astype(np.float32)) / scale.spread).astype(np.float32)
    return np.nan_to_num(found, copy=False, nan=0.0, posinf=0.0, neginf=0.0)


def held_out(controls, how: str, pooled) -> np.ndarray:
    """Each control well of a plate in units of the others, as a treated well is.

    A control that is itself in the centre and spread lies nearer to them than any other well does:
    a null of such wells would find hits everywhere.  From 16 wells on they are left out in 16
    parts.

    Parameters
    ----------
    controls, how, pooled
        As for `plate_scale`; two wells or more.

    Returns
    -------
    ndarray of float32, (wells, features)
    """
    found, part = np.empty_like(controls), np.arange(len(controls)) % _PARTS
    for out in range(part.max() + 1):
        is_out = part == out
        scale = plate_scale(controls[~is_out], how, pooled)
        found[is_out] = in_control_units(controls[is_out], scale)
    return found
