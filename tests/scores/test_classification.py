# SPDX-License-Identifier: BSD-3-Clause
"""How often a class is right: golden numbers, and a slow twin."""

import math

import numpy as np
import pytest

from phenoscale.errors import InputError
from phenoscale.scores.classification import classification, confusion_scores


def test_classification_golden():
    found = classification(list("aaabbc"), list("aabbcc"), list("abcd"))
    assert found["confusion"].tolist() == [[2, 1, 0, 0], [0, 1, 1, 0], [0, 0, 1, 0], [0] * 4]
    assert found["accuracy"] == pytest.approx(4 / 6)
    assert found["balanced_accuracy"] == pytest.approx((2 / 3 + 1 / 2 + 1) / 3)
    assert found["n"] == 6
    assert math.isnan(found["per_class"].pop("d"))
    assert found["per_class"] == pytest.approx({"a": 2 / 3, "b": 0.5, "c": 1})


def test_classification_equals_its_slow_twin():
    rng = np.random.default_rng(2)
    truth, predicted = rng.choice(list("abc"), (2, 200))
    found = classification(truth, predicted, "abc")
    pairs = list(zip(truth, predicted))
    assert found["accuracy"] == pytest.approx(sum(t == p for t, p in pairs) / 200)
    recalls = [
        sum(t == p == name for t, p in pairs) / sum(t == name for t, _ in pairs) for name in "abc"
    ]
    assert found["balanced_accuracy"] == pytest.approx(sum(recalls) / 3)
    for i, t in enumerate("abc"):
        for j, p in enumerate("abc"):
            assert found["confusion"][i, j] == pairs.count((t, p))


def test_scores_equal_those_of_scikit_learn():
    metrics = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(8)
    for names in ("abc", "abcd"):  # d is called, and never true
        truth, predicted = rng.choice(list("abc"), 90), rng.choice(list(names), 90)
        found = classification(truth, predicted, "abcde")
        assert found["accuracy"] == pytest.approx(metrics.accuracy_score(truth, predicted))
        assert found["macro_f1"] == pytest.approx(
            metrics.f1_score(truth, predicted, average="macro"))
        recalls = metrics.recall_score(truth, predicted, average=None, labels=list("abc"))
        assert found["balanced_accuracy"] == pytest.approx(recalls.mean())


def test_a_confusion_of_weights():
    """As of the rows that it stands for, twice and half of them."""
    whole = [[4, 2], [1, 3]]
    for scale in (2, 0.5):
        assert confusion_scores(scale * np.array(whole)) == pytest.approx(confusion_scores(whole))
    assert confusion_scores(whole)["macro_f1"] == pytest.approx((8 / 11 + 6 / 9) / 2)
    assert all(map(math.isnan, confusion_scores(np.zeros((2, 2))).values()))


def test_classification_of_nothing_and_of_strangers():
    found = classification([], [], "ab")
    assert math.isnan(found["accuracy"]) and math.isnan(found["balanced_accuracy"])
    with pytest.raises(InputError, match="unknown class z: the model knows a, b"):
        classification(["a"], ["z"], "ab")
    with pytest.raises(ValueError, match="2 true"):
        classification("ab", "a", "ab")
