# SPDX-License-Identifier: BSD-3-Clause
"""Fields to wells, against a slow twin."""

import math
import statistics

import numpy as np
import pandas
import pytest

from phenoscale.errors import InputError
from phenoscale.profiles.aggregate import EPSILON, aggregate, log_odds, wells
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
    result = aggregate(frame.assign(g="x"), "g", list("abc"))
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
