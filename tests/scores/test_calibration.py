# SPDX-License-Identifier: BSD-3-Clause
"""Temperatures and sets of classes: against definitions, and against what they promise."""

import numpy as np
import pytest

from phenoscale.scores.calibration import (
    at_temperature,
    class_sets,
    fit_temperature,
    least_of_most,
    set_limits,
)


def draws(n, temperature=1.0, classes=3, seed=0):
    """Probabilities of a classifier that is right as often as they say at that temperature."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(scale=2.0, size=(n, classes))
    true = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    labels = (true.cumsum(axis=1) < rng.random((n, 1))).sum(axis=1)
    said = np.exp(logits * temperature)  # what is said is too sharp by that factor
    return said / said.sum(axis=1, keepdims=True), labels


def test_a_temperature_divides_logits():
    logits = np.random.default_rng(1).normal(size=(6, 4))
    chances = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    wanted = np.exp(logits / 2.5) / np.exp(logits / 2.5).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(at_temperature(chances, 2.5), wanted, rtol=1e-12)
    np.testing.assert_allclose(at_temperature(chances, 1.0), chances, rtol=1e-12)
    sure = at_temperature(np.array([[1.0, 0.0]]), 0.5)
    assert np.isfinite(sure).all() and sure[0, 0] == pytest.approx(1)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_the_temperature_that_was_planted(temperature):
    said, labels = draws(6000, temperature)
    assert fit_temperature(said, labels) == pytest.approx(temperature, rel=0.12)


def test_the_temperature_is_that_of_the_least_loss():
    said, labels = draws(400, 2.0)
    found = fit_temperature(said, labels)
    weights = (1 / np.bincount(labels))[labels]

    def loss(t):
        return -(weights * np.log(at_temperature(said, t)[np.arange(400), labels])).sum()

    assert all(loss(found) <= loss(found * factor) for factor in (0.9, 1.1))
    assert fit_temperature(np.empty((0, 3)), np.empty(0, int)) == 1.0


@pytest.mark.parametrize("coverage", [0.9, 0.95])
def test_sets_hold_what_they_promise_in_every_class(coverage):
    held = []
    for seed in range(20):
        said, labels = draws(600, 2.0, seed=seed)
        limits = set_limits(said, labels, np.arange(600), coverage)
        more, truth = draws(600, 2.0, seed=1000 + seed)
        is_in = class_sets(more, limits)[np.arange(600), truth]
        held.append([is_in[truth == k].mean() for k in range(3)])
    means = np.mean(held, axis=0)
    assert (means > coverage - 0.01).all() and (means < coverage + 0.02).all()


def test_limits_by_hand():
    """Of 19 wells of one field each the least probability is a limit of 95 %, and of 39 the second:
    one of twenty draws lies below each."""
    chances = np.zeros((19, 2))
    chances[:, 0] = np.linspace(0.05, 0.95, 19)
    labels, wells = np.zeros(19, int), np.arange(19)
    limits = set_limits(chances, labels, wells, 0.95)
    assert limits[0] == pytest.approx(0.05)
    twice = set_limits(np.repeat(chances, 3, axis=0)[:39], np.zeros(39, int), np.arange(39), 0.95)
    assert twice[0] == pytest.approx(0.05)
    assert set_limits(chances[:10], labels[:10], wells[:10], 0.9)[0] == pytest.approx(0.05)
    assert set_limits(chances[:8], labels[:8], wells[:8], 0.9)[0] == 0  # too few wells in all


def test_a_class_of_few_wells_has_the_limit_of_all():
    chances = np.zeros((22, 2))
    chances[:, 0] = 1 - (chances[:, 1] == 0) * np.linspace(0.02, 0.44, 22)
    labels, wells = np.r_[np.zeros(19, int), np.ones(3, int)], np.arange(22)
    chances[19:] = [[0.7, 0.3], [0.6, 0.4], [0.45, 0.55]]
    limits = set_limits(chances, labels, wells, 0.95)
    assert limits[0] == chances[:19, 0].min() and limits[1] == 0.3  # the least of all 22


def slow_least(values, groups, share):
    """By definition: the largest value so that the groups' shares of fields below it, each group
    counting as one of all and the new one, and the new group itself are no more than is missed."""
    names = sorted(set(groups))
    found = None
    for value in sorted(values):
        below = sum(np.mean([v < value for v, g in zip(values, groups) if g == name])
                    for name in names)
        if (below + 1) / (len(names) + 1) <= 1 - share + 1e-12:
            found = value
    return found


@pytest.mark.parametrize("share", [0.8, 0.9, 0.95])
def test_least_of_most_is_its_definition(share):
    rng = np.random.default_rng(4)
    nones = 0
    for n in (3, 4, 8, 9, 12, 19, 25, 40):
        groups = rng.integers(0, n, 5 * n)
        values = rng.choice(np.linspace(0, 1, 30), len(groups))  # some are equal
        wanted = slow_least(values, groups.tolist(), share)
        assert least_of_most(values, groups, share) == wanted
        nones += wanted is None
    assert nones >= 1


def test_fields_of_one_well_are_covered_as_often_as_is_said():
    """Wells differ, fields of a well are alike: a new well's fields are not below in 90 %."""
    rng, held = np.random.default_rng(6), []
    for _ in range(300):
        wells = rng.normal(size=16)[:, None] + rng.normal(scale=0.3, size=(16, 4))
        limit = least_of_most(wells[:15].ravel(), np.repeat(np.arange(15), 4), 0.9)
        held.append((wells[15] >= limit).mean())
    assert 0.87 < np.mean(held) < 0.95


def test_a_well_of_many_fields_counts_once():
    chances = np.full((119, 1), 0.9)
    chances[:100] = 0.2  # a hundred fields of one well
    wells = np.r_[np.zeros(100, int), np.arange(1, 20)]
    limits = set_limits(chances, np.zeros(119, int), wells, 0.9)
    assert limits[0] == 0.9  # that well is the one of twenty that may lie below
