# SPDX-License-Identifier: BSD-3-Clause
"""A training without a score says so at its end, why, and the cure: in every host."""

import re

import pytest

import screens
from calls import train_run
from phenoscale.estimator import WholeImageClassifier
from phenoscale.hosts.tasks import execute
from phenoscale.reports.report import write_report
from phenoscale.tables.columns import SKIP
from phenoscale.tables.read import read_table
from phenoscale.training.recipe import Recipe
from phenoscale.training.run_folder import RunFolder

LABEL = "Metadata_Class"
RECIPE = Recipe(network="mcnn-gap", epochs=1, batch=4)
CURE = "hold out whole wells or plates"


@pytest.fixture
def table(tmp_path):
    """A small screen that a test may break."""
    return read_table(screens.write_screen(tmp_path / "screen", 2, 4, 1))


def sides(*row):
    """The sides of a plate's labelled wells, and of the one without a class."""
    return [*row, ""]


def one_class(table):
    is_other = (table.column(LABEL) == "fine") & (table.role("plate") == "P2")
    table.frame[SKIP] = is_other.map({True: "blank", False: ""})
    return {"holdout": {"Metadata_Plate": ["P2"]}}


def unreadable(table):
    for row in range(5, 10):
        screens.spoil(table.paths[row][0])
    return {"holdout": {"Metadata_Plate": ["P2"]}}


def unreadable_validation(table):
    table.frame["Side"] = sides(*["train"] * 4) + sides(*["val"] * 4)
    for row in range(5, 10):
        screens.spoil(table.paths[row][0])
    return {"split": "Side", "on_error": "skip"}


def unreadable_beside_validation(table):
    table.frame["Side"] = sides("train", "train", "train", "train") + sides(*["test"] * 4)
    table.frame.loc[table.frame.index[2:4], "Side"] = "val"
    table.frame.loc[table.frame.index[8], LABEL] = "coarse"
    table.frame.loc[table.frame.index[7:9], "Side"] = "train"
    for row in (5, 6):
        screens.spoil(table.paths[row][0])
    return {"split": "Side", "on_error": "skip"}


def all_train(table):
    table.frame["Side"] = sides(*["train"] * 4) * 2
    return {"split": "Side"}


def no_class(table):
    table.frame.loc[table.frame.index[5:], LABEL] = ""
    return {"holdout": {"Metadata_Plate": ["P2"]}}


@pytest.mark.parametrize("case, words", [
    (lambda table: {}, "no field was held out, and there are no validation fields: class coarse "
                       "has 4 wells to share, too few to spare any; "),
    (lambda table: {"val_fraction": 0}, "no validation fields, as asked; "),
    (no_class, "no field that was held out has a class, and there are no validation fields: c"),
    (unreadable, r"no labelled field that was held out can be read \(see errors.csv\), and "),
    (unreadable_validation, "no field that column Side calls test or val can be read: see errors"),
    (unreadable_beside_validation, "no score of held-out fields: none of them can be read"),
    (all_train, "column Side says test or val of no labelled field; "),
    (one_class, "no score that tells classes apart: all held-out fields are of class coarse; "),
], ids=["neither", "as asked", "no class", "unreadable", "unreadable column",
        "unreadable beside validation", "column", "one class"])
def test_why_and_the_cure_are_in_the_run_and_its_report(table, tmp_path, case, words):
    options = case(table)
    _, folder = train_run(table, LABEL, tmp_path / "run", RECIPE, **options)
    said = RunFolder(folder).unscored()
    assert re.search(words, said) and "\n" not in said
    assert any(cure in said for cure in (CURE, "hold out fields of two", "mend them"))
    with open(write_report(folder), encoding="utf-8") as file:
        page = file.read()
    assert said[1:].replace("<", "&lt;") in page
    assert ("Trained, not scored" in page) == said.startswith("no score: ")


def test_nothing_is_said_where_there_is_a_score(table, tmp_path):
    _, folder = train_run(table, LABEL, tmp_path / "run", RECIPE,
                          holdout={"Metadata_Plate": ["P2"]})
    assert RunFolder(folder).unscored() == ""


def test_held_out_files_that_vanish_before_they_are_scored(table, tmp_path):
    """They were read once, so they are "test" in split.csv; the report has others to show."""

    def spoil(event):
        if event["stage"] == "epoch":
            for row in range(5, 9):
                screens.spoil(table.paths[row][0])

    _, folder = train_run(table, LABEL, tmp_path / "run", RECIPE, progress=spoil,
                          holdout={"Metadata_Plate": ["P2"]})
    assert "no labelled field that was held out can be read" in RunFolder(folder).unscored()
    with open(write_report(folder), encoding="utf-8") as file:
        assert "No score: no labelled field that was held out can be read" in file.read()


def test_the_last_line_of_the_verb_and_again_where_it_has_ended(table, tmp_path, call):
    words = ("train", table.source, "--label", LABEL, "--out", tmp_path / "run", "--network",
             "mcnn-gap", "--epochs", 1, "--quiet")
    status, out, err = call(*words)
    assert status == 0 and out.endswith("report.html\n")
    last = err.splitlines()[-1]
    assert last.startswith("phenoscale: no score: no field was held out") and CURE in last
    assert call(*words, "--resume")[2].splitlines()[-1] == last
    status, _, err = call(*words[:-1], "--holdout", "Metadata_Plate=P2", "--out", tmp_path / "two")
    assert status == 0 and "no score" not in err


def test_in_a_task_and_in_fit(table, tmp_path):
    task = {"table": table.source, "label": LABEL, "recipe": {"network": "mcnn-gap", "epochs": 1}}
    found = execute("train", {**task, "out": str(tmp_path / "a")})
    assert found["unscored"].startswith("no score: no field was held out")
    found = execute("train", {**task, "out": str(tmp_path / "b"),
                              "holdout": {"Metadata_Plate": ["P2"]}})
    assert found["unscored"] == ""
    classifier = WholeImageClassifier(network="mcnn-gap", epochs=1).fit(table, LABEL)
    assert classifier.unscored_.startswith("no score: fit trains on every labelled field; keep")
    classifier.save(tmp_path / "m")
    assert WholeImageClassifier.load(tmp_path / "m").unscored_ == ""
