# SPDX-License-Identifier: BSD-3-Clause
"""The file of measures as it is read again: rows, numbers, and what is refused."""

import numpy as np
import pytest

pandas = pytest.importorskip("pandas")

from phenoscale import InputError
from phenoscale.files.csv import write_csv
from phenoscale.files.parquet import write_parquet
from phenoscale.tables import measured
from phenoscale.tables.measured import measured_table

MEASURES = ["Image_Intensity_MeanIntensity_DNA", "Image_Cells_Count_DNA"]


@pytest.fixture
def frame():
    rng = np.random.default_rng(0)
    numbers = rng.normal(size=(9, 3)).astype("float32")
    numbers[4, 0] = np.nan
    wells = [f"A{k:02d}" for k in range(9)]
    return pandas.DataFrame({"Metadata_Well": wells, "Metadata_Compound": ["-DOX", ""] * 4 + ["1"],
                             "Image_Phenoscale_Emb0000": numbers[:, 2],
                             MEASURES[0]: numbers[:, 0], MEASURES[1]: numbers[:, 1]})


@pytest.mark.parametrize("rows", [2, 9, 2048])
@pytest.mark.parametrize("name", ["m.csv", "m.csv.gz", "m.parquet", "safe.csv"])
def test_what_was_written_is_read(frame, tmp_path, monkeypatch, name, rows):
    monkeypatch.setattr(measured, "_ROWS", rows)
    path = tmp_path / name
    if name.endswith("parquet"):
        pytest.importorskip("pyarrow")
        write_parquet([frame], path)
    else:
        write_csv(frame, path, safe=name == "safe.csv")
    about, numbers = measured_table(path)
    assert list(about) == ["Metadata_Well", "Metadata_Compound"] and list(numbers) == MEASURES
    assert about.equals(frame[list(about)]) and (numbers.dtypes == "float32").all()
    np.testing.assert_array_equal(numbers, frame[MEASURES])


def test_a_file_without_measures_has_none(frame, tmp_path):
    write_csv(frame.drop(columns=MEASURES), tmp_path / "m.csv")
    about, numbers = measured_table(tmp_path / "m.csv")
    assert len(about) == len(numbers) == 9 and not len(numbers.columns)


@pytest.mark.parametrize("content, sentence", [
    ("", "has no rows"), ("Metadata_Well\n", "has no rows"),
    (f"Metadata_Well,{MEASURES[1]}\nA01,3\nA02,many\n",
     f"column {MEASURES[1]} has a cell that is no number"),
    (b"\xff\xfe\x00", "cannot be read as a table"), ("a\n\"b", "cannot be read as a table")])
def test_what_is_no_table_is_refused(write_text, content, sentence):
    with pytest.raises(InputError, match=sentence):
        measured_table(write_text(content))


def test_a_file_that_is_not_there(tmp_path):
    for name in ("gone.csv", "gone.parquet"):
        pytest.importorskip("pyarrow")
        with pytest.raises(InputError, match=f"{name} cannot be read as a table: No such file"):
            measured_table(tmp_path / name)
    (tmp_path / "odd.parquet").write_bytes(b"PAR1 not really")
    with pytest.raises(InputError, match="odd.parquet cannot be read as a table"):
        measured_table(tmp_path / "odd.parquet")


def test_memory_is_bounded(frame, tmp_path, monkeypatch):
    write_csv(frame, tmp_path / "m.csv")
    monkeypatch.setattr(measured, "free_memory", lambda: 90)
    with pytest.raises(InputError, match="more than the 30 bytes .* split it by plates"):
        measured_table(tmp_path / "m.csv")
