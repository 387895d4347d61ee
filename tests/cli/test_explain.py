# SPDX-License-Identifier: BSD-3-Clause
"""`phenoscale explain`: a line a class, a CSV of wells, and what it says of a wrong word."""

import numpy as np
import pytest

pandas = pytest.importorskip("pandas")

from phenoscale.files.csv import write_csv
from phenoscale.images.measures import measure_names


@pytest.fixture
def table(tmp_path):
    """Measures of 30 wells, 10 of them controls; the drug halves the cells."""
    names = measure_names(["DNA", "Actin"], 0)
    rng = np.random.default_rng(0)
    frame = pandas.DataFrame({
        "Metadata_Plate": "P1", "Metadata_Well": [f"B{k:02d}" for k in range(30)],
        "Metadata_Compound": ["DMSO"] * 10 + ["drug", "dud"] * 10,
        "Metadata_Treatment": ["none"] * 10 + ["=a", "b"] * 10})
    numbers = pandas.DataFrame(rng.normal(10, 1, (30, len(names))), columns=names)
    numbers.loc[frame["Metadata_Compound"] == "drug", "Image_Cells_Count_DNA"] = 3.5
    write_csv(pandas.concat([frame, numbers], axis=1), tmp_path / "m.csv")
    return tmp_path / "m.csv"


def test_a_line_a_treatment_and_a_table_of_wells(call, table, tmp_path):
    status, out, err = call("explain", table, "--out", tmp_path / "wells.csv")
    assert status == 0
    lines = out.splitlines()
    assert lines[0] == "DMSO (10 wells): like the controls"
    assert lines[1].startswith("drug (10 wells): fewer cells (-6") and " SD)" in lines[1]
    assert lines[2:] == ["dud (10 wells): like the controls", str(tmp_path / "wells.csv")]
    assert err == "compared: 30 wells each with the 10 control wells of its plate\n"
    wells = pandas.read_csv(tmp_path / "wells.csv", keep_default_na=False)
    assert len(wells) == 30 and wells["Words"][10].startswith("fewer cells (-6")
    assert wells["Measure1"][10] == "Image_Cells_Count_DNA" and float(wells["Effect1"][10]) < -3
    # the same by another column, with controls that are named; "none" is no class
    status, out, _ = call("explain", table, "--by", "Metadata_Treatment", "--controls",
                          "Metadata_Treatment=none")
    assert status == 0 and out.splitlines()[0] == lines[1].replace("drug", "=a")


def test_the_table_of_wells_as_parquet(call, table, tmp_path):
    pytest.importorskip("pyarrow")
    for name in ("w.csv", "w.parquet"):
        assert call("explain", table, "--out", tmp_path / name)[0] == 0
    csv, parquet = (pandas.read_csv(tmp_path / "w.csv", keep_default_na=False),
                    pandas.read_parquet(tmp_path / "w.parquet"))
    assert list(csv) == list(parquet) and parquet["Words"].tolist() == csv["Words"].tolist()
    status, _, err = call("explain", table, "--out", tmp_path / "w.txt")
    assert status == 1 and "a table is written as CSV or Parquet" in err


@pytest.mark.parametrize("words, sentence", [
    (["--by", "Metadata_Drug"], "has no column Metadata_Drug: it has Metadata_"),
    (["--controls", "Metadata_Compound=water"], "no row has water in column Metadata_Compound"),
    (["--controls", "Control=x"], "has no column Control"),
    (["--controls", "x"], "write it as --controls COLUMN=VALUE"),
    (["--out", "no/folder/w.csv"], "no/folder/w.csv cannot be written")])
def test_a_wrong_word_is_said(call, table, words, sentence):
    status, _, err = call("explain", table, *words)
    assert status in (1, 2) and sentence in err and "Traceback" not in err


def test_without_measures_controls_or_classes(call, table):
    frame = pandas.read_csv(table)
    measures = [name for name in frame if name.startswith("Image_")]
    for change, sentence in [
            (frame.drop(columns=measures), "there are no measures"),
            (frame.iloc[8:], "2 wells of negative controls, and it takes 3"),
            (frame.drop(columns="Metadata_Compound"), "name by --by what is told of together")]:
        change.to_csv(table, index=False)
        status, out, err = call("explain", table)
        assert status == 1 and out == "" and sentence in err
