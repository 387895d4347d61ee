# SPDX-License-Identifier: BSD-3-Clause
"""Several networks in one model: their mean by hand, stopped and gone on with, and what is
refused."""

import os
import shutil
from dataclasses import replace

import numpy as np
import pytest

pandas = pytest.importorskip("pandas")
pytest.importorskip("sklearn"), pytest.importorskip("tifffile")
import screens
from calls import stop_at, train_run
from phenoscale import InputError, load
from phenoscale.prediction.predict import predict_table
from phenoscale.signals import Stopped
from phenoscale.tables.read import read_table
from phenoscale.training.recipe import Recipe
from phenoscale.training.run_folder import RunFolder

LABEL = "Metadata_Class"
RECIPE = Recipe(network="mcnn-gap", epochs=1, seed=2, members=2)
HELD = {"holdout": {"Metadata_Plate": ["P2"]}, "val_fraction": 0.25}
CHANCES = ["Phenoscale_Prob_coarse", "Phenoscale_Prob_fine"]


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    return read_table(screens.write_screen(tmp_path_factory.mktemp("screen")))


@pytest.fixture(scope="module")
def run(table, tmp_path_factory):
    out = tmp_path_factory.mktemp("members") / "run"
    return RunFolder(train_run(table, LABEL, out, RECIPE, {LABEL: "fine"}, **HELD)[1])


def members_of(run, n=2):
    return [RunFolder(run.file(f"member-{k + 1}-of-{n}")) for k in range(n)]


def test_the_members_are_runs_of_other_seeds_and_one_split(table, run, tmp_path):
    one = members_of(run)[1]
    alone = replace(RECIPE, members=1, seed=3, head="network")
    split = pandas.read_csv(run.file(run.SPLIT))
    for member in members_of(run):
        pandas.testing.assert_frame_equal(pandas.read_csv(member.file(member.SPLIT)), split)
    assert set(split["Split"]) == {"train", "val", "test", "unlabelled"}
    again = table.select(range(len(table)))
    again.frame["Side"] = split.set_index("Phenoscale_Field").loc[table.keys, "Split"].to_numpy()
    model, _ = train_run(again, LABEL, tmp_path / "run", alone, split="Side")
    np.testing.assert_array_equal(model.parameters, one.model().parameters)
    assert [member.model().seed for member in members_of(run)] == [2, 3]


@pytest.mark.parametrize("kind", ["network", "both"])
def test_the_answers_are_means(table, run, kind):
    model, singles = run.model(), [member.model() for member in members_of(run)]
    model.head.kind = kind
    found, theirs = predict_table(model, table), [predict_table(one, table) for one in singles]
    chances, mean = found.probabilities, np.mean([one.probabilities for one in theirs], axis=0)
    assert np.abs(mean - theirs[0].probabilities).max() > 1e-4
    if kind == "both":
        model.head.kind = "measures"
        mean = (mean + predict_table(model, table).probabilities) / 2
    np.testing.assert_allclose(chances, mean, atol=1e-6)
    np.testing.assert_allclose(found.embeddings, np.hstack([one.embeddings for one in theirs]),
                               rtol=1e-5, atol=1e-6)


def test_what_the_run_says_is_what_its_model_says(table, run):
    model = run.model()
    assert model.members == 2 and model.parameters.size == 2 * members_of(
        run)[0].model().parameters.size
    said = pandas.read_csv(run.file(run.PREDICTIONS)).set_index("Phenoscale_Field")
    rows = [table.keys.index(key) for key in said.index]
    again = predict_table(model, table)
    np.testing.assert_allclose(said[CHANCES], again.probabilities[rows], atol=1e-6)
    assert "Image_Phenoscale_Emb4095" in said and model.embedding["size"] == 4096
    assert len(model.controls["mean"]) == 4096
    config = run.config()
    assert config["members"] == 2 and config["weights_sha256"] == model.digest()
    assert any(note.startswith("answers are means of 2 networks: a prediction takes 2 times")
               for note in config["notes"])
    heads = pandas.read_csv(run.file(run.HEADS)).set_index("Head")
    held = said[(said["Metadata_Plate"] == "P2") & said[LABEL].notna()]
    right = held[CHANCES].to_numpy().argmax(axis=1) == held[LABEL].map(
        {"coarse": 0, "fine": 1}).to_numpy()
    assert heads.loc[model.head.kind, "FieldsRight"] == right.sum()


def test_one_of_views_and_members(table, tmp_path):
    recipe = replace(RECIPE, views="all", head="network")
    model, out = train_run(table, LABEL, tmp_path / "run", recipe, **HELD)
    singles = [member.model() for member in members_of(RunFolder(out))]
    assert [one.views for one in singles] == ["all", "all"]
    mean = np.mean([predict_table(one, table).probabilities for one in singles], axis=0)
    np.testing.assert_allclose(predict_table(load(os.path.join(out, "model.safetensors")),
                                             table).probabilities, mean, atol=1e-6)
    assert any("takes 16 times" in note for note in RunFolder(out).config()["notes"])


