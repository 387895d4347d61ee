# SPDX-License-Identifier: BSD-3-Clause
"""Plate, well and site that stand in several rows; wells that are not known; batches."""

import numpy as np
import pandas
import pytest

from calls import split_table
from phenoscale.errors import InputError
from phenoscale.tables.read import read_table
from phenoscale.tables.repeats import doubts, repeats, well_roles


def two_plates(**columns):
    """Wells A01 to A08 with two sites, on two plates that lie in two folders."""
    rows = [{"FileName_A": f"{well}_{site}.tif", "PathName_A": f"BR{plate}", "Rep": f"R{plate}",
             "well": f"A{well}", "site": site, "moa": "AB"[(well + plate) % 2], "note": "x"}
            for plate in (1, 2) for well in range(1, 9) for site in (1, 2)]
    return pandas.DataFrame(rows).assign(**columns)


def test_names_that_repeat_are_said_with_what_tells_them_apart():
    (words,) = repeats(read_table(two_plates()))
    assert words.startswith("well A01 site 1 is there 2 times (rows 0, 16), 16 such names repeat: "
                            "which column tells plates apart? PathName_A or Rep or moa: --role "
                            "plate=PathName_A")
    frame = two_plates().drop(columns="Rep")
    (words,) = repeats(read_table(frame))
    assert "apart? PathName_A or moa: --role plate=PathName_A" in words
    assert repeats(read_table(frame, roles={"plate": "PathName_A"})) == []
    assert repeats(read_table(two_plates().rename(columns={"Rep": "Barcode"}))) == []
    assert repeats(read_table(two_plates(Metadata_Timepoint=[1] * 16 + [2] * 16))) == []
    assert repeats(read_table(two_plates(Batch=[1] * 16 + [2] * 16))) == []
    frame["FileName_A"] = frame["PathName_A"] + "/" + frame["FileName_A"]
    (words,) = repeats(read_table(frame.drop(columns="PathName_A")))
    assert words.endswith("plates apart? moa or a new one of the 2 folders of their files (BR1, "
                          "BR2): --role plate=COLUMN")
    one = two_plates(plate="2.01235E+11")  # rounded to one plate
    assert "--role plate=PathName_A" in repeats(read_table(one))[0]


def test_sites_that_no_column_numbers_are_no_repeats():
    frame = two_plates(plate=["P1"] * 16 + ["P2"] * 16).drop(columns="site")
    assert repeats(read_table(frame)) == []
    assert "A01 is there 4 times" in repeats(read_table(frame.drop(columns="plate")))[0]


def test_a_split_of_repeated_names_is_refused_or_said():
    table = read_table(two_plates())
    with pytest.raises(InputError, match="well A01 is both train .*keep it on one side; well A01 "
                                         "site 1 is there 2 times .*--role plate=PathName_A"):
        split_table(table, "moa", holdout={"Rep": ["R2"]}, val_fraction=0)
    assert split_table(table, "moa")[1][-1] == repeats(table)[0]  # on one side: said alone
    sure = read_table(two_plates(), roles={"plate": "Rep"})
    sides, notes = split_table(sure, "moa", holdout={"Rep": ["R2"]}, val_fraction=0)
    assert (sides == "test").sum() == 16 and notes == ["no validation fields, as asked"]


def test_unknown_wells_are_a_doubt_of_every_split():
    table = read_table(two_plates().drop(columns="well"))
    assert "the wells are not known" in doubts(table)[0]
    _, notes = split_table(table, "moa", holdout={"site": ["2"]})
    assert notes[-1] == doubts(table)[0]


def test_a_well_is_batch_plate_and_well():
    frame = two_plates(plate="P1", batch=["b1"] * 16 + ["b2"] * 16)
    table = read_table(frame)
    assert well_roles(table) == ["batch", "plate", "well"]
    assert table.well_name(0) == "b1 P1 A01" and len(set(table.well_names())) == 16
    assert table.well_names() == [table.well_name(row) for row in range(len(table))]
    sides, _ = split_table(table, "moa", holdout={"batch": ["b2"]}, val_fraction=0)
    assert (sides == "test").sum() == 16
    sides, notes = split_table(table, "moa", val_fraction=0.25)
    held = set(np.array(table.well_names())[sides == "val"])
    assert notes[0].startswith("validation: 4 wells") and len(held) == 4
    frame.loc[0, "batch"] = ""  # not every batch need be known
    split_table(read_table(frame.assign(site=range(32))), "moa")


@pytest.mark.parametrize("role, words", [("plate", ["1", "01"]), ("plate", ["P 0", "P_0"]),
                                         ("batch", ["b1", "B1"])])
def test_two_spellings_of_a_plate_or_batch_are_said_and_never_on_two_sides(role, words):
    frame = two_plates(plate="P1").iloc[:16].assign(**{role: words * 8})
    table = read_table(frame)
    assert any(f"{role}s '" in words and "may be one" in words for words in doubts(table))
    with pytest.raises(InputError, match="is both .*may be one: write them alike"):
        split_table(table, "moa", holdout={f"Metadata_{role.capitalize()}": [words[0]]},
                    val_fraction=0)


def test_a_batch_that_is_given_for_some_fields_of_a_well_makes_no_other_well():
    frame = two_plates(plate="P1").iloc[:16].assign(batch=["b1", ""] * 8)
    with pytest.raises(InputError, match="well .* is both test .* and train"):
        split_table(read_table(frame), "moa", holdout={"batch": ["b1"]}, val_fraction=0)


def test_words_that_are_no_wells_are_said():
    frame = two_plates(plate="P1").iloc[:16]
    table = read_table(frame.assign(well=frame["well"] + "_" + frame["site"].astype(str)))
    assert any("'A1_1'" in words and "not like A01" in words for words in doubts(table))


def test_one_file_of_one_channel_on_two_sides():
    frame = two_plates(plate=["P1"] * 16 + ["P2"] * 16).assign(
        FileName_B=[f"{n}.tif" for n in range(32)])
    frame.loc[16:, "FileName_B"] = frame.loc[:15, "FileName_B"].tolist()
    frame["PathName_B"] = "same"
    with pytest.raises(InputError, match="image .*0.tif is both"):
        split_table(read_table(frame), "moa", holdout={"plate": ["P2"]}, val_fraction=0)


def test_numbers_of_rows_are_no_wells():
    frame = two_plates(plate="P1").iloc[:16].drop(columns="well").assign(
        WellID=[str(n) for n in range(16)])
    assert "well" not in read_table(frame).roles
