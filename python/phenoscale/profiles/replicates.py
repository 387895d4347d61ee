# SPDX-License-Identifier: BSD-3-Clause
"""Whether the wells of a treatment are alike: by retrieval among other wells, and by the cosines of
pairs against a null of wells of different compounds.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from phenoscale.profiles.neighbours import unit_rows
from phenoscale.scores.retrieval import average_precision

__all__ = ["Agreement", "activity", "agreement", "retrieval"]

_SETS = 1000  # of wells of different treatments
_WELLS = 50  # of a treatment that are looked at, drawn
_BLOCK = 2048  # wells compared with the controls at a time


def retrieval(profiles, treatment, compound, plate, asked) -> np.ndarray:
    """How far in front of wells of other compounds the replicates of a well are, by treatment.

    Parameters
    ----------
    profiles : ndarray of float32, (wells, d)
        None of zeros.
    treatment, compound, plate : ndarray of int, (wells,)
        A treatment on several plates is asked for its wells on other plates, so that what a plate
        does to all its wells is no help.
    asked : ndarray of bool, (wells,)
        Wells that are asked; the others, as controls, are negatives alone.

    Returns
    -------
    ndarray of float64, (treatments,)
        Mean average precision of the wells of treatment 0, 1, ...; NaN where none has a positive.
    """
    n = int(treatment.max(initial=-1)) + 1
    pairs = np.unique(np.stack([treatment, plate]), axis=1)
    is_spread = np.bincount(pairs[0], minlength=n) > 1
    apart = np.where(is_spread[treatment], plate, plate.max(initial=0) + 1 + np.arange(len(plate)))
    found = average_precision(profiles, treatment, apart=apart, kin=compound)["precision"]
    is_there = asked & np.isfinite(found)
    with np.errstate(invalid="ignore"):
        return (np.bincount(treatment[is_there], found[is_there], n)
                / np.bincount(treatment[is_there], minlength=n))


def activity(profiles, treatment, is_control) -> dict:
    """Average precision of each well's replicates against the negative controls, as copairs has it
    for phenotypic activity.

    Parameters
    ----------
    profiles : ndarray of float32, (wells, d)
    treatment : ndarray of int, (wells,)
    is_control : ndarray of bool, (wells,)

    Returns
    -------
    dict
        Of `phenoscale.scores.retrieval.average_precision`, arrays (wells,); a block of treatments
        at a time meets the controls.
    """
    n = len(profiles)
    found = {"precision": np.full(n, np.nan), "normalised": np.full(n, np.nan),
             "n_pos": np.zeros(n, np.int64), "n_total": np.zeros(n, np.int64)}
    controls = np.flatnonzero(is_control)
    counts = np.bincount(treatment, minlength=1)
    order = np.argsort(treatment, kind="stable")
    order = order[~is_control[order] & (counts[treatment[order]] > 1)]
    edges = np.flatnonzero(np.diff(treatment[order], prepend=-1))
    while len(edges) and len(controls):
        begin = edges[0]
        after = edges[edges > begin + _BLOCK]
        end = after[0] if len(after) else len(order)
        rows = np.concatenate([order[begin:end], controls])
        part = average_precision(profiles[rows], treatment[rows], controls=is_control[rows])
        for name in found:
            found[name][rows[: end - begin]] = part[name][: end - begin]
        edges = edges[edges >= end]
    return found


class Agreement(NamedTuple):
    """Of each treatment.

    Attributes
    ----------
    median : ndarray of float64, (treatments,)
        Cosine of the pairs of its wells, NaN for one well.
    p : ndarray of float64, (treatments,)
        (1 + sets of as many wells of different treatments that agree as much) / (1 + sets).
    null : ndarray of float64
        Cosines of pairs of wells of different treatments.
    """

    median: np.ndarray
    p: np.ndarray
    null: np.ndarray

    @property
    def above(self) -> float:
        """Share of treatments whose median is above 95 % of the null's pairs."""
        known = self.median[np.isfinite(self.median)]
        limit = np.quantile(self.null, 0.95) if len(self.null) else np.inf
        return float((known > limit).mean()) if len(known) else np.nan


def agreement(profiles, treatment, compound, asked, seed: int = 0) -> Agreement:
    """How alike the wells of each treatment are.

    Parameters
    ----------
    profiles : ndarray of float32, (wells, d)
    treatment, compound : ndarray of int, (wells,)
        Sets of the null have a well of each of several compounds.
    asked : ndarray of bool, (wells,)
        The others, as controls, are left out.
    seed : int
    """
    rng, n = np.random.default_rng(seed), int(treatment.max(initial=-1)) + 1
    rows = np.flatnonzero(asked)
    own = np.split(rows[np.argsort(treatment[rows], kind="stable")],
                   np.cumsum(np.bincount(treatment[rows], minlength=n))[:-1])
    of_compound = [rows[compound[rows] == one] for one in np.unique(compound[rows])]
    nulls: dict = {}
    median, p = np.full(n, np.nan), np.full(n, np.nan)
    for k, mine in enumerate(own):
        mine = mine if len(mine) <= _WELLS else rng.choice(mine, _WELLS, replace=False)
        if len(mine) < 2:
            continue
        median[k] = _median_pair(profiles[mine])
        size = min(len(mine), len(of_compound))
        if size > 1:
            null = nulls.get(size)
            if null is None:
                null = nulls[size] = _null(profiles, of_compound, size, rng)
            p[k] = (1 + int((null >= median[k]).sum())) / (1 + len(null))
    pairs = _null(profiles, of_compound, 2, rng) if len(of_compound) > 1 else np.empty(0)
    return Agreement(median, p, pairs)


def _null(profiles, of_compound, size: int, rng) -> np.ndarray:
    found = np.empty(_SETS)
    for at in range(_SETS):
        some = rng.choice(len(of_compound), size, replace=False)
        found[at] = _median_pair(profiles[[rng.choice(of_compound[one]) for one in some]])
    return found


def _median_pair(profiles) -> float:
    unit = unit_rows(profiles)
    return float(np.median((unit @ unit.T)[np.triu_indices(len(unit), 1)]))
