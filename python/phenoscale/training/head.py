# SPDX-License-Identifier: BSD-3-Clause
"""At the end of a training: the head of the measures, and whose opinion is the model's.

    numbers of the training fields -> penalised logistic regression -> models/head.py
    inner folds of whole wells     -> how strong the penalty is
    the fields watched             -> whether network or measures alone are better than both

Embeddings of fields that a network was trained on say nothing of how well it knows others, so that
no regression is fitted on them: a head of both is the mean of two probabilities, which on held-out
plates and compounds was as good as the better of the two where a regression on [embedding,
measures] was not (docs/measured.md).
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np

from phenoscale.errors import InputError
from phenoscale.images.measures import Measurer, find_nuclei
from phenoscale.models.head import BOTH, HEADS, Head, standardised
from phenoscale.scores.intervals import group_numbers
from phenoscale.training.recipe import Recipe
from phenoscale.words import listed

__all__ = ["COME_FROM", "Watched", "choose_kind", "fit_head", "inner_folds", "logistic",
           "measurer_for", "probabilities_of"]

#: how the sentence on the choice of a head begins
COME_FROM = "the classes come from"
_STRENGTHS = tuple(10.0**k for k in range(-4, 2))
_UNASKED = 0.1  # the strength where no folds can be made
_FOLDS = 5
_STEPS = 5000  # of the solver
_CLEARLY = 2.0  # standard errors that another head has to be better by
_SURE = 1e-7  # the least probability whose logarithm is taken


@dataclass
class Watched:
    """Fields that nothing was fitted on: the logits of the network, numbers and labels of n."""

    logits: np.ndarray
    numbers: np.ndarray
    labels: np.ndarray


def measurer_for(recipe: Recipe, channels, threads: int, warn) -> tuple[Measurer | None, str]:
    """What measures the fields of a training, None where the head is to be the network alone or
    nothing can fit another; and a sentence on whose cells are counted.

    warn: callable that takes a sentence.
    """
    if recipe.head == HEADS[0]:
        return None, ""
    try:
        import sklearn  # noqa: F401
    except ModuleNotFoundError:
        words, cure = "scikit-learn is missing", "pip install scikit-learn"
        if recipe.head:
            raise InputError(f"{words}, which fits the head {recipe.head}: {cure}") from None
        warn(f"{words}: the network alone says what class a field is, without the measures; {cure}")
        return None, ""
    nuclei, said = find_nuclei(channels, recipe.nuclei)
    return Measurer(channels, nuclei, threads), said


def fit_head(measurer, numbers: np.ndarray, labels: np.ndarray, groups, balanced: bool,
             kind: str | None = None, watched: Watched | None = None) -> Head:
    """The head of the measures.

    Parameters
    ----------
    measurer : phenoscale.images.measures.Measurer
        What the numbers are of.
    numbers : ndarray of float32, (n, measures)
        Of the training fields.
    labels : ndarray of int64, (n,)
        Their classes, 0 to k - 1; each is there.
    groups : sequence of n hashable
        What stays together in the inner folds: wells, or compounds.
    balanced : bool
        Whether every class counts as much as any other.
    kind : str, optional
        One of `phenoscale.models.head.HEADS`; by default chosen.
    watched : Watched, optional
        By which it is chosen; without them by what the inner folds say of the measures.

    Raises
    ------
    ModuleNotFoundError
        Without scikit-learn.
    """
    mean, scale = _scale_of(numbers)
    values = standardised(numbers, mean, scale)
    strength, right, words = _choose_strength(values, labels, list(groups), balanced)
    weights, bias = logistic(values, labels, strength, balanced)
    head = Head(BOTH, list(measurer.names), measurer.channel, strength, "",
                mean, scale, np.vstack([weights, bias]).astype(np.float32))
    head.kind, why = (kind, "as asked") if kind else _choose_kind(head, watched, labels, right)
    what = {HEADS[0]: "the network", HEADS[1]: "the measures", BOTH: "network and measures"}
    head.why = (f"{COME_FROM} {what[head.kind]}, {why}; the strength of the measures' "
                f"regression is {strength:g}, {words}")
    return head


def logistic(values: np.ndarray, labels: np.ndarray, strength: float, balanced: bool = True
             ) -> tuple[np.ndarray, np.ndarray]:
    """Multinomial logistic regression: weights (measures, k) and bias (k,), float64.

    The bits do not depend on the threads that the libraries of linear algebra have.
    """
    model = _fitted(values, labels, strength, balanced)
    weights, bias = model.coef_.T, model.intercept_
    if weights.shape[1] == 1:  # of two classes scikit-learn says how much more the second one is
        weights, bias = np.hstack([-weights / 2, weights / 2]), np.hstack([-bias / 2, bias / 2])
    return weights, bias


def probabilities_of(values: np.ndarray, labels: np.ndarray, others: np.ndarray,
                     strength: float = _UNASKED) -> np.ndarray:
    """Of others (m, k) by a regression on training fields of such values, (n, numbers)."""
    mean, scale = _scale_of(values)
    model = _fitted(standardised(values, mean, scale), labels, strength, True)
    return model.predict_proba(standardised(others, mean, scale))


def _fitted(values, labels, strength, balanced):
    from sklearn.linear_model import LogisticRegression
    from threadpoolctl import threadpool_limits

    model = LogisticRegression(C=strength, max_iter=_STEPS,
                               class_weight="balanced" if balanced else None)
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that the last digits still move
        return model.fit(values, labels)


def _scale_of(numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and inverse deviation of each number, float32; scale 0 where it does not vary or is
    undefined in some field."""
    numbers = numbers.astype(np.float64)
    is_there = np.isfinite(numbers).all(axis=0)
    known = np.where(is_there, numbers, 0.0)
    mean, spread = known.mean(axis=0), known.std(axis=0)
    varies = is_there & (spread > 1e-6 * np.abs(mean)) & (spread > 1e-30)
    scale = np.where(varies, 1 / np.where(varies, spread, 1.0), 0.0)
    return mean.astype(np.float32), scale.astype(np.float32)


