# SPDX-License-Identifier: BSD-3-Clause
"""What chance does: every order looked at, copairs, statsmodels, known intervals."""

import itertools
import math
import sys

import numpy as np
import pytest

from phenoscale.scores.chance import (
    benjamini_hochberg,
    cluster_interval,
    expected_precision,
    mean_average_precision,
)
from phenoscale.scores.retrieval import average_precision


def every_precision(positives, total):
    """The average precision of each order of some positives among all."""
    for ranks in itertools.combinations(range(1, total + 1), positives):
        yield sum(k / rank for k, rank in enumerate(ranks, 1)) / positives


def rows_of(*rows):
    """Rows (precision, positives, total) as `average_precision` gives them."""
    precision, n_pos, n_total = map(np.array, zip(*rows))
    chance = expected_precision(n_pos, n_total)
    return {"precision": precision, "n_pos": n_pos, "n_total": n_total,
            "normalised": (precision - chance) / (1 - chance)}


@pytest.mark.parametrize("positives, total", [(1, 1), (1, 5), (2, 5), (3, 9), (4, 4), (5, 11)])
def test_expectation_is_the_mean_over_every_order(positives, total):
    every = list(every_precision(positives, total))
    assert expected_precision([positives], [total])[0] == pytest.approx(sum(every) / len(every))


def test_expectation_without_a_positive():
    assert np.isnan(expected_precision([0, 0], [0, 5])).all()


@pytest.mark.parametrize("positives, total", [(1, 6), (2, 7), (3, 8)])
def test_exact_p_is_the_share_of_every_order(positives, total):
    every = list(every_precision(positives, total))
    for precision in sorted(set(every)):
        found = mean_average_precision(rows_of((precision, positives, total)), ["a"], size=100)
        assert found["exact"].all()
        share = sum(one >= precision - 1e-9 for one in every) / len(every)
        assert found["p"][0] == pytest.approx(share)


def test_random_p_comes_near_the_exact_one():
    for precision in (0.3, 0.5, 0.8):
        rows = rows_of((precision, 3, 20))
        exact = mean_average_precision(rows, ["a"], size=1140)
        drawn = mean_average_precision(rows, ["a"], size=1139, seed=7)
        assert exact["exact"][0] and not drawn["exact"][0]
        error = math.sqrt(exact["p"][0] * (1 - exact["p"][0]) / 1139)
        assert abs(drawn["p"][0] - exact["p"][0]) < 4 * error + 2 / 1139


def test_means_of_groups():
    found = mean_average_precision(rows_of((0.5, 2, 9), (1.0, 3, 9), (0.4, 1, 9), (np.nan, 0, 8)),
                                   ["b", "b", "a", "c"], size=200)
    assert found["group"].tolist() == ["a", "b"] and found["n"].tolist() == [1, 2]
    assert found["mean"].tolist() == [0.4, 0.75] and found["exact"].tolist() == [True, False]
    assert mean_average_precision(rows_of((np.nan, 0, 8)), ["c"])["group"].size == 0


@pytest.mark.skipif(sys.version_info < (3, 11), reason="copairs is for Python 3.11 on")
def test_p_and_q_equal_copairs(tmp_path):
    pandas, copairs = pytest.importorskip("pandas"), pytest.importorskip("copairs.map")
    rng = np.random.default_rng(1)
    groups = rng.permutation(np.repeat(np.arange(60), np.arange(60) % 4 + 4))
    profiles = rng.normal(size=(len(groups), 12)) + 0.7 * rng.normal(size=(60, 12))[groups]
    about = pandas.DataFrame({"g": groups, "half": np.arange(len(groups)) % 2})
    for apart, columns in ((None, []), (about["half"].to_numpy(), ["half"])):
        theirs = copairs.average_precision(about, profiles.astype("f4"), ["g"], columns, [], ["g"],
                                           progress_bar=False)
        expected = copairs.mean_average_precision(
            theirs, ["g"], null_size=500, threshold=0.05, seed=4, progress_bar=False,
            cache_dir=tmp_path / str(len(columns)))
        found = mean_average_precision(average_precision(profiles.astype("f4"), groups, apart),
                                       groups, size=500, seed=4)
        several = ~found["exact"]
        assert several.sum() > 40
        np.testing.assert_allclose(found["p"][several], expected["p_value"].to_numpy()[several],
                                   atol=1 / 501)
        np.testing.assert_allclose(found["mean"], expected["mean_average_precision"], atol=1e-6)
        np.testing.assert_allclose(
            found["normalised"], expected["mean_normalized_average_precision"], atol=1e-6)
        np.testing.assert_allclose(benjamini_hochberg(expected["p_value"]),
                                   expected["corrected_p_value"], atol=1e-12)


def test_p_of_chance_is_even():
    """Of random profiles a tenth has p <= 0.1, within four deviations."""
    rng = np.random.default_rng(2)
    groups = np.repeat(np.arange(300), 2)
    found = mean_average_precision(average_precision(rng.normal(size=(600, 400)), groups), groups,
                                   size=1000)
    for share in (0.1, 0.5):
        error = math.sqrt(share * (1 - share) / 300)
        assert abs(np.mean(found["p"] <= share) - share) < 4 * error


def test_benjamini_hochberg_by_its_definition():
    p = np.random.default_rng(0).random(40).round(2)
    q = benjamini_hochberg(p)
    for one, mine in zip(p, q):
        rates = [t * len(p) / sum(p <= t) for t in p if t >= one]
        assert mine == pytest.approx(min(1, min(rates)))
    assert benjamini_hochberg([]).size == 0


def test_interval_draws_whole_clusters():
    values, clusters = np.repeat([0.0, 1.0], 50), np.repeat(["a", "b"], 50)
    assert cluster_interval(values, clusters) == (0, 1)  # two pieces of evidence, not a hundred
    assert np.isnan(cluster_interval(values, ["a"] * 100)).all()
    low, high = cluster_interval(values, np.arange(100))
    assert low == pytest.approx(0.5 - 1.96 * 0.05, abs=0.02)
    assert high == pytest.approx(0.5 + 1.96 * 0.05, abs=0.02)
    assert (low, high) == cluster_interval(values, np.arange(100))
    lacking = np.append(values, np.nan)
    assert cluster_interval(lacking, np.arange(101)) == (low, high)


def test_interval_equals_its_slow_twin():
    rng = np.random.default_rng(3)
    values, clusters = rng.random(30), rng.integers(0, 8, 30)
    names = sorted(set(clusters))
    means, generator = [], np.random.default_rng(11)
    for _ in range(2000):
        picked = [names[k] for k in generator.integers(len(names), size=len(names))]
        mine = [v for name in picked for v, c in zip(values, clusters) if c == name]
        means.append(sum(mine) / len(mine))
    assert cluster_interval(values, clusters, seed=11) == pytest.approx(
        np.percentile(means, [2.5, 97.5]))
