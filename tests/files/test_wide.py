# SPDX-License-Identifier: BSD-3-Clause
"""Wide tables: the same numbers in every form of file, and a sentence for what is none."""

import gzip

import numpy as np
import pytest

pandas = pytest.importorskip("pandas")
from phenoscale.errors import InputError
from phenoscale.files import wide
from phenoscale.files.csv import read_csv
from phenoscale.files.wide import read_wide

TEXT = "Name,a_0,a_1,Plate\r\nx,1.5,-2e3,0012\r\n\r\n\"y, z\",,nan,0013\r\nx,inf,7,0012\r\n"


def by_kind(is_number):
    """Numbers but for Plate, and the rest as text."""
    numbers = [name for name, is_one in is_number.items() if is_one and name != "Plate"]
    return numbers, [name for name in is_number if name not in numbers]


def read(content, write_text, name="t.csv"):
    return read_wide(write_text(content, name), by_kind)


@pytest.mark.parametrize("content", [
    TEXT, TEXT.replace("\r\n", "\n"), TEXT.replace("\r\n", "\r"), "\ufeff" + TEXT,
    TEXT.encode("utf-16"), gzip.compress(TEXT.encode()), TEXT.replace('"y, z"', "y, z").replace(
        ",", ";").replace("y; z", "y, z"),
    TEXT.replace('"y, z"', "y# z").replace(",", "\t").replace("#", ",")])
def test_every_csv_is_one_table(content, write_text):
    found = read(content, write_text)
    assert found.text == {"Name": ["x", "y, z", "x"], "Plate": ["0012", "0013", "0012"]}
    assert found.numbers.dtype == np.float32 and found.unit == "line"
    np.testing.assert_array_equal(found.numbers, np.array(
        [[1.5, -2000], [np.nan, np.nan], [np.inf, 7]], np.float32))
    assert found.lines[0] == 2 and len(found.lines) == 3


def test_parquet_and_frames_are_the_same(tmp_path, write_text):
    pytest.importorskip("pyarrow")
    frame = pandas.DataFrame({"Name": ["x", "y"], "a_0": [1.5, None], "a_1": [3, 4],
                              "Plate": ["0012", "0013"], "yes": [True, False]})
    frame.to_parquet(tmp_path / "t.parquet", index=False)
    for source in (tmp_path / "t.parquet", frame):
        found = read_wide(source, by_kind)
        assert found.text == {"Name": ["x", "y"], "Plate": ["0012", "0013"],
                              "yes": ["True", "False"]}
        np.testing.assert_array_equal(found.numbers, np.array([[1.5, 3], [np.nan, 4]], np.float32))
        assert found.unit == "row"
    text = pandas.DataFrame({"Name": ["x"], "a_0": ["1.5"], "Plate": ["1"]})
    assert read_wide(text, by_kind).numbers.tolist() == [[1.5]]


def test_it_reads_what_the_reader_of_cells_reads(write_text, monkeypatch):
    """The slow twin: every cell as text, made a number afterwards; a few rows at a time here."""
    monkeypatch.setattr(wide, "_ROWS", 7)
    rng = np.random.default_rng(0)
    cells = [["", "Infinity", "-0", "1e-40", "NaN", "3"][k] for k in rng.integers(0, 6, 150)]
    rows = [f"n{k},{cells[k]},{rng.random():.17g}" for k in range(150)]
    path = write_text("Name,a,b\n" + "\n".join(rows) + "\n")
    found, (header, plain, lines) = read_wide(path, by_kind), read_csv(path)
    assert header == ["Name", "a", "b"] and found.lines == lines
    assert found.text["Name"] == [row[0] for row in plain]
    expected = [[float(cell or "nan") for cell in row[1:]] for row in plain]
    np.testing.assert_array_equal(found.numbers, np.array(expected, np.float32))


@pytest.mark.parametrize("content, words", [
    ("", "t.csv has no rows"), ("a,b\n1,2\n3\n", "line 3 has 1 cells where the header has 2"),
    ("a,b\n1,2\n3,4,5\n", "line 3 has 3 cells where the header has 2"),
    ("a,a\n1,2\n", "line 1: column a is there twice"),
    ("a,b\n" + 100 * "1,2\n" + "1,low\n", "line 102, column b: 'low' is no number: correct it"),
    ('a,b\n1,"2\n', "is not well-formed CSV"), (b"a,b\n1,\xff\n", "is not UTF-8"),
    (b"\x89PNG\r\n\x1a\n", "is a PNG image"), (b"PK\x03\x04", "is a workbook"),
    (gzip.compress(b"a,b\n1,2\n" * 50)[:-9], "cannot be read"),
    (b"PAR1 and nothing", "cannot be read as Parquet"),
])
def test_what_is_no_table_is_a_sentence(content, words, write_text):
    with pytest.raises(InputError, match="t.csv") as caught:
        read(content, write_text)
    assert words in str(caught.value) and "\n" not in str(caught.value)


def test_what_is_not_there_or_no_source(tmp_path):
    for source, words in ((tmp_path / "none.csv", "none.csv cannot be read: No such file"),
                          (tmp_path, "cannot be read: Is a directory"),
                          (3, "from a path or a DataFrame, not int")):
        with pytest.raises(InputError, match=words):
            read_wide(source, by_kind)
    bad = pandas.DataFrame({"a": ["1"] * 100 + ["low"]})
    with pytest.raises(InputError, match="the DataFrame, column a: not all of it are numbers"):
        read_wide(bad, by_kind)


def test_more_than_fits_is_refused(write_text, monkeypatch):
    monkeypatch.setattr(wide, "free_memory", lambda: 3 * 4 * 1500)
    path = write_text("a\n" + "1\n" * 3000)
    with pytest.raises(InputError, match="more numbers than fit into memory .*: name fewer"):
        read_wide(path, by_kind)
