# SPDX-License-Identifier: BSD-3-Clause
"""Splits: who is held out, what is kept together, and what is refused."""

import numpy as np
import pandas
import pytest

from calls import split_table
from phenoscale.errors import InputError
from phenoscale.tables.read import read_table


def screen(plates=2, wells=8, sites=2, classes=("A", "B"), **columns):
    """Wells with classes in turn, sites fields each; the last well of each plate unlabelled."""
    rows = []
    for plate in range(plates):
        for well in range(wells):
            for site in range(sites):
                rows.append(
                    {
                        "FileName_DNA": f"p{plate}w{well}s{site}.tif",
                        "Metadata_Plate": f"P{plate}",
                        "Metadata_Well": f"A{well + 1}",
                        "Metadata_Compound": f"drug{well // len(classes)}",
                        "moa": classes[well % len(classes)] if well < wells - 1 else "",
                    }
                )
    return pandas.DataFrame(rows).assign(**columns)


def fails(table, *arguments, **options):
    with pytest.raises(InputError) as error:
        split_table(table, *arguments, **options)
    assert "\n" not in str(error.value)
    return str(error.value)


def groups(table, sides, side, *columns):
    return set(table.frame.loc[sides == side, list(columns)].itertuples(index=False, name=None))


# ---- what is chosen ----------------------------------------------------------------------------


def test_holdout_matches_any_pair_and_leaves_the_unlabelled():
    table = read_table(screen())
    holdout = {"Metadata_Plate": ["P1"], "Metadata_Well": ["a1", "A02"]}
    sides, notes = split_table(table, "moa", holdout=holdout, val_fraction=0)
    for row, side in enumerate(sides):
        plate, well, moa = table.frame.loc[row, ["Metadata_Plate", "Metadata_Well", "moa"]]
        is_held = plate == "P1" or well in ("A01", "A02")
        assert side == ("unlabelled" if moa == "" else "test" if is_held else "train")
    assert notes == ["no validation fields, as asked"]


def test_split_column():
    frame = screen(part=["Train"] * 12 + ["VAL"] * 4 + ["test"] * 14 + ["", ""])
    sides, notes = split_table(read_table(frame), "moa", split="part")
    true = ["train"] * 12 + ["val"] * 2 + ["unlabelled"] * 2 + ["test"] * 14 + ["unlabelled"] * 2
    assert sides.tolist() == true and notes == []


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("val_by", ["well", "plate", "compound"])
def test_validation_keeps_groups_together_and_every_class_on_both_sides(val_by, seed):
    frame = screen(plates=6, wells=25, classes=("A", "B", "C"))
    frame["Metadata_Compound"] += "-" + frame["moa"]
    table = read_table(frame)
    sides, notes = split_table(table, "moa", val_by=val_by, seed=seed)
    columns = {
        "well": ["Metadata_Plate", "Metadata_Well"],
        "plate": ["Metadata_Plate"],
        "compound": ["Metadata_Compound"],
    }[val_by]
    train, val = (groups(table, sides, side, *columns) for side in ("train", "val"))
    assert not train & val
    number = {"well": 3 * round(0.15 * 48), "plate": 1, "compound": 3}[val_by]
    assert len(val) == number
    assert notes == [f"validation: {number} {val_by}s, {(sides == 'val').sum()} fields"]
    for side in ("train", "val"):
        assert {name for (name,) in groups(table, sides, side, "moa")} == {"A", "B", "C"}


def test_choice_depends_on_the_seed_not_on_the_order_of_rows():
    table = read_table(screen(wells=21))
    sides, _ = split_table(table, "moa")
    order = np.random.default_rng(0).permutation(len(table))
    shuffled, _ = split_table(table.select(order), "moa")
    assert (shuffled == sides[order]).all()
    assert (split_table(table, "moa", seed=1)[0] != sides).any()
    val = groups(table, sides, "val", "Metadata_Plate", "Metadata_Well")  # golden
    golden = {"P0": ["A08", "A10"], "P1": ["A01", "A07", "A14", "A17"]}
    assert val == {(plate, well) for plate, wells in golden.items() for well in wells}


def test_too_few_wells_means_no_validation_and_says_so():
    table = read_table(screen(plates=1, wells=5))  # A: 2 wells, B: 2 wells
    sides, notes = split_table(table, "moa")
    assert set(sides) == {"train", "unlabelled"}
    assert notes == ["no validation fields: class A has 2 wells to share, too few to spare any"]
    sides, _ = split_table(table, "moa", val_fraction=0.5)
    assert (sides == "val").sum() == 4 and (sides == "train").sum() == 4


@pytest.mark.parametrize("val_by", ["well", "plate"])
def test_wells_that_differ_in_the_spelling_of_their_plate_are_drawn_together(val_by):
    """What is refused on two sides is not drawn apart."""
    frame = screen(plates=8, wells=17, sites=2)
    odd = frame.index % 2 == 1  # the second site of each well
    frame.loc[odd, "Metadata_Plate"] = frame.loc[odd, "Metadata_Plate"].str.lower()
    table = read_table(frame)
    for seed in range(5):
        sides, _ = split_table(table, "moa", val_by=val_by, val_fraction=0.25, seed=seed)
        assert (sides[::2] == sides[1::2]).all() and (sides == "val").any()


