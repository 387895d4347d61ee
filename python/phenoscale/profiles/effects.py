# SPDX-License-Identifier: BSD-3-Clause
"""How far wells are from the negative controls, measure by measure, and which of the differences
are worth saying: large ones, and no copies of each other.

Under explain.py, which says them.
"""

from __future__ import annotations

import numpy as np

__all__ = ["LEAST_CONTROLS", "MOST", "effects", "least_effect", "likeness", "pick", "quantile"]

MOST = 5  # measures said of a well or class
LEAST_CONTROLS = 3  # wells
COPY = 0.9  # correlation from which on two measures say the same
_ROUNDING = 1e-6  # share of a median below which nothing differs: numbers are written as float32
_ERRORS = 5  # standard errors that a difference has at least: of 300 measures some are 3 away
#: share of normal numbers, and how many deviations from their middle it is at most: half of them,
#: which is the MAD, and nine in ten, which feels what some of the controls do
_HALF, _NINE_TENTHS = (0.5, 1 / 1.4826), (0.9, 1.645)


def effects(values: np.ndarray, plates: np.ndarray, is_control: np.ndarray):
    """Robust standardised differences of wells from the control wells of their plate.

    Parameters
    ----------
    values : ndarray of float64, (wells, measures)
    plates : ndarray of int, (wells,)
    is_control : ndarray of bool, (wells,)

    Returns
    -------
    effect : ndarray, (wells, measures)
        (value - median) / deviation of the controls of the plate, of all where the plate has fewer
        than 3. The deviation is 1.4826 MAD, but at least that of all plates' controls about the
        medians that they are compared with, and at least a 1.645th of what nine in ten of these
        stay below: a MAD of nearly 0 makes no effect large. NaN where fewer than 3 controls have
        the measure, or nine in ten of them have the same.
    ratio : ndarray, (wells, measures)
        value / median, NaN where that is not above 0.
    used : dict of int to ndarray of bool (wells,)
        The controls that the wells of each plate are compared with.
    """
    own = {plate: is_control & (plates == plate) for plate in np.unique(plates)}
    used = {plate: rows if rows.sum() >= LEAST_CONTROLS else is_control
            for plate, rows in own.items()}
    middle = {plate: quantile(values[rows]) for plate, rows in used.items()}
    apart = np.concatenate([values[rows] - middle[plate] for plate, rows in own.items()])
    floor = np.fmax(_deviation(apart, *_HALF), _deviation(apart, *_NINE_TENTHS))
    floor[floor == 0] = np.nan
    effect, ratio = np.full(values.shape, np.nan), np.full(values.shape, np.nan)
    for plate, rows in used.items():
        here, mid, few = plates == plate, middle[plate], values[rows]
        scale = np.maximum.reduce([_deviation(few - mid, *_HALF), floor, _ROUNDING * np.abs(mid)])
        scale[np.isfinite(few).sum(axis=0) < LEAST_CONTROLS] = np.nan
        effect[here] = (values[here] - mid) / scale
        ratio[here] = values[here] / np.where(mid > 0, mid, np.nan)
    return effect, ratio, used


def least_effect(wells, controls) -> np.ndarray:
    """The effect from which on so many wells differ from so many controls: five standard errors
    of a difference of means, and at least one deviation."""
    return np.maximum(1.0, _ERRORS * np.sqrt(1 / np.maximum(wells, 1)
                                             + 1 / np.maximum(controls, 1)))


def pick(effect: np.ndarray, least: np.ndarray, alike: np.ndarray, families) -> list[int]:
    """Five measures that differ and are no copies of each other, the largest effect first.

    Parameters
    ----------
    effect, least : ndarray, (measures,)
        What counts is an effect of at least `least`, up or down.
    alike : ndarray, (measures, measures)
        Absolute correlations: of those that reach 0.9 only the larger effect is taken.
    families : list of str
        One of each; more only where else there would be fewer than five.
    """
    order = [k for k in np.argsort(-np.abs(effect), kind="stable") if abs(effect[k]) >= least[k]]
    picked: list[int] = []
    for is_first_round in (True, False):
        for k in order:
            is_new = all(alike[k, other] < COPY for other in picked) and k not in picked
            is_told = is_first_round and families[k] in {families[other] for other in picked}
            if len(picked) < MOST and is_new and not is_told:
                picked.append(k)
    return sorted(picked, key=order.index)


def likeness(effect: np.ndarray) -> np.ndarray:
    """Absolute correlations (measures, measures) of effects (wells, measures) over the wells; 0
    where a measure is constant."""
    known = np.isfinite(effect)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.where(known, effect, 0).sum(axis=0) / known.sum(axis=0)
        return np.nan_to_num(np.abs(np.corrcoef(np.where(known, effect, mean), rowvar=False)),
                             nan=0.0).reshape(effect.shape[1], -1)


def quantile(values: np.ndarray, share: float = 0.5) -> np.ndarray:
    """numpy.nanquantile of each column, by default the median: all columns at once, which that does
    not, and NaN without a word where nothing else is."""
    rows = np.sort(values, axis=0)  # NaN last
    at = share * np.maximum(np.isfinite(values).sum(axis=0) - 1, 0)
    low, high = (np.take_along_axis(rows, end(at).astype(int)[None], 0)[0]
                 for end in (np.floor, np.ceil))
    return low + (high - low) * (at % 1)


def _deviation(apart: np.ndarray, share: float, deviations: float) -> np.ndarray:
    """The deviation of numbers of which a share is at most so many deviations from 0."""
    return quantile(np.abs(apart), share) / deviations
