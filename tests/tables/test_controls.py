# SPDX-License-Identifier: BSD-3-Clause
"""Words that say which wells are controls: a closed list, any other word is said."""

import pandas
import pytest

from phenoscale.tables.controls import control_columns, control_marks, control_notes, sign_of
from phenoscale.tables.predictions import known_columns
from phenoscale.tables.read import read_table


def marks(cells, column="Metadata_Control"):
    return control_marks(pandas.DataFrame({column: cells}))[0]


@pytest.mark.parametrize("words, mark", [
    (["negcon", "Negative", "NEG", "negative_control", "Negative Control", "neg ctrl",
      "vehicle", "DMSO", "mock", "non-targeting", "ctl_vehicle", "untreated"], "-"),
    (["poscon", "positive", "Pos", "positive control", "poscon_cp", "poscon_diverse",
      "poscon_orf", "trt_poscon"], "+"),
    (["yes", "Y", "True", "TRUE", "1", "1.0", "control", "Ctrl"], "c"),
    (["", "none", "None", "no", "No", "False", "FALSE", "0", "0.0", "trt", "treated", "Treatment",
      "perturbation", "trt_cp", "empty", "NA", "n/a", "NaN", "null", "compound"], "")])
def test_known_words(words, mark):
    assert {word: sign_of(word) for word in words} == dict.fromkeys(words, mark)
    assert marks(words) == [mark] * len(words)


@pytest.mark.parametrize("word", ["nocodazole", "n", "p", "taxol", "-", "+", "-1", "2", "narrow",
                                  "negligible", "positively", "poison", "?"])
def test_an_unknown_word_is_said_and_marks_nothing(word):
    assert sign_of(word) is None and marks([word, "negcon"]) == ["", "-"]
    (note,) = control_notes(pandas.DataFrame({"Metadata_Control": [word, word, "negcon"]}))
    assert f"column Metadata_Control: '{word}' (2 fields): not known" in note
    assert "--controls Metadata_Control=VALUE" in note
    assert control_notes(pandas.DataFrame({"Metadata_Control": ["negcon", "trt", ""]})) == []


def test_columns_that_say_it():
    names = ["Metadata_Plate", "pert_type", "Metadata_control_type", "Metadata_Control", "moa",
             "Metadata_Compound", "Image_Metadata_Well_Type"]
    assert control_columns(names) == ["Metadata_Control", "Metadata_control_type", "pert_type",
                                      "Image_Metadata_Well_Type"]


def test_two_columns_of_jump():
    frame = pandas.DataFrame({
        "Metadata_pert_type": ["control", "control", "trt", "control", ""],
        "Metadata_control_type": ["negcon", "poscon_cp", "", "", ""]})
    assert control_marks(frame) == (["-", "+", "", "c", ""], {})


def test_reading_says_unknown_words_of_joined_columns_too(tmp_path):
    (tmp_path / "screen.csv").write_text("file,well\na.tif,A01\nb.tif,A02\n")
    (tmp_path / "map.csv").write_text("Well,pert_type\nA01,trt\nA02,odd\n")
    table = read_table(tmp_path / "screen.csv", join=[tmp_path / "map.csv"])
    assert sum("pert_type: 'odd' (1 field)" in note for note in table.notes) == 1


def known(**columns):
    frame = pandas.DataFrame({"Metadata_Compound": ["vehicle", "taxol"], "label": ["a", "b"],
                              **columns})
    return known_columns(frame, "label", {}, {})["Mark"].tolist()


def test_the_compound_gives_the_sign_where_a_column_does_not():
    for control, treated in (("yes", "no"), ("True", "False"), ("1", "0"), ("negcon", "trt"),
                             ("negative", "none"), ("control", "perturbation")):
        assert known(Metadata_Control=[control, treated]) == ["-", ""]
    assert known() == ["-", ""]  # nothing else says it
    assert known(Metadata_Control=["no", "yes"]) == ["", "c"]  # the column does
    assert known(Metadata_Control=["no", "poscon"]) == ["", "+"]


def test_controls_that_are_named_stand_first():
    frame = pandas.DataFrame({"Metadata_Control": ["odd", "yes", "poscon"], "label": ["a"] * 3})
    found = known_columns(frame, "label", {}, {"Metadata_Control": ["odd", "yes"]})
    assert found["Mark"].tolist() == ["-", "-", "+"]


@pytest.mark.parametrize("column", ["ControlType", "Metadata_PertType", "WELL-TYPE", "isControl"])
def test_names_of_columns_in_any_spelling(column):
    assert marks(["negcon", "trt"], column) == ["-", ""]


@pytest.mark.parametrize("word", ["negcon_old", "poscon failed"])
def test_an_ending_that_is_not_known_is_no_control(word):
    assert sign_of(word) is None
