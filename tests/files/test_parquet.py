# SPDX-License-Identifier: BSD-3-Clause
"""Frames as Parquet: types kept, as they come, whole or not at all."""

import os
import sys

import numpy as np
import pandas
import pytest

from phenoscale.errors import InputError
from phenoscale.files import parquet
from phenoscale.files.parquet import check_parquet, write_parquet


def frame(rows, begin=0):
    """A few columns of every kind."""
    numbers = np.arange(begin, begin + rows)
    return pandas.DataFrame({"Well": np.array([f"A{n}" for n in numbers], object),
                             "=x": numbers.astype(np.float32),
                             "Distance": numbers / 3, "Text": np.full(rows, "", object)})


@pytest.mark.parametrize("sizes", [[5], [0], [0, 3, 0, 4], [3, 3, 3, 1]])
def test_frames_come_back_with_their_types(tmp_path, monkeypatch, sizes):
    pyarrow = pytest.importorskip("pyarrow")
    monkeypatch.setattr(parquet, "_ROWS", 4)
    parts = [frame(size, sum(sizes[:k])) for k, size in enumerate(sizes)]
    write_parquet(iter(parts), tmp_path / "t.parquet")
    found = pyarrow.parquet.read_table(tmp_path / "t.parquet")
    assert found.schema.types == [pyarrow.string(), pyarrow.float32(), pyarrow.float64(),
                                  pyarrow.string()]
    wanted = frame(sum(sizes))
    assert found.to_pydict() == {name: wanted[name].tolist() for name in wanted}
    assert os.listdir(tmp_path) == ["t.parquet"]


def test_floats_take_their_four_bytes_and_little_more(tmp_path):
    pytest.importorskip("pyarrow")
    numbers = np.random.default_rng(0).normal(size=(4000, 50)).astype(np.float32)
    write_parquet([pandas.DataFrame(numbers, columns=[f"c{k}" for k in range(50)])],
                  tmp_path / "t.parquet")
    assert os.path.getsize(tmp_path / "t.parquet") < 1.05 * numbers.nbytes
    assert np.array_equal(pandas.read_parquet(tmp_path / "t.parquet").to_numpy(), numbers)


def test_a_fault_on_the_way_leaves_the_old_file(tmp_path):
    pytest.importorskip("pyarrow")
    write_parquet([frame(2)], tmp_path / "t.parquet")
    before = (tmp_path / "t.parquet").read_bytes()

    def parts():
        yield frame(2)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_parquet(parts(), tmp_path / "t.parquet")
    assert (tmp_path / "t.parquet").read_bytes() == before and len(os.listdir(tmp_path)) == 1


def test_without_pyarrow_the_cure_is_said(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(InputError, match=r"p.parquet: Parquet is written by pyarrow: pip install "
                                         r"pyarrow, or give a name with .csv"):
        check_parquet("p.parquet")


def test_what_is_said_of_the_numbers_comes_back_and_no_other_programs_words(tmp_path):
    pyarrow = pytest.importorskip("pyarrow")
    write_parquet([frame(2)], tmp_path / "t.parquet", {"model": "a", "n": [1]})
    assert parquet.about_parquet(tmp_path / "t.parquet") == {"model": "a", "n": [1]}
    write_parquet([frame(2)], tmp_path / "t.parquet")
    assert parquet.about_parquet(tmp_path / "t.parquet") == {}
    for words in (b"{", b"[1]", b"\xff"):
        table = pyarrow.table({"a": [1]}).replace_schema_metadata({b"phenoscale": words})
        pyarrow.parquet.write_table(table, tmp_path / "t.parquet")
        assert parquet.about_parquet(tmp_path / "t.parquet") == {}
