# SPDX-License-Identifier: BSD-3-Clause
"""Z' and its robust kin, against a slow twin; the words where there is none."""

import math
import statistics

import numpy as np
import pytest

from phenoscale.scores.controls import z_prime


def slow_z_prime(pos, neg, robust):
    if robust:
        m = [statistics.median(x) for x in (pos, neg)]
        s = [1.4826 * statistics.median(abs(v - c) for v in x) for x, c in zip((pos, neg), m)]
    else:
        m = [statistics.mean(x) for x in (pos, neg)]
        s = [statistics.stdev(x) for x in (pos, neg)]
    return 1 - 3 * (s[0] + s[1]) / abs(m[0] - m[1])


def test_z_prime_equals_its_slow_twin():
    rng = np.random.default_rng(3)
    for n in (2, 3, 8, 31):
        pos, neg = rng.normal(5, 1, n).tolist(), rng.normal(-2, 2, n + 1).tolist()
        found = z_prime(pos, neg)
        assert found["z_prime"] == pytest.approx(slow_z_prime(pos, neg, robust=False))
        assert found["robust_z_prime"] == pytest.approx(slow_z_prime(pos, neg, robust=True))
        assert found["reason"] == ""
    assert z_prime([4, 6], [0, 2], ddof=0)["z_prime"] == pytest.approx(1 - 3 * 2 / 4)
    assert z_prime([4, 6], [0, 2])["z_prime"] == pytest.approx(1 - 3 * 2 * math.sqrt(2) / 4)


@pytest.mark.parametrize(
    "pos, neg, words",
    [
        ([1.0], [2.0, 3.0], "1 positive and 2 negative wells"),
        ([], [], "0 positive"),
        ([1.0, np.nan], [2.0, 3.0], "not a finite number"),
        ([0.1 + 0.2, 0.5], [0.3, 0.5], "the means and the medians of both controls are equal"),
        ([1.0, 1.0, 1.0, 5.0], [1.0, 1.0, 1.0, 9.0], "the medians of both controls are equal"),
    ],
)
def test_z_prime_undefined(pos, neg, words):
    found = z_prime(pos, neg)
    assert words in found["reason"] and math.isnan(found["robust_z_prime"])
    assert math.isnan(found["z_prime"]) == ("the medians of" not in words[:14])