# ---- stopped and gone on with --------------------------------------------------------------------


def stop_in(number, step):
    """Send a signal in a step of a member, counted from 1."""
    begun, stop = [], stop_at(step)

    def progress(event):
        begun.extend(word for word in event.get("words", "").splitlines() if "network " in word)
        if len(begun) == number and event["stage"] == "step":
            stop(event)

    return progress


@pytest.mark.parametrize("number", [1, 2])
def test_a_stopped_member_goes_on(table, run, tmp_path, number):
    out = tmp_path / "run"
    with pytest.raises(Stopped):
        train_run(table, LABEL, out, RECIPE, {LABEL: "fine"}, progress=stop_in(number, 2), **HELD)
    assert [member.has(member.MODEL) for member in members_of(RunFolder(out))] == [
        number > 1, False]
    with pytest.raises(InputError, match="several networks that was stopped: go on with --resume"):
        train_run(table, LABEL, out, RECIPE, **HELD)
    first = members_of(RunFolder(out))[0]
    before = os.stat(first.file(first.CONFIG)).st_mtime_ns
    model, _ = train_run(table, LABEL, out, RECIPE, {LABEL: "fine"}, resume=True, **HELD)
    assert model.digest() == load(out / "model.safetensors").digest() == run.model().digest()
    assert (os.stat(first.file(first.CONFIG)).st_mtime_ns == before) == (number > 1)


@pytest.fixture
def stopped(run, tmp_path):
    """A run that was stopped once its members had ended."""
    shutil.copytree(run.path, tmp_path / "run")
    os.remove(tmp_path / "run" / "model.safetensors")
    return tmp_path / "run"


@pytest.mark.parametrize("options, words", [
    ({"members": 1}, "was begun with members=2, not 1"),
    ({"members": 3}, "was begun with members=2, not 3"),
    ({"smoothing": 0.2}, "member-1-of-2 is with another smoothing"),
    ({"seed": 3}, "member-1-of-2 is with another seed")])
def test_another_recipe_is_refused(table, stopped, options, words):
    with pytest.raises(InputError, match=words):
        train_run(table, LABEL, stopped, replace(RECIPE, **options), resume=True, **HELD)


def test_members_of_another_split_or_other_fields_are_refused(table, stopped):
    with pytest.raises(InputError, match="member-1-of-2 is of another split, or another table"):
        train_run(table, LABEL, stopped, RECIPE, resume=True, val_fraction=0.25,
                  holdout={"Metadata_Plate": ["P1"]})
    path = stopped / "member-2-of-2" / "model.safetensors"
    other = load(path)
    other.scale = [2 * one for one in other.scale]
    other.save(path)
    with pytest.raises(InputError, match="member-2-of-2 was trained on other fields than there"):
        train_run(table, LABEL, stopped, RECIPE, resume=True, **HELD)


def test_a_run_of_one_network_is_not_gone_on_with(table, tmp_path):
    out, one = tmp_path / "run", replace(RECIPE, members=1)
    with pytest.raises(Stopped):
        train_run(table, LABEL, out, one, progress=stop_at(2), **HELD)
    with pytest.raises(InputError, match="was begun with members=1, not 2"):
        train_run(table, LABEL, out, RECIPE, resume=True, **HELD)
    with pytest.raises(InputError, match="holds a run that was stopped: go on with --resume"):
        train_run(table, LABEL, out, RECIPE, **HELD)
    assert not (out / "member-1-of-2").exists()


def test_what_lies_there_is_refused_before_any_training(table, run, tmp_path):
    with pytest.raises(InputError, match="holds a run already"):
        train_run(table, LABEL, run.path, RECIPE, **HELD)
    (tmp_path / "split.csv").write_text("mine", encoding="utf-8")
    with pytest.raises(InputError, match="split.csv is of no run"):
        train_run(table, LABEL, tmp_path, RECIPE, **HELD)
    assert os.listdir(tmp_path) == ["split.csv"]


def test_from_the_command_line(table, call, tmp_path):
    out = tmp_path / "run"
    words = ["train", table.source, "--label", LABEL, "--network", "mcnn-gap", "--epochs", 1,
             "--head", "network", "--members", 2, "--views", "all", "--out", out, "--quiet"]
    status, said, err = call(*words)
    assert status == 0, err
    model = load(out / "model.safetensors")
    assert (model.members, model.views) == (2, "all") and str(out / "report.html") in said
    assert call(*words, "--resume")[0] == 0  # it has ended
    status, _, err = call(*words)
    assert status == 1 and "holds a run already" in err
    status, _, err = call(*words[:-2], tmp_path / "more", "--members", 9)
    assert status == 2 and "--members" in err
