# SPDX-License-Identifier: BSD-3-Clause
"""Z', its robust kin, SSMD and V, against slow twins; the words where there is none."""

import math
import statistics

import numpy as np
import pytest

from phenoscale.scores.controls import separation, v_factor


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
        found = separation(pos, neg)
        assert found["z_prime"] == pytest.approx(slow_z_prime(pos, neg, robust=False))
        assert found["robust_z_prime"] == pytest.approx(slow_z_prime(pos, neg, robust=True))
        spread = math.sqrt(statistics.variance(pos) + statistics.variance(neg))
        distance = statistics.mean(pos) - statistics.mean(neg)
        assert found["ssmd"] == pytest.approx(distance / spread)
        assert found["reason"] == ""
    assert separation([4, 6], [0, 2], ddof=0)["z_prime"] == pytest.approx(1 - 3 * 2 / 4)
    assert separation([4, 6], [0, 2])["z_prime"] == pytest.approx(1 - 3 * 2 * math.sqrt(2) / 4)


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
    found = separation(pos, neg)
    assert words in found["reason"] and math.isnan(found["robust_z_prime"])
    assert math.isnan(found["z_prime"]) == ("the medians of" not in words[:14])


def test_the_sign_of_ssmd_and_where_it_is_undefined():
    assert separation([1, 3], [5, 7])["ssmd"] == pytest.approx(-2)
    assert separation([1, 3], [1, 3])["ssmd"] == 0
    found = separation([2.0, 2.0], [1.0, 1.0])
    assert found["z_prime"] == found["robust_z_prime"] == 1 and math.isnan(found["ssmd"])
    assert found["reason"] == "the wells of each control are equal, so there is no SSMD"
    both = separation([1.0, 1.0], [1.0, 1.0])
    assert math.isnan(both["ssmd"]) and "means and the medians" in both["reason"]


def slow_v(doses, scores):
    wells = {}
    for dose, score in zip(doses, scores):
        wells.setdefault(dose, []).append(score)
    several = [of for of in wells.values() if len(of) > 1]
    means = [statistics.mean(of) for of in several]
    spread = statistics.mean(statistics.stdev(of) for of in several)
    return 1 - 6 * spread / abs(max(means) - min(means))


def test_v_equals_its_slow_twin():
    rng = np.random.default_rng(9)
    for n in (1, 2, 5):
        doses = [0.1, 0.1, 0.1, 1, 1, 10, 10] + [100] * n  # of one well there is no SD
        scores = (np.log10(doses) * 3 + rng.normal(0, 0.2, len(doses))).tolist()
        found = v_factor(doses, scores)
        assert found == {"v": pytest.approx(slow_v(doses, scores)), "v_reason": ""}
    pos, neg = rng.normal(5, 1, 4), rng.normal(0, 2, 4)
    assert v_factor([1] * 4 + [0] * 4, [*pos, *neg])["v"] == pytest.approx(
        separation(pos, neg)["z_prime"])


@pytest.mark.parametrize("doses, scores, words", [
    ([1, 2, 3], [1, 2, 3], "0 doses with two wells or more: 2 needed"),
    ([1, 1, 3], [1, 2, 3], "1 dose with two wells or more"),
    ([1, 1, 3, 3], [1, 2, 2, 1], "the means of all doses are equal"),
    ([1, 1, 3, 3], [1, 2, 2, np.inf], "not a finite number"),
])
def test_v_undefined(doses, scores, words):
    found = v_factor(doses, scores)
    assert words in found["v_reason"] and math.isnan(found["v"])
