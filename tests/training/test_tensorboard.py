# SPDX-License-Identifier: BSD-3-Clause
"""Event files for TensorBoard, read as TensorFlow frames them."""

import resource
import struct
import sys
from types import SimpleNamespace

import pytest

pandas = pytest.importorskip("pandas")
pytest.importorskip("tifffile"), pytest.importorskip("tensorboardX")

import screens
from calls import stop_at, train_run
from phenoscale import InputError
from phenoscale.signals import Stopped
from phenoscale.tables.read import read_table
from phenoscale.training.recipe import Recipe
from phenoscale.training.tensorboard import Board

LABEL = "Metadata_Class"
RECIPE = Recipe(network="mcnn-gap", epochs=2, batch=4, seed=5, augment=("flip", "turn"))


@pytest.fixture
def table(tmp_path):
    """A small screen."""
    return read_table(screens.write_screen(tmp_path / "screen", 2, 4, 1))


def scalars(folder):
    """{name: [(step, number)]} of the event files of a folder, records as TensorFlow frames them:
    length (8 bytes), its checksum (4), content, checksum (4)."""
    from tensorboardX.proto.event_pb2 import Event

    found = {}
    for path in sorted(folder.iterdir()):
        content, at = path.read_bytes(), 0
        while at < len(content):
            (length,) = struct.unpack_from("<Q", content, at)
            event = Event.FromString(content[at + 12 : at + 12 + length])
            for value in event.summary.value:
                found.setdefault(value.tag, []).append((event.step, value.simple_value))
            at += length + 16
    return found


def test_event_files_for_tensorboard(table, tmp_path):
    """Every step's numbers, every epoch's validation; the same as in log.csv."""
    train_run(table, LABEL, tmp_path / "run", RECIPE, val_fraction=0.25, threads=2,
              tensorboard=True)
    found = scalars(tmp_path / "run" / "tensorboard")
    log = pandas.read_csv(tmp_path / "run" / "log.csv")
    steps = log["step"].iloc[-1]
    assert set(found) == {f"train/{n}" for n in ("loss", "rate", "gradient_norm", "images_per_s")
                          } | {f"validation/{n}" for n in ("loss", "accuracy",
                                                           "balanced_accuracy")}
    assert [step for step, _ in found["train/loss"]] == list(range(1, steps + 1))
    for name, column in (("train/loss", "loss"), ("validation/loss", "val_loss")):
        at = dict(found[name])
        assert [at[step] for step in log["step"]] == pytest.approx(log[column].tolist(), rel=1e-6)


def test_no_tensorboard_where_its_library_is_missing(table, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    with pytest.raises(InputError, match="need tensorboardX: pip install tensorboardX, or leave"):
        train_run(table, LABEL, tmp_path / "run", RECIPE, tensorboard=True)
    assert not (tmp_path / "run").exists()


def test_events_that_a_full_disk_cut_short_are_written_again(tmp_path):
    """Every one, whole: half an event would hide those behind it."""
    board, before = Board(str(tmp_path)), resource.getrlimit(resource.RLIMIT_FSIZE)
    for step in range(1, 7):
        board.add(SimpleNamespace(row={"loss": step / 2, "rate": 1.0}, log=[], step=step))
        if step == 2:
            board.flush()
        if step == 4:
            (path,) = (tmp_path / "tensorboard").iterdir()
            resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 9, before[1]))
            try:
                with pytest.raises(InputError, match="events.out.* cannot be written: File too la"):
                    board.flush()
            finally:
                resource.setrlimit(resource.RLIMIT_FSIZE, before)
    board.flush()
    assert scalars(tmp_path / "tensorboard") == {
        "train/loss": [(step, step / 2) for step in range(1, 7)],
        "train/rate": [(step, 1.0) for step in range(1, 7)]}


def test_a_stop_within_an_epoch_loses_no_events(table, tmp_path):
    with pytest.raises(Stopped):
        train_run(table, LABEL, tmp_path / "run", RECIPE, tensorboard=True, progress=stop_at(1))
    assert [step for step, _ in scalars(tmp_path / "run/tensorboard")["train/loss"]] == [1]
