# SPDX-License-Identifier: BSD-3-Clause
"""How a score follows the dose, against a slow twin and scipy."""

import math
import statistics

import numpy as np
import pandas
import pytest

from phenoscale.profiles.dose_response import dose_fits, dose_response
from phenoscale.scores.controls import v_factor
from phenoscale.scores.dose_fit import fit_doses


def slow_ranks(values):
    return [
        sum(other < value for other in values) + (sum(other == value for other in values) + 1) / 2
        for value in values
    ]


def slow_correlation(x, y):
    dx, dy = ([v - statistics.mean(values) for v in values] for values in (x, y))
    product = sum(a * b for a, b in zip(dx, dy))
    return product / math.sqrt(sum(a * a for a in dx) * sum(b * b for b in dy))


def test_dose_response_equals_its_slow_twin():
    rng = np.random.default_rng(4)
    doses = np.repeat([0.01, 0.1, 0.1, 1, 10], 4)
    frame = pandas.DataFrame(
        {
            "drug": np.tile(["x", "y"], 10),
            "dose": [f"{dose:g}" for dose in doses],
            "score": np.round(np.log(doses) + rng.normal(0, 2, 20), 1),
        }
    )
    found = dose_response(frame, "drug", "dose", "score")
    assert found.columns.tolist() == ["compound", "n", "spearman"]
    assert found["compound"].tolist() == ["x", "y"] and found["n"].tolist() == [10, 10]
    for name, spearman in zip(found["compound"], found["spearman"]):
        part = frame[frame["drug"] == name]
        ranks = slow_ranks(part["dose"].astype(float).tolist()), slow_ranks(part["score"].tolist())
        assert spearman == pytest.approx(slow_correlation(*ranks))
        stats = pytest.importorskip("scipy.stats")
        peer = stats.spearmanr(part["dose"].astype(float), part["score"])[0]
        assert spearman == pytest.approx(peer)


def test_dose_response_leaves_out_what_is_no_number():
    frame = pandas.DataFrame(
        {
            "drug": ["x", "x", "x", "x", "flat", "flat", "flat", "two", "two", "", None, "none"],
            "dose": ["1", "2", "3", "", "1", "1", "1", "1", "2", "1", "2", "high"],
            "score": [1, 2, 4, 9, 1, 2, 3, 1, 2, 1, 1, 1],
        }
    )
    found = dose_response(frame, "drug", "dose", "score")
    assert found["compound"].tolist() == ["x", "flat", "two"]
    assert found["n"].tolist() == [3, 3, 2]
    assert found["spearman"].tolist() == pytest.approx([1, np.nan, np.nan], nan_ok=True)


def test_dose_fits_are_those_of_each_compound():
    """Their own wells of dose 0, and others that stand for them, fix the bottom."""
    pytest.importorskip("scipy.optimize")
    rng = np.random.default_rng(6)
    doses = np.tile([0, 0.1, 0.3, 1, 3, 10, 30], 3)
    frame = pandas.DataFrame({
        "drug": np.repeat(["x", "y", ""], 21), "dose": np.tile(doses, 3).astype(str),
        "score": np.tile(4 * doses / (doses + 1), 3) + rng.normal(0, 0.1, 63)})
    found = dose_fits(frame, "drug", "dose", "score", {"y": [0.5, 0.7]})
    assert found["compound"].tolist() == ["x", "y"]
    assert found[["n", "spearman"]].equals(
        dose_response(frame, "drug", "dose", "score")[["n", "spearman"]])
    for row, more in zip(found.to_dict("records"), ([], [0.5, 0.7])):
        score = frame.loc[frame["drug"] == row["compound"], "score"].to_numpy()
        wanted = {**fit_doses([*doses, *(0 for _ in more)], [*score, *more]),
                  **v_factor(doses[doses > 0], score[doses > 0])}
        assert {name: row[name] for name in wanted} == wanted and row["fit_ok"]
    assert found["bottom"][1] == pytest.approx(np.mean(
        [*frame.loc[(frame["drug"] == "y") & (frame["dose"] == "0.0"), "score"], 0.5, 0.7]))
    below = pandas.concat([frame, frame.iloc[[0]].assign(dose="-6", score=99)])
    assert dose_fits(below, "drug", "dose", "score")["ec50"][0] == found["ec50"][0]
    assert len(dose_fits(frame[:0], "drug", "dose", "score")) == 0
