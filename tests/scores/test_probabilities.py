# SPDX-License-Identifier: BSD-3-Clause
"""Scores of probabilities: against scikit-learn and slow twins; rows that count several times."""

import math

import numpy as np
import pytest

from phenoscale.scores.probabilities import BINS, NAMES, Scored


def drawn(seed=0, n=300, classes=4, decimals=2):
    """Truth and probabilities with ties, some skill."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(classes, size=n)
    p = rng.dirichlet([0.7] * classes, n) + 0.6 * np.eye(classes)[truth] * rng.random((n, 1))
    p = np.round(p / p.sum(axis=1, keepdims=True), decimals) + 0.001
    return truth, p / p.sum(axis=1, keepdims=True)


def slow_auc(truth, p):
    """The share of pairs in the right order, class by class."""
    found = []
    for k in range(p.shape[1]):
        own, others = p[truth == k, k], p[truth != k, k]
        if len(own) and len(others):
            found.append(np.mean([(a > b) + (a == b) / 2 for a in own for b in others]))
    return np.mean(found) if found else math.nan


def slow_ece(truth, p):
    gaps = 0
    for b in range(BINS):
        rows = [i for i, top in enumerate(p.max(axis=1))
                if b / BINS < top <= (b + 1) / BINS or b == top == 0]
        if rows:
            right = np.mean([p[i].argmax() == truth[i] for i in rows])
            gaps += len(rows) / len(p) * abs(right - np.mean([p[i].max() for i in rows]))
    return gaps


def slow_brier(truth, p):
    return sum((p[i, k] - (k == truth[i])) ** 2
               for i in range(len(p)) for k in range(p.shape[1])) / len(p)


@pytest.mark.parametrize("classes", [2, 3, 7])
def test_scores_equal_their_slow_twins(classes):
    truth, p = drawn(classes, 120, classes)
    found = Scored(truth, p).scores()
    assert tuple(found) == NAMES
    assert found["auc"] == pytest.approx(slow_auc(truth, p))
    assert found["ece"] == pytest.approx(slow_ece(truth, p))
    assert found["brier"] == pytest.approx(slow_brier(truth, p))
    assert found["accuracy"] == pytest.approx(np.mean(p.argmax(axis=1) == truth))


@pytest.mark.parametrize("classes", [2, 5])
def test_scores_equal_those_of_scikit_learn(classes):
    metrics = pytest.importorskip("sklearn.metrics")
    truth, p = drawn(10 + classes, 400, classes)
    found, calls = Scored(truth, p).scores(), p.argmax(axis=1)
    peers = {
        "accuracy": metrics.accuracy_score(truth, calls),
        "balanced_accuracy": metrics.balanced_accuracy_score(truth, calls),
        "macro_f1": metrics.f1_score(truth, calls, average="macro"),
        "auc": (metrics.roc_auc_score(truth, p[:, 1]) if classes == 2 else
                metrics.roc_auc_score(truth, p, multi_class="ovr", average="macro")),
        "log_loss": metrics.log_loss(truth, p, labels=range(classes))}
    if classes == 2:
        peers["brier"] = 2 * metrics.brier_score_loss(truth, p[:, 1])
    assert {name: found[name] for name in peers} == pytest.approx(peers, rel=1e-9)


def test_weights_are_repeats():
    truth, p = drawn(3, 80, 3)
    weights = np.random.default_rng(1).integers(0, 4, 80)
    again = Scored(np.repeat(truth, weights), np.repeat(p, weights, axis=0))
    assert Scored(truth, p).scores(weights) == pytest.approx(again.scores())


def test_what_is_not_defined():
    found = Scored([1, 1], [[0.2, 0.8], [0.6, 0.4]]).scores()
    assert math.isnan(found["auc"]) and found["accuracy"] == 0.5
    nothing = Scored([0, 1], np.full((2, 2), 0.5)).scores([0, 0])
    assert tuple(nothing) == NAMES and all(map(math.isnan, nothing.values()))


def test_a_sure_error_has_a_finite_loss():
    found = Scored([0, 1], [[0, 1], [0, 1]]).scores()
    assert found["log_loss"] == pytest.approx(-math.log(1e-12) / 2)
    assert found["brier"] == 1 and found["ece"] == 0.5


def test_edges_of_bins():
    """A bin holds its upper end; of four rows in two bins, by hand."""
    edge = 9 / BINS
    p = np.array([[edge, 1 - edge], [edge + 1e-6, 1 - edge - 1e-6]])
    found = Scored([0, 1], p).scores()
    assert found["ece"] == pytest.approx((1 - edge) / 2 + (edge + 1e-6) / 2)
