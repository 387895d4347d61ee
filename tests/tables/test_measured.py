# SPDX-License-Identifier: BSD-3-Clause
"""Files of measures read again: what is in them, in parts, and what is wrong with them."""

import numpy as np
import pytest

pandas = pytest.importorskip("pandas")
from phenoscale import InputError
from phenoscale.tables import measured
from phenoscale.tables.measured import is_measured, read_measured
from phenoscale.tables.predictions import is_measure
from phenoscale.tables.read import Reading

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
@pytest.mark.parametrize("rows", [2, 1024])
def test_what_was_written_is_read(tmp_path, monkeypatch, name, rows):
    monkeypatch.setattr(measured, "_ROWS", rows)  # at a time
    frame = frame_of()
    path = written(frame, tmp_path / name)
    assert is_measured(path)
    found = read_measured(path)
    assert found.names == NAMES and found.numbers.dtype == np.float32
    np.testing.assert_array_equal(found.numbers, frame[NAMES].to_numpy())
    assert list(found.table.frame["Metadata_Plate"]) == ["0012"] * 5
    assert list(found.table.role("well")) == list(frame["Metadata_Well"])
    assert not [name for name in found.table.frame if "Phenoscale" in name or name in NAMES]


def test_undefined_numbers_stay_so(tmp_path):
    frame = frame_of()
    frame.loc[1, NAMES[0]] = np.nan
    found = read_measured(written(frame, tmp_path / "m.csv"))
    assert np.isnan(found.numbers[1, 0]) and np.isnan(found.numbers).sum() == 1


def test_a_row_without_numbers_is_skipped(tmp_path):
    path = written(frame_of(), tmp_path / "m.csv")
    path.write_text(path.read_text() + "0012,B09,,,,,,,,\n")
    found = read_measured(path)
    assert list(found.skipped) == [5] and "m.csv row 7 (well 0012 B09)" in found.skipped[5]


def test_a_plate_map_may_be_joined(tmp_path):
    path = written(frame_of(2), tmp_path / "m.csv")
    (tmp_path / "map.csv").write_text("Metadata_Well,moa\nB02,a\nB03,b\n")
    found = read_measured(path, Reading(join=[tmp_path / "map.csv"]))
    assert list(found.table.column("moa")) == ["a", "b"]


def test_other_files_are_not_measures(tmp_path):
    table = written(frame_of()[["Metadata_Well", "Image_FileName_DNA",
                                "Image_Phenoscale_Emb0000"]], tmp_path / "t.csv")
    (tmp_path / "empty.csv").write_text("")
    (tmp_path / "noise.csv.gz").write_bytes(bytes(range(256)))
    for path in (table, tmp_path, tmp_path / "none.csv", tmp_path / "empty.csv",
                 tmp_path / "noise.csv.gz"):
        assert not is_measured(path)


def test_more_than_the_memory_holds_is_refused_at_once(tmp_path, monkeypatch):
    path = written(frame_of(), tmp_path / "m.csv")
    monkeypatch.setattr(measured, "free_memory", lambda: 8 * len(NAMES) * 4)
    with pytest.raises(InputError, match="more than 4 rows of 2 measures"):
        read_measured(path)


def test_damage_is_a_sentence(tmp_path):
    path = written(frame_of(), tmp_path / "m.csv")
    text = path.read_text()
    path.write_text(text.replace("a,1.0", "a,1.0,1.0", 1))
    with pytest.raises(InputError, match="a row has 11 cells where the header has 10"):
        read_measured(path)
    path.write_text(text[:-5] + "many\n")
    with pytest.raises(InputError, match="m.csv cannot be read as a file of measures"):
        read_measured(path)
    path.write_text(text.splitlines()[0] + "\n")
    with pytest.raises(InputError, match="has no fields"):
        read_measured(path)


def test_every_measure_is_known_by_its_name():
    from phenoscale.images.measures import measure_names

    names = measure_names(["DNA", "Actin"], 0)
    assert len(names) > 100 and all(map(is_measure, names))
