# SPDX-License-Identifier: BSD-3-Clause
"""Training: it learns, the same seed gives the same bits, and what is drawn is fair."""

import contextlib
import dataclasses
import os
from fractions import Fraction

import numpy as np
import pytest

pytest.importorskip("pandas"), pytest.importorskip("tifffile")
import phenoscale
import screens
from phenoscale import InputError, _core
from phenoscale.images.fields import FieldArrays, open_fields
from phenoscale.images.moments import statistics
from phenoscale.images.survey import survey
from phenoscale.ranks.crew import Crew
from phenoscale.tables.read import read_table
from phenoscale.tables.table import Plane
from phenoscale.training import train
from phenoscale.training.recipe import BALANCES, Recipe
from phenoscale.training.train import fit
from phenoscale.training.watcher import Watcher

SMALL = Recipe(network="mcnn-gap", epochs=1, batch=4)

TWO = Crew(threads=2)


def small_recipe(**options):
    return Recipe(**{"network": "mcnn-gap", "epochs": 1, "batch": 4, **options})


def fit_arrays(images, labels, recipe, threads=2, val=(), progress=None):
    labels = np.asarray(labels, np.int64)
    kept = np.setdiff1d(np.flatnonzero(labels >= 0), val)
    return fit(FieldArrays(images), labels, kept, val, recipe,
               Crew(threads=threads, progress=progress))


def weights(*args, **options):
    return fit_arrays(*args, **options).net.parameters.tobytes()


@pytest.fixture(scope="module")
def screen(tmp_path_factory):
    """Seven fields as a table of files, and the same as arrays with their labels."""
    table = read_table(screens.write_screen(tmp_path_factory.mktemp("screen"), 1, 7, 0))
    images = np.stack([np.concatenate([_core.read_image(path) for path in paths])
                       for paths in table.paths])
    return table, images, np.array([screens.CLASSES.index(c) for c in table.column(
        "Metadata_Class")])


# ---- it learns ------------------------------------------------------------------------------


@pytest.mark.parametrize("network", ["mcnn-gap", "mcnn"])
def test_texture_is_learnt(network):
    images, names = screens.draw_fields(36)
    truth = np.array([screens.CLASSES.index(name) for name in names])
    labels = np.where(np.arange(36) < 20, truth, -1)  # the rest is held out
    trained = fit_arrays(images, labels, Recipe(
        network=network, epochs=5, batch=4, rate=0.02, augment=("flip",)))
    found = trained.network(2).run(FieldArrays(images), np.arange(20, 36))
    assert np.mean(found.logits.argmax(axis=1) == truth[20:]) > 0.9
    losses = [row["loss"] for row in trained.log]
    assert losses[-1] < losses[0] / 2


def test_both_towers_train_alike():
    """The plain layers and the fused tower: one model file, the same weights up to rounding."""
    images, names = screens.draw_fields(6)
    labels = np.array([screens.CLASSES.index(name) for name in names])
    made = {}
    for tower in ("fused", "plain"):
        made[tower] = fit_arrays(images, labels, Recipe(network="mcnn-gap", epochs=1, batch=2,
                                                        tower=tower))
    fused, plain = made["fused"], made["plain"]
    assert fused.description == plain.description and "tower" in fused.description
    difference = np.abs(fused.net.parameters - plain.net.parameters).max()
    assert 0 < difference < 1e-3 * np.abs(plain.net.parameters).max()


# ---- the same bits --------------------------------------------------------------------------


def as_pngs(table):
    """The same fields as PNGs, which Python decodes."""
    from PIL import Image

    planes = []
    for row in table.paths:
        for path in row:
            Image.fromarray(phenoscale.read_image(path)[0]).save(path + ".png")
        planes.append([(Plane(path + ".png"),) for path in row])
    return dataclasses.replace(table, planes=planes)


