# SPDX-License-Identifier: BSD-3-Clause
"""Rows that are planes of one field."""

import os

import numpy as np
import pandas
import pytest

from phenoscale.errors import InputError
from phenoscale.images.fields import open_fields
from phenoscale.images.survey import survey
from phenoscale.tables.columns import CHOSEN, SKIP
from phenoscale.tables.read import read_table
from phenoscale.tables.table import write_table

tifffile = pytest.importorskip("tifffile")


def test_stacks_over_several_files(tmp_path):
    """Rows that differ in Metadata_Z alone are one field; the rest keeps its rows."""
    rows = []
    for well in ("A01", "A02"):
        for z in (2, 10, 1):
            tifffile.imwrite(tmp_path / f"{well}_{z}.tif", np.full((4, 4), z, np.uint8))
            rows.append({"FileName_A": f"{well}_{z}.tif", "Metadata_Well": well,
                         "Metadata_Site": "1", "Metadata_Z": str(z)})
    frame = pandas.DataFrame(rows)
    with pytest.raises(InputError, match=r"row 0 \(well A01\): 3 planes of one field \(column "
                                         "Metadata_Z.*--z how they become one"):
        read_table(frame, root=tmp_path)
    for z, value in (("max", 10), ("mean", 4), ("0", 1), ("2", 10)):
        table = read_table(frame, root=tmp_path, z=z)
        assert len(table) == 2 and table.role("well").tolist() == ["A01", "A02"]
        source = open_fields(table, survey(table), 1)
        source.start([1])
        assert (source.next() == value).all()
        write_table(table, tmp_path / "clean.csv")
        again = read_table(tmp_path / "clean.csv", z=z)
        assert [[p.path for p in planes] for planes in again.planes[0]] == [
            [p.path for p in planes] for planes in table.planes[0]]
    with pytest.raises(InputError, match="3 planes, counted from 0: there is no plane 3"):
        read_table(frame, root=tmp_path, z="3")
    with pytest.raises(InputError, match="two rows are the same plane"):
        read_table(pandas.concat([frame, frame[:1]]), root=tmp_path, z="max")
    with pytest.raises(InputError, match="is no number for some plane"):
        read_table(frame.replace("10", "top"), root=tmp_path, z="max")
    with pytest.raises(InputError, match="nothing says of which well: .*--role well=COLUMN"):
        read_table(frame.drop(columns="Metadata_Well"), root=tmp_path, z="max")
    assert len(read_table(frame.drop(columns="Metadata_Site"), root=tmp_path, z="max")) == 2
    for z in ("median", "-1", "1.5"):
        with pytest.raises(InputError, match="give max, mean or the number of a plane"):
            read_table(frame, root=tmp_path, z=z)
    tifffile.imwrite(tmp_path / "A01_1.tif", np.zeros((2, 4, 4), np.uint8), metadata=None,
                     photometric="minisblack")
    table = read_table(frame, root=tmp_path, z="max")
    assert "has 2 planes, and is itself one of a stack" in survey(table).problems[0].sentence


def test_rows_that_differ_in_more_than_z(tmp_path):
    """Never one field of two compounds; what else differs is left empty, with a word."""
    frame = pandas.DataFrame({
        "FileName_A": ["a.tif", "b.tif", "c.tif"], "well": "A01", "site": "1", "z": ["1", "2", "3"],
        "day": ["1", "1", "2"], "laser": "4", "compound": "taxol", SKIP: ["", "out of focus", ""]})
    table = read_table(frame, root=tmp_path, z="max")
    assert len(table) == 1 and len(table.planes[0][0]) == 3
    assert table.column("day").tolist() == [""] and table.column("laser").tolist() == ["4"]
    assert table.notes == ["column day differs among the planes of 1 fields: it is left empty "
                           "there"]
    assert table.skipped() == {0: "out of focus"}
    frame.loc[2, "compound"] = "DMSO"
    with pytest.raises(InputError, match=r"row 0 \(well A01\): the planes of this field \(column "
                                         "Metadata_Z\\) differ in column Metadata_Compound"):
        read_table(frame, root=tmp_path, z="max")


def test_a_plane_is_chosen_once(tmp_path):
    """--z NUMBER of files with one plane each is an error, of rows it is not."""
    for name in "abc":
        tifffile.imwrite(tmp_path / f"{name}.tif", np.full((4, 4), ord(name), np.uint8))
    frame = pandas.DataFrame({"FileName_A": ["a.tif", "b.tif", "c.tif"], "well": "A01",
                              "site": "1", "z": ["1", "2", "3"]})
    table = read_table(frame, root=tmp_path, z="2")
    assert not survey(table).problems and table.paths[0][0].endswith("c.tif")
    table = read_table(frame.drop(columns="z"), root=tmp_path, z="2")
    assert "has 1 plane of z, counted from 0: there is no plane 2" in survey(
        table).problems[0].sentence


def test_a_row_for_each_channel_is_no_table_of_fields(tmp_path):
    frame = pandas.DataFrame({"FileName_A": ["1.tif", "2.tif"], "well": "A01", "site": "1",
                              "channel": ["DNA", "Actin"]})
    with pytest.raises(InputError, match=r"rows of one well and site differ in column .*hannel "
                                         r"\(Actin, DNA\): a table has one row a field"):
        read_table(frame, root=tmp_path)


def test_heights_with_a_decimal_comma(tmp_path):
    frame = pandas.DataFrame({"FileName_A": ["a.tif", "b.tif"], "well": "A01",
                              "Metadata_Z": ["10,5", "9,5"]})
    table = read_table(frame, root=tmp_path, z="0")
    assert [os.path.basename(p.path) for p in table.planes[0][0]] == ["b.tif"]
    with pytest.raises(InputError, match="is no number for some plane"):
        read_table(frame.assign(Metadata_Z=["nan", "1"]), root=tmp_path, z="max")


def test_a_chosen_plane_stays_chosen(tmp_path):
    """A clean table says which; a field of another number of planes is left out, with a word."""
    rows = [{"FileName_A": f"{well}{z}.tif", "well": well, "Metadata_Z": str(z)}
            for well, count in (("A01", 3), ("A02", 3), ("A03", 2)) for z in range(count)]
    table = read_table(pandas.DataFrame(rows), root=tmp_path, z="1")
    assert table.chosen == "1" and table.z is None
    assert table.notes == ["1 fields with other numbers of planes than 3 are left out"]
    assert "2 planes of z where most fields have 3" in table.skipped()[2]
    write_table(table, tmp_path / "clean.csv", table.skipped())
    for z in (None, "1"):
        again = read_table(tmp_path / "clean.csv", z=z)
        assert again.chosen == "1" and CHOSEN not in again.frame.columns
        assert again.paths == table.paths
    with pytest.raises(InputError, match="says that plane 1 was chosen already"):
        read_table(tmp_path / "clean.csv", z="2")
