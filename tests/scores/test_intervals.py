# SPDX-License-Identifier: BSD-3-Clause
"""The interval of a share: the roots of its equation, found slowly, and known values; intervals by
drawing groups, against a slow twin and theory."""

import math

import numpy as np
import pytest

from phenoscale.scores.intervals import DRAWS, bootstrap, wilson


def slow_wilson(right, n):
    """Ends by bisection: the shares p from which `right` of n is just 1.96 deviations away."""
    share = right / n

    def is_far(p):
        deviation = math.sqrt(p * (1 - p) / n)
        return p != share and (not deviation or abs(share - p) / deviation > 1.96)

    def end(far):
        near = share
        for _ in range(60):
            middle = (near + far) / 2
            near, far = (near, middle) if is_far(middle) else (middle, far)
        return far

    return (end(0.0) if right else 0.0), (end(1.0) if right < n else 1.0)


@pytest.mark.parametrize("n", [1, 2, 7, 12, 100, 4000])
def test_wilson_equals_its_slow_twin(n):
    for right in sorted({0, 1, n // 3, n // 2, n - 1, n}):
        assert wilson(right, n) == pytest.approx(slow_wilson(right, n), abs=1e-12)


@pytest.mark.parametrize("right, n, known", [
    (81, 263, (0.255, 0.366)),  # Newcombe 1998, Stat Med 17:857, table I, method 3
    (15, 148, (0.0624, 0.1605)),
    (0, 20, (0.0, 0.1611)),
    (1, 29, (0.0061, 0.1718)),
])
def test_known_intervals(right, n, known):
    assert wilson(right, n) == pytest.approx(known, abs=6e-4)


def test_sides_are_alike_and_within_one():
    for n in range(1, 40):
        for right in range(n + 1):
            low, high = wilson(right, n)
            assert 0 <= low <= right / n <= high <= 1
            assert wilson(n - right, n) == pytest.approx((1 - high, 1 - low), abs=1e-12)


def mean_of(values):
    """A statistic: the mean of rows that count several times."""
    return lambda weights: [np.average(values, weights=weights)]


def test_bootstrap_equals_its_slow_twin():
    """Groups drawn row by row, in the order of the same random numbers."""
    rng = np.random.default_rng(4)
    values, groups = rng.normal(0, 1, 40), rng.choice(list("abcdefg"), 40).tolist()
    names, twin, found = list(dict.fromkeys(groups)), np.random.default_rng(7), []
    for _ in range(DRAWS):
        drawn = [names[at] for at in twin.integers(len(names), size=len(names))]
        rows = [row for name in drawn for row, group in enumerate(groups) if group == name]
        found.append(np.mean(values[rows]))
    low, high = bootstrap(mean_of(values), groups, seed=7)
    assert (low[0], high[0]) == pytest.approx(tuple(np.percentile(found, [2.5, 97.5])))


def test_rows_of_a_group_are_no_evidence_of_their_own():
    """Ten equal fields in each of 30 wells: the interval of the 30 wells, not of 300 rows."""
    wells = np.random.default_rng(5).normal(0, 1, 30)
    ends = bootstrap(mean_of(np.repeat(wells, 10)), np.repeat(np.arange(30), 10), draws=4000)
    of_wells = bootstrap(mean_of(wells), range(30), draws=4000)
    assert np.ravel(ends) == pytest.approx(np.ravel(of_wells))
    half = 1.96 * wells.std() / math.sqrt(30)
    assert np.ravel(ends) == pytest.approx([wells.mean() - half, wells.mean() + half], abs=0.05)


def test_seeds_groups_and_scores_without_an_interval():
    values, groups = [1.0, 2.0, 4.0, 8.0], ["a", "b", "c", "d"]
    first = bootstrap(mean_of(values), groups)
    assert first == bootstrap(mean_of(values), [(name,) for name in groups])
    assert first != bootstrap(mean_of(values), groups, seed=1)
    for few in ([], ["a"] * 4):
        low, high = bootstrap(lambda weights: [1.0, 2.0], few)
        assert np.isnan(low).all() and np.isnan(high).all() and len(low) == 2
    never, sometimes = bootstrap(
        lambda weights: [math.nan, 1.0 if weights[0] else math.nan], groups)[0]
    assert math.isnan(never) and sometimes == 1
