# SPDX-License-Identifier: BSD-3-Clause
"""A run that was stopped, killed or could not write: it goes on to the same bits, or says why."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace

import pytest

import screens
from calls import stop_at, train_run
from phenoscale import InputError, load
from phenoscale.signals import Stopped
from phenoscale.tables.read import read_table
from phenoscale.training import checkpoint
from phenoscale.training.checkpoint import newest
from phenoscale.training.keeper import Keeper
from phenoscale.training.recipe import Recipe

LABEL = "Metadata_Class"
RECIPE = Recipe(network="mcnn-gap", epochs=3, batch=3, seed=2,
                augment=("flip", "turn", "shift", "intensity"))
HOLDOUT = {"Metadata_Plate": ["P2"]}


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    return read_table(screens.write_screen(tmp_path_factory.mktemp("screen"), 2, 8, 1))


def run(table, out, recipe=RECIPE, **options):
    return train_run(table, LABEL, out, recipe, holdout=HOLDOUT, threads=2,
                     **{"val_fraction": 0.25, "checkpoint_s": 0, **options})[0]


@pytest.fixture(scope="module")
def whole(table, tmp_path_factory):
    """The digest of an uninterrupted run."""
    return run(table, tmp_path_factory.mktemp("whole") / "run").digest()


def checkpoints(folder):
    return sorted(name for name in os.listdir(folder) if name.startswith("checkpoint-"))


# ---- stopped and resumed -------------------------------------------------------------------------


@pytest.mark.parametrize("step", [1, 2, 3, 5])
def test_stopped_anywhere_it_ends_in_the_same_bits(table, whole, tmp_path, step):
    with pytest.raises(Stopped) as caught:
        run(table, tmp_path / "run", progress=stop_at(step), checkpoint_s=1e9)
    assert caught.value.number == signal.SIGINT
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler  # as it was
    (name,) = checkpoints(tmp_path / "run")
    assert name == f"checkpoint-{step:08d}.safetensors"
    events = []
    model = run(table, tmp_path / "run", resume=True, progress=events.append)
    assert model.digest() == whole
    assert {"stage": "resumed", "step": step, "epoch": (step - 1) // 2} in events
    rows = (tmp_path / "run" / "log.csv").read_text().splitlines()
    assert len(rows) == 4 and rows[-1].startswith("3,6,6,")
    assert len(checkpoints(tmp_path / "run")) == 2


@pytest.mark.parametrize("options", [
    {"optimizer": "adam", "rate": 0.001}, {"schedule": "cosine", "clip": 0.1},
    {"balance": "none", "schedule": "published"}, {"network": "mcnn", "select": "best"},
    {"average": 3}])
def test_every_kind_of_training_can_be_resumed(table, tmp_path, options):
    recipe = Recipe(**{**RECIPE.__dict__, **options})
    expected = run(table, tmp_path / "whole", recipe)
    for step in (2, 3):
        with pytest.raises(Stopped):
            run(table, tmp_path / "run", recipe, progress=stop_at(step), resume=step > 2)
    model = run(table, tmp_path / "run", recipe, resume=True)
    assert model.digest() == expected.digest()
    saved = load(tmp_path / "run" / "model.safetensors")
    assert saved.digest() == expected.digest()


def test_skips_and_rates_survive(table, tmp_path, monkeypatch):
    """The counters of steps without use are part of a checkpoint."""
    from phenoscale.training import train

    real = train._compute

    def compute(trained, *others):
        loss, norm = real(trained, *others)
        return loss, float("nan") if trained.step in (0, 1, 2) else norm

    monkeypatch.setattr(train, "_compute", compute)
    expected = run(table, tmp_path / "whole")
    with pytest.raises(Stopped):
        run(table, tmp_path / "run", progress=stop_at(4))
    assert run(table, tmp_path / "run", resume=True).digest() == expected.digest()
    notes = json.loads((tmp_path / "run" / "config.json").read_text())["notes"]
    assert sum("the step is left out" in note for note in notes) == 3
    assert any("half the learning rate" in note for note in notes)


def test_resume_begins_where_there_is_nothing(table, whole, tmp_path):
    assert run(table, tmp_path / "run", resume=True).digest() == whole


def test_another_option_is_refused(table, tmp_path):
    with pytest.raises(Stopped):
        run(table, tmp_path / "run", progress=stop_at(2))
    before = sorted(os.listdir(tmp_path / "run"))
    for recipe, words in ((Recipe(**{**RECIPE.__dict__, "batch": 4}), "begun with batch=3, not 4"),
                          (Recipe(**{**RECIPE.__dict__, "seed": 3}), "begun with "),
                          (Recipe(**{**RECIPE.__dict__, "network": "mcnn"}), "network=mcnn-gap")):
        with pytest.raises(InputError, match=words):
            run(table, tmp_path / "run", recipe, resume=True)
    with pytest.raises(InputError, match="begun with another split"):
        run(table, tmp_path / "run", resume=True, val_fraction=0)
    with pytest.raises(InputError, match="begun with another table"):
        run(table.select([row for row in range(len(table)) if row != 17]), tmp_path / "run",
            resume=True)
    with pytest.raises(InputError, match="holds a run that was stopped: go on with --resume"):
        run(table, tmp_path / "run")
    assert sorted(os.listdir(tmp_path / "run")) == before


def test_other_libraries_are_said(table, tmp_path, monkeypatch):
    from phenoscale.training import keeper

    with pytest.raises(Stopped):
        run(table, tmp_path / "run", progress=stop_at(2))
    monkeypatch.setattr(keeper, "environment", lambda: {"isa": "another"})
    events = []
    run(table, tmp_path / "run", resume=True, progress=events.append)
    assert any("may differ in their last bits" in event.get("words", "") for event in events)


def test_a_damaged_checkpoint_of_a_run_is_said(table, whole, tmp_path):
    with pytest.raises(Stopped):
        run(table, tmp_path / "run", progress=stop_at(4))
    name = checkpoints(tmp_path / "run")[-1]
    path = tmp_path / "run" / name
    path.write_bytes(path.read_bytes()[:-3])
    events = []
    assert run(table, tmp_path / "run", resume=True, progress=events.append).digest() == whole
    (words,) = [event["words"] for event in events if event["stage"] == "warning"]
    assert name in words and "is damaged" in words and "checkpoint before it is used" in words


# ---- writing fails -------------------------------------------------------------------------------


def test_training_goes_on_where_no_checkpoint_can_be_written(table, whole, tmp_path, monkeypatch):
    """Each attempt warns; the run ends in the same bits; the last one written stays whole."""
    real, calls = checkpoint.write_tensors, []

    def write(path, *rest):
        calls.append(path)
        if len(calls) > 2:
            raise InputError(f"{path} cannot be written: No space left on device")
        real(path, *rest)

    monkeypatch.setattr(checkpoint, "write_tensors", write)
    monkeypatch.setattr(checkpoint, "_SHARE", 1e9)  # at every step
    events = []
    model = run(table, tmp_path / "run", progress=events.append)
    assert model.digest() == whole and len(calls) > 4
    words = [event["words"] for event in events if event["stage"] == "warning"]
    assert len(words) == len(calls) - 2
    assert all("no checkpoint of step" in w and "the one before stays" in w for w in words)
    assert newest(tmp_path / "run")[0]["step"] == 2


def test_a_folder_that_vanishes_is_a_failed_final_save(table, tmp_path):
    events, out = [], tmp_path / "run"

    def tell(event):
        events.append(event)
        if event["stage"] == "step" and event["done"] == 3:
            shutil.rmtree(out)

    with pytest.raises(InputError, match="cannot be written"):
        run(table, out, progress=tell)
    assert sum(event["stage"] == "step" for event in events) == 6  # trained to its end
    assert any("no checkpoint of step" in event.get("words", "") for event in events)


@pytest.mark.parametrize(("stage", "step"), [("step", 3), ("epoch", 4)])
def test_a_receiver_of_progress_that_raises_loses_no_step(table, whole, tmp_path, stage, step):
    def tell(event):
        if event["stage"] == stage and event["step"] == step:
            raise ZeroDivisionError("not ours")

    with pytest.raises(ZeroDivisionError, match="not ours"):
        run(table, tmp_path / "run", progress=tell, checkpoint_s=1e9)
    assert checkpoints(tmp_path / "run") == [f"checkpoint-{step:08d}.safetensors"]
    assert run(table, tmp_path / "run", resume=True).digest() == whole


def test_a_best_model_that_fails_is_made_again(table, tmp_path, monkeypatch):
    recipe = replace(RECIPE, select="best", epochs=1, patience=1)
    wanted = run(table, tmp_path / "whole", recipe).digest()

    def fail(keeper, trained):
        raise RuntimeError("no best")

    monkeypatch.setattr(Keeper, "improved", fail)
    with pytest.raises(RuntimeError, match="no best"):
        run(table, tmp_path / "run", recipe, checkpoint_s=1e9)
    monkeypatch.undo()
    assert run(table, tmp_path / "run", recipe, resume=True).digest() == wanted


# ---- killed --------------------------------------------------------------------------------------


@pytest.mark.soak
def test_killed_at_random_moments_it_ends_in_the_same_bits(table, tmp_path, amount):
    """kill -9 until the run gets through, again and again: one digest, no unreadable file."""
    rng, kills, digests = random.Random(1), 0, set()
    words = ["train", table.source, "--label", LABEL, "--network", "mcnn-gap", "--epochs", "6",
             "--batch", "2", "--val-fraction", "0", "--quiet", "--threads", "2",
             "--checkpoint-every", "0", "--resume"]
    expected, turn, whole = None, 0, 0.0
    wanted = amount(8, 500)
    while kills < wanted or expected is None:
        out = tmp_path / f"run{turn}"
        process = subprocess.Popen([sys.executable, "-m", "phenoscale", *words, "--out", out],
                                   stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        # mostly while it trains; the first run of all is left alone, and says how long that is
        began = time.monotonic()
        delay = None if expected is None else whole * rng.uniform(0.25, 0.95)
        try:
            _, err = process.communicate(timeout=delay)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            kills += 1
            if checkpoints(out) if out.is_dir() else []:
                assert newest(out, pytest.fail) is not None
            continue
        assert process.returncode == 0, err
        digest = load(out / "model.safetensors").digest()
        whole = whole or time.monotonic() - began
        expected = expected or digest
        digests.add(digest)
        shutil.rmtree(out)
        turn += 1
    print(f"{kills} kills, {turn} runs that got through")
    assert digests == {expected} and turn > 1
