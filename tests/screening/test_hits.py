# SPDX-License-Identifier: BSD-3-Clause
"""Hits: what is active is found and what is not is not, and what each column says."""

import numpy as np
import pytest

import profiled
from phenoscale.screening.hits import cell_ratios, cell_word
from phenoscale.screening.profile import profile


@pytest.fixture(scope="module")
def found():
    return profile(profiled.predictions())


def test_active_treatments_are_hits_and_others_are_not(found):
    hits = found.hits
    is_active = profiled.is_active(hits["Treatment"])
    assert len(hits) == 15 and (hits["Hit"][is_active] == "yes").all()
    assert (hits["Hit"][~is_active] != "yes").all()
    assert hits["Rank"].tolist() == list(range(1, 16)) and hits["p"].is_monotonic_increasing
    assert (hits["p"] >= hits["Floor"]).all() and (hits["q"] >= hits["p"]).all()
    assert (hits["Distance"][~is_active] < 2).all() and (hits["Effect"][is_active] > 3).all()
    assert (hits["Agreement"][is_active] > 0.5).all() and (hits["Agreement_p"] > 0).all()
    assert (hits["mAP"][is_active] > 0.7).all()


def test_columns_say_what_the_wells_are(found):
    hits = found.hits.set_index("Treatment")
    assert (hits["Wells"] == 8).all() and (hits["Plates"] == 4).all()
    assert hits.loc["SIM-2 1", "CellWord"] == "toxic" and hits.loc["SIM-1 1", "CellWord"] == (
        "as controls")
    assert hits.loc["SIM-1 1", "Class"] == "up" and hits.loc["DUD-1 1", "Class"] == "as is"
    assert hits.loc["SIM-1 1", "Prob"] == hits.loc["SIM-1 1", "Prob_up"]
    assert hits.loc["SIM-3 1", "None"] == 1 and hits.loc["SIM-3 1", "Set"] == "(none of these)"
    assert hits.loc["SIM-1 1", "None"] == 0 and hits.loc["SIM-1 1", "Set"] == "asis up"
    near = hits.loc["SIM-1 1"]
    assert near["Nearest1"] == "SIM-1 0.8" and near["Nearest1_Hit"] == "yes"
    assert near["Nearest1_Similarity"] > 0.9 > near["Nearest2_Similarity"]
    assert hits.loc["SIM-2 1", "Words"] == "a hit with half of the cells or less"


def test_noise_has_no_hits():
    """All compounds do nothing, on 4 seeds."""
    for seed in range(4):
        frame = profiled.predictions(seed)
        names = [c for c in frame if "Emb" in c]
        wells = frame.groupby(["Metadata_Plate", "Metadata_Well"]).ngroup()
        frame[names] = np.random.default_rng(seed).normal(size=(len(frame), len(names)))[wells]
        hits = profile(frame).hits
        assert (hits["Hit"] == "yes").sum() <= 1
        assert (hits["p"] <= 0.05).mean() <= 0.2


def test_few_controls_cannot_say():
    frame = profiled.predictions(plates=("P1",), controls=4)
    one = frame.drop_duplicates(["Metadata_Compound", "Metadata_Concentration", "Metadata_Well"])
    alone = one.drop_duplicates(["Metadata_Compound", "Metadata_Concentration"])
    alone = one[(one["Metadata_Compound"] == "DMSO") | one.index.isin(alone.index)]
    found = profile(alone)
    is_active = profiled.is_active(found.hits["Treatment"])
    assert (found.hits["Hit"][is_active] == "cannot say").all()
    assert found.hits["Floor"].tolist() == [1 / 5] * 15
    assert found.hits["Words"][0].startswith("farther than all sets of control wells")
    assert "p cannot be below 0.2; one well, no replicate" in found.hits["Words"][0]
    assert any("to be below 0.2" in note for note in found.about["notes"])
    none = profile(alone[alone["Metadata_Compound"] != "DMSO"])
    assert none.hits["p"].isna().all() and (none.hits["Hit"] == "cannot say").all()
    assert none.hits["Words"][0].startswith("no negative controls on its plates")


def test_wells_have_what_treatments_have(found):
    wells = found.wells
    is_active = profiled.is_active(wells["Phenoscale_Treatment"])
    controls = wells["Phenoscale_Control"] == "negative"
    assert (wells["Phenoscale_Distance"][is_active] > 1.4).mean() > 0.9
    assert np.median(wells["Phenoscale_Distance"][controls]) == pytest.approx(1, abs=0.25)
    assert wells["Phenoscale_P"].between(1 / 33 - 1e-9, 1).all()
    columns = [c for c in found.treatments if c.startswith("Image_")]
    wells = wells[wells["Phenoscale_Treatment"] == "SIM-1 1"]
    mine = found.treatments.set_index("Phenoscale_Treatment").loc["SIM-1 1"]
    assert np.allclose(wells[columns].median(), mine[columns].astype(float), atol=1e-4)


def test_cells_against_the_plates_controls():
    ratios = cell_ratios(np.array([10.0, 30, 20, 4, 8, np.nan]), np.array([0, 0, 0, 1, 1, 1]),
                         np.array([True, True, False, True, False, False]))
    assert ratios[:5].tolist() == [0.5, 1.5, 1, 1, 2] and np.isnan(ratios[5])
    none = cell_ratios(np.array([1.0, 2]), np.zeros(2, int), np.zeros(2, bool))
    assert np.isnan(none).all()
    assert [cell_word(x, 0.01) for x in (0.5, 0.51, 0.8, 0.81, 1.24, 1.25, np.nan)] == [
        "toxic", "fewer cells", "fewer cells", "as controls", "as controls", "more cells", ""]
