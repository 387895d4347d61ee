# SPDX-License-Identifier: BSD-3-Clause
"""The folder of a run: where it may be, and what the fields that were left out leave in it."""

import json
import os
import signal
import subprocess
import sys

import pandas
import pytest

import screens
from calls import counting, train_run, warnings_to
from phenoscale import InputError
from phenoscale.files import lock as locks
from phenoscale.files.csv import write_csv
from phenoscale.files.lock import LOCK
from phenoscale.signals import Stopped
from phenoscale.tables.columns import SKIP
from phenoscale.tables.read import read_table
from phenoscale.training.recipe import Recipe
from phenoscale.training.run_folder import RunFolder

LABEL = "Metadata_Class"
RECIPE = Recipe(network="mcnn-gap", epochs=1, batch=4)


@pytest.fixture
def table(tmp_path):
    """A small screen that a test may break."""
    return read_table(screens.write_screen(tmp_path / "screen", 2, 4, 1))


def test_a_run_is_not_overwritten_and_said_before_any_image_is_read(table, tmp_path):
    (tmp_path / "model.safetensors").write_text("an old one")
    os.remove(table.paths[0][0])
    with pytest.raises(InputError, match="holds a run already: choose another --out"):
        train_run(table, LABEL, tmp_path, RECIPE)
    assert (tmp_path / "model.safetensors").read_text() == "an old one"


def test_a_folder_that_cannot_be_made(table, tmp_path):
    (tmp_path / "file").write_text("")
    for out in (tmp_path / "file", tmp_path / "file" / "run"):
        with pytest.raises(InputError, match="cannot be made: "):
            train_run(table, LABEL, out, RECIPE)
    assert (tmp_path / "file").read_text() == ""


def test_a_second_run_is_refused_before_it_writes_anything(table, tmp_path):
    """By whatever name it calls the folder, resumed or not; the first is as if alone."""
    whole, _ = train_run(table, LABEL, tmp_path / "whole", RECIPE, val_fraction=0.25)
    (tmp_path / "link").symlink_to("run")
    refused = []

    def second(done, of):
        before = {path: path.stat().st_mtime_ns for path in (tmp_path / "run").iterdir()}
        assert tmp_path / "run" / LOCK in before
        for name, resume in (("run", False), ("run", True), ("link", False)):
            with pytest.raises(InputError, match=f"{name} is being written by process {os.getpid()}"
                                                 f" on .*: choose another --out, or wait"):
                train_run(table, LABEL, tmp_path / name, RECIPE, resume=resume)
            refused.append(name)
        assert before == {path: path.stat().st_mtime_ns
                          for path in (tmp_path / "run").iterdir()}

    model, _ = train_run(table, LABEL, tmp_path / "run", RECIPE, val_fraction=0.25, checkpoint_s=0,
                         progress=counting("step", second))
    assert len(refused) >= 3 and model.digest() == whole.digest()
    assert LOCK not in os.listdir(tmp_path / "run")


def test_what_a_killed_run_left_is_no_run(table, tmp_path):
    """Its lock is taken over with a word, half a checkpoint is none, and half a file goes."""
    out, warned = tmp_path / "run", []
    out.mkdir()
    subprocess.run([sys.executable, "-c", "import os, sys\nfrom phenoscale.files.lock import *\n"
                    "lock_of_folder(sys.argv[1]).__enter__()\nos._exit(9)", out])
    for name in ("checkpoint-00000005.safetensors.tmp.1", "best.safetensors.tmp.1"):
        (out / name).write_text("half")
    assert (out / LOCK).exists() and not RunFolder(out).has_checkpoint()
    train_run(table, LABEL, out, RECIPE, progress=warnings_to(warned))
    assert "phenoscale.lock was left behind by process" in warned[0]
    assert warned[0] in RunFolder(out).config()["notes"]
    assert not {LOCK, *out.glob("*.tmp.*")} & set(os.listdir(out))


def test_a_signal_ends_the_wait_for_a_sign_of_life(table, tmp_path, monkeypatch):
    out, waits = tmp_path / "run", []
    out.mkdir()
    with locks.lock_of_folder(out):
        held = json.loads((out / LOCK).read_text())
    (out / LOCK).write_text(json.dumps({**held, "machine": "other"}))

    def sleep(seconds):
        waits.append(seconds)
        assert len(waits) == 1
        os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(locks.time, "sleep", sleep)
    with pytest.raises(Stopped):
        train_run(table, LABEL, out, RECIPE)
    assert os.listdir(out) == [LOCK]


@pytest.mark.parametrize("name", ["log.csv", "report.html", "config.json"])
def test_what_is_of_no_run_is_not_replaced(table, tmp_path, name):
    """A user's own files under a run's names, and a config.json of another program."""
    (tmp_path / name).write_text('{"mine": 1}')
    before = sorted(os.listdir(tmp_path))
    with pytest.raises(InputError, match=rf"{name} is of no run, and would be replaced: choose "):
        train_run(table, LABEL, tmp_path, RECIPE)
    assert (tmp_path / name).read_text() == '{"mine": 1}'
    assert sorted(os.listdir(tmp_path)) == before


