# SPDX-License-Identifier: BSD-3-Clause
"""How certain answers are, by fields that nobody trained on; what an ordinary training says of it.
"""

import numpy as np
import pytest

from phenoscale.scores.calibration import fit_temperature
from phenoscale.training.certain import found_on, what_lacks


def draws(n, seed):
    """Probabilities that are too sharp, and labels."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(scale=2.0, size=(n, 3))
    true = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    said = np.exp(logits * 2)
    return (said / said.sum(axis=1, keepdims=True),
            (true.cumsum(axis=1) < rng.random((n, 1))).sum(axis=1))


def test_found_on_all():
    said, labels = draws(500, 1)
    found = found_on(said, labels, [f"w{k // 2}" for k in range(500)], "made up")
    assert found.temperature == fit_temperature(said, labels) and found.why == "made up"
    assert set(found.sets) == {"90", "95"} and all(len(one) == 3 for one in found.sets.values())
    assert found.reach == 1


def test_larger_sets_hold_the_smaller():
    """Also where a class has wells enough for the one, and for the other those of all classes."""
    rng = np.random.default_rng(2)
    for _ in range(20):
        said, labels = draws(60, rng.integers(1000))
        found = found_on(said, labels, list(range(60)))
        assert (np.array(found.sets["95"]) <= found.sets["90"]).all()


def test_the_reach_is_where_nearly_all_are():
    said, labels = draws(900, 5)
    novelty = np.random.default_rng(6).random(900)
    found = found_on(said, labels, list(range(900)), novelty=novelty)
    shares = [(novelty[labels == k] <= found.reach).mean() for k in range(3)]
    assert min(shares) > 0.97 and 0.95 < found.reach < 1
    few = found_on(said[:30], labels[:30], list(range(30)), novelty=novelty[:30])
    assert few.reach == novelty[:30].max()  # none of the few wells is called a stranger
    assert found_on(said, labels, list(range(900)), novelty=np.full(900, np.nan)).reach == 1


@pytest.mark.parametrize(("wells", "labels", "words"), [
    ([], [0, 1], "no column names the wells"),
    (["a", "b"], [0, 1], "2 wells are among those watched, where 19 with all classes are needed"),
    (list(range(19)), [0] * 19, "no well of class fine is among those watched"),
    (list(range(19)), [0] * 18 + [1], "")])
def test_what_lacks(wells, labels, words):
    found = what_lacks(np.array(labels), wells, ["coarse", "fine"])
    assert found.startswith(words) and bool(found) == bool(words)
