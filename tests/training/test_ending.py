# SPDX-License-Identifier: BSD-3-Clause
"""The end of a run: heads.csv by the definition, the same head again, whatever the split."""

from dataclasses import replace

import numpy as np
import pytest

pandas = pytest.importorskip("pandas")
pytest.importorskip("sklearn"), pytest.importorskip("tifffile")
import screens
from phenoscale import load
from phenoscale.prediction.predict import predict_table
from phenoscale.tables.keys import KEY
from phenoscale.tables.read import read_table
from phenoscale.tables.split import Split
from phenoscale.training.certain import found_on
from phenoscale.training.ending import COUNT_ALONE, UNTRAINED
from phenoscale.training.recipe import Recipe
from phenoscale.training.run import train_run
from phenoscale.training.run_folder import RunFolder
from phenoscale.training.running import Running

RECIPE = Recipe(network="mcnn-gap", epochs=1, seed=2)
HELD_OUT = Split(holdout={"Metadata_Plate": ["P2"]}, val_fraction=0)


@pytest.fixture(scope="module")
def screen(tmp_path_factory):
    return read_table(screens.write_screen(tmp_path_factory.mktemp("screen")))


@pytest.fixture(scope="module")
def run(screen, tmp_path_factory):
    return RunFolder(train_run(screen, "Metadata_Class", tmp_path_factory.mktemp("run") / "run",
                               RECIPE, HELD_OUT, {"Metadata_Class": "fine"})[1])


def test_heads_csv_by_the_predictions(screen, run):
    heads = pandas.read_csv(run.file(run.HEADS)).set_index("Head")
    assert list(heads.index) == ["network", "measures", "both", COUNT_ALONE, UNTRAINED]
    assert heads["Chosen"].sum() == 1 and (heads["Side"] == "test").all()
    model = run.model()
    assert heads.index[heads["Chosen"]] == [model.head.kind]
    held = [i for i in range(len(screen)) if screen.column("Metadata_Plate")[i] == "P2"
            and screen.column("Metadata_Class")[i]]
    truth = screen.column("Metadata_Class").to_numpy()[held]
    for kind in ("network", "measures", "both"):
        model.head.kind = kind
        found = predict_table(model, screen, measures="all")
        names = np.array(model.classes, object)[found.probabilities[held].argmax(axis=1)]
        assert heads.loc[kind, "FieldsRight"] == (names == truth).sum()
        assert heads.loc[kind, "Fields"] == heads.loc[kind, "Wells"] == len(held)
        assert heads.loc[kind, "Accuracy"] == heads.loc[kind, "WellsRight"] / len(held)
    assert heads.loc["measures", "Accuracy"] == 1  # texture tells these classes


def test_predictions_have_the_measures_and_cells(screen, run):
    frame = pandas.read_csv(run.file(run.PREDICTIONS))
    model = run.model()
    assert set(model.head.names) <= set(frame)
    count = next(name for name in model.head.names if "Cells_Count" in name)
    np.testing.assert_array_equal(frame["Metadata_CellCount"], frame[count])
    again = predict_table(model, screen)
    there = frame["Metadata_Plate"] == "P2"
    rows = [i for i in range(len(screen)) if screen.column("Metadata_Plate")[i] == "P2"]
    np.testing.assert_allclose(frame.loc[there, model.head.names].to_numpy(np.float32),
                               again.numbers[rows], rtol=1e-6)


def test_why_is_said(run):
    notes = run.config()["notes"]
    assert run.model().head.why in notes
    assert "cells are counted in channel DNA" in notes


def test_the_network_alone(screen, tmp_path):
    from dataclasses import replace

    model, out = train_run(screen, "Metadata_Class", tmp_path / "run",
                           replace(RECIPE, head="network"), HELD_OUT)
    folder = RunFolder(out)
    assert model.head is None and not folder.has(folder.HEADS)
    assert not any("Texture" in name for name in pandas.read_csv(folder.file(folder.PREDICTIONS)))


def test_nothing_held_out(screen, tmp_path):
    model, out = train_run(screen, "Metadata_Class", tmp_path / "run", RECIPE,
                           Split(val_fraction=0))
    assert model.head is not None and not RunFolder(out).has(RunFolder.HEADS)