def test_a_table_without_wells():
    frame = screen().drop(columns=["Metadata_Well"])
    sides, notes = split_table(read_table(frame), "moa")
    assert set(sides) == {"train", "unlabelled"} and "no column of wells" in notes[0]


def test_bbbc013_rows(tmp_path):
    for row in "ABCDEFGH":
        for column in range(1, 13):
            for channel in (1, 2):
                (tmp_path / f"Channel{channel}-00-{row}-{column:02d}.tif").touch()
    table = read_table(tmp_path, preset="bbbc013")
    sides, _ = split_table(table, "Metadata_Control", holdout={"Metadata_Row": list("BDFH")})
    counts = {side: int((sides == side).sum()) for side in set(sides)}
    assert counts == {"train": 12, "test": 12, "unlabelled": 72}
    sides, _ = split_table(
        table, "Metadata_Control", holdout={"Metadata_Compound": ["LY294002"]}, val_fraction=0
    )
    rows = table.column("Metadata_Row")
    assert set(rows[sides == "test"]) == set("EFGH") and set(rows[sides == "train"]) == set("ABCD")


# ---- what is refused ---------------------------------------------------------------------------


def test_labels():
    table = read_table(screen(empty="", same="x"))
    assert "no column Moa: it has moa," in fails(table, "Moa")
    assert "column empty is empty: no field has a class" in fails(table, "empty")
    assert "column same has one class only, x" in fails(table, "same")


def test_a_class_with_one_field_or_none_left():
    frame = screen(sites=1)
    frame.loc[3, "moa"] = "rare"
    sentence = fails(read_table(frame), "moa")
    assert "class rare of column moa has one field to train on" in sentence
    assert "the DataFrame row 3 (well P0 A04)" in sentence
    frame.loc[[3, 4], "moa"] = "rare"
    sentence = fails(read_table(frame), "moa", holdout={"Metadata_Well": ["A04", "A05"]})
    assert "class rare of column moa has none of its 2 fields to train on" in sentence


def test_unknown_holdouts_and_sides():
    frame = screen(part="train")
    table = read_table(frame)
    assert "no column Plate: it has " in fails(table, "moa", holdout={"Plate": ["P1"]})
    sentence = fails(table, "moa", holdout={"Metadata_Plate": ["P1", "P9"]})
    assert "column Metadata_Plate has no P9 to hold out: it has P0, P1" in sentence
    assert "already says which" in fails(
        table, "moa", split="part", holdout={"Metadata_Plate": ["P1"]}
    )
    assert "no column parts: it has part," in fails(table, "moa", split="parts")
    for value in ("tset", ""):
        frame.loc[5, "part"] = value
        sentence = fails(read_table(frame), "moa", split="part")
        assert f"row 5 (well P0 A03): column part says '{value}'" in sentence


def test_a_well_or_an_image_on_two_sides():
    frame = screen(part="train")
    frame.loc[5, "part"] = "test"
    sentence = fails(read_table(frame), "moa", split="part")
    assert "well P0 A03 is both train (the DataFrame row 4 (well P0 A03)) and test" in sentence
    frame["Metadata_Site"] = ["1", "2"] * 16
    sentence = fails(read_table(frame), "moa", holdout={"Metadata_Site": ["2"]}, val_fraction=0)
    assert "well P0 A01 is both train" in sentence and "keep it on one side" in sentence
    frame = screen()
    frame.loc[16, "FileName_DNA"] = "p0w0s0.tif"
    sentence = fails(read_table(frame), "moa", holdout={"Metadata_Plate": ["P1"]}, val_fraction=0)
    assert "p0w0s0.tif is both train (the DataFrame row 0" in sentence
    assert "and test (the DataFrame row 16" in sentence


def test_validation_that_cannot_be():
    table = read_table(screen(plates=1))
    assert "unknown group batch" in fails(table, "moa", val_by="batch")
    for fraction in (-0.1, 1, 1.5):
        assert f"is {fraction}: it lies from 0 to below 1" in fails(
            table, "moa", val_fraction=fraction
        )
    sentence = fails(table, "moa", val_by="plate", val_fraction=0.5)
    assert "class A has 1 plate to share" in sentence and "fraction 0.5" in sentence
    bare = read_table(screen().drop(columns=["Metadata_Compound", "Metadata_Well"]))
    assert "no column for the role compound" in fails(bare, "moa", val_by="compound")
    assert "--role well=COLUMN" in fails(bare, "moa", val_fraction=0.2)


def test_an_empty_well_among_the_labelled():
    frame = screen()
    frame.loc[14, "Metadata_Well"] = ""  # unlabelled: does no harm
    split_table(read_table(frame), "moa")
    frame.loc[4, "Metadata_Well"] = ""
    sentence = fails(read_table(frame), "moa")
    assert "the DataFrame row 4: column Metadata_Well is empty" in sentence
