# SPDX-License-Identifier: BSD-3-Clause
"""The interval of a share: the roots of its equation, found slowly, and known values."""

import math

import numpy as np
import pytest

from phenoscale.scores.intervals import bootstrap_share, wilson


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


def slow_bootstrap(right, units, seed):
    """Ends from lists of answers, drawn unit by unit."""
    members = [[r for r, u in zip(right, units) if u == unit] for unit in sorted(set(units))]
    rng, shares = np.random.default_rng(seed), []
    for _ in range(2000):
        drawn = sum((members[k] for k in rng.integers(len(members), size=len(members))), [])
        shares.append(sum(drawn) / len(drawn))
    shares.sort()
    at = [0.025 * 1999, 0.975 * 1999]
    return [shares[int(k)] + (k - int(k)) * (shares[int(k) + 1] - shares[int(k)]) for k in at]


@pytest.mark.parametrize("seed", range(3))
def test_the_bootstrap_of_units_equals_its_slow_twin(seed):
    rng = np.random.default_rng(seed)
    units = rng.integers(12, size=60)
    right = rng.random(60) < 0.3 + 0.5 * (units % 2)
    found = bootstrap_share(right, units, seed)
    assert found == pytest.approx(slow_bootstrap(right.tolist(), units.tolist(), seed), abs=1e-12)


def test_copies_of_an_answer_make_it_no_surer():
    right, units = np.array([True, False] * 10), np.arange(20)
    once = bootstrap_share(right, units)
    assert bootstrap_share(np.repeat(right, 9), np.repeat(units, 9)) == pytest.approx(once)
    low, high = bootstrap_share(np.repeat(right, 9), np.arange(180))
    assert high - low < 0.5 * (once[1] - once[0])


def test_units_that_are_alike_are_as_many_answers():
    assert bootstrap_share(np.ones(40, bool), np.arange(40) // 4) == wilson(10, 10)
    assert all(map(math.isnan, bootstrap_share(np.ones(4, bool), np.zeros(4, int))))
