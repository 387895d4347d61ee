# SPDX-License-Identifier: BSD-3-Clause
"""Files that vanish or break in the middle of a training."""

import json
import os

import numpy as np
import pytest

pandas = pytest.importorskip("pandas")
pytest.importorskip("tifffile")
import screens
from calls import stop_at, train_run, warnings_to
from phenoscale import InputError
from phenoscale.files.csv import read_csv
from phenoscale.ranks.alone import Alone
from phenoscale.signals import Stopped
from phenoscale.tables.read import read_table
from phenoscale.training.lost import Reader
from phenoscale.training.recipe import Recipe
from phenoscale.training.watcher import Watcher
from thread_ranks import run_ranks

LABEL = "Metadata_Class"
RECIPE = Recipe(network="mcnn-gap", epochs=4, batch=3, augment=("flip", "shift"))


@pytest.fixture
def table(tmp_path):
    return read_table(screens.write_screen(tmp_path / "screen", 1, 12, 1))


def run(table, out, recipe=RECIPE, **options):
    return train_run(table, LABEL, out, recipe, threads=2, checkpoint_s=0,
                     **{"val_fraction": 0.25, "on_error": "skip", **options})[0]


def losing(table, rows, at_step, more=lambda event: None):
    """A receiver of progress that removes the files of fields at a step."""
    def tell(event):
        if event["stage"] == "step" and event["done"] == at_step:
            for row in rows:
                for path in table.paths[row]:
                    if os.path.exists(path):
                        os.remove(path)
        more(event)
    return tell


def listed(out):
    return {line: why for line, _, _, why, _ in read_csv(str(out / "errors.csv"))[1]}


@pytest.mark.parametrize("side", ["train", "val"])
def test_a_file_that_vanishes_is_skipped_named_and_counted(table, tmp_path, side):
    sides = table_sides(table, tmp_path)
    row, words, events = sides.index(side), [], []
    tell = losing(table, [row], 2, warnings_to(words))
    run(table, tmp_path / "run", progress=lambda event: (events.append(event), tell(event)))
    assert any(table.place(row) in said and "(1 field lost since it began)" in said
               for said in words)
    assert list(listed(tmp_path / "run")) == [str(table.lines[row])]
    notes = json.loads((tmp_path / "run" / "config.json").read_text())["notes"]
    assert "1 of 13 fields could be used at the beginning and not to the end: see errors.csv" in (
        notes)
    steps = [event["done"] for event in events if event["stage"] == "step"]
    assert steps == list(range(1, len(steps) + 1)) and len(steps) % 4 == 0  # none was left out


def table_sides(table, tmp_path):
    """The side of each row, from a run of one epoch."""
    run(table, tmp_path / "sides", Recipe(**{**RECIPE.__dict__, "epochs": 1}))
    return pandas.read_csv(tmp_path / "sides" / "split.csv")["Split"].tolist()


def test_without_skip_it_ends_the_run_which_can_be_gone_on_with(table, tmp_path):
    row = table_sides(table, tmp_path).index("train")
    with pytest.raises(InputError, match="does not exist|cannot be read|No such file"):
        run(table, tmp_path / "run", on_error="stop", progress=losing(table, [row], 2))
    with pytest.raises(InputError, match="does not exist: restore it"):
        run(table, tmp_path / "run", on_error="stop", resume=True)
    words = []
    run(table, tmp_path / "run", resume=True, progress=warnings_to(words))
    assert any("1 field that it began with cannot be used any more" in said for said in words)
    assert list(listed(tmp_path / "run")) == [str(table.lines[row])]


def test_stopped_after_a_loss_it_goes_on_to_the_same_bits(table, tmp_path):
    """As the run that lost the same field at the same step and was never stopped."""
    row = table_sides(table, tmp_path).index("train")
    saved = {path: open(path, "rb").read() for path in table.paths[row]}
    whole = run(table, tmp_path / "whole", progress=losing(table, [row], 3)).digest()
    for path, content in saved.items():
        with open(path, "wb") as file:
            file.write(content)
    with pytest.raises(Stopped):
        run(table, tmp_path / "run", progress=losing(table, [row], 3, stop_at(8)))
    assert run(table, tmp_path / "run", resume=True).digest() == whole
    assert list(listed(tmp_path / "run")) == [str(table.lines[row])]


def test_a_class_without_fields_ends_it(table, tmp_path):
    labels = table.column(LABEL)
    with pytest.raises(InputError, match="no other field of its class is left to train on"):
        run(table, tmp_path / "run", progress=losing(
            table, np.flatnonzero(labels == "fine"), 2))


# ---- one reader ----------------------------------------------------------------------------------


class Source:
    """Fields of which some cannot be read."""

    shape, dtype = (1, 2, 2), "uint8"

    def __init__(self, bad):
        self._bad, self.release, self.place = bad, lambda n: None, str

    def start(self, order):
        self._left = list(order)

    def next(self):
        row = self._left.pop(0)
        if row in self._bad:
            raise InputError(f"field {row} is away")
        return np.full(self.shape, row, self.dtype)


class Skipping(Watcher):
    """Goes on."""

    def __init__(self, on_error="skip"):
        self.on_error, self.words = on_error, []

    def warn(self, words):
        self.words.append(words)


def reader(bad, on_error="skip", lost=()):
    labels = np.array([0, 1] * 4)
    return Reader(Source(bad), labels, np.arange(8), dict(lost), Skipping(on_error))


def test_the_next_of_its_class_stands_in():
    one = reader({2}, lost=[(2, "away"), (6, "away")])
    assert one.order(np.array([2, 1, 6, 3])).tolist() == [4, 1, 0, 3]
    assert one.left(np.array([1, 2, 3])).tolist() == [1, 3]


def test_an_error_is_one_where_fields_may_not_be_lost():
    one = reader({2}, "stop")
    one.start(np.array([2]))
    with pytest.raises(InputError, match="field 2 is away"):
        one.next()
    assert not one.settle(Alone())


def test_all_ranks_lose_what_one_cannot_read():
    def work(ranks):
        one = reader({3} if ranks.rank else set())
        one.start(np.array([3, 1]))
        fields = [one.next().max(), one.next().max()]
        return fields, one.settle(ranks), one.lost, one._watcher.words

    (_, first, lost, words), (fields, second, theirs, _) = run_ranks(2, work)
    assert first and second and lost == theirs == {3: "field 3 is away"} and fields == [0, 1]
    assert words == ["field 3 is away; the training goes on without it (1 field lost since it "
                     "began)"]


def test_a_disk_that_is_gone_ends_it_soon():
    labels = np.zeros(1000, int)
    one = Reader(Source(range(1000)), labels, np.arange(1000), {}, Skipping())
    with pytest.raises(InputError, match="are the files and their disk there"):
        while True:
            one.start(one.order(np.arange(4)))
            for _ in range(4):
                one.next()
            assert one.settle(Alone())
    assert len(one.lost) <= 40 and len(one._watcher.words) <= 8
