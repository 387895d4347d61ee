# SPDX-License-Identifier: BSD-3-Clause
"""Tables of profiles of several programs: what their columns are, fields to wells to treatments."""

import numpy as np
import pytest

pandas = pytest.importorskip("pandas")
from phenoscale.errors import InputError
from phenoscale.evaluation.profile_table import read_profiles


def profile_frame(n=12, **columns):
    """One plate of wells, two of each of n / 2 compounds."""
    rng = np.random.default_rng(0)
    about = {"Metadata_Plate": ["P1"] * n, "Metadata_Well": [f"A{k + 1}" for k in range(n)],
             "Metadata_Compound": [f"C{k // 2}" for k in range(n)],
             "Metadata_Concentration": ["0.300"] * n, "Metadata_moa": list("aabbcc" * (n // 6))}
    about.update(columns)
    return pandas.DataFrame({**about, **{f"emb_{k}": rng.normal(size=n) for k in range(8)}})


#: of whom -> the columns that are compound, concentration, plate, well, batch, label
STYLES = {
    "pycytominer": ("Metadata_Compound", "Metadata_Concentration", "Metadata_Plate",
                    "Metadata_Well", "Metadata_Batch", "Metadata_moa"),
    "JUMP": ("Metadata_JCP2022", "Metadata_Compound_Concentration", "Metadata_Plate",
             "Metadata_Well", "Metadata_Batch", "Metadata_moa"),
    "LINCS": ("Metadata_pert_iname", "Metadata_dose", "Metadata_Assay_Plate_Barcode",
              "Metadata_well_position", "Metadata_Batch_Number", "Metadata_MOA"),
    "bare": ("compound", "concentration", "plate", "well", "batch", "mechanism"),
    "BBBC021": ("Image_Metadata_Compound", "Image_Metadata_Concentration",
                "Image_Metadata_Plate_DAPI", "Image_Metadata_Well_DAPI", "batch", "MOA")}


@pytest.mark.parametrize("style", STYLES)
def test_columns_of_several_programs(style, tmp_path):
    columns = STYLES[style]
    old = ("Metadata_Compound", "Metadata_Concentration", "Metadata_Plate", "Metadata_Well",
           "Metadata_Batch", "Metadata_moa")
    frame = profile_frame(Metadata_Batch=[1, 2] * 6).rename(columns=dict(zip(old, columns)))
    if style == "BBBC021":
        frame["Image_FileName_DAPI"] = "x.tif"
    frame = frame[sorted(frame.columns, reverse=True)]
    frame.to_csv(tmp_path / "t.csv.gz", index=False)
    for source in (frame, tmp_path / "t.csv.gz"):
        found = read_profiles(source)
        assert sorted(found.roles) == ["batch", "compound", "concentration", "label", "plate",
                                       "well"]
        assert sorted(found.features) == [f"emb_{k}" for k in range(8)]
        assert found.frame["compound"].tolist() == [f"C{k // 2}" for k in range(12)]
        assert found.frame["label"].tolist() == list("aabbcc" * 2)
        assert set(found.frame["concentration"]) == {"0.3"}
        assert found.frame["well"][0] == "A01" and found.frame["batch"].tolist() == ["1", "2"] * 6
        np.testing.assert_allclose(found.values, frame[found.features].to_numpy(), rtol=1e-6)
        assert any("is the compound" in note and "is the label" in note for note in found.notes)


def test_columns_by_name(tmp_path):
    frame = profile_frame().rename(columns={"Metadata_Compound": "What", "Metadata_moa": "How"})
    found = read_profiles(frame, label="How", roles={"compound": "What"}, features=["emb_"])
    assert found.frame["compound"][2] == "C1" and found.frame["label"][2] == "b"


def test_a_label_of_numbers_is_no_feature():
    frame = profile_frame(emb_8=[0, 1] * 6)
    found = read_profiles(frame, label="emb_8")
    assert len(found.features) == 8 and found.frame["label"].tolist() == ["0", "1"] * 6


def test_mechanisms_are_joined(tmp_path):
    (tmp_path / "moa.csv").write_text("compound,concentration,moa\n" + "".join(
        f"C{k},0.3,m{k}\n" for k in range(5)))
    found = read_profiles(profile_frame().drop(columns="Metadata_moa"), join=[tmp_path / "moa.csv"])
    assert found.frame["label"].tolist() == [f"m{k // 2}" for k in range(10)] + ["", ""]
    assert any("joined on compound and concentration: 10 of 12" in note for note in found.notes)


def test_controls_by_name_and_by_column():
    named = profile_frame(Metadata_Compound=["DMSO", "x"] * 6, Metadata_moa=[""] * 12)
    assert read_profiles(named).frame["is_control"].tolist() == [True, False] * 6
    marked = profile_frame(Metadata_control_type=["negcon"] * 2 + ["trt"] * 10)
    assert read_profiles(marked).frame["is_control"].sum() == 2


def test_fields_become_wells_become_treatments():
    frame = profile_frame(Metadata_Well=[f"A{k // 2 + 1}" for k in range(12)],
                          Metadata_Compound=["x"] * 6 + ["y"] * 6, Metadata_moa=["a"] * 12,
                          Metadata_Batch=["1"] * 4 + ["2"] * 8)
    found = read_profiles(frame)
    wells = found.wells()
    assert len(wells) == 6 and "12 rows of 6 wells: the mean of each well" in wells.notes[-1]
    np.testing.assert_allclose(wells.values[1], found.values[2:4].mean(axis=0), rtol=1e-5)
    treatments, batches = wells.treatments()
    assert treatments.frame["compound"].tolist() == ["x", "y"]
    np.testing.assert_allclose(treatments.values[1], np.median(wells.values[3:], axis=0), rtol=1e-5)
    assert batches.tolist() == [[True, True], [False, True]]
    assert read_profiles(profile_frame()).wells().notes[-1].startswith("Metadata_Plate is")


def test_numbers_that_are_not_there():
    frame = profile_frame()
    frame.loc[3, "emb_2"] = np.nan
    frame.loc[5, [f"emb_{k}" for k in range(8)]] = np.inf
    frame.loc[7, "Metadata_Compound"] = None
    found = read_profiles(frame)
    assert len(found) == 10 and len(found.features) == 7 and np.isfinite(found.values).all()
    said = "\n".join(found.notes)
    assert "1 row without a number in any feature left out, as the DataFrame row 5" in said
    assert "1 row without a compound left out, as the DataFrame row 7" in said
    assert "1 feature left out, since some rows have no number there: emb_2" in said


@pytest.mark.parametrize("change, words", [
    (lambda f: f.drop(columns="Metadata_Compound"), "no column is known to be the compound: name "
                                                    "it with --role compound=COLUMN"),
    (lambda f: f.assign(mechanism="z"), "columns Metadata_moa, mechanism could each be the label, "
                                        "and disagree: name one with --label"),
    (lambda f: f.drop(columns="emb_0"), "no columns are features by their names"),
    (lambda f: f.assign(emb_0=np.nan, **{f"emb_{k}": np.nan for k in range(1, 8)}),
     "no feature has a number in every row"),
    (lambda f: f.iloc[:0], "has no rows"),
    (lambda f: f.assign(Metadata_Well="A1").drop(columns="Metadata_Plate"),
     "no column is the plate or the site"),
    (lambda f: f.assign(Metadata_Compound="C0"), "C0 0.3 has several labels in column Metadata_moa,"
                                                 " 'a', 'b', 'c': give all its rows one"),
])
def test_what_is_wrong_is_a_sentence(change, words):
    with pytest.raises(InputError, match=words) as caught:
        read_profiles(change(profile_frame())).wells().treatments()
    assert "the DataFrame" in str(caught.value) and "\n" not in str(caught.value)


def test_a_label_that_is_not_there():
    with pytest.raises(InputError, match="no column mao: it has Metadata_moa"):
        read_profiles(profile_frame(), label="mao")
    with pytest.raises(InputError, match="no column X for the role compound"):
        read_profiles(profile_frame(), roles={"compound": "X"})
