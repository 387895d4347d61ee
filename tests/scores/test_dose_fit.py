# SPDX-License-Identifier: BSD-3-Clause
"""Dose curves: planted ones found again, against scipy's own fit and a slow search of a grid; when
an EC50 may not be used."""

import math

import numpy as np
import pytest

optimize = pytest.importorskip("scipy.optimize")
from phenoscale.scores.dose_fit import fit_doses, is_ranks, sigmoid

DOSES = np.repeat([0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30], 3)
NUMBERS = ("ec50", "ec50_low", "ec50_high", "bottom", "top", "hill", "r2")


def scores(bottom=-2.0, top=5.0, ec50=0.5, hill=1.3, noise=0.2, doses=DOSES, seed=0):
    """Of wells at some doses."""
    exact = np.full(len(doses), bottom, dtype=float)
    exact[doses > 0] = sigmoid(doses[doses > 0], bottom, top, ec50, hill)
    return exact + np.random.default_rng(seed).normal(0, noise, len(doses))


@pytest.mark.parametrize("bottom, top", [(-2, 5), (5, -2), (1000, 1003), (-1e-5, 2e-5)])
@pytest.mark.parametrize("hill", [0.8, 1, 2.5])
def test_a_planted_curve_is_found(bottom, top, hill):
    found = fit_doses(DOSES, scores(bottom, top, hill=hill, noise=0))
    assert found["fit_ok"] and found["reason"] == "" and found["doses"] == 8
    planted = {"ec50": 0.5, "hill": hill, "r2": 1}
    assert {name: found[name] for name in planted} == pytest.approx(planted, rel=1e-3)
    assert found["top"] - found["bottom"] == pytest.approx(top - bottom, rel=1e-2)
    assert not found["is_outside"]


def slow_fit(doses, y):
    """(error, EC50) by a fine grid: bottom and top are linear where EC50 and slope are known."""
    best = (math.inf, math.nan)
    for at in np.linspace(-3, 2.4, 109):
        for hill in np.geomspace(0.1, 10, 61):
            share = 1 / (1 + (10 ** at / doses) ** hill)
            parts, rest, *_ = np.linalg.lstsq(np.stack([1 - share, share], axis=1), y, rcond=None)
            best = min(best, (float(rest[0]) if len(rest) else math.inf, 10 ** at))
    return best


@pytest.mark.parametrize("seed", range(3))
def test_the_fit_is_no_worse_than_a_grid(seed):
    y = scores(noise=0.8, seed=seed)
    found = fit_doses(DOSES, y)
    error = np.sum((sigmoid(DOSES, *(found[name] for name in ("bottom", "top", "ec50", "hill")))
                    - y) ** 2)
    least, ec50 = slow_fit(DOSES, y)
    assert error <= least * (1 + 1e-9)
    assert math.log10(found["ec50"]) == pytest.approx(math.log10(ec50), abs=0.06)
    assert found["r2"] == pytest.approx(1 - error / np.sum((y - y.mean()) ** 2))


def test_the_interval_is_that_of_scipy():
    stats = pytest.importorskip("scipy.stats")
    y = scores(noise=0.5, seed=4)

    def curve(x, bottom, top, at, hill):
        return sigmoid(x, bottom, top, 10 ** at, hill)

    best, covariance = optimize.curve_fit(curve, DOSES, y, [y.min(), y.max(), -0.3, 1])
    half = stats.t.ppf(0.975, len(y) - 4) * math.sqrt(covariance[2, 2])
    found = fit_doses(DOSES, y)
    peer = {"ec50": 10 ** best[2], "ec50_low": 10 ** (best[2] - half),
            "ec50_high": 10 ** (best[2] + half), "bottom": best[0], "top": best[1],
            "hill": best[3]}
    assert {name: found[name] for name in peer} == pytest.approx(peer, rel=2e-3)


