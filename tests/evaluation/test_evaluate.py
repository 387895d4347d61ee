# SPDX-License-Identifier: BSD-3-Clause
"""The whole of an evaluation: its numbers against the files and scikit-learn, what it writes, what
it refuses, and the verb."""

import json
import os
import shutil

import numpy as np
import pytest

pandas = pytest.importorskip("pandas")
pytest.importorskip("tifffile"), pytest.importorskip("scipy.optimize")
click = pytest.importorskip("click")
import phenoscale
from phenoscale import InputError
from phenoscale.__main__ import cli
from phenoscale.scores.probabilities import NAMES
from phenoscale.tables.class_keys import class_key
from runs import PHENOTYPES, make_plate, make_screen

LABEL = "Metadata_Phenotype"
COLUMNS = [f"Phenoscale_Prob_{class_key(name)}" for name in PHENOTYPES]


@pytest.fixture(scope="module")
def screen(tmp_path_factory):
    return make_screen(tmp_path_factory.mktemp("runs") / "screen")


@pytest.fixture(scope="module")
def plate(tmp_path_factory):
    return make_plate(tmp_path_factory.mktemp("runs") / "plate")


@pytest.fixture
def copy(screen, tmp_path):
    return shutil.copytree(screen, tmp_path / "run")


def cells(path):
    return pandas.read_csv(path, keep_default_na=False)


def held_out(folder):
    """Labelled predictions of the plate that was held out."""
    frame = cells(folder / "predictions.csv")
    return frame[(frame["Metadata_Plate"] == "P4") & (frame[LABEL] != "")]


def value(found, level, name):
    scores = found.tables["scores"]
    return scores[(scores["level"] == level) & (scores["score"] == name)]["value"].iloc[0]


def test_scores_of_a_run_are_those_of_its_held_out_fields(screen):
    metrics = pytest.importorskip("sklearn.metrics")
    found, frame = phenoscale.evaluate(screen), held_out(screen)
    assert (found.side, found.label, found.classes) == ("test", LABEL, PHENOTYPES)
    order = sorted(PHENOTYPES)  # as scikit-learn has it
    p = frame[[f"Phenoscale_Prob_{class_key(name)}" for name in order]].to_numpy()
    peers = {
        "accuracy": metrics.accuracy_score(frame[LABEL], frame["Phenoscale_Class"]),
        "balanced_accuracy": metrics.balanced_accuracy_score(frame[LABEL],
                                                             frame["Phenoscale_Class"]),
        "macro_f1": metrics.f1_score(frame[LABEL], frame["Phenoscale_Class"], average="macro"),
        "auc": metrics.roc_auc_score(frame[LABEL], p, multi_class="ovr", labels=order),
        "log_loss": metrics.log_loss(frame[LABEL], p, labels=order)}
    assert {name: value(found, "field", name) for name in peers} == pytest.approx(peers)
    confusion = found.tables["confusion_field"].set_index("class").loc[order, order]
    assert (confusion.to_numpy() == metrics.confusion_matrix(
        frame[LABEL], frame["Phenoscale_Class"], labels=order)).all()


def test_wells_and_treatments_are_medians(screen):
    """By hand: wells of fields, treatments of wells, controls left out."""
    found, frame = phenoscale.evaluate(screen), held_out(screen)
    by = ["Metadata_Compound", "Metadata_Concentration", LABEL]
    wells = frame.groupby(["Metadata_Well", "Metadata_Control", *by])[COLUMNS].median()
    wells = wells.div(wells.sum(axis=1), axis=0).reset_index()
    treated = wells[wells["Metadata_Control"] == ""].groupby(by)[COLUMNS].median().reset_index()
    for level, rows in (("well", wells), ("treatment", treated)):
        called = np.array(PHENOTYPES)[rows[COLUMNS].to_numpy().argmax(axis=1)]
        assert value(found, level, "accuracy") == pytest.approx(np.mean(called == rows[LABEL]))
    head = found.headline
    assert (head["level"], head["n"], head["unit"], head["groups"]) == (
        "treatment", len(treated), "compound", 8)


