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


def mixed(tmp_path, rows):
    """Rows of (well, z, file of A, file of B), each file full of a number of its own."""
    for _, _, *names in rows:
        for name in filter(None, names):
            tifffile.imwrite(tmp_path / name, np.full((4, 4), int(name[1:-4]), np.uint8))
    return pandas.DataFrame(rows, columns=["Metadata_Well", "Metadata_Z", "FileName_A",
                                           "FileName_B"])


def values(table):
    """The fields of a table, of each channel its first pixel."""
    source = open_fields(table, survey(table), 1)
    source.start(range(len(table)))
    return [source.next()[:, 0, 0].tolist() for _ in range(len(table))]


def test_each_channel_has_its_own_stack(tmp_path):
    """One plane of B lies beside three of A; a clean table says it again."""
    frame = mixed(tmp_path, [
        (well, str(z), f"a{k + z}.tif", f"b{k + 7}.tif" if z == 2 else "")
        for k, well in ((10, "A01"), (20, "A02")) for z in (1, 2, 3)])
    for z, expected in (("max", [[13, 17], [23, 27]]), ("mean", [[12, 17], [22, 27]]),
                        ("0", [[11, 17], [21, 27]]), ("2", [[13, 17], [23, 27]])):
        table = read_table(frame, root=tmp_path, z=z)
        assert values(table) == expected and not table.skipped()
        assert "planes of z by channel: A 3, B 1; each channel has its own stack" in table.notes
        write_table(table, tmp_path / "clean.csv")
        again = read_table(tmp_path / "clean.csv", z=z)
        assert (again.planes, values(again)) == (table.planes, expected)
    with pytest.raises(InputError, match="3 planes of channel A, counted from 0: there is no plane "
                                         "3"):
        read_table(frame, root=tmp_path, z="3")
    with pytest.raises(InputError, match="3 planes of one field"):
        read_table(frame, root=tmp_path)


def test_rows_without_a_chosen_channel_do_not_count(tmp_path):
    frame = mixed(tmp_path, [("A01", str(z), f"a{z}.tif", "b7.tif" if z == 2 else "")
                             for z in (1, 2, 3)])
    for z in (None, "max", "0"):
        table = read_table(frame, root=tmp_path, channels=["B"], z=z)
        assert values(table) == [[7]] and table.paths == [[str(tmp_path / "b7.tif")]]


def test_a_plane_that_is_missing_is_said(tmp_path):
    """Of a stack, and of a channel of one plane."""
    frame = mixed(tmp_path, [(well, str(z), f"a{z}.tif", "b7.tif" if z == 2 else "")
                             for well in ("A01", "A02", "A03", "A04") for z in (1, 2, 3)])
    frame.loc[[5], "FileName_A"] = ""
    frame.loc[[7], "FileName_B"] = ""
    table = read_table(frame, root=tmp_path, z="max")
    found = survey(table)
    assert [(p.kind, p.row) for p in found.problems] == [("missing", 1), ("missing", 2)]
    assert "is one of 3 planes of z, of which not all are named" in found.problems[0].sentence
    assert "the file of B is not named" in found.problems[1].sentence
    table = read_table(frame, root=tmp_path, z="1")
    assert table.skipped() == {1: "2 planes of z where most fields have 3 of channel A: which is "
                                  "plane 1 is not sure"}


def test_heights_of_focus_are_no_planes(tmp_path):
    """Where each field has one; where two rows share a well, both readings are offered."""
    frame = mixed(tmp_path, [("A01", "10.53", "a1.tif", "b1.tif"),
                             ("A02", "11.02", "a2.tif", "b2.tif")])
    assert len(read_table(frame, root=tmp_path)) == 2
    with pytest.raises(InputError, match="--z how they become one: max, mean, or a number, or, if "
                                         "they are fields of their own, .*--role site=COLUMN"):
        read_table(frame.assign(Metadata_Well="A01", Metadata_Z=["1", "2"]), root=tmp_path)
