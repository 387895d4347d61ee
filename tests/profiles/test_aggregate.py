# SPDX-License-Identifier: BSD-3-Clause
"""Fields to wells, and the scores of evaluate.py, each against a slow twin."""

import math
import statistics

import numpy as np
import pandas
import pytest

from phenoscale.errors import InputError
from phenoscale.profiles.aggregate import EPSILON, aggregate, log_odds, wells
from phenoscale.profiles.dose_response import dose_response
from phenoscale.scores.classification import classification
from phenoscale.scores.controls import z_prime
from phenoscale.tables.predictions import probability_columns

FIELDS = pandas.DataFrame(
    {
        "Metadata_Plate": ["P2", "P2", "P1", "P2", "P1"],
        "Metadata_Well": ["B02", "B02", "B02", "A01", "B02"],
        "Metadata_Site": ["1", "2", "1", "1", "2"],
        "Metadata_Compound": ["x", "x", "y", None, "y"],
        "Image_FileName_DNA": ["one", "one", "one", "one", "one"],
        "Phenoscale_Class": ["up", "up", "down 1", "up", "down 1"],
        "Phenoscale_Prob_up": [0.6, 0.8, 0.1, 0.9, 0.3],
        "Phenoscale_Prob_down1": [0.4, 0.2, 0.9, 0.1, 0.7],
        "Phenoscale_Model": "abc",
        "Image_Phenoscale_Emb0000": [1.0, 3.0, 5.0, 7.0, 8.0],
        "Image_Phenoscale_Emb0001": [0.0, 1.0, 0.0, 2.0, 0.5],
        "Image_Count": [3, 4, 5, 6, 7],
    }
)
CLASSES = ["up", "down 1"]


def test_wells_golden():
    result = wells(FIELDS, {"plate": "Metadata_Plate", "well": "Metadata_Well"}, CLASSES)
    expected = pandas.DataFrame(
        {
            "Metadata_Plate": ["P2", "P1", "P2"],
            "Metadata_Well": ["B02", "B02", "A01"],
            "Metadata_Compound": ["x", "y", None],
            "Phenoscale_Model": "abc",
            "Phenoscale_Fields": [2, 2, 1],
            "Phenoscale_Class": ["up", "down 1", "up"],
            "Phenoscale_Prob_up": [0.7, 0.2, 0.9],
            "Phenoscale_Prob_down1": [0.3, 0.8, 0.1],
            "Image_Phenoscale_Emb0000": [2.0, 6.5, 7.0],
            "Image_Phenoscale_Emb0001": [0.5, 0.25, 2.0],
        }
    )
    pandas.testing.assert_frame_equal(result, expected, check_dtype=False)


def test_aggregate_equals_its_slow_twin():
    rng = np.random.default_rng(1)
    classes = ["a", "b", "c"]
    columns = [f"Phenoscale_Prob_{name}" for name in classes]
    frame = pandas.DataFrame(rng.dirichlet([0.3] * 3, size=60), columns=columns)
    frame["group"] = rng.integers(0, 9, 60).astype(str)
    result = aggregate(frame, ["group"], classes)
    assert result["group"].tolist() == list(dict.fromkeys(frame["group"]))
    for row in result.itertuples():
        part = frame[frame["group"] == row.group]
        medians = [statistics.median(part[f"Phenoscale_Prob_{name}"]) for name in classes]
        scores = [median / sum(medians) for median in medians]
        found = [getattr(row, f"Phenoscale_Prob_{name}") for name in classes]
        assert found == pytest.approx(scores, rel=1e-12)
        assert row.Phenoscale_Class == classes[scores.index(max(scores))]
        assert row.Phenoscale_Fields == len(part)


def test_wells_to_compounds_count_fields():
    by_well = aggregate(FIELDS, ["Metadata_Plate", "Metadata_Well"], CLASSES)
    by_plate = aggregate(by_well, ["Metadata_Plate"], CLASSES)
    assert by_plate["Phenoscale_Fields"].tolist() == [3, 2]
    assert list(by_plate.columns).count("Phenoscale_Fields") == 1


def test_medians_that_are_all_zero_give_way_to_means():
    frame = pandas.DataFrame(np.eye(3), columns=[f"Phenoscale_Prob_{name}" for name in "abc"])
    result = aggregate(frame.assign(g="x"), ["g"], "abc")
    assert result.iloc[0, 3:].tolist() == pytest.approx([1 / 3] * 3)


def test_what_is_missing_is_named():
    with pytest.raises(InputError, match="no column Metadata_Wel .*: they have Metadata_Well,"):
        aggregate(FIELDS, ["Metadata_Wel"], CLASSES)
    with pytest.raises(InputError, match="Phenoscale_Prob_Up for the class Up: .*Prob_up"):
        probability_columns(FIELDS, ["Up"])
    with pytest.raises(InputError, match="role well"):
        wells(FIELDS, {"plate": "Metadata_Plate"}, CLASSES)


def test_log_odds():
    scores = log_odds(FIELDS, "up", "down 1")
    pairs = zip(FIELDS["Phenoscale_Prob_up"], FIELDS["Phenoscale_Prob_down1"])
    assert scores.tolist() == pytest.approx([math.log(p / q) for p, q in pairs])
    sure = pandas.DataFrame({"Phenoscale_Prob_a": [1.0, 0.0], "Phenoscale_Prob_b": [0.0, 1.0]})
    limit = -math.log(EPSILON)
    assert log_odds(sure, "a", "b").tolist() == pytest.approx([limit, -limit])


# ---- evaluate ----------------------------------------------------------------------------------


def test_classification_golden():
    found = classification(list("aaabbc"), list("aabbcc"), list("abcd"))
    assert found["confusion"].tolist() == [[2, 1, 0, 0], [0, 1, 1, 0], [0, 0, 1, 0], [0] * 4]
    assert found["accuracy"] == pytest.approx(4 / 6)
    assert found["balanced_accuracy"] == pytest.approx((2 / 3 + 1 / 2 + 1) / 3)
    assert found["n"] == 6
    assert math.isnan(found["per_class"].pop("d"))
    assert found["per_class"] == pytest.approx({"a": 2 / 3, "b": 0.5, "c": 1})


def test_classification_equals_its_slow_twin():
    rng = np.random.default_rng(2)
    truth, predicted = rng.choice(list("abc"), (2, 200))
    found = classification(truth, predicted, "abc")
    pairs = list(zip(truth, predicted))
    assert found["accuracy"] == pytest.approx(sum(t == p for t, p in pairs) / 200)
    recalls = [
        sum(t == p == name for t, p in pairs) / sum(t == name for t, _ in pairs) for name in "abc"
    ]
    assert found["balanced_accuracy"] == pytest.approx(sum(recalls) / 3)
    for i, t in enumerate("abc"):
        for j, p in enumerate("abc"):
            assert found["confusion"][i, j] == pairs.count((t, p))


def test_classification_of_nothing_and_of_strangers():
    found = classification([], [], "ab")
    assert math.isnan(found["accuracy"]) and math.isnan(found["balanced_accuracy"])
    with pytest.raises(InputError, match="unknown class z: the model knows a, b"):
        classification(["a"], ["z"], "ab")
    with pytest.raises(ValueError, match="2 true"):
        classification("ab", "a", "ab")


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
        peer = stats.spearmanr(part["dose"].astype(float), part["score"]).statistic
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