def inner_folds(values, labels: np.ndarray, groups) -> tuple[list, str]:
    """Folds of whole groups, (rows to fit, the rest), each with every class to fit; or none, and
    why."""
    from sklearn.model_selection import StratifiedGroupKFold

    groups = group_numbers(groups)
    least = min(len(np.unique(groups[labels == k])) for k in np.unique(labels))
    if least < 2:
        return [], "since a class has one group alone, which no folds can be made of"
    folds = [(fit, rest) for fit, rest in StratifiedGroupKFold(min(_FOLDS, least)).split(
        values, labels, groups) if len(rest)]
    folds = [(fit, rest) for fit, rest in folds
             if len(np.unique(labels[fit])) == len(np.unique(labels))]
    return folds, "" if folds else "since no folds have every class"


def _choose_strength(values, labels, groups, balanced) -> tuple[float, float, str]:
    """The strongest penalty whose loss in the inner folds is within a standard error of the least;
    the share of right answers there, nan without folds; words."""
    folds, why = inner_folds(values, labels, groups)
    if not folds:
        return _UNASKED, np.nan, why
    groups = group_numbers(groups)
    losses, rights = [], []
    for strength in _STRENGTHS:
        loss, right = np.full(len(labels), np.nan), np.full(len(labels), np.nan)
        for fit, rest in folds:
            chances = _fitted(values[fit], labels[fit], strength, balanced).predict_proba(
                values[rest])
            loss[rest] = -np.log(np.maximum(
                chances[np.arange(len(rest)), labels[rest]], _SURE))
            right[rest] = chances.argmax(axis=1) == labels[rest]
        rights.append(np.nanmean(right))
        losses.append([np.nanmean(loss[groups == group]) for group in np.unique(groups)
                       if np.isfinite(loss[groups == group]).any()])
    losses = np.array(losses)
    means = losses.mean(axis=1)
    best = int(means.argmin())
    error = losses[best].std() / np.sqrt(losses.shape[1])
    chosen = int(np.flatnonzero(means <= means[best] + error)[0])
    return (_STRENGTHS[chosen], float(rights[chosen]),
            f"by {len(folds)} inner folds of whole groups, where the measures are right in "
            f"{rights[chosen]:.0%} of the training fields")


def choose_kind(hits: dict) -> tuple[str, str]:
    """Whose opinion is the model's, by fields that it was not trained on: both, unless one alone
    is right in more of them by two standard errors.

    hits: each of `HEADS` to whether a field is right, (n,) bool.

    Returns
    -------
    kind : str
    words : str
    """
    words = listed(f"{kind} {hits[kind].sum()}" for kind in HEADS)
    for kind in HEADS[:2]:
        more, differ = int(hits[kind].sum() - hits[BOTH].sum()), hits[kind] != hits[BOTH]
        if more > _CLEARLY * np.sqrt(differ.sum()):
            return kind, f"which is clearly better than both (right: {words} of {len(differ)})"
    return BOTH, ("than which neither alone is clearly better (right: "
                  f"{words} of {len(hits[BOTH])})")


def _choose_kind(head: Head, watched: Watched | None, labels, right: float) -> tuple[str, str]:
    """A kind, and why."""
    if watched is not None and len(watched.labels):
        hits = {}
        for kind in HEADS:
            head.kind = kind
            chances = head.probabilities(watched.logits, watched.numbers)
            hits[kind] = chances.argmax(axis=1) == watched.labels
        kind, words = choose_kind(hits)
        return kind, f"by the watched fields: {words}"
    chance = np.bincount(labels).max() / len(labels)
    noise = np.sqrt(chance * (1 - chance) / len(labels))
    if right < chance + _CLEARLY * noise:
        return HEADS[0], "since the measures are no better than chance in the inner folds"
    return BOTH, "without watched fields to choose by"
