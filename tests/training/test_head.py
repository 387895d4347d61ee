# SPDX-License-Identifier: BSD-3-Clause
"""How the head of the measures is fitted, how strongly, and whose opinion is chosen."""

import sys
from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("pandas"), pytest.importorskip("sklearn")
from phenoscale import InputError
from phenoscale.training.head import (
    Watched,
    fit_head,
    logistic,
    measurer_for,
    probabilities_of,
)
from phenoscale.training.recipe import Recipe

MEASURER = SimpleNamespace(names=[f"m{k}" for k in range(6)], channel="DNA")


def fields(n=60, apart=2.0, seed=0, classes=2, per_well=2):
    """Numbers (n, 6), of which the first tells the class; labels; wells of so many fields."""
    rng = np.random.default_rng(seed)
    wells = np.arange(n) // per_well
    labels = wells % classes
    numbers = rng.normal(size=(n, 6))
    numbers[:, 0] += apart * labels
    numbers[:, 4] = 7.0  # says nothing
    numbers[3, 5] = np.nan  # is undefined in a field
    return (numbers * 100 + 5).astype(np.float32), labels, wells


@pytest.mark.parametrize("classes", [2, 3])
def test_the_fitted_head_is_the_regression(classes):
    from sklearn.linear_model import LogisticRegression

    numbers, labels, wells = fields(classes=classes)
    head = fit_head(MEASURER, numbers, labels, wells, True, "measures")
    known = numbers[:, :4].astype(float)
    known = (known - known.mean(axis=0)) / known.std(axis=0)
    model = LogisticRegression(C=head.strength, class_weight="balanced", max_iter=5000)
    wanted = model.fit(known, labels).predict_proba(known)
    found = head.probabilities(np.zeros((len(labels), classes), np.float32), numbers)
    np.testing.assert_allclose(found, wanted, atol=2e-3)
    assert head.scale[4] == head.scale[5] == 0 and head.nuclei == "DNA"
    assert "measures, as asked" in head.why


def test_wells_stay_together_in_the_inner_folds():
    """Fields of a well are copies: with them apart, numbers without any class would look sure."""
    rng = np.random.default_rng(3)
    wells = np.arange(80) // 4
    numbers = np.repeat(rng.normal(size=(20, 40)), 4, axis=0) + 1e-3 * rng.normal(size=(80, 40))
    labels = rng.permutation(np.arange(20) % 2)[wells]
    measurer = SimpleNamespace(names=[f"m{k}" for k in range(40)], channel=None)
    head = fit_head(measurer, numbers.astype(np.float32), labels, wells, True)
    assert head.kind == "network" and "no better than chance" in head.why
    apart = fit_head(measurer, numbers.astype(np.float32), labels, np.arange(80), True)
    assert apart.kind == "both"  # what it would be if every field went its own way


def test_noise_is_held_down():
    clear, noisy = fields(200, 6.0), fields(200, 0.7)
    assert (fit_head(MEASURER, *clear, True).strength > fit_head(MEASURER, *noisy, True).strength)


@pytest.mark.parametrize(("wells", "words"), [
    ([0, 0, 1, 1], "a class has one group alone"), ([0, 1, 2, 3], "2 inner folds")])
def test_few_wells(wells, words):
    numbers, labels, _ = fields(4)
    head = fit_head(MEASURER, np.nan_to_num(numbers), labels, wells, True)
    assert words in head.why and np.isfinite(head.weights).all()


@pytest.mark.parametrize(("network", "sure", "measures", "kind"), [
    (40, 30.0, 40, "both"), (40, 3.0, 20, "network"), (20, 30.0, 40, "measures"),
    (38, 30.0, 40, "both")])
def test_chosen_by_the_watched_fields(network, sure, measures, kind):
    """The first so many of 40 fields are right by network and by measures."""
    numbers, labels, wells = fields(200, 6.0)
    truth = np.arange(40) % 2
    ours = np.where(np.arange(40) < network, truth, 1 - truth)
    logits = np.where(ours[:, None] == [0, 1], sure, 0.0).astype(np.float32)
    theirs = np.where(np.arange(40) < measures, truth, 1 - truth)
    watched = np.tile(np.nanmean(numbers, axis=0), (40, 1)).astype(np.float32)
    watched[:, 0] = np.where(theirs, 1000, -400)
    found = fit_head(MEASURER, numbers, labels, wells, True, None, Watched(logits, watched, truth))
    assert found.kind == kind
    assert f"network {network}" in found.why and "of 40)" in found.why


def test_the_same_bits_for_any_threads_of_linear_algebra():
    from threadpoolctl import threadpool_limits

    numbers, labels, wells = fields(300, 1.0)
    heads = []
    for threads in (1, 2):
        with threadpool_limits(threads):
            heads.append(fit_head(MEASURER, numbers, labels, wells, True))
    assert heads[0].weights.tobytes() == heads[1].weights.tobytes()


def test_two_classes_have_opposite_weights():
    numbers, labels, _ = fields()
    weights, bias = logistic(np.nan_to_num(numbers) / 100, labels, 1.0)
    np.testing.assert_array_equal(weights[:, 0], -weights[:, 1])
    assert bias[0] == -bias[1]


def test_probabilities_of_others():
    numbers, labels, _ = fields(100, 5.0)
    chances = probabilities_of(numbers, labels, fields(50, 5.0, seed=1)[0])
    assert chances.shape == (50, 2)
    assert (chances.argmax(axis=1) == fields(50)[1]).mean() > 0.9


def test_without_scikit_learn(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn", None)
    said = []
    assert measurer_for(Recipe(), ["DNA"], 1, said.append) == (None, "")
    assert "pip install scikit-learn" in said[0]
    with pytest.raises(InputError, match="head both: pip install scikit-learn"):
        measurer_for(Recipe(head="both"), ["DNA"], 1, said.append)
    assert measurer_for(Recipe(head="network"), ["DNA"], 1, said.append) == (None, "")


def test_whose_cells_are_counted():
    measurer, words = measurer_for(Recipe(), ["Actin", "DAPI"], 1, print)
    assert measurer.channel == "DAPI" and "DAPI" in words
    assert measurer_for(Recipe(nuclei="none"), ["Actin", "DAPI"], 1, print)[0].channel is None
    with pytest.raises(InputError, match="no channel Hoechst"):
        measurer_for(Recipe(nuclei="Hoechst"), ["Actin"], 1, print)


def test_a_head_that_is_none():
    with pytest.raises(InputError, match="there is no head 'forest'"):
        Recipe(head="forest")
