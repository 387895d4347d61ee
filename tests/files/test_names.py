# SPDX-License-Identifier: BSD-3-Clause
"""A name says what is in the file, and no other ending is written."""

import gzip

import pandas
import pytest

from phenoscale.errors import InputError
from phenoscale.files.csv import write_csv
from phenoscale.files.names import check_name


@pytest.mark.parametrize("kind, words, good", [
    ("table", "a table is written as CSV; give a name that ends in .csv or .csv.gz",
     ["t.csv", "t.csv.gz", "T.CSV"]),
    ("predictions", "predictions are written as CSV or Parquet; give a name that ends in .csv or "
     ".csv.gz or .parquet", ["t.csv", "t.csv.gz", "t.parquet"]),
    ("page", "a page is written as HTML", ["t.html", "t.htm"]),
    ("picture", "a picture is written as PNG", ["t.png"])])
def test_what_is_written_and_what_not(kind, words, good):
    for name in good:
        check_name(name, kind)
    endings = ("xlsx", "xls", "json", "txt", "tsv", "zip", "gz", "feather", "pdf", "parquet.gz")
    for name in (*(f"t.{ending}" for ending in endings), "t", "csv", "t.csv.", "t.csv/x"):
        with pytest.raises(InputError) as caught:
            check_name(name, kind)
        assert str(caught.value).startswith(f"{name} cannot be written: {words}")


def test_the_case_of_an_ending_does_not_matter(tmp_path):
    write_csv(pandas.DataFrame({"a": [1]}), tmp_path / "T.CSV.GZ")
    assert gzip.decompress((tmp_path / "T.CSV.GZ").read_bytes()) == b"a\n1\n"


def test_no_csv_is_written_under_another_name(tmp_path):
    with pytest.raises(InputError, match="t.parquet cannot be written: a table is written as CSV"):
        write_csv(pandas.DataFrame({"a": [1]}), tmp_path / "t.parquet")
    assert not list(tmp_path.iterdir())