def test_fields_that_were_trained_on_reach_no_score(copy):
    before = phenoscale.evaluate(copy)
    split, frame = cells(copy / "split.csv"), cells(copy / "predictions.csv")
    trained = split[split["Split"] == "train"].assign(
        Phenoscale_Class=PHENOTYPES[-1], Phenoscale_Model="3f2a9c", **dict.fromkeys(COLUMNS, 0))
    trained[COLUMNS[-1]] = 1
    both = pandas.concat([frame, trained.drop(columns="Split")])
    both.to_csv(copy / "predictions.csv", index=False)
    after = phenoscale.evaluate(copy)
    assert after.tables.keys() == before.tables.keys()
    for name, table in before.tables.items():
        pandas.testing.assert_frame_equal(after.tables[name], table)
    assert any("fields of predictions.csv trained on" in note for note in after.notes)


def test_a_plate_like_bbbc013(plate):
    found = phenoscale.evaluate(plate)
    assert found.headline["level"] == "well" and found.headline["right"] == 12
    assert found.tables["controls"]["positive_wells"].tolist() == [4]
    doses = found.tables["doses"]
    assert doses["is_rank"].all() and doses["compound"].tolist() == ["Wortmannin", "LY294002"]
    assert "EC50" not in found.text() and "ec50 (steps)" in found.text()


def test_what_is_asked_is_said(screen, plate):
    said = " ".join(phenoscale.evaluate(screen).notes)
    assert "44 wells, none of them trained on" in said and "8 of them trained on" in said
    assert "1 plate, 1 of them trained on" in " ".join(phenoscale.evaluate(plate).notes)


def test_validation_fields_are_said_to_have_been_watched(tmp_path):
    run = make_screen(tmp_path / "run")
    split = cells(run / "split.csv")
    split["Split"] = split["Split"].replace("test", "train")
    split.to_csv(run / "split.csv", index=False)
    found = phenoscale.evaluate(run)
    assert found.side == "val" and "watched during the training" in " ".join(found.notes)
    assert "validation fields" in found.text()


def test_a_file_says_what_the_run_says(screen, tmp_path):
    """Of the same fields; and that nobody knows what was trained on."""
    held_out(screen).to_csv(tmp_path / "p.csv", index=False)
    found, run = phenoscale.evaluate(tmp_path / "p.csv", LABEL), phenoscale.evaluate(screen)
    for level in ("field", "well", "treatment"):
        for name in NAMES:
            assert value(found, level, name) == pytest.approx(value(run, level, name))
    assert any("does not say which fields its model was trained on" in note
               for note in found.notes)
    pandas.testing.assert_frame_equal(found.tables["compounds"], run.tables["compounds"],
                                      check_like=True)


def test_everything_is_written(screen, tmp_path):
    found = phenoscale.evaluate(screen)
    paths = found.write(tmp_path / "out")
    assert sorted(os.path.basename(path) for path in paths) == sorted(os.listdir(tmp_path / "out"))
    content = json.loads((tmp_path / "out" / "evaluate.json").read_text(),
                         parse_constant=lambda word: pytest.fail(word))  # no NaN
    assert content["headline"]["accuracy"] == list(found.headline["accuracy"])
    assert content["settings"] == {"seed": 0, "draws": 1000, "bins": 15}
    assert set(content["tables"]) == set(found.tables)
    for name, table in found.tables.items():
        back = pandas.read_csv(tmp_path / "out" / f"{name}.csv")
        assert back.columns.tolist() == table.columns.tolist() and len(back) == len(table)
        assert len(content["tables"][name]) == len(table)
    again = phenoscale.evaluate(screen).write(tmp_path / "again")
    for one, other in zip(paths, again):
        with open(one, "rb") as first, open(other, "rb") as second:
            assert first.read() == second.read()


