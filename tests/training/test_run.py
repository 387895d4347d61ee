# SPDX-License-Identifier: BSD-3-Clause
"""The run folder: what is in it is true, and a run that fails leaves nothing behind."""

import json
import os
import signal
from pathlib import Path

import numpy as np
import pytest

pandas = pytest.importorskip("pandas")
pytest.importorskip("tifffile")
import tifffile

import screens
from calls import train_run
from phenoscale import InputError, load, predict_table
from phenoscale.models.controls import controls_of
from phenoscale.prediction.file import Writing
from phenoscale.signals import Stopped
from phenoscale.tables.read import read_table
from phenoscale.training.recipe import Recipe
from phenoscale.training.running import Running

LABEL = "Metadata_Class"
RECIPE = Recipe(network="mcnn-gap", epochs=2, batch=4, seed=5, augment=("flip", "turn"))
FILES = {"config.json", "files.json", "heads.csv", "log.csv", "model.safetensors",
         "predictions.csv", "split.csv"}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run on two plates of which one is held out: (table, folder, model, events)."""
    table = read_table(screens.write_screen(tmp_path_factory.mktemp("screen"), 2, 8, 1))
    out, events = tmp_path_factory.mktemp("runs") / "deep" / "run", []
    model, folder = train_run(
        table, LABEL, out, RECIPE, holdout={"Metadata_Plate": ["P2"]}, val_fraction=0.25,
        controls={LABEL: ["fine"]}, threads=2, progress=events.append)
    assert folder == str(out)
    return table, out, model, events


@pytest.fixture
def table(tmp_path):
    """A small screen that a test may break."""
    return read_table(screens.write_screen(tmp_path / "screen", 2, 4, 1))


def listing(folder):
    return set(os.listdir(folder))


def read(path):
    return pandas.read_csv(path, dtype=str, keep_default_na=False)


# ---- what is in it --------------------------------------------------------------------------


def test_the_folder_has_its_files_and_no_others(trained):
    assert listing(trained[1]) == FILES | {"best.safetensors", "checkpoint-00000004.safetensors"}


def test_config_says_how(trained):
    table, out, model, _ = trained
    config = json.loads((out / "config.json").read_text())
    assert {"table", "versions", "notes", "seconds", "isa", "threads"} <= config.keys()
    expected = {
        "label": LABEL, "channels": ["DNA", "Actin"], "classes": ["coarse", "fine"],
        "network": "mcnn-gap", "size": [128, 128], "dtype": "uint16", "epochs": 2, "batch": 4,
        "rate": 0.01, "optimizer": "nesterov", "momentum": 0.9, "decay": 5e-5, "smoothing": 0.1,
        "clip": 5.0, "augment": ["flip", "turn"], "balance": "class", "schedule": "linear",
        "fc_relu": True, "seed": 5, "holdout": {"Metadata_Plate": ["P2"]}, "split": None,
        "val_by": "well", "val_fraction": 0.25, "controls": {LABEL: ["fine"]},
        "n_train": 6, "n_val": 2, "n_test": 8, "n_unlabelled": 2, "table": table.source,
        "table_digest": table.digest(), "roles": table.roles}
    assert {key: config[key] for key in expected} == expected
    normal = config["normalisation"]
    assert normal["scale"] == pytest.approx([1 / s for s in normal["std"]])
    assert normal["offset"] == pytest.approx(
        [-m / s for m, s in zip(normal["mean"], normal["std"])])
    assert config["weights_sha256"] == model.digest()


def test_the_model_in_it_is_the_model(trained):
    _, out, model, _ = trained
    loaded = load(out / "model.safetensors")
    assert loaded.digest() == model.digest() == json.loads(
        (out / "config.json").read_text())["weights_sha256"]
    for name in ("scale", "offset", "classes", "channels", "size", "split", "label", "seed"):
        assert getattr(loaded, name) == getattr(model, name)


def test_log_has_a_row_an_epoch(trained):
    log = pandas.read_csv(trained[1] / "log.csv")
    assert list(log.columns) == [
        "epoch", "step", "images", "loss", "rate", "gradient_norm", "images_per_s", "seconds",
        "val_loss", "val_accuracy", "val_balanced_accuracy"]
    assert log["epoch"].tolist() == [1, 2] and log["step"].tolist() == [2, 4]
    assert log["images"].tolist() == [6, 6] and np.isfinite(log.to_numpy(float)).all()
    assert (log[["loss", "rate", "gradient_norm", "images_per_s", "seconds", "val_loss"]] > 0
            ).all(axis=None)
    assert log["val_accuracy"].between(0, 1).all()


def test_every_field_has_its_side(trained):
    table, out, _, _ = trained
    split = read(out / "split.csv")
    assert list(split.columns)[:2] == ["Image_FileName_DNA", "Image_FileName_Actin"]
    assert split["Metadata_Well"].tolist() == table.frame["Metadata_Well"].tolist()
    sides = split["Split"]
    assert sides.value_counts().to_dict() == {"test": 8, "train": 6, "val": 2, "unlabelled": 2}
    assert set(sides[split["Metadata_Plate"] == "P2"]) == {"test", "unlabelled"}
    assert ((sides == "unlabelled") == (split[LABEL] == "")).all()


def test_predictions_are_of_the_fields_not_trained_on(trained):
    table, out, model, _ = trained
    split, found = read(out / "split.csv"), read(out / "predictions.csv")
    keys = ["Metadata_Plate", "Metadata_Well"]
    rest = split.loc[split["Split"] != "train", keys]
    assert found[keys].to_numpy().tolist() == rest.to_numpy().tolist()
    again = predict_table(model, table.select(split["Split"] != "train"), threads=1)
    columns = ["Phenoscale_Prob_coarse", "Phenoscale_Prob_fine"]
    np.testing.assert_array_equal(found[columns].to_numpy(np.float32), again.probabilities)
    assert set(found["Phenoscale_Model"]) == {model.digest()[:16]}


def test_progress_tells_every_stage(trained):
    events = [event for event in trained[3] if event["stage"] != "note"]
    stages = [event["stage"] for event in events]
    assert list(dict.fromkeys(stages)) == ["check", "statistics", "step", "epoch", "measure",
                                           "predict"]
    assert stages.count("step") == 4 and stages.count("epoch") == 2
    for event in events:
        assert 0 < event["done"] <= event["of"]


def test_held_out_pixels_change_no_weight(trained, tmp_path):
    table, _, model, _ = trained
    other, other_side = read_table(screens.write_screen(tmp_path / "screen", 2, 8, 1)), 0
    for paths in other.select(other.role("plate") == "P2").paths:
        for path, twin in zip(paths, table.paths[0]):
            tifffile.imwrite(path, tifffile.imread(twin)[::-1] + np.uint16(len(path) + other_side))
        other_side += 1  # no two fields alike: that would be a leak
    again, _ = train_run(other, LABEL, tmp_path / "run", RECIPE, val_fraction=0.25,
                         holdout={"Metadata_Plate": ["P2"]}, threads=1)
    assert again.digest() == model.digest() and again.scale == model.scale


# ---- other ways to split --------------------------------------------------------------------


def test_a_column_of_sides(table, tmp_path):
    one = Recipe(network="mcnn-gap", epochs=1, batch=4)
    table.frame["Side"] = ["train"] * 4 + [""] + ["val", "val", "test", "test", ""]
    _, folder = train_run(table, LABEL, tmp_path / "run", one, split="Side", threads=2)
    sides = read(os.path.join(folder, "split.csv"))["Split"].tolist()
    assert sides == ["train"] * 4 + ["unlabelled"] + ["val"] * 2 + ["test"] * 2 + ["unlabelled"]
    assert pandas.read_csv(os.path.join(folder, "log.csv"))["val_accuracy"].notna().all()


def test_nothing_left_to_predict_and_no_validation(table, tmp_path):
    one = Recipe(network="mcnn-gap", epochs=1, batch=3)
    labelled = table.select(table.column(LABEL) != "")
    _, folder = train_run(labelled, LABEL, tmp_path / "run", one, threads=2)
    assert listing(folder) == FILES - {"predictions.csv", "heads.csv"} | {
        "checkpoint-00000003.safetensors"}
    config = json.loads(Path(folder, "config.json").read_text())
    assert any("no validation" in note for note in config["notes"])
    assert pandas.read_csv(os.path.join(folder, "log.csv"))["val_loss"].isna().all()


def test_no_turns_of_oblong_fields(tmp_path):
    table = read_table(screens.write_screen(tmp_path / "s", 1, 4, 0, size=(100, 140),
                                            channels=["DNA"], dtype="uint8"))
    recipe = Recipe(network="mcnn-gap", epochs=1, batch=4, augment=("turn", "flip"))
    model, folder = train_run(table, LABEL, tmp_path / "run", recipe, threads=2)
    config = json.loads(Path(folder, "config.json").read_text())
    assert config["augment"] == ["flip"] and any("no quarter turns" in n for n in config["notes"])
    assert model.size == [100, 140] and model.dtype == "uint8"


# ---- what goes wrong ------------------------------------------------------------------------


def test_a_field_scored_only_may_be_unreadable(table, tmp_path):
    screens.spoil(table.paths[4][0])  # unlabelled
    _, folder = train_run(table, LABEL, tmp_path / "run", Recipe(
        network="mcnn-gap", epochs=1, batch=4), holdout={"Metadata_Plate": ["P2"]}, threads=2)
    assert listing(folder) == FILES | {"errors.csv", "checkpoint-00000001.safetensors"}
    errors = read(os.path.join(folder, "errors.csv"))
    assert errors["Line"].tolist() == ["6"] and errors["Well"].tolist() == ["P1 A05"]
    assert "P1 A05" not in (read(os.path.join(folder, "predictions.csv"))[
        ["Metadata_Plate", "Metadata_Well"]].agg(" ".join, axis=1)).tolist()
    notes = json.loads(Path(folder, "config.json").read_text())["notes"]
    assert "1 of 6 fields not trained on cannot be read: see errors.csv" in notes


def bad_inputs():
    """(what is wrong, words of the error, what breaks the table, options)."""
    one = Recipe(network="mcnn-gap", epochs=1, batch=4)
    nothing = lambda table: None
    return {
        "missing": (r"line 3 .*A02_DNA.tif does not exist",
                    lambda t: os.remove(t.paths[1][0]), {}, one),
        "damaged": (r"line 2 \(well P1 A01\): .*A01_DNA.tif",
                    lambda t: screens.spoil(t.paths[0][0]), {}, one),
        "label": ("no column Metadata_Clas: it has Metadata_Class", nothing,
                  {"label": "Metadata_Clas"}, one),
        "control": ("no column Metadata_Drug", nothing, {"controls": {"Metadata_Drug": ["x"]}},
                    one),
        "holdout": ("no P3 to hold out: it has P1, P2", nothing,
                    {"holdout": {"Metadata_Plate": ["P3"]}}, one),
        "all held out": ("none of its 4 fields", nothing,
                         {"holdout": {"Metadata_Plate": ["P1", "P2"]}}, one),
        "one field": ("class fine of column Metadata_Class has one field",
                      lambda t: t.frame.__setitem__(LABEL, ["fine"] + ["coarse"] * 9), {}, one),
        "too wide a rate": ("smaller learning rate", nothing, {}, Recipe(
            network="mcnn-gap", epochs=9, batch=2, rate=100, clip=0, schedule="constant")),
    }


@pytest.mark.parametrize("what", bad_inputs())
def test_bad_input_leaves_no_trace(table, tmp_path, what):
    words, break_it, options, recipe = bad_inputs()[what]
    break_it(table)
    with pytest.raises(InputError, match=words):
        train_run(table, options.pop("label", LABEL), tmp_path / "a" / "b" / "run", recipe,
                  threads=2, **options)
    assert not (tmp_path / "a").exists()


def test_a_failure_in_an_existing_folder_leaves_the_users_files(table, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "log.csv").write_text("mine too")
    screens.spoil(table.paths[0][0])
    with pytest.raises(InputError):
        train_run(table, LABEL, tmp_path, RECIPE, threads=1)
    assert set(os.listdir(tmp_path)) == {"notes.txt", "log.csv", "screen"}


def test_interrupted(table, tmp_path):
    def interrupt(event):
        if event["stage"] == "step":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_run(table, LABEL, tmp_path / "run", RECIPE, threads=1, progress=interrupt)
    assert not (tmp_path / "run").exists()


def test_a_model_that_could_not_be_read_is_refused_before_the_training(tmp_path):
    path = screens.write_screen(tmp_path, 1, 4, 0)
    frame = pandas.read_csv(path)
    frame["moa"] = ["a" * 600_000, "b" * 600_000] * 2
    frame["Metadata_Well"] = ["A01", "A02", "A03", "A04"]
    frame.to_csv(path, index=False)
    table, recipe = read_table(path), Recipe(network="mcnn-gap", epochs=1)
    with pytest.raises(InputError, match="a model file cannot hold the classes of this training"):
        train_run(table, "moa", tmp_path / "run", recipe, val_fraction=0)
    assert not (tmp_path / "run").exists()


def test_the_best_epoch_is_what_is_scored(tmp_path):
    """predictions.csv and the controls are of the model that is kept, not of the last epoch."""
    path = screens.write_screen(tmp_path, 2, 8, 0)
    recipe = Recipe(network="mcnn-gap", epochs=2, batch=4, select="best", rate=0.3, seed=1,
                    schedule="constant", augment=("flip",))
    train_run(read_table(path), LABEL, tmp_path / "run", recipe, val_fraction=0.25,
              holdout={"Metadata_Plate": ["P2"]}, controls={LABEL: ["fine"]})
    log = pandas.read_csv(tmp_path / "run" / "log.csv")
    assert log["val_loss"].idxmin() < len(log) - 1  # the last is not the best
    found = pandas.read_csv(tmp_path / "run" / "predictions.csv")
    kept = load(tmp_path / "run" / "model.safetensors")
    assert set(found["Phenoscale_Model"]) == {kept.digest()[:16]}
    rows = read_table(path).frame["Metadata_Plate"] == "P2"
    wanted = predict_table(kept, read_table(path)).probabilities[rows.to_numpy()]
    of_plate = found[found["Metadata_Plate"] == "P2"]["Phenoscale_Prob_fine"]
    assert np.abs(of_plate.to_numpy() - wanted[:, 1]).max() < 1e-6


@pytest.mark.parametrize("select", ["last", "best"])
def test_every_model_of_a_run_knows_its_own_controls(tmp_path, select):
    """Those of best.safetensors are of the best epoch's weights, not missing, not the last's."""
    path = screens.write_screen(tmp_path, 2, 8, 0)
    recipe = Recipe(network="mcnn-gap", epochs=2, batch=4, select=select, rate=0.3, seed=1,
                    schedule="constant", augment=("flip",))
    model, folder = train_run(read_table(path), LABEL, tmp_path / "run", recipe, val_fraction=0.25,
                              controls={LABEL: ["fine"]}, threads=2)
    split = read(os.path.join(folder, "split.csv"))
    rows = ((split[LABEL] == "fine") & (split["Split"] == "train")).to_numpy()
    digests = set()
    for name in ("model.safetensors", "best.safetensors"):
        kept = load(os.path.join(folder, name))
        embeddings = predict_table(kept, read_table(path).select(rows), 1).embeddings
        wanted = controls_of(embeddings)
        for key in ("mean", "spread"):
            assert np.allclose(kept.controls[key], wanted[key], rtol=1e-6), (name, key)
        digests.add(kept.digest())
    assert len(digests) == (1 if select == "best" else 2)
    assert model.digest() == load(os.path.join(folder, "model.safetensors")).digest()


def test_stopped_after_the_last_step(tmp_path):
    """While best and last weights change places nothing is saved: a resumed run ends alike."""
    path = screens.write_screen(tmp_path, 2, 8, 0)
    recipe = Recipe(network="mcnn-gap", epochs=2, batch=4, rate=0.3, seed=1, schedule="constant")
    words = {"val_fraction": 0.25, "controls": {LABEL: ["fine"]}, "threads": 2,
             "holdout": {"Metadata_Plate": ["P2"]}}
    table = read_table(path)
    whole, _ = train_run(table, LABEL, tmp_path / "whole", recipe, **words)

    def stop(event):
        if event["stage"] == "predict":
            os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(Stopped):
        train_run(table, LABEL, tmp_path / "run", recipe, progress=stop, **words)
    assert not (tmp_path / "run" / "model.safetensors").exists()
    train_run(table, LABEL, tmp_path / "run", recipe, resume=True, **words)
    for name in ("model.safetensors", "best.safetensors"):
        found, wanted = (load(tmp_path / run / name) for run in ("run", "whole"))
        assert found.digest() == wanted.digest() and found.controls == wanted.controls
    assert load(tmp_path / "run" / "model.safetensors").digest() == whole.digest()


def test_two_channels_of_one_file(tmp_path):
    """A model of them can be loaded again."""
    path = screens.write_screen(tmp_path, 1, 8, 0)
    table = read_table(path, channels=["a=DNA", "b=DNA"])
    model, folder = train_run(table, "Metadata_Class", tmp_path / "run",
                              Recipe(network="mcnn-gap", epochs=1), val_fraction=0)
    assert load(tmp_path / "run" / "model.safetensors").sources == ["DNA", "DNA"]


@pytest.mark.parametrize("bundle", [Running, Writing])
def test_what_to_do_about_a_bad_field_is_one_of_two_words(bundle):
    with pytest.raises(InputError, match="on_error=ignore: give stop or skip"):
        bundle(on_error="ignore")


def test_wrong_types_are_refused_before_the_training(tmp_path):
    from phenoscale import Running
    from phenoscale.training.run import train_run as run

    path = screens.write_screen(tmp_path / "screen", 2, 4, 0)
    table, recipe = read_table(path), Recipe(network="mcnn-gap", epochs=1)
    for words, call in (("read it with phenoscale.read_table", lambda: run(
            path, LABEL, tmp_path / "run", recipe)),
            ("is no name of a column", lambda: run(table, [LABEL], tmp_path / "run", recipe)),
            ("for a control=['coarse']: give a dict", lambda: run(
                table, LABEL, tmp_path / "run", recipe, controls=["coarse"])),
            ("column Metadata_Class has no negative", lambda: run(
                table, LABEL, tmp_path / "run", recipe, controls={LABEL: "negative"})),
            ("resume='no': give True or False", lambda: Running(resume="no"))):
        with pytest.raises(InputError) as error:
            call()
        assert words in str(error.value)
    assert not (tmp_path / "run").exists()
