# SPDX-License-Identifier: BSD-3-Clause
"""What folds find holds in the fold that it was not found on, and is not found there."""

import numpy as np
import pytest

from phenoscale.evaluation.certain import checked


def draws(n, temperature=1.0, seed=0):
    """Probabilities that are too sharp by a factor, and labels as often as they should be."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(scale=2.0, size=(n, 3))
    true = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    said = np.exp(logits * temperature)
    return (said / said.sum(axis=1, keepdims=True),
            (true.cumsum(axis=1) < rng.random((n, 1))).sum(axis=1))


def test_the_promise_holds_in_folds_that_were_not_looked_at():
    said, labels = draws(3000, 3.0)
    found = checked(said, labels, list(range(3000)), np.arange(3000) % 5)
    assert found["ece"] < 0.03 < found["ece_before"]
    assert found["covered_90"] == pytest.approx(0.90, abs=0.02)
    assert found["covered_95"] == pytest.approx(0.95, abs=0.02)
    assert 1 < found["size_90"] < found["size_95"] < 3


def test_a_fold_unlike_the_others_shows():
    """Its classes are called by other names: sets found on the others cannot hold them."""
    said, labels = draws(1000, seed=2)
    folds = np.arange(1000) % 4
    strange = np.where(folds == 3, (labels + 1) % 3, labels)
    assert checked(said, strange, list(range(1000)), folds)["covered_95"] < 0.9


def test_strangers_are_missed_no_more_often():
    """What is unlike every class is in no set, and the limits leave room for it."""
    said, labels = draws(3000, seed=3)
    novelty = np.random.default_rng(4).normal(1, 0.2, 3000)
    found = checked(said, labels, list(range(3000)), np.arange(3000) % 5, novelty)
    assert found["covered_95"] == pytest.approx(0.95, abs=0.02)
    assert found["none_95"] > 0.01  # half of what may be missed lies beyond the reach
