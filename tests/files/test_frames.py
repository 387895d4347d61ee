# SPDX-License-Identifier: BSD-3-Clause
"""Frames to files by the ending of the name, and Parquet beside CSV."""

import numpy as np
import pandas
import pytest

from phenoscale.errors import InputError
from phenoscale.files.frames import parquet_beside, write_frame, write_tables

TABLE = pandas.DataFrame({"Name": np.array(["=x", "", None], object), "Mixed": np.array(
    [1, "a", np.nan], object), "Value": np.array([0.1, np.nan, 2], np.float32), "n": [1, 2, 3],
    "Is": [True, False, True], "Few": pandas.array([1, None, 3], "Int64")})


def test_parquet_has_the_types_and_csv_the_words(tmp_path):
    pytest.importorskip("pyarrow")
    write_frame(TABLE, tmp_path / "t.parquet")
    found = pandas.read_parquet(tmp_path / "t.parquet")
    assert found["Value"].dtype == np.float32 and found["Is"].dtype == bool
    assert found["n"].tolist() == [1, 2, 3] and found["Name"].tolist() == ["=x", "", ""]
    assert found["Few"].isna().tolist() == [False, True, False]
    assert found["Mixed"].tolist() == ["1", "a", ""]
    write_frame(TABLE, tmp_path / "t.csv", safe=True)
    assert (tmp_path / "t.csv").read_text().splitlines()[1] == "'=x,1,0.1,1,True,1"


@pytest.mark.parametrize("parquet", [False, True])
def test_parquet_lies_beside_where_it_is_asked_for(tmp_path, parquet):
    pytest.importorskip("pyarrow")
    paths = [str(tmp_path / name) for name in ("a.csv", "b.csv")]
    found = write_tables({path: TABLE for path in paths}, parquet)
    assert sorted(found) == sorted(str(path) for path in tmp_path.iterdir())
    assert found == [name for path in paths for name in [path, parquet_beside(path)][: 1 + parquet]]


def test_another_ending_is_refused(tmp_path):
    with pytest.raises(InputError, match="a table is written as CSV or Parquet"):
        write_frame(TABLE, tmp_path / "t.txt")
