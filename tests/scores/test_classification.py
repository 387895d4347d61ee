# SPDX-License-Identifier: BSD-3-Clause
"""How often a class is right: golden numbers, and a slow twin."""

import math

import numpy as np
import pytest

from phenoscale.errors import InputError
from phenoscale.scores.classification import classification


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


def test_classification_of_nothing_and_of_strangers():
    found = classification([], [], "ab")
    assert math.isnan(found["accuracy"]) and math.isnan(found["balanced_accuracy"])
    with pytest.raises(InputError, match="unknown class z: the model knows a, b"):
        classification(["a"], ["z"], "ab")
    with pytest.raises(ValueError, match="2 true"):
        classification("ab", "a", "ab")
