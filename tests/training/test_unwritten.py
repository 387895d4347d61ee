# SPDX-License-Identifier: BSD-3-Clause
"""A disk that is full for a moment, or from then on: nothing is lost without a word."""

import os
import resource
import signal

import pandas
import pytest

import screens
from calls import train_run
from phenoscale import InputError, load
from phenoscale.signals import Stopped
from phenoscale.tables.read import read_table
from phenoscale.training import train
from phenoscale.training.checkpoint import newest
from phenoscale.training.keeper import Keeper
from phenoscale.training.recipe import Recipe
from phenoscale.training.unwritten import Unwritten

LABEL = "Metadata_Class"
RECIPE = Recipe(network="mcnn-gap", epochs=3, batch=4, seed=2, select="best")
LOSSES = {1: 0.9, 2: 0.5, 3: 0.7}  # of validation, by epoch


@pytest.fixture
def table(tmp_path, monkeypatch):
    """A small screen, of which the second epoch is the best."""
    real = train._end_epoch

    def end_epoch(trained, watcher):
        trained.row["val_loss"] = LOSSES[trained.epoch + 1]
        real(trained, watcher)

    monkeypatch.setattr(train, "_end_epoch", end_epoch)
    return read_table(screens.write_screen(tmp_path / "screen", 1, 8, 0))


@pytest.fixture
def room():
    """Sets how many bytes a file may have; None: any number."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)

    def limit(most):
        resource.setrlimit(resource.RLIMIT_FSIZE, (before[0] if most is None else most, before[1]))

    yield limit
    limit(None)


def run(table, out, **words):
    """The model, and what was warned of."""
    warned, more = [], words.pop("progress", lambda event: None)

    def tell(event):
        if event["stage"] == "warning":
            warned.append(event["words"])
        more(event)

    return train_run(table, LABEL, out, RECIPE, val_fraction=0.25, threads=1, progress=tell,
                     **words)[0], warned


def full_from(room, epoch, until=None):
    """A receiver of progress: nothing can be written from the end of one epoch to that of
    another."""
    def tell(event):
        if event["stage"] == "epoch" and event["done"] in (epoch, until):
            room(0 if event["done"] == epoch else None)
    return tell


def test_the_best_model_and_the_log_are_written_when_there_is_room(table, tmp_path, room):
    whole, _ = run(table, tmp_path / "whole")
    model, warned = run(table, tmp_path / "run", progress=full_from(room, 2, 3), checkpoint_s=0)
    assert model.digest() == whole.digest()
    for name in ("model", "best"):
        assert load(tmp_path / "run" / f"{name}.safetensors").digest() == whole.digest()
    assert pandas.read_csv(tmp_path / "run" / "log.csv")["epoch"].tolist() == [1, 2, 3]
    for name in ("best.safetensors", "log.csv"):
        (bad, good) = [words for words in warned if name in words]
        assert "File too large; it is tried again" in bad and good.endswith("has been written now")


def test_a_disk_that_stays_full_is_an_error_that_names_the_files(table, tmp_path, room):
    """And what is resumed is the same in the end: no checkpoint says more than is there."""
    whole, _ = run(table, tmp_path / "whole")
    with pytest.raises(InputError, match=r"best.safetensors and log.csv cannot be written, which "
                                         r"belongs to the run: make room, and go on with --resume"):
        run(table, tmp_path / "run", progress=full_from(room, 2), checkpoint_s=0)
    room(None)
    assert not (tmp_path / "run" / "model.safetensors").exists()
    model, _ = run(table, tmp_path / "run", resume=True)
    assert model.digest() == whole.digest()
    assert pandas.read_csv(tmp_path / "run" / "log.csv")["epoch"].tolist() == [1, 2, 3]


def test_no_cure_is_named_that_there_is_not(table, tmp_path, room):
    """Where no checkpoint could be written either, nothing can be gone on from."""
    with pytest.raises(InputError, match="make room, and train again, as there is no checkpoint"):
        run(table, tmp_path / "run", progress=full_from(room, 1))
    room(None)
    assert not (tmp_path / "run").exists()


def test_no_checkpoint_says_more_than_the_folder_holds(table, tmp_path, monkeypatch):
    """Where the best model alone could not be written, and the run is stopped: what is resumed
    makes that model again."""
    whole, _ = run(table, tmp_path / "whole")
    real = Keeper.save_best

    def full(*_):
        raise InputError("best.safetensors cannot be written: quota")

    def stop(event):
        if event["stage"] == "epoch" and event["done"] == 2:
            monkeypatch.setattr(Keeper, "save_best", full)
        if event["stage"] == "step" and event["epoch"] == 3:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(Stopped):
        run(table, tmp_path / "run", progress=stop, checkpoint_s=0)
    monkeypatch.setattr(Keeper, "save_best", real)
    assert newest(tmp_path / "run")[0]["epoch"] < 2
    assert run(table, tmp_path / "run", resume=True)[0].digest() == whole.digest()


def test_what_is_left_is_tried_again_and_said_twice():
    said, tries, is_full = [], [], True

    def write():
        tries.append("a")
        if is_full:
            raise InputError("a is full")

    left = Unwritten(said.append)
    assert not left.write("a", write, lambda: write) and left.write("b", lambda: None)
    assert not left.again()
    with pytest.raises(InputError, match="^a cannot be written, which belongs to the run: "):
        left.end()
    is_full = False
    assert left.again() and left.again() and len(tries) == 4
    left.end()
    assert said == ["a is full; it is tried again", "a has been written now"]