def test_intervals_cover_the_truth():
    """Of 60 noisy curves about 95 %: 51 or more, which fewer than one in 1,000 sets would miss."""
    found = [fit_doses(DOSES, scores(noise=0.5, seed=seed)) for seed in range(60)]
    assert sum(one["ec50_low"] < 0.5 < one["ec50_high"] for one in found) >= 51
    assert sum(one["fit_ok"] for one in found) >= 55


def test_dose_zero_is_the_bottom():
    doses = np.concatenate([np.zeros(6), DOSES])
    y = scores(doses=doses)
    found = fit_doses(doses, y)
    assert found["bottom"] == pytest.approx(y[:6].mean()) and found["fit_ok"]
    assert found["doses"] == 8 and found["ec50"] == pytest.approx(0.5, rel=0.15)
    low = np.repeat([1.0, 3, 10, 30, 100], 3)  # without dose 0 no plateau
    alone = fit_doses(low, scores(doses=low, ec50=1.1, noise=0.02))
    with_zero = np.concatenate([np.zeros(6), low])
    assert not alone["fit_ok"] and "no plateau: the lowest dose" in alone["reason"]
    assert fit_doses(with_zero, scores(doses=with_zero, ec50=1.1, noise=0.02))["fit_ok"]


@pytest.mark.parametrize("most, words", [(0.3, "the EC50 is outside the doses"),
                                         (1, "no plateau: the highest dose is")])
def test_curves_that_have_not_ended(most, words):
    doses = DOSES[DOSES <= most]
    found = fit_doses(doses, scores(ec50=0.9 if most < 1 else 0.6, noise=0.01, doses=doses))
    assert not found["fit_ok"] and words in found["reason"]
    assert found["is_outside"] == (most < 1)


@pytest.mark.parametrize("doses, y, words", [
    ([1, 1, 1, 2, 2, 3], [0, 0, 1, 1, 2, 3], "3 doses: 4 needed"),
    ([1, 2, 3, 4], [0, 1, 2, 3], "4 wells for 4 parameters"),
    ([1, 2, 3, 4, 5], [2, 2, 2, 2, 2], "the scores of all doses are equal"),
    ([1, 2, 3, 4, 5], [0, 1, 2, 3, np.nan], "a score is not a finite number"),
    ([], [], "0 doses: 4 needed"),
])
def test_no_fit(doses, y, words):
    found = fit_doses(doses, y)
    assert words in found["reason"] and not found["fit_ok"]
    assert all(math.isnan(found[name]) for name in NUMBERS)


def test_noise_and_steps_are_no_curve():
    noise = fit_doses(DOSES, np.random.default_rng(3).normal(0, 1, len(DOSES)))
    assert not noise["fit_ok"] and noise["reason"]
    step = fit_doses(DOSES, (DOSES > 0.5) * 1.0)
    assert not step["fit_ok"] and "the slope is at its bound, 10" in step["reason"]
    assert math.isnan(step["ec50_low"])


@pytest.mark.filterwarnings("error")
def test_doses_of_any_range():
    """Nothing overflows."""
    doses = 10.0 ** np.repeat(np.arange(-60, 60, 12), 2)
    found = fit_doses(doses, scores(ec50=1.0, doses=doses))
    assert (found["bottom"], found["top"]) == pytest.approx((-2, 5), abs=0.3)


def test_units_do_not_matter():
    y = scores(seed=6)
    found, nano = fit_doses(DOSES, y), fit_doses(1000 * DOSES, 7 * y - 3)
    assert nano["ec50"] == pytest.approx(1000 * found["ec50"], rel=1e-4)
    assert nano["top"] == pytest.approx(7 * found["top"] - 3, rel=1e-4)
    assert (nano["hill"], nano["r2"]) == pytest.approx((found["hill"], found["r2"]), rel=1e-4)


def test_ranks():
    assert is_ranks([0, 1, 2, 3, 4, 4]) and is_ranks([3, 2, 1])
    assert not any(map(is_ranks, ([], [1, 2], [1, 2, 4], [0.5, 1, 2], [2, 3, 4])))