@pytest.mark.parametrize("name", ["split.csv", "files.json"])
def test_what_is_read_is_not_replaced(table, tmp_path, name):
    """Be it in the folder of a run: the table, or an image."""
    RunFolder(tmp_path).write_config({})
    if name == "split.csv":
        os.rename(table.source, tmp_path / name)
        table.source = str(tmp_path / name)
    else:
        (plane,) = table.planes[0][0]
        os.rename(plane.path, tmp_path / name)
        table.planes[0][0] = (plane._replace(path=str(tmp_path / name)),)
    before = (tmp_path / name).read_bytes()
    with pytest.raises(InputError, match=f"{name} is a file to read: choose another to write"):
        train_run(table, LABEL, tmp_path, RECIPE, on_error="skip")
    assert (tmp_path / name).read_bytes() == before


def test_what_a_run_killed_before_its_first_checkpoint_left_is_not_taken_over(table, tmp_path):
    """Its best model, of another network, its list of fields left out and its report."""
    out = tmp_path / "run"
    out.mkdir()
    RunFolder(out).write_config({})
    for name in {*RunFolder.WRITTEN, RunFolder.REPORT} - {RunFolder.CONFIG, RunFolder.MODEL}:
        (out / name).write_text("of another")
    train_run(table, LABEL, out, RECIPE, val_fraction=0, controls={"Metadata_Well": "A01"})
    left = {path.name for path in out.iterdir() if path.read_bytes() != b"of another"}
    assert left == set(os.listdir(out))
    assert not {RunFolder.BEST, RunFolder.LAST_GOOD, RunFolder.ERRORS, RunFolder.REPORT} & left


def test_no_table_that_is_joined_is_replaced(table, tmp_path, call):
    RunFolder(tmp_path).write_config({})
    other = tmp_path / "log.csv"
    other.write_text("Metadata_Well,Dye\nA01,x\n")
    status, _, err = call("train", table.source, "--label", LABEL, "--out", tmp_path, "--join",
                          other)
    assert status == 1 and f"{other} is a file to read: choose another to write" in err
    assert other.read_text() == "Metadata_Well,Dye\nA01,x\n"


def test_resumed_after_its_end_it_says_again_what_was_left_out(table, tmp_path, call):
    os.remove(table.paths[0][0])
    words = ["train", table.source, "--label", LABEL, "--out", tmp_path / "run", "--network",
             "mcnn-gap", "--epochs", 1, "--on-error", "skip", "--quiet"]
    status, said, _ = call(*words)
    assert status == 3 and said.split()[-1].endswith("errors.csv")
    status, again, err = call(*words, "--resume")
    assert (status, again) == (3, said) and "nothing to resume\n1 field was skipped: see" in err


@pytest.mark.parametrize("marked", [1, 2])
def test_a_class_all_of_whose_fields_are_marked_is_gone_with_a_word(table, tmp_path, marked):
    """Marked fields do not count: a class of one field, too, stops nothing."""
    rows = [4, 9][:marked]  # those without a class
    table.frame[SKIP] = ["blank" if row in rows else "" for row in range(len(table))]
    table.frame.loc[rows, LABEL] = "empty"
    model, folder = train_run(table, LABEL, tmp_path / "run", RECIPE, val_fraction=0)
    config = RunFolder(folder).config()
    fields = "1 field" if marked == 1 else "2 fields"
    assert model.classes == config["classes"] == ["coarse", "fine"]
    assert (f"class empty is none of the model's: {fields} of it, and all were left out"
            in config["notes"])
    assert len(RunFolder(folder).cells("errors.csv")) == marked


def test_a_table_of_marked_fields_alone_says_so(table, tmp_path):
    table.frame[SKIP] = "blank"
    with pytest.raises(InputError, match="no field is left: .*blank"):
        train_run(table, LABEL, tmp_path / "run", RECIPE)


def test_columns_of_roles_and_of_controls_go_with_the_fields(tmp_path):
    """By whatever names the table has them."""
    path = screens.write_screen(tmp_path, 2, 4, 0)
    frame = pandas.read_csv(path, dtype=str).rename(columns={"Metadata_Well": "CPD_WELL",
                                                             "Metadata_Plate": "Barcode"})
    frame.assign(pert_type="trt", other="x").to_csv(path, index=False)
    table = read_table(path, roles={"plate": "Barcode", "well": "CPD_WELL"})
    _, folder = train_run(table, LABEL, tmp_path / "run", RECIPE, holdout={"Barcode": ["P2"]})
    for name in ("split.csv", "predictions.csv"):
        found = RunFolder(folder).cells(name)
        assert {"Barcode", "CPD_WELL", "pert_type"} <= set(found) and "other" not in found


@pytest.mark.parametrize("safe", [False, True])
def test_cells_are_what_was_written(tmp_path, safe):
    """One inverse of the writer, whatever apostrophes a text has of its own."""
    texts = ["=x", "'=x", "''=x", "'x", "-DOX", "a"]
    frame = pandas.DataFrame({"=label": texts, "Image_FileName_DNA": texts})
    write_csv(frame, tmp_path / "split.csv", safe)
    found = RunFolder(tmp_path).cells("split.csv")
    assert found.to_dict("list") == frame.to_dict("list")
