# SPDX-License-Identifier: BSD-3-Clause
"""The interval of a share: the roots of its equation, found slowly, and known values."""

import math

import pytest

from phenoscale.scores.intervals import wilson


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