def test_what_was_read_is_not_written(screen, tmp_path):
    held_out(screen).to_csv(tmp_path / "scores.csv", index=False)
    found = phenoscale.evaluate(tmp_path / "scores.csv", LABEL)
    with pytest.raises(InputError, match="scores.csv is a file to read"):
        found.write(tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="file cannot be made"):
        found.write(tmp_path / "file")


def drop(name):
    return lambda run: (run / name).unlink()


def lose_a_field(run):
    cells(run / "predictions.csv").iloc[:-1].to_csv(run / "predictions.csv", index=False)


def one_class(run):
    split = cells(run / "split.csv")
    held = (split["Split"] == "test") & (split[LABEL] != PHENOTYPES[0])
    split.loc[held, LABEL] = ""
    split.to_csv(run / "split.csv", index=False)


@pytest.mark.parametrize("change, label, words", [
    (drop("config.json"), None, "config.json is missing or damaged"),
    (drop("split.csv"), None, "has no score: No prediction is used: there is no split.csv"),
    (drop("predictions.csv"), None, "has no score: All of the .* have no partner"),
    (lose_a_field, None, "has no score: 1 of the .* have no partner in predictions.csv"),
    (one_class, None, "all scored fields are of class Normal; predict fields of two classes"),
    (lambda run: None, "Metadata_Compound", "was trained on the column Metadata_Phenotype: leave")])
def test_runs_without_a_score(copy, change, label, words):
    change(copy)
    with pytest.raises(InputError, match=words) as error:
        phenoscale.evaluate(copy, label)
    assert "\n" not in str(error.value)


def test_files_without_a_score(screen, tmp_path):
    frame = held_out(screen)
    frame[frame[LABEL] == PHENOTYPES[1]].to_csv(tmp_path / "p.csv", index=False)
    with pytest.raises(InputError, match="all scored fields are of class Bundled tubulin"):
        phenoscale.evaluate(tmp_path / "p.csv", LABEL)
    with pytest.raises(InputError, match="gone does not exist: give the folder of a run"):
        phenoscale.evaluate(tmp_path / "gone")


@pytest.mark.parametrize("change, words", [
    (lambda frame: frame.drop(columns="Metadata_Well"), "No wells are known"),
    (lambda frame: frame.assign(Metadata_Well=frame["Metadata_Well"].where(
        frame["Metadata_Site"] == 1, "")), "44 fields without a well"),
    (lambda frame: frame.assign(Metadata_Well="B02"), "5 wells with fields of several classes")])
def test_doubts_about_wells_are_said(screen, tmp_path, change, words):
    change(held_out(screen)).to_csv(tmp_path / "p.csv", index=False)
    found = phenoscale.evaluate(tmp_path / "p.csv", LABEL)
    assert any(note.startswith(words) for note in found.notes)


def test_without_wells_there_is_no_interval_over_fields(screen, tmp_path):
    frame = held_out(screen).drop(columns=["Metadata_Well", "Metadata_Compound"])
    frame.to_csv(tmp_path / "p.csv", index=False)
    found = phenoscale.evaluate(tmp_path / "p.csv", LABEL)
    assert (found.tables["scores"]["unit"] == "").all()
    assert found.tables["scores"]["low"].isna().all() and "(no interval)" in found.text()


def test_the_verb(screen, tmp_path, capsys):
    pytest.importorskip("pyarrow")
    assert not cli.main(["evaluate", str(screen), "--out", str(tmp_path / "out"), "--parquet"],
                        standalone_mode=False)
    said = capsys.readouterr().out
    assert said.startswith(f"{screen}: 88 held-out fields")
    assert "evaluate.json" in said.splitlines()[-1]
    names = {path.stem for path in (tmp_path / "out").glob("*.csv")}
    assert "scores" in names == {path.stem for path in (tmp_path / "out").glob("*.parquet")}
    with pytest.raises(InputError, match="--label COLUMN"):
        cli.main(["evaluate", str(screen / "predictions.csv")], standalone_mode=False)
