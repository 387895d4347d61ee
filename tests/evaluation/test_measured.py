# SPDX-License-Identifier: BSD-3-Clause
"""Fields and their measures: measured now, or read from what was measured before."""

import numpy as np
import pytest

pandas = pytest.importorskip("pandas")
pytest.importorskip("sklearn")
from phenoscale import InputError
from phenoscale.evaluation.ladder import climb
from phenoscale.evaluation.measured import is_measured, measured_fields
from phenoscale.tables.read import Reading
from screens import write_screen

NAMES = ["Image_Intensity_MeanIntensity_DNA", "Image_Cells_Count_DNA"]


def frame_of(n=5):
    """As `predict --measures all` writes it."""
    rng = np.random.default_rng(0)
    return pandas.DataFrame({
        "Metadata_Plate": "0012", "Metadata_Well": [f"B{k + 2:02d}" for k in range(n)],
        "Image_FileName_DNA": [f"{k}.tif" for k in range(n)], "Image_PathName_DNA": "/nowhere",
        "Phenoscale_Field": [f"f{k}" for k in range(n)], "Phenoscale_Class": "a",
        "Phenoscale_Prob_a": 1.0, "Image_Phenoscale_Emb0000": 0.5,
        **dict(zip(NAMES, rng.normal(size=(2, n)).astype(np.float32)))})


def written(frame, path):
    if path.suffix == ".parquet":
        pytest.importorskip("pyarrow")
        frame.to_parquet(path, index=False)
    else:
        frame.to_csv(path, index=False)
    return path


@pytest.mark.parametrize("name", ["m.csv", "m.csv.gz", "m.parquet"])
def test_what_was_written_is_read(tmp_path, name):
    frame = frame_of()
    path = written(frame, tmp_path / name)
    assert is_measured(path)
    found = measured_fields(path, "Metadata_Well")
    assert found.names == NAMES and found.numbers.dtype == np.float32
    np.testing.assert_array_equal(found.numbers, frame[NAMES].to_numpy())
    assert list(found.table.frame["Metadata_Plate"]) == ["0012"] * 5
    assert list(found.table.role("well")) == list(frame["Metadata_Well"])
    assert not [name for name in found.table.frame if "Phenoscale" in name or name in NAMES]


def test_undefined_numbers_stay_so(tmp_path):
    frame = frame_of()
    frame.loc[1, NAMES[0]] = np.nan
    found = measured_fields(written(frame, tmp_path / "m.csv"), "Metadata_Well")
    assert np.isnan(found.numbers[1, 0]) and np.isnan(found.numbers).sum() == 1


def test_a_row_without_numbers_is_skipped(tmp_path):
    path = written(frame_of(), tmp_path / "m.csv")
    path.write_text(path.read_text() + "0012,B09,,,,,,,,\n")
    found = measured_fields(path, "Metadata_Well")
    assert list(found.skipped) == [5] and "m.csv row 7 (well 0012 B09)" in found.skipped[5]


def test_a_plate_map_may_be_joined(tmp_path):
    path = written(frame_of(2), tmp_path / "m.csv")
    (tmp_path / "map.csv").write_text("Metadata_Well,moa\nB02,a\nB03,b\n")
    found = measured_fields(path, "moa", Reading(join=[tmp_path / "map.csv"]))
    assert list(found.table.column("moa")) == ["a", "b"]


def test_other_files_are_not_measures(tmp_path):
    table = written(frame_of()[["Metadata_Well", "Image_FileName_DNA",
                                "Image_Phenoscale_Emb0000"]], tmp_path / "t.csv")
    (tmp_path / "empty.csv").write_text("")
    (tmp_path / "noise.csv.gz").write_bytes(bytes(range(256)))
    for path in (table, tmp_path, tmp_path / "none.csv", tmp_path / "empty.csv",
                 tmp_path / "noise.csv.gz"):
        assert not is_measured(path)


def test_images_are_measured_and_those_that_are_broken_listed(tmp_path):
    screen = write_screen(tmp_path, plates=2, wells=6)
    (tmp_path / "P2" / "A03_DNA.tif").write_bytes(b"II*\0")
    fields = measured_fields(screen, "Metadata_Class")
    assert len(fields.table) == 12 and list(fields.skipped) == [8]
    assert np.isnan(fields.numbers[8]).all() and np.isfinite(fields.numbers[0]).any()
    row = {one.rung.apart: one for one in climb(fields, "Metadata_Class").rungs}["plate",].row
    assert row["Fields"] == 11 and row["Accuracy"] == 1  # texture tells them


def test_a_label_of_no_field(tmp_path):
    screen = write_screen(tmp_path, plates=1, wells=2)
    frame = pandas.read_csv(screen, dtype=str).assign(Nothing="")
    frame.to_csv(screen, index=False)
    with pytest.raises(InputError, match="column Nothing is empty"):
        measured_fields(screen, "Nothing")