@pytest.mark.parametrize("network", ["mcnn-gap", "mcnn"])
def test_weights_do_not_depend_on_threads_files_or_parts(screen, monkeypatch, network):
    table, images, labels = screen  # seven fields: the last batch has three
    recipe = small_recipe(network=network, augment=_core.augment_names(), smoothing=0.1)
    expected = weights(images, labels, recipe, threads=1)
    for threads in (2, 4):
        assert weights(images, labels, recipe, threads) == expected
    for files in (table, as_pngs(table)):
        source = open_fields(files, survey(files), threads=2)
        of_files = fit(source, labels, np.arange(7), [], recipe, TWO)
        assert of_files.net.parameters.tobytes() == expected

    def in_parts(description, batch, threads, share, forms_dense):
        return _core.Net(description, threads=threads, training=True, images=3, batch=batch)

    monkeypatch.setattr(train, "make_net", in_parts)
    assert weights(images, labels, recipe) == expected


def test_memory_decides_on_parts_not_on_bits(screen, monkeypatch):
    _, images, labels = screen
    made = []
    make, real = _core.Net, os.sysconf

    def counted(*args, **options):
        made.append(options["images"])
        if options["images"] > 2:
            raise MemoryError
        return make(*args, **options)

    expected = weights(images[:5], labels[:5], SMALL)
    monkeypatch.setattr(train._core, "Net", counted)
    assert weights(images[:5], labels[:5], SMALL, threads=8) == expected
    assert made == [4, 2]
    made.clear()
    assert weights(images[:5], labels[:5], SMALL, threads=1) == expected
    assert made == [4, 2]
    monkeypatch.setattr(os, "sysconf", lambda name: 1 if "PHYS" in name else real(name))
    monkeypatch.setattr(train, "free_memory", lambda: 1 << 40)
    made.clear()
    train.make_net("field: input channels=1 height=128 width=128 pad=128\n"
                   "classes: dense units=2\n", 2, 2)
    assert made == [2, 1]


def test_another_seed_gives_other_weights_and_a_batch_over_all_fields_is_one_step(screen):
    _, images, labels = screen
    first = fit_arrays(images[:4], labels[:4], small_recipe(batch=4))
    assert weights(images[:4], labels[:4], small_recipe(batch=65536, rate=0.01)) == \
        first.net.parameters.tobytes()
    assert weights(images[:4], labels[:4], small_recipe(seed=1)) != first.net.parameters.tobytes()
    assert first.log[0]["step"] == 1 and first.log[0]["images"] == 4


def test_watched_fields_change_nothing(screen):
    _, images, labels = screen
    watched = fit_arrays(images, labels, SMALL, val=[4, 5, 6])
    assert watched.net.parameters.tobytes() == weights(images[:4], labels[:4], SMALL)
    row = watched.log[0]
    assert 0 < row["val_loss"] < 10
    assert row["val_accuracy"] in [0, 1 / 3, 2 / 3, 1]
    assert 0 <= row["val_balanced_accuracy"] <= 1
    assert fit_arrays(images[:4], labels[:4], SMALL).log[0].keys() == row.keys() - {
        "val_loss", "val_accuracy", "val_balanced_accuracy"}


