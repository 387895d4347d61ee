# SPDX-License-Identifier: BSD-3-Clause
"""Files that are no table are named for what they are, by their content; Parquet is read."""

import bz2
import io
import sqlite3
import sys
import zipfile

import numpy as np
import pytest

pandas = pytest.importorskip("pandas")
from phenoscale.errors import InputError
from phenoscale.files.csv import read_csv
from phenoscale.tables.read import read_table

TABLE = b"FileName_A,moa\na.tif,x\n"


def zipped(**files):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, text in files.items():
            archive.writestr(name.replace("__", "/").replace("_", "."), text)
    return content.getvalue()


def database(tmp_path):
    with sqlite3.connect(tmp_path / "made.db") as connection:
        connection.execute("CREATE TABLE Per_Image (a TEXT)")
    connection.close()
    return (tmp_path / "made.db").read_bytes()


@pytest.mark.parametrize(("content", "words"), [
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), "is an .xls workbook of Excel 97-2003, or "
     "one with a password: save it as .xlsx or 'CSV UTF-8'"),
    (bz2.compress(TABLE), r"is packed \(bzip2\): unpack it with 'bunzip2'"),
    (b"\x28\xb5\x2f\xfd" + bytes(9), r"is packed \(Zstandard, .zst\): unpack it with 'unzstd'"),
    (zipped(table_csv=TABLE), r"is packed \(ZIP\): unpack it with 'unzip'"),
    (zipped(mimetype="x", content_xml="<x/>"), "is an OpenDocument file .* save it as .xlsx"),
    (zipped(xl__workbook_bin="x"), "is an .xlsb workbook: save it as .xlsx"),
    (database, "is a SQLite database: write the table of its images as CSV with 'sqlite3 -header "
     "-csv .*table"),
    (b"\x89HDF\r\n\x1a\n" + bytes(9), "is an HDF5 file: write its table of images as CSV"),
    (b"ARROW1\0\0", r"is an Arrow \(Feather\) file: write it as CSV or Parquet"),
    (b"II*\0\x08\0\0\0", "is a TIFF image: give the table of the images, or their folder"),
    (b"<!DOCTYPE html><html>", "is a web page: download the file itself"),
    (b"version https://git-lfs.github.com/spec/v1\noid", "is a pointer of Git LFS, .*git lfs pull"),
], ids=lambda value: value[:30] if isinstance(value, str) else "")
@pytest.mark.parametrize("name", ["table.csv", "table.xlsx", "table.db"])
def test_other_kinds_by_their_content(tmp_path, content, words, name):
    content = content(tmp_path) if callable(content) else content
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=words) as error:
        read_table(tmp_path / name)
    assert str(tmp_path / name) in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["t.xls", "t.tsv", "t.bz2", "t.db", "t.parquet"])
def test_a_table_under_any_name(tmp_path, name):
    """As instruments write text to a file called .xls."""
    (tmp_path / name).write_bytes(TABLE)
    assert read_csv(str(tmp_path / name))[1] == [["a.tif", "x"]]


# ---- Parquet -------------------------------------------------------------------------------------


def test_parquet(tmp_path):
    pytest.importorskip("pyarrow")
    frame = pandas.DataFrame({
        "FileName_A": ["a.tif", "b.tif", "c.tif"], "Metadata_Well": ["a1", "B02", None],
        "concentration": [0.3, 10.0, np.nan], "site": [1, 2, 3],
        "moa": pandas.Categorical(["x", "y", "x"])}, index=[7, 8, 9])
    frame.to_parquet(tmp_path / "t.parquet")
    table = read_table(tmp_path / "t.parquet")
    assert table.role("well").tolist() == ["A01", "B02", ""]
    assert table.role("concentration").tolist() == ["0.3", "10", ""]
    assert table.role("site").tolist() == ["1", "2", "3"] and table.lines == [2, 3, 4]
    assert list(table.frame.columns) == ["Image_FileName_A", "Metadata_Well",
                                         "Metadata_Concentration", "Metadata_Site", "moa"]
    (tmp_path / "cut.csv").write_bytes((tmp_path / "t.parquet").read_bytes()[:-40])
    with pytest.raises(InputError, match="cut.csv cannot be read as Parquet"):
        read_table(tmp_path / "cut.csv")


def test_parquet_without_pyarrow(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    (tmp_path / "t.csv").write_bytes(b"PAR1" + bytes(99))
    with pytest.raises(InputError, match=r"t.csv is Parquet, which pyarrow reads: pip install "
                                         r"pyarrow, or save it as CSV"):
        read_table(tmp_path / "t.csv")
