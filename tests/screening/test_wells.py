# SPDX-License-Identifier: BSD-3-Clause
"""Predictions to wells: what is taken for what, several files, and what is wrong with them."""

import json

import numpy as np
import pandas
import pytest

import profiled
from phenoscale.errors import InputError
from phenoscale.screening.asked import Asked
from phenoscale.screening.wells import majority, read_wells


def test_wells_of_predictions():
    frame = profiled.predictions()
    wells = read_wells([frame], Asked())
    assert len(wells) == len(frame) // 2 and wells.plates == ["P1", "P2", "P3", "P4"]
    assert wells.features == [c for c in frame if "Emb" in c]
    assert wells.is_control.sum() == 32 and wells.keys == {"as is": "asis", "up": "up"}
    means = frame.groupby(["Metadata_Plate", "Metadata_Well"], sort=False)[wells.features].mean()
    assert np.allclose(wells.values, means, atol=1e-5)
    first = wells.frame.iloc[0]
    assert first["Phenoscale_Treatment"] == "DMSO 0" and first["Phenoscale_Control"] == "negative"
    assert first["Phenoscale_Fields"] == 2 and first["Phenoscale_Set"] == "asis up"
    assert "Metadata_Site" not in wells.frame and "Phenoscale_Field" not in wells.frame
    none = wells.frame["Phenoscale_None"].to_numpy()
    assert set(none) == {0.0, 1.0} and (
        (wells.frame["Metadata_Compound"] == "SIM-3") == (none == 1)).all()


def test_a_file_is_a_frame_and_two_are_one(tmp_path):
    frame = profiled.predictions()
    is_first = frame["Metadata_Plate"] < "P3"
    frame[is_first].to_csv(tmp_path / "a.csv", index=False)
    # columns in another order are the same
    frame[~is_first][frame.columns[::-1]].to_csv(tmp_path / "b.csv.gz", index=False)
    whole = read_wells([frame], Asked())
    both = read_wells([tmp_path / "a.csv", tmp_path / "b.csv.gz"], Asked())
    assert np.allclose(whole.values, both.values) and whole.treatments == both.treatments
    assert (whole.frame["Metadata_Well"] == both.frame["Metadata_Well"]).all()
    assert [one["path"] for one in both.inputs] == [str(tmp_path / "a.csv"),
                                                    str(tmp_path / "b.csv.gz")]
    with pytest.raises(InputError, match="the field P1 .* is there twice"):
        read_wells([tmp_path / "a.csv"] * 2, Asked())
    frame.drop(columns="Image_Phenoscale_Emb0003").to_csv(tmp_path / "c.csv", index=False)
    with pytest.raises(InputError, match="c.csv lacks the feature Image_Phenoscale_Emb0003"):
        read_wells([tmp_path / "a.csv", tmp_path / "c.csv"], Asked())


def test_controls_are_those_named_those_of_the_run_or_those_marked(tmp_path):
    frame = profiled.predictions().drop(columns="Metadata_Control")
    assert read_wells([frame], Asked()).is_control.sum() == 32  # DMSO says it
    named = read_wells([frame], Asked(controls={"Metadata_Compound": ["DUD-1"]}))
    assert named.is_control.sum() == 8
    assert set(named.frame.loc[named.is_control, "Metadata_Compound"]) == {"DUD-1"}
    frame.to_csv(tmp_path / "predictions.csv", index=False)
    (tmp_path / "config.json").write_text(json.dumps({
        "classes": ["as is", "up"], "controls": {"Metadata_Compound": ["DUD-2"]}}))
    for source in (tmp_path, tmp_path / "predictions.csv"):
        of_run = read_wells([source], Asked())
        assert set(of_run.frame.loc[of_run.is_control, "Metadata_Compound"]) == {"DUD-2"}
        assert any("as " in note and "config.json says" in note for note in of_run.notes)
    with pytest.raises(InputError, match="Metadata_Compound has no water as controls"):
        read_wells([frame], Asked(controls={"Metadata_Compound": ["water"]}))


def test_treatments_by_a_column_and_without_compounds():
    frame = profiled.predictions()
    frame["Metadata_Gene"] = frame["Metadata_Compound"].str[:3]
    wells = read_wells([frame], Asked(treatment="Metadata_Gene"))
    assert wells.treatments == ["DMS", "SIM", "DUD"]
    bare = frame.drop(columns=["Metadata_Compound", "Metadata_Concentration", "Metadata_Gene"])
    wells = read_wells([bare], Asked())
    assert len(wells.treatments) == len(wells) and wells.treatments[0].startswith("P1 ")


def test_other_tables_and_measures_are_read_too():
    rng = np.random.default_rng(0)
    frame = pandas.DataFrame({"Metadata_Plate": "P", "Metadata_Well": [f"A{k:02d}" for k in
                                                                       range(1, 13)],
                              "Metadata_Compound": ["DMSO"] * 6 + ["x"] * 6,
                              "Cells_AreaShape_Area": rng.normal(size=12),
                              "Nuclei_Texture_X": rng.normal(size=12)})
    wells = read_wells([frame], Asked())
    assert wells.features == ["Cells_AreaShape_Area", "Nuclei_Texture_X"] and not wells.keys
    assert wells.frame["Phenoscale_Fields"].tolist() == [1] * 12


def test_features_that_many_wells_lack_are_left_out():
    frame = profiled.predictions()
    frame.loc[frame["Metadata_Plate"] == "P1", "Image_Phenoscale_Emb0002"] = np.nan
    frame.loc[frame.index[:2], "Image_Phenoscale_Emb0001"] = np.nan
    wells = read_wells([frame], Asked())
    assert "Image_Phenoscale_Emb0002" not in wells.features and len(wells.features) == 11
    assert np.isnan(wells.values).sum() == 1
    assert any("1 feature left out that more than 5 %" in note for note in wells.notes)


@pytest.mark.parametrize("change, sentence", [
    (lambda f: f.drop(columns="Metadata_Well"), "no column is known to be the well"),
    (lambda f: f.drop(columns="Metadata_Plate"), "has fields of several treatments"),
    (lambda f: f.assign(Metadata_Control=np.where(f.index == 0, "", f["Metadata_Control"])),
     "fields of several kinds of control"),
    (lambda f: f.assign(Phenoscale_Prob_up=2.0), "is no probability from 0 to 1"),
    (lambda f: f[[c for c in f if "Emb" not in c]], "no columns are features")])
def test_what_is_wrong_is_a_sentence(change, sentence):
    with pytest.raises(InputError) as caught:
        read_wells([change(profiled.predictions()).drop(columns="Phenoscale_Field")], Asked())
    assert sentence in str(caught.value)


def test_the_majority_of_sets():
    assert majority(["a b", "b c", "b"]) == "b"
    assert majority(["(none of these)", "(none of these)", "a"]) == "(none of these)"
    assert majority(["(none of these)", "a"]) == "" and majority([""]) == ""
