# SPDX-License-Identifier: BSD-3-Clause
"""Curves of four parameters through the scores of a compound's doses.

    score = bottom + (top - bottom) / (1 + (EC50 / dose)^hill)

Before profiles/dose_response.py, which goes through compounds.
"""

from __future__ import annotations

import itertools

import numpy as np

from phenoscale.words import count

__all__ = ["fit_doses", "is_ranks", "sigmoid"]

_DOSES = 4  # at least, for a fit
_PLATEAU = 0.8  # of the way from bottom to top, at the highest dose; 1 - this at the lowest
_NOISE = 3  # residual SD that top and bottom have to be apart
_HILLS, _REACH = (0.1, 10.0), 1.0  # bounds of the slope; decades beyond the doses for the EC50
_UNKNOWN = ("ec50", "ec50_low", "ec50_high", "bottom", "top", "hill", "r2")


def sigmoid(dose, bottom, top, ec50, hill):
    """The curve at some doses > 0, an array of their shape."""
    with np.errstate(over="ignore"):  # far below the EC50: the bottom
        return bottom + (top - bottom) / (1 + (ec50 / np.asarray(dose, dtype=np.float64)) ** hill)


def is_ranks(doses) -> bool:
    """Whether doses are 1, 2, 3 ... (three or more) beside 0: the numbers of steps, so that an EC50
    is one too.

    >>> is_ranks([0, 1, 2, 3, 3]), is_ranks([1, 2]), is_ranks([1, 3, 10])
    (True, False, False)
    """
    steps = sorted({float(dose) for dose in doses} - {0.0})
    return len(steps) > 2 and steps == list(range(1, len(steps) + 1))


def fit_doses(doses, scores) -> dict:
    """Least squares over the logarithm of the dose, from several starts.

    Wells of dose 0 have no logarithm: their mean is the bottom, which is then not fitted.

    Parameters
    ----------
    doses : array_like of float, (wells,)
        0 or more.
    scores : array_like of float, (wells,)

    Returns
    -------
    dict
        fit_ok, whether the EC50 may be used, else reason; doses, how many beside 0; ec50, with
        ec50_low and ec50_high, its 95 % interval from the curvature at the solution; is_outside,
        whether the EC50 is outside the doses; bottom, top, the scores far below and above the
        EC50; hill > 0; r2, of the wells above dose 0.  nan where there is no fit.
    """
    doses, scores = np.asarray(doses, dtype=np.float64), np.asarray(scores, dtype=np.float64)
    treated = doses > 0
    x, y, zero = np.log10(doses[treated]), scores[treated], scores[~treated]
    steps = np.unique(x)
    result = {"fit_ok": False, "reason": "", "doses": len(steps), "is_outside": False,
              **dict.fromkeys(_UNKNOWN, np.nan)}
    n_parameters = 3 + (not len(zero))
    if not np.isfinite(scores).all():
        return {**result, "reason": "a score is not a finite number"}
    if len(steps) < _DOSES:
        return {**result, "reason": f"{count(len(steps), 'dose')}: {_DOSES} needed"}
    if len(y) <= n_parameters:
        return {**result, "reason": f"{count(len(y), 'well')} for {n_parameters} parameters"}
    low, span = scores.min(), np.ptp(scores)
    if span <= 1e-12 * abs(scores).max():
        return {**result, "reason": "the scores of all doses are equal"}
    fixed = (zero.mean() - low) / span if len(zero) else None
    best = _best_fit(x, (y - low) / span, fixed)
    at, hill, top, bottom = *best.x, *([] if fixed is None else [fixed])
    deviation, half = _certainty(best)
    with np.errstate(over="ignore"):
        ec50, ec50_low, ec50_high = 10 ** np.array([at, at - half, at + half])
    fit = {"ec50": ec50, "ec50_low": ec50_low, "ec50_high": ec50_high,
           "bottom": low + span * bottom, "top": low + span * top, "hill": hill,
           "r2": 1 - np.sum(best.fun ** 2) * span ** 2 / np.sum((y - y.mean()) ** 2)
           if np.ptp(y) else np.nan}
    reasons = list(_doubts(best, steps, deviation, bottom if fixed is None else None, top - bottom))
    return {**result, **{name: float(value) for name, value in fit.items()},
            "fit_ok": not reasons, "reason": "; ".join(reasons),
            "is_outside": not steps[0] <= at <= steps[-1]}


def _best_fit(x, y, bottom):
    """The solution of the smallest error: log10 EC50, hill, top, and bottom where none is given.

    x : log10 of the doses; y : scores from 0 to 1.
    """
    from scipy.optimize import least_squares

    steps = np.unique(x)
    means = np.array([y[x == step].mean() for step in steps])
    first, last = means[0] if bottom is None else bottom, means[-1]
    middle = steps[abs(means - (first + last) / 2).argmin()]

    def errors(p):
        return sigmoid(10 ** x, bottom if bottom is not None else p[3], p[2], 10 ** p[0], p[1]) - y

    free = bottom is None
    bounds = ([steps[0] - _REACH, _HILLS[0], -1] + [-1] * free,
              [steps[-1] + _REACH, _HILLS[1], 2] + [2] * free)
    starts = itertools.product(dict.fromkeys((middle, steps.mean(), steps[0], steps[-1])), (1, 3))
    found = [least_squares(errors, [at, hill, last] + [first] * free, bounds=bounds, xtol=1e-12,
                           ftol=1e-12, gtol=1e-12) for at, hill in starts]
    return min(found, key=lambda one: one.cost)


def _certainty(best) -> tuple[float, float]:
    """The residual SD, and half the 95 % interval of log10 EC50, nan at a bound or where the doses
    do not tell the parameters apart."""
    from scipy.stats import t

    freedom = len(best.fun) - len(best.x)
    deviation = float(np.sqrt(2 * best.cost / freedom))
    curvature = best.jac.T @ best.jac
    if best.active_mask.any() or np.linalg.cond(curvature) > 1e12:
        return deviation, np.nan
    variance = deviation ** 2 * np.linalg.inv(curvature)[0, 0]
    return deviation, float(t.ppf(0.975, freedom) * np.sqrt(variance))


def _doubts(best, steps, deviation, bottom, height):
    """Why the EC50 of a fit may not be used.

    bottom : None where it was not fitted; height : top - bottom.
    """
    at, hill = best.x[:2]
    if abs(height) <= max(_NOISE * deviation, 1e-9):
        yield "top and bottom differ by no more than the noise"
        return
    if not steps[0] <= at <= steps[-1]:
        yield "the EC50 is outside the doses"
    reached = sigmoid(10 ** steps, 0, 1, 10 ** at, hill)
    if reached[-1] < _PLATEAU:
        yield f"no plateau: the highest dose is {reached[-1]:.0%} of the way to the top"
    if bottom is not None and reached[0] > 1 - _PLATEAU:
        yield f"no plateau: the lowest dose is {reached[0]:.0%} of the way to the top"
    if best.active_mask[1]:
        yield f"the slope is at its bound, {hill:g}"
