# SPDX-License-Identifier: BSD-3-Clause
"""The recipe: what is drawn is fair, schedules are what they say, wrong words are refused."""

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from phenoscale import InputError
from phenoscale.images.fields import AUGMENTS
from phenoscale.training.recipe import BALANCES, SCHEDULES, Recipe

# ---- what is drawn --------------------------------------------------------------------------


def test_order_by_class_is_balanced_exactly():
    labels = np.repeat([0, 1, 2], [10, 3, 8])
    train_fields = np.arange(21)
    seen = set()
    for epoch in range(12):
        order = BALANCES["class"](train_fields, labels, 7, epoch)
        assert len(order) == 21
        for turn in labels[order].reshape(7, 3):
            assert sorted(turn) == [0, 1, 2]
        counts = np.bincount(order, minlength=21)
        for k in range(3):  # no field twice before each of its class was there once
            assert np.ptp(counts[labels == k]) <= 1
        seen.update(order.tolist())
    assert seen == set(range(21))


def test_order_of_equal_classes_and_of_no_balance_has_every_field_once():
    labels = np.tile([0, 1], 5)
    some = np.array([0, 3, 4, 7, 8, 9])
    for balance in BALANCES:
        orders = [BALANCES[balance](some, labels, 0, epoch) for epoch in range(4)]
        for order in orders:
            assert sorted(order) == sorted(some)
        assert len({tuple(order) for order in orders}) > 1
        assert list(BALANCES[balance](some, labels, 1, 0)) != list(orders[0])


def test_order_of_an_odd_number_leaves_out_the_rest_of_a_turn():
    labels = np.array([0, 0, 0, 0, 1, 1, 1])
    for epoch in range(5):
        order = BALANCES["class"](np.arange(7), labels, 0, epoch)
        assert len(order) == 7 and abs(np.sum(labels[order] == 0) - 3.5) == 0.5


def test_order_does_not_come_from_numpys_generators():
    labels, fields = np.array([0, 0, 0, 1, 1, 1, 1, 0]), np.arange(8)
    before = np.random.get_state()[1].tobytes()
    assert BALANCES["none"](fields, labels, 3, 2).tolist() == [2, 0, 7, 5, 3, 4, 6, 1]
    assert BALANCES["class"](fields, labels, 3, 2).tolist() == [7, 6, 0, 5, 3, 1, 4, 2]
    assert np.random.get_state()[1].tobytes() == before


def test_schedules():
    expected = {"constant": [1, 1, 1, 1], "linear": [0.5, 1, 0.5, 0.01],
                "cosine": [0.5, 1, 0.505, 0.01]}
    for name, factors in expected.items():
        found = [SCHEDULES[name](p, 20) for p in (0.025, 0.05, 0.525, 1)]
        assert found == pytest.approx(factors)
    # 52 epochs, five of them from 0.001 to 0.008, then to 0.0001
    recipe = Recipe(epochs=52, rate=0.008, schedule="published")
    rates = [recipe.rate_at(epoch / 52) for epoch in (0, 2.5, 5, 28.5, 52)]
    assert rates == pytest.approx([0.001, 0.0045, 0.008, 0.00405, 0.0001])
    assert max(Recipe(epochs=1, schedule="published").rate_at(p / 9) for p in range(10)) <= 0.01


def test_the_default_rate_goes_with_the_batch():
    rates = [Recipe(batch=batch).rate for batch in (1, 4, 8, 12, 64)]
    assert rates == pytest.approx([0.0025, 0.01, 0.02, 0.03, 0.032])
    assert Recipe(batch=64, rate=0.5).rate == 0.5


def test_every_augmentation_is_told_of():
    manual = (Path(__file__).parents[2] / "docs" / "training.md").read_text()
    for name in AUGMENTS:
        assert f'"{name}"' in Recipe.__doc__ and f"\n| `{name}` |" in manual


# ---- what is refused ------------------------------------------------------------------------


@pytest.mark.parametrize("options, words", [
    ({"network": "resnet"}, "no network 'resnet': choose one of mcnn, mcnn-gap"),
    ({"network": ["mcnn"]}, "no network"),
    ({"schedule": "step"}, "choose one of constant, linear, cosine, published"),
    ({"select": "first"}, "choose one of last, best"),
    ({"patience": -1}, "patience=-1: give a whole number"),
    ({"optimizer": "lion"}, "choose one of sgd, nesterov, adam"),
    ({"balance": "plate"}, "choose one of class, none"),
    ({"epochs": 0}, "epochs=0: give a whole number from 1"),
    ({"epochs": 2.5}, "whole number"),
    ({"epochs": "3"}, "whole number"),
    ({"batch": 0}, "batch=0"),
    ({"rate": 0}, "rate=0: give a number from"),
    ({"rate": float("nan")}, "rate=nan"),
    ({"rate": float("inf")}, "rate=inf"),
    ({"momentum": 1}, "momentum=1"),
    ({"decay": -1}, "decay=-1"),
    ({"smoothing": 1}, "smoothing=1"),
    ({"clip": -1}, "clip=-1"),
    ({"seed": -1}, "seed=-1"),
    ({"seed": None}, "seed=None"),
    ({"augment": ("twist",)}, "no augmentation 'twist': choose among flip, turn"),
    ({"augment": {"flip": 1}}, "augment={'flip': 1}: give a value, or a list of values"),
    ({"average": 0}, "average=0: give a whole number from 1"),
    ({"average": 41}, "average=41 and epochs=40: give at most"),
    ({"average": 2, "select": "best"}, "average=2 is the mean of the last epochs, where patience"),
    ({"average": 2, "patience": 3}, "leave out one or the other"),
    ({"fc_relu": "no"}, "fc_relu='no': give True or False"),
])
def test_recipe_errors(options, words):
    with pytest.raises(InputError, match=words.replace("(", r"\(")):
        Recipe(**options)


def test_numbers_of_numpy_are_numbers_of_a_recipe():
    recipe = Recipe(epochs=np.int64(3), rate=np.float32(0.5), seed=np.uint8(4), clip=5)
    assert type(recipe.epochs) is int and type(recipe.seed) is int and recipe.clip == 5.0
    assert type(recipe.rate) is float


def test_a_truth_of_numpy_is_one_that_files_can_hold():
    assert json.dumps(asdict(Recipe(fc_relu=np.bool_(False)))) == json.dumps(
        asdict(Recipe(fc_relu=False)))