def test_watched_fields_choose_and_are_scored(screen, tmp_path):
    from dataclasses import replace

    model, out = train_run(screen, "Metadata_Class", tmp_path / "run",
                           replace(RECIPE, select="best"), Split(val_fraction=0.25), {},
                           Running())
    assert "watched fields" in model.head.why
    heads = pandas.read_csv(RunFolder(out).file(RunFolder.HEADS))
    assert (heads["Side"] == "val").all()
    best = load(RunFolder(out).file(RunFolder.BEST))
    assert best.head is not None and best.digest() == model.digest()


def test_what_is_held_out_is_seen_in_all_views(screen, run, tmp_path):
    from dataclasses import replace

    model, out = train_run(screen, "Metadata_Class", tmp_path / "run",
                           replace(RECIPE, views="all"), HELD_OUT, {"Metadata_Class": "fine"})
    folder = RunFolder(out)
    assert model.views == folder.config()["views"] == "all" and "views" not in model.recipe
    assert model.digest() == folder.model().digest() != run.model().digest()
    np.testing.assert_array_equal(model.parameters, run.model().parameters)
    said = pandas.read_csv(folder.file(folder.PREDICTIONS)).set_index("Phenoscale_Field")
    again, columns = predict_table(folder.model(), screen), [
        "Phenoscale_Prob_coarse", "Phenoscale_Prob_fine", "Image_Phenoscale_Emb0000"]
    rows = [screen.keys.index(key) for key in said.index]
    np.testing.assert_allclose(said[columns], np.hstack(
        [again.probabilities, again.embeddings[:, :1]])[rows], atol=1e-6)
    controls, is_trained = model.controls, np.array(
        screen.column("Metadata_Plate") == "P1") & np.array(
            screen.column("Metadata_Class") == "fine")
    np.testing.assert_allclose(controls["mean"], again.embeddings[is_trained].mean(axis=0),
                               rtol=1e-5, atol=1e-6)


def test_the_weights_are_not_those_of_the_untrained_network(run, screen, tmp_path):
    """The floor is measured with the training's own network, which gets its weights back."""
    model, _ = train_run(screen, "Metadata_Class", tmp_path / "run", RECIPE, HELD_OUT,
                         {"Metadata_Class": "fine"})
    assert model.digest() == run.model().digest()
    from dataclasses import replace

    plain, _ = train_run(screen, "Metadata_Class", tmp_path / "plain",
                         replace(RECIPE, head="network"), HELD_OUT, {"Metadata_Class": "fine"})
    np.testing.assert_array_equal(plain.parameters, model.parameters)
    assert plain.controls == model.controls


def test_certainty_by_the_wells_that_were_watched(tmp_path):
    """As the folds find it; its source is in the model and in config.json."""
    screen = read_table(screens.write_screen(tmp_path / "screen", wells=40, size=(64, 64)))
    run = RunFolder(train_run(screen, "Metadata_Class", tmp_path / "run", RECIPE,
                              Split(val_fraction=0.5))[1])
    model, split = run.model(), pandas.read_csv(run.file(run.SPLIT), keep_default_na=False)
    rows = np.flatnonzero(split["Split"] == "val")
    assert len(rows) >= 19
    assert model.certainty.why == (f"found on {len(rows)} fields of {len(rows)} wells that the "
                                   "training watched")
    assert any(model.certainty.why in words for words in run.config()["notes"])
    found = predict_table(replace(model, certainty=None), screen)
    labels = np.array([model.classes.index(name) for name in split["Metadata_Class"].iloc[rows]])
    order = [list(screen.keys).index(key) for key in split[KEY].iloc[rows]]
    novelty = found.novelty[order] if model.head.asks_measures() else None
    wanted = found_on(found.probabilities[order], labels, order, model.certainty.why, novelty)
    assert wanted.temperature == model.certainty.temperature
    assert wanted.reach == pytest.approx(model.certainty.reach)
    for coverage, limits in wanted.sets.items():
        np.testing.assert_allclose(limits, model.certainty.sets[coverage], atol=1e-6)


def test_too_few_wells_are_noted(screen, tmp_path):
    run = RunFolder(train_run(screen, "Metadata_Class", tmp_path / "run", RECIPE,
                              Split(val_fraction=0.3))[1])
    assert run.model().certainty is None
    assert any("how certain the model's answers are is not known" in words
               for words in run.config()["notes"])
