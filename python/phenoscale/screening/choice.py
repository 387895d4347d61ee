# SPDX-License-Identifier: BSD-3-Clause
"""Which steps a profile is made by: each is kept where replicates then find each other better in
wells that it was not fitted on.  Labels of classes are never looked at.

    half of the plates --fit a step--> the other half --> mAP of replicates of each treatment

Kept is what gains more than one standard error of the gains of the treatments; of several strengths
the best is taken.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from phenoscale.profiles.components import covariance, directions, kept_components
from phenoscale.profiles.fitted import Recipe
from phenoscale.profiles.position import can_polish, polish
from phenoscale.profiles.replicates import retrieval
from phenoscale.profiles.sphering import STRENGTHS, sphering_gains
from phenoscale.profiles.standardise import (
    METHODS,
    in_control_units,
    plate_rows,
    plate_scale,
    pooled_spread,
)
from phenoscale.screening.wells import Wells

__all__ = ["SHARES", "Choice", "choose"]

#: of the variance that components keep
SHARES = (0.99, 0.95, 0.9)
_TREATED, _CONTROLS = 3000, 1000  # wells that are looked at; controls among the negatives


@dataclass
class Choice:
    """What was tried and kept.

    Attributes
    ----------
    recipe : Recipe
    steps : list of dict
        step, kept, value, tried (value, retrieval, gain, error of each), why; as profile.json has
        it.
    notes : list of str
    """

    recipe: Recipe
    steps: list = field(default_factory=list)
    notes: list = field(default_factory=list)


def choose(wells: Wells, places, aggregate: str, standardise: str | None, seed: int = 0) -> Choice:
    """Choose the steps.

    Parameters
    ----------
    wells : Wells
    places : ndarray of int, (wells, 2)
        Of `phenoscale.profiles.position.places_of`.
    aggregate : str
        As it was done.
    standardise : {"mean", "robust", "none"} or None
        None: the better of the first two, "none" without controls.
    seed : int
    """
    ways = [standardise] if standardise else [*METHODS] if wells.is_control.any() else ["none"]
    trial = _Trial(wells, np.random.default_rng(seed))
    choice = Choice(Recipe(aggregate, ways[0]))
    if not trial.folds:
        choice.notes.append("no treatment has two wells, by whose likeness steps could be chosen: "
                            f"none is taken but the standardising ({ways[0]})")
        return choice
    _standardise(choice, trial, ways)
    _position(choice, trial, places)
    if choice.recipe.standardise == "none":
        _scale(choice, trial)
    _components(choice, trial)
    if wells.is_control[trial.rows].sum() > 2 and choice.recipe.standardise != "none":
        _sphering(choice, trial)
    return choice


# ---- what is scored ------------------------------------------------------------------------------


class _Trial:
    """Some wells, in two halves, and how well replicates in each find each other.

    Attributes
    ----------
    rows : ndarray of int
        The wells: whole treatments, and all controls.
    folds : list of ndarray of bool
        Which of these are scored; [] where none has replicates.
    raw : ndarray of float32, (rows, features)
    now, then : list of ndarray
        The wells of each fold as they are now, scored and the others, which steps are fitted on.
    score : ndarray
        `of` them.
    """

    def __init__(self, wells: Wells, rng):
        self.wells = wells
        is_treated = ~wells.is_control & (np.array(wells.treatments, object) != "")[wells.treatment]
        order = rng.permutation(len(wells.treatments))[wells.treatment]
        treated = np.flatnonzero(is_treated)
        treated = treated[np.argsort(order[treated], kind="stable")]
        if len(treated) > _TREATED:
            last = order[treated[_TREATED - 1]]
            treated = treated[order[treated] < last] if order[treated[0]] < last else treated[
                :_TREATED]
        self.rows = np.sort(np.concatenate([treated, np.flatnonzero(wells.is_control)]))
        self.is_control = wells.is_control[self.rows]
        few = np.flatnonzero(self.is_control)
        self.is_seen = ~self.is_control
        self.is_seen[few if len(few) <= _CONTROLS else rng.choice(few, _CONTROLS, False)] = True
        self.treatment, self.compound, self.plate = (
            code[self.rows] for code in (wells.treatment, wells.compound, wells.plate))
        self.raw = wells.values[self.rows]
        self.by, self.folds = self._halves(rng)

    def _halves(self, rng):
        """By plates where half of the replicated treatments keep replicates so, else by treatments,
        and controls by wells."""
        plates = np.unique(self.plate)
        most = self._replicated(np.ones(len(self.rows), bool))
        if len(plates) > 1 and most:
            half = rng.permutation(len(plates)) % 2
            side = half[np.searchsorted(plates, self.plate)]
            if 2 * len(set().union(*(self._replicated(side == k) for k in (0, 1)))) >= len(most):
                return "plates", [side == 0, side == 1]
        side = (rng.permutation(self.treatment.max(initial=0) + 1) % 2)[self.treatment]
        side[self.is_control] = rng.permutation(int(self.is_control.sum())) % 2
        return "treatments", [side == k for k in (0, 1)] if most else []

    def _replicated(self, mask) -> set:
        mine = self.treatment[mask & ~self.is_control]
        return set(np.flatnonzero(np.bincount(mine, minlength=1) > 1).tolist())

    def begin(self, values) -> None:
        """Take wells as they are made the same way for all."""
        self.now = [values[fold & self.is_seen] for fold in self.folds]
        self.then = [values[~fold] for fold in self.folds]
        self.score = self.of(self.now)

    def of(self, parts) -> np.ndarray:
        """Mean average precision of each treatment, over the folds in which it has replicates."""
        found = np.full((len(parts), len(self.wells.treatments)), np.nan)
        for k, (fold, values) in enumerate(zip(self.folds, parts)):
            rows = np.flatnonzero(fold & self.is_seen)
            there = values.any(axis=1)
            rows, values = rows[there], values[there]
            if len(rows):
                mine = retrieval(values, self.treatment[rows], self.compound[rows],
                                 self.plate[rows], ~self.is_control[rows])
                found[k, : len(mine)] = mine
        known = np.isfinite(found)
        with np.errstate(invalid="ignore"):
            return np.where(known, found, 0).sum(axis=0) / known.sum(axis=0)

    def gain(self, score) -> tuple[float, float]:
        """Mean gain over the present score, and its standard error over treatments."""
        gains = (score - self.score)[np.isfinite(score) & np.isfinite(self.score)]
        if len(gains) < 2:
            return (float(gains.mean()) if len(gains) else 0.0), np.inf
        return float(gains.mean()), float(gains.std(ddof=1) / np.sqrt(len(gains)))


def _kept(choice: Choice, trial: _Trial, step: str, values, scores):
    """Note what was tried; the number of the value that is kept, None for none."""
    tried, best = [], None
    for value, score in zip(values, scores):
        gain, error = trial.gain(score)
        tried.append({"value": value, "retrieval": float(np.nanmean(score)), "gain": gain,
                      "error": error})
        if best is None or gain > tried[best]["gain"]:
            best = len(tried) - 1
    top = tried[best]
    is_kept = top["gain"] > top["error"]
    why = (f"held-out retrieval {'gains' if top['gain'] > 0 else 'loses'} "
           f"{abs(top['gain']):.3f} +- {top['error']:.3f}")
    choice.steps.append({"step": step, "kept": is_kept, "value": top["value"] if is_kept else None,
                         "tried": tried, "why": why})
    return best if is_kept else None


# ---- the steps -----------------------------------------------------------------------------------


def _made(trial: _Trial, values, how: str) -> np.ndarray:
    """Wells standardised by plate; as they are about their mean for "none"."""
    if how == "none":
        return np.nan_to_num(values - np.nanmean(values, axis=0, dtype=np.float64).astype(
            np.float32))
    pooled = pooled_spread(values, trial.plate, trial.is_control, how)
    varies = pooled > 0
    values, pooled, found = values[:, varies], pooled[varies], None
    found = np.empty_like(values)
    for rows in plate_rows(trial.plate).values():
        scale = plate_scale(values[rows[trial.is_control[rows]]], how, pooled)
        found[rows] = in_control_units(values[rows], scale)
    return found


def _standardise(choice: Choice, trial: _Trial, ways) -> None:
    made = {how: _made(trial, trial.raw, how) for how in ways}
    trial.begin(made[ways[0]])
    if len(ways) > 1:
        scores = []
        for how in ways[1:]:
            scores.append(trial.of([made[how][fold & trial.is_seen] for fold in trial.folds]))
        best = _kept(choice, trial, "standardise", ways[1:], scores)
        if best is None:
            choice.steps[-1].update(kept=True, value=ways[0])
        else:
            choice.recipe = choice.recipe._replace(standardise=ways[1 + best])
            trial.begin(made[ways[1 + best]])


def _position(choice: Choice, trial: _Trial, places) -> None:
    wells = trial.wells
    all_rows = plate_rows(wells.plate).values()
    able = [rows for rows in all_rows if can_polish(places[rows])]
    if not able:
        choice.steps.append({"step": "position", "kept": False, "value": None, "tried": [],
                             "why": "no plate has wells enough: four rows and columns with four "
                                    "wells in each on the average"})
        return
    at, is_wanted = np.full(len(wells), -1), np.zeros(len(wells), bool)
    at[trial.rows], is_wanted[trial.rows] = np.arange(len(trial.rows)), True
    polished = trial.raw.copy()
    for rows in able:
        mine = is_wanted[rows]
        if mine.any():
            polished[at[rows[mine]]] = polish(wells.values[rows], places[rows])[mine]
    made = _made(trial, polished, choice.recipe.standardise)
    parts = [made[fold & trial.is_seen] for fold in trial.folds]
    if _kept(choice, trial, "position", ["median polish"], [trial.of(parts)]) is not None:
        choice.recipe = choice.recipe._replace(position=True)
        trial.begin(made)


def _scale(choice: Choice, trial: _Trial) -> None:
    parts, others = [], []
    for now, then in zip(trial.now, trial.then):
        spread = then.std(axis=0)
        spread = np.where(spread > 0, spread, np.inf).astype(np.float32)
        parts.append(now / spread)
        others.append(then / spread)
    if _kept(choice, trial, "scale", ["deviation of all wells"], [trial.of(parts)]) is not None:
        choice.recipe = choice.recipe._replace(scale=True)
        trial.now, trial.then = parts, others
        trial.score = trial.of(parts)


def _components(choice: Choice, trial: _Trial) -> None:
    found = [directions(covariance(then)[1]) for then in trial.then]
    tried = []
    for share in SHARES:
        columns = [axes[:, : kept_components(variances, share)].astype(np.float32)
                   for variances, axes in found]
        tried.append([now @ axes for now, axes in zip(trial.now, columns)])
    best = _kept(choice, trial, "pca", list(SHARES), [trial.of(parts) for parts in tried])
    if best is not None:
        choice.recipe = choice.recipe._replace(share=SHARES[best])
        trial.then = [then @ axes[:, : kept_components(variances, SHARES[best])].astype(np.float32)
                      for then, (variances, axes) in zip(trial.then, found)]
        trial.now, trial.score = tried[best], trial.of(tried[best])


def _sphering(choice: Choice, trial: _Trial) -> None:
    turned = []
    for fold, now, then in zip(trial.folds, trial.now, trial.then):
        variances, axes = directions(covariance(then[trial.is_control[~fold]])[1])
        turned.append((now @ axes.astype(np.float32), variances))
    scores = [trial.of([now * sphering_gains(variances, eps).astype(np.float32)
                        for now, variances in turned]) for eps in STRENGTHS]
    best = _kept(choice, trial, "sphering", list(STRENGTHS), scores)
    if best is not None:
        choice.recipe = choice.recipe._replace(eps=STRENGTHS[best])
