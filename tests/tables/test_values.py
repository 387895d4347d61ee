# SPDX-License-Identifier: BSD-3-Clause
"""Columns and values that a user names: the same in every option."""

import pandas
import pytest

from phenoscale.cli.options import pairs
from phenoscale.errors import InputError
from phenoscale.tables.class_keys import class_keys
from phenoscale.tables.read import Reading, read_table
from phenoscale.tables.split import Split, split_table
from phenoscale.tables.values import pairs_of, row_tuples, same_cells, values_of


@pytest.fixture
def table():
    return read_table(pandas.DataFrame({
        "file": [f"{k}.tif" for k in range(4)], "plate": ["0012", "0012", "0013", "0013"],
        "CPD_WELL_POSITION": ["a1", "A02", "r01c01", "A2"], "compound": ["a,b", "c", "a,b", "c"],
        "concentration": ["0.3", "0.30", "30 nM", "low"], "site": ["1", "2", "1", "2"]}))


def test_a_column_is_known_by_its_own_name_and_by_ours(table):
    for name in ("CPD_WELL_POSITION", "Metadata_Well"):
        assert table.column(name).tolist() == ["A01", "A02", "A01", "A02"]
        assert table.matches({name: ["a1"]}).tolist() == [True, False, True, False]
    for name in ("compound", "Metadata_Compound"):
        assert table.known(name) == "Metadata_Compound"
    assert table.own("Metadata_Compound") == "compound" and table.known("file").endswith("_file")
    with pytest.raises(InputError, match="has no column Plaet: it has Metadata_Plate"):
        table.known("Plaet")


@pytest.mark.parametrize("column, value, cells", [
    ("CPD_WELL_POSITION", "R1C2", ["A02"]), ("concentration", "300 nM", ["0.3"]),
    ("concentration", "0,03", ["0.03"]), ("concentration", "low", ["low"]),
    ("plate", "12", ["0012"]), ("site", "1.0", ["1"]), ("site", 1, ["1"]),
    ("compound", "a,b", ["a,b"])])
def test_values_are_read_as_cells_are(table, column, value, cells):
    column = table.known(column)
    assert table.known_values({column: [value]}) == {column: cells}


def test_a_value_that_no_field_has_is_refused(table):
    with pytest.raises(InputError, match='column compound has no a for a control: it has "a,b", c'):
        table.matches({"compound": ["a"]}, "for a control")
    with pytest.raises(InputError, match="has no B01 to match: it has A01, A02"):
        table.known_values({"Metadata_Well": "B01"})
    with pytest.raises(InputError, match="may be a thousand or one"):
        table.matches({"concentration": ["1,000"]})


def test_two_plates_of_one_number_are_not_one():
    assert same_cells("plate", "12", ["0012", "012"]) == []
    assert same_cells("plate", "012", ["0012", "012"]) == ["012"]


def test_rows_without_columns_are_rows():
    """As in pandas 3, with any pandas: a table of files alone has fields."""
    frame = pandas.DataFrame({"a": ["x", "y"], "b": [1, 2]})
    assert row_tuples(frame) == [("x", 1), ("y", 2)] and row_tuples(frame[:0]) == []
    assert row_tuples(frame[[]]) == [(), ()]
    assert len(read_table(pandas.DataFrame({"Image_FileName_DNA": ["a.tif", "b.tif"]}))) == 2


def test_values_with_commas_can_be_said():
    words = ['Metadata_Compound="a,b", c', "Metadata_Compound=d", 'x="e ""f"""']
    assert pairs(words, "--holdout") == {"Metadata_Compound": ["a,b", "c", "d"], "x": ['e "f"']}


# ---- how many ------------------------------------------------------------------------------------


def test_a_text_is_one_value():
    """Wherever the package takes a value or several."""
    from phenoscale.prediction.file import Writing
    from phenoscale.training.recipe import Recipe

    frame = pandas.DataFrame([
        {"FileName_DNA": f"{plate}{k}.tif", "Metadata_Plate": plate, "Metadata_Well": f"A{k + 1}",
         "moa": "ab"[k % 2]} for plate in ("1", "2", "12") for k in range(4)])
    table = read_table(frame, channels="DNA")
    assert table.channels == table.with_channels("DNA").channels == ["DNA"]
    sides, _ = split_table(table, "moa", Split(holdout={"Metadata_Plate": "12"}, val_fraction=0))
    assert (sides == "test").tolist() == [plate == "12" for plate in frame["Metadata_Plate"]]
    assert Split(holdout={"Metadata_Plate": 12}).holdout == {"Metadata_Plate": [12]}
    assert table.matches({"Metadata_Plate": 12}).sum() == 4
    assert Reading(join="map.csv").join == ["map.csv"] and Writing(keep="m").keep == ["m"]
    assert Recipe(augment="turn").augment == ("turn",) and class_keys("IL-6") == ["IL6"]
    assert values_of(pandas.Series(["a", "b"]), "x") == ["a", "b"]


@pytest.mark.parametrize("make, words", [
    (lambda: Split(holdout=["P1"]), "holdout=['P1']: give a dict, its names are text"),
    (lambda: Split(holdout={"Metadata_Plate": [["P1"]]}), "['P1'] in it is no value"),
    (lambda: Split(holdout={"Metadata_Plate": []}), "holdout of column Metadata_Plate names no"),
    (lambda: Split(holdout={"Metadata_Plate": None}), "Metadata_Plate=None: give a value, or a"),
    (lambda: Split(val_fraction="0.2"), "validation fraction is '0.2': give a number"),
    (lambda: Split(column=["part"]), "the column of the split is ['part']: give the name of one"),
    (lambda: Reading(roles="plate=P"), "roles='plate=P': give a dict"),
    (lambda: Reading(channels={"DNA": 1}), "channels={'DNA': 1}: give a value, or a list"),
    (lambda: Reading(pattern=3), "pattern=3: give one text"),
    (lambda: read_table(["a.csv"]), "read from a path or a DataFrame, not list"),
    (lambda: pairs_of({1: "a"}, "controls"), "controls={1: 'a'}: give a dict")])
def test_what_is_no_value_is_refused(make, words):
    with pytest.raises(InputError) as error:
        make()
    assert words in str(error.value) and "\n" not in str(error.value)