def test_byte_order_and_layout_of_arrays_do_not_matter(screen):
    _, images, labels = screen
    expected = weights(images[:4], labels[:4], SMALL)
    assert weights(images[:4].astype(">u2"), labels[:4], SMALL) == expected
    strided = np.ascontiguousarray(images[:4].transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
    assert weights(strided, labels[:4], SMALL) == expected


def test_rates_of_the_log_follow_the_schedule(screen):
    _, images, labels = screen
    trained = fit_arrays(images[:4], labels[:4], small_recipe(epochs=2, batch=2, rate=0.1))
    assert [row["step"] for row in trained.log] == [2, 4]
    assert [row["rate"] for row in trained.log] == pytest.approx([0.1 * 0.5 / 0.95, 0.001])
    for row in trained.log:
        assert row["images"] == 4 and row["gradient_norm"] > 0 and row["images_per_s"] > 0


# ---- numbers in -----------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_statistics_of_counts_are_exact(dtype):
    images = np.random.default_rng(0).integers(0, 256, (5, 3, 9, 7)).astype(dtype)
    images[:, 1] = np.iinfo(dtype).max  # saturated
    images[:, 2] = images[:, 0] // 128 + np.iinfo(dtype).max - 1
    mean, std = statistics(FieldArrays(images), [4, 0, 2]).result()
    for k in range(3):
        values = [int(v) for v in images[[0, 2, 4], k].ravel()]
        exact = Fraction(sum(values), len(values))
        variance = Fraction(sum(v * v for v in values), len(values)) - exact**2
        assert mean[k] == float(exact) == images[[0, 2, 4], k].astype(float).mean()
        assert std[k] == (np.sqrt(float(variance)) if variance else 1)


def test_statistics_of_floats():
    images = np.random.default_rng(0).normal(1e6, 1, (4, 3, 8, 8)).astype(np.float32)
    images[:, 1] = 0.1  # constant, and no whole number
    images[:, 2] = np.linspace(0, 1e-20, 64).reshape(8, 8)
    mean, std = statistics(FieldArrays(images), range(4)).result()
    assert mean == pytest.approx(images.astype(float).mean(axis=(0, 2, 3)), rel=1e-12)
    assert std[1] == 1
    assert std[[0, 2]] == pytest.approx(images.astype(float).std(axis=(0, 2, 3))[[0, 2]],
                                        rel=1e-9, abs=0)


@pytest.mark.parametrize("value", [0, 65535])
def test_a_constant_channel_does_no_harm(screen, value):
    _, images, labels = screen
    images = images[:4].copy()
    images[:, 1] = value
    trained = fit_arrays(images, labels[:4], SMALL)
    assert trained.std[1] == 1 and trained.mean[1] == value
    assert np.isfinite(trained.net.parameters).all()


# ---- what goes wrong ------------------------------------------------------------------------


def test_a_field_that_breaks_in_mid_training_is_named(tmp_path):
    table = read_table(screens.write_screen(tmp_path, 1, 4, 0))
    source = open_fields(table, survey(table), threads=2)

    def break_one(event):
        if event["stage"] == "epoch":
            os.truncate(table.paths[2][1], 2000)

    with pytest.raises(InputError) as caught:
        fit(source, np.array([0, 1, 0, 1]), np.arange(4), [], small_recipe(epochs=2),
            Crew(threads=2, progress=break_one))
    assert "screen.csv line 4 (well P1 A03)" in str(caught.value)
    assert table.paths[2][1] in str(caught.value) and "leave the row out" in str(caught.value)
    with pytest.raises(InputError, match="line 4"):  # and already in the statistics
        fit(source, np.array([0, 1, 0, 1]), np.arange(4), [], SMALL, TWO)
    with pytest.raises(InputError, match="line 4"):  # and among those watched
        fit(source, np.array([0, 1, 0, 1]), [0, 1, 3], [2], SMALL, TWO)


class Listener(Watcher):
    """Notes what it is told; may break the gradients of some steps."""

    def __init__(self, broken=()):
        self.words, self.broken, self.steps, self.improvements = [], set(broken), 0, 0

    def computing(self):
        return contextlib.nullcontext()

    def step_done(self, trained):
        self.steps += bool(trained.row)

    def warn(self, words):
        self.words.append(words)

    def improved(self, trained):
        self.improvements += 1


def with_broken_steps(monkeypatch, broken):
    """The steps of these numbers have a gradient that is no number."""
    real, calls = train._compute, []

    def compute(trained, *others):
        loss, norm = real(trained, *others)
        calls.append(None)
        return (loss, float("nan")) if len(calls) in broken else (loss, norm)

    monkeypatch.setattr(train, "_compute", compute)


def test_a_step_that_is_no_number_changes_nothing(screen, monkeypatch):
    """It is left out, its fields are named, and the next steps are those of a run without it."""
    _, images, labels = screen
    recipe, listener = small_recipe(epochs=1, batch=1, momentum=0, rate=0.01,
                                    schedule="constant", balance="none", augment=()), Listener()
    order = BALANCES["none"](np.arange(4), labels[:4], 0, 0)
    with_broken_steps(monkeypatch, {3})
    trained = fit(FieldArrays(images[:4]), labels[:4], np.arange(4), [], recipe, TWO,
                  watcher=listener)
    assert (trained.skipped, trained.bad_steps, trained.factor) == (1, 0, 1.0)
    assert len(listener.words) == 1 and f"image {order[2]}" in listener.words[0]
    assert listener.words[0].startswith("step 3: the loss (")
    monkeypatch.undo()
    monkeypatch.setitem(BALANCES, "none", lambda *a: np.delete(order, 2))
    whole = train.begin(FieldArrays(images[:4]), labels[:4], np.arange(4), recipe, TWO)
    whole.mean, whole.std = trained.mean, trained.std
    fit(FieldArrays(images[:4]), labels[:4], np.arange(4), [], recipe, TWO, trained=whole)
    assert whole.net.parameters.tobytes() == trained.net.parameters.tobytes()


def test_three_in_a_row_halve_the_rate_and_ten_end_the_training(screen, monkeypatch):
    _, images, labels = screen
    recipe, listener = small_recipe(epochs=3, batch=1, rate=0.02, schedule="constant"), Listener()
    with_broken_steps(monkeypatch, {2, 3, 4, 6})
    trained = fit(FieldArrays(images[:4]), labels[:4], np.arange(4), [], recipe, TWO,
                  watcher=listener)
    assert (trained.factor, trained.skipped, len(listener.words)) == (0.5, 4, 4)
    assert "half the learning rate" in listener.words[2]
    assert trained.log[-1]["rate"] == 0.01
    monkeypatch.undo()
    with_broken_steps(monkeypatch, set(range(2, 99)))
    with pytest.raises(train.Diverged, match=r"10 steps in a row.*fields: image \d.*smaller learn"):
        fit(FieldArrays(images[:4]), labels[:4], np.arange(4), [], recipe, TWO, watcher=listener)


def test_an_exploding_loss_is_no_step(screen):
    """A rate that makes the loss a million is survived for a while, then explained."""
    _, images, labels = screen
    recipe = small_recipe(epochs=9, batch=2, rate=100, clip=0, schedule="constant")
    with pytest.raises(InputError, match="exploded.*smaller learning rate"):
        fit_arrays(images[:4], labels[:4], recipe)


def test_patience_and_the_best_epoch(screen, monkeypatch):
    _, images, labels = screen
    losses = iter([0.9, 0.5, 0.6, 0.5, 0.7, 0.1])
    monkeypatch.setattr(train, "validate", lambda *a: {"val_loss": next(losses)})
    listener = Listener()
    trained = fit(FieldArrays(images), labels, np.arange(4), np.arange(4, 7), small_recipe(
        epochs=9, patience=3), TWO, watcher=listener)
    assert (trained.epoch, trained.best, trained.waited, trained.is_over) == (5, 0.5, 3, True)
    assert listener.improvements == 2 and "ended after epoch 5" in listener.words[-1]
    for options in ({"patience": 2}, {"select": "best"}):
        with pytest.raises(InputError, match="need validation fields"):
            fit_arrays(images, labels, small_recipe(**options))


def test_turns_need_square_fields():
    with pytest.raises(InputError, match="square fields, not 128 x 256"):
        fit_arrays(np.zeros((2, 1, 128, 256), np.uint8), [0, 1], small_recipe(augment=["turn"]))


@pytest.mark.parametrize("images, words", [
    (np.zeros((2, 128, 128)), r"not float64 \(2, 128, 128\)"),
    (np.zeros((2, 1, 4, 4), complex), "not complex128"),
    (np.array([[[["a"]]]]), "not <U1"),
    (np.full((2, 1, 4, 4), np.nan), "NaN or infinite"),
    (np.full((2, 1, 4, 4), 1e300), "NaN or infinite"),
    (np.append(np.ones(31), 3e38).reshape(2, 1, 4, 4), "image 1, channel 0: 1 of its 16 pixels .*"
     "larger than any count"),
])
@pytest.mark.filterwarnings("ignore:overflow")
def test_arrays_that_are_no_images(images, words):
    with pytest.raises(InputError, match=words):
        FieldArrays(images)


def test_fields_too_large_for_a_network():
    images = np.broadcast_to(np.zeros((), np.uint8), (2, 1, 14000, 14000))
    with pytest.raises(InputError, match="no network for these fields: .*over the limit"):
        fit_arrays(images, [0, 1], small_recipe())
