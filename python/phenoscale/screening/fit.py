# SPDX-License-Identifier: BSD-3-Clause
"""Wells to profiles: by a fit that is made of them, or by one that was made of others.

After choice.py, which says by which steps; before hits.py.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from phenoscale.errors import InputError
from phenoscale.profiles.components import applied, covariance, directions, kept_components
from phenoscale.profiles.fitted import Fitted, Recipe
from phenoscale.profiles.position import can_polish, polish
from phenoscale.profiles.sphering import sphering_matrix
from phenoscale.profiles.standardise import (
    LEAST,
    held_out,
    in_control_units,
    plate_rows,
    plate_scale,
    pooled_spread,
)
from phenoscale.screening.wells import Wells
from phenoscale.words import count, listed

__all__ = ["Profiled", "apply_fit", "make_fit", "refuse_bare_plates"]

_FOLDS = 4  # of controls, each sphered without itself
_NULL_WELLS = 4000  # control wells that a fit keeps
_NAMED = 3  # plates, features named in a sentence


@dataclass
class Profiled:
    """Wells and their profiles.

    Attributes
    ----------
    fitted : Fitted
    profiles : ndarray of float32, (wells, columns)
    apart : ndarray of float32, (wells, columns)
        The same from the controls of the plate, 0 where they are; of a control from the others;
        NaN on a plate without any.
    notes : list of str
    """

    fitted: Fitted
    profiles: np.ndarray
    apart: np.ndarray
    notes: list


def refuse_bare_plates(wells: Wells) -> None:
    """InputError for a plate without a negative control, where there are any elsewhere."""
    bare = [name for k, name in enumerate(wells.plates)
            if not wells.is_control[wells.plate == k].any()]
    if bare:
        raise InputError(f"{count(len(bare), 'plate')} without a negative control well, "
                         f"{listed(bare, limit=_NAMED)}, and wells are standardised on those of "
                         "their plate: name them by --controls COLUMN=VALUE, leave the plate out, "
                         "or give --standardise none")


def make_fit(wells: Wells, recipe: Recipe, places, seed: int = 0) -> Profiled:
    """Fit the steps of a recipe on wells.

    Parameters
    ----------
    wells : Wells
        Their values are used up.
    recipe : Recipe
    places : ndarray of int, (wells, 2)
        Of `phenoscale.profiles.position.places_of`.
    seed : int
        By which folds of controls are dealt.
    """
    notes = _polished(wells, recipe, places)
    wells, mean, pooled, said = _scales(wells, recipe)
    mean, pooled = (one.astype(np.float32) for one in (mean, pooled))  # as the file has them
    controls, said_of_plates = _standardised(wells, recipe, mean, pooled)
    rows = list(plate_rows(wells.plate).values())
    matrix, null_matrix = _matrices(wells, recipe, seed)
    if matrix is None:
        profiles, matrix = wells.values, np.empty((0, 0), np.float32)
    else:
        profiles = applied(wells.values, matrix.astype(np.float32), rows)
    null = _null(controls, null_matrix)
    fitted = Fitted(recipe, wells.features, pooled, mean, matrix.astype(np.float32), null, [])
    found = _apart(wells, fitted, profiles, controls)
    at = np.flatnonzero(wells.is_control)
    if recipe.standardise == "none":
        null = found.apart[at]
    kept = _whole_plates(wells.plate[at], np.isfinite(null).all(axis=1), seed)
    fitted.null, fitted.null_plates = null[kept], wells.plate[at][kept].tolist()
    found.notes = [*notes, *said, *said_of_plates]
    return found


def apply_fit(wells: Wells, fitted: Fitted, places) -> Profiled:
    """Profiles of wells by a fit of others, or of these and others.

    Parameters
    ----------
    wells : Wells
        With the features of the fit; their values are used up.
    fitted : Fitted
    places : ndarray of int, (wells, 2)
    """
    notes = _polished(wells, fitted.recipe, places)
    controls, said = _standardised(wells, fitted.recipe, fitted.mean, fitted.pooled)
    profiles = wells.values
    if fitted.matrix.size:
        profiles = applied(wells.values, fitted.matrix, plate_rows(wells.plate).values())
    found = _apart(wells, fitted, profiles, controls)
    found.notes = [*notes, *said]
    return found


# ---- the steps -----------------------------------------------------------------------------------


def _polished(wells: Wells, recipe: Recipe, places) -> list[str]:
    """Take out effects of position, in place."""
    if not recipe.position:
        return []
    left = []
    for plate, rows in plate_rows(wells.plate).items():
        if can_polish(places[rows]):
            wells.values[rows] = polish(wells.values[rows], places[rows])
        else:
            left.append(wells.plates[plate])
    return [f"positions are not corrected on {listed(left, limit=_NAMED)}: too few wells"
            ] if left else []


def _scales(wells: Wells, recipe: Recipe):
    """The wells with the features that vary; mean and pooled spread of these; a note."""
    if recipe.standardise == "none":
        mean, matrix = _moments(wells.values)
        spread = matrix if recipe.scale else np.ones(len(mean))
    else:
        mean = np.zeros(wells.values.shape[1])
        spread = pooled_spread(wells.values, wells.plate, wells.is_control, recipe.standardise)
        if not np.isfinite(spread).any():
            raise InputError("no plate has two negative control wells, by whose spread wells could "
                             "be standardised: name more by --controls COLUMN=VALUE, or give "
                             "--standardise none")
    varies = spread > 0
    if varies.all():
        return wells, mean, spread, []
    if not varies.any():
        raise InputError("no feature varies among the wells that they are standardised by: are "
                         "these predictions of one field?")
    left = [name for name, one in zip(wells.features, varies) if not one]
    some = replace(wells, values=wells.values[:, varies],
                   features=[name for name, one in zip(wells.features, varies) if one])
    return some, mean[varies], spread[varies], [
        f"{count(len(left), 'feature')} left out, the same in "
        f"{'all' if recipe.standardise == 'none' else 'most control'} wells: "
        f"{listed(left, limit=_NAMED)}"]


def _moments(values):
    """Mean and deviation of each feature, numbers that are missing left out, float64."""
    sums, squares, there = (np.zeros(values.shape[1]) for _ in range(3))
    for at in range(0, len(values), 4096):
        block = values[at : at + 4096].astype(np.float64)
        there += np.isfinite(block).sum(axis=0)
        sums += np.nansum(block, axis=0)
    mean = sums / there
    for at in range(0, len(values), 4096):
        squares += np.nansum((values[at : at + 4096] - mean) ** 2, axis=0)
    return mean, np.sqrt(squares / np.maximum(there - 1, 1))


def _standardised(wells: Wells, recipe: Recipe, mean, pooled):
    """Standardise the wells in place; their controls, each without itself, float32 (controls,
    features), NaN where it is alone, None for "none"; notes."""
    if recipe.standardise == "none":
        for at in range(0, len(wells), 4096):
            block = wells.values[at : at + 4096]
            block -= mean
            block /= pooled
            np.nan_to_num(block, copy=False, posinf=0.0, neginf=0.0)
        return None, []
    at = np.cumsum(wells.is_control) - 1
    controls = np.full((int(wells.is_control.sum()), wells.values.shape[1]), np.nan, np.float32)
    few, lifted, asked = [], 0, 0
    for plate, rows in plate_rows(wells.plate).items():
        own = rows[wells.is_control[rows]]
        mine = wells.values[own]
        scale = plate_scale(mine, recipe.standardise, pooled)
        if len(mine) > 1:
            controls[at[own]] = held_out(mine, recipe.standardise, pooled)
        wells.values[rows] = in_control_units(wells.values[rows], scale)
        few += [wells.plates[plate]] * (len(mine) < LEAST)
        lifted, asked = lifted + scale.lifted, asked + len(pooled)
    notes = []
    if few:
        notes.append(f"fewer than {LEAST} negative control wells on {listed(few, limit=_NAMED)}: "
                     "their spread is that of all plates' controls")
    if lifted:
        notes.append(f"{lifted / asked:.1%} of the spreads of single plates lifted to half of that "
                     "of all plates' controls")
    return controls, notes


def _matrices(wells: Wells, recipe: Recipe, seed: int):
    """What standardised wells are multiplied by, and for each control what it is where it was not
    fitted on; None where the features are the profile."""
    values, axes = wells.values, None
    if recipe.share is not None:
        variances, axes = directions(covariance(values)[1])
        axes = axes[:, : kept_components(variances, recipe.share)]
    controls = np.flatnonzero(wells.is_control)
    if recipe.eps is None:
        return axes, [(np.arange(len(controls)), axes)]
    base = values[controls] if axes is None else values[controls] @ axes.astype(np.float32)

    def sphered(rows):
        matrix = sphering_matrix(*directions(covariance(base, rows)[1]), recipe.eps)
        return matrix if axes is None else axes @ matrix

    unit = wells.plate[controls] if len(np.unique(wells.plate[controls])) > 1 else np.arange(
        len(controls))
    names, unit = np.unique(unit, return_inverse=True)
    fold = (np.random.default_rng(seed).permutation(len(names)) % _FOLDS)[unit.reshape(-1)]
    parts = [(np.flatnonzero(fold == out), sphered(np.flatnonzero(fold != out)))
             for out in range(_FOLDS) if (fold == out).any() and (fold != out).sum() > 1]
    return sphered(np.arange(len(controls))), parts


def _null(controls, parts) -> np.ndarray:
    """Controls by matrices that were made without them; NaN where there is none."""
    if controls is None:
        return np.empty((0, 0), np.float32)
    width = controls.shape[1] if parts[0][1] is None else parts[0][1].shape[1]
    found = np.full((len(controls), width), np.nan, np.float32)
    for rows, matrix in parts:
        found[rows] = controls[rows] if matrix is None else (
            controls[rows] @ matrix.astype(np.float32))
    return found


def _apart(wells: Wells, fitted: Fitted, profiles, controls) -> Profiled:
    """Profiles from the controls of their plates."""
    apart = profiles.copy()
    for rows in plate_rows(wells.plate).values():
        own = rows[wells.is_control[rows]]
        n = len(own)
        if fitted.recipe.standardise == "none":
            centre = profiles[own].mean(axis=0, dtype=np.float64) if n else np.nan
            apart[rows] = profiles[rows] - centre
            apart[own] *= n / (n - 1) if n > 1 else np.nan
    if fitted.recipe.standardise != "none":
        at = np.flatnonzero(wells.is_control)
        apart[at] = controls if not fitted.matrix.size else applied(
            controls, fitted.matrix, plate_rows(wells.plate[at]).values())
    return Profiled(fitted, profiles, apart, [])


def _whole_plates(plates, is_there, seed: int) -> np.ndarray:
    """Which controls a fit keeps, numbers: whole plates, drawn where there are many."""
    rows = np.flatnonzero(is_there)
    if len(rows) <= _NULL_WELLS:
        return rows
    names, sizes = np.unique(plates[rows], return_counts=True)
    order = np.random.default_rng(seed).permutation(len(names))
    kept = names[order[np.cumsum(sizes[order]) <= _NULL_WELLS]]
    return rows[np.isin(plates[rows], kept)]
