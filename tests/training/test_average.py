# SPDX-License-Identifier: BSD-3-Clause
"""The mean of the last epochs' weights: against a mean of what a watcher saw, and when resumed."""

import json

import numpy as np
import pytest

import screens
from calls import stop_at, train_run
from phenoscale import Recipe, load
from phenoscale.images.fields import FieldArrays
from phenoscale.ranks.crew import Crew
from phenoscale.signals import Stopped
from phenoscale.tables.read import read_table
from phenoscale.training import train
from phenoscale.training.average import Average

LABEL = "Metadata_Class"
SMALL = {"network": "mcnn-gap", "epochs": 4, "batch": 4, "rate": 0.05, "schedule": "constant"}


def fit_watched(recipe, threads=2):
    """The weights, and those at the end of each epoch before anything is made of them."""
    images, names = screens.draw_fields(8)
    labels = np.array([screens.CLASSES.index(name) for name in names])
    seen, given = [], {}

    def watch(event):
        if event["stage"] == "epoch":
            seen.append(given["trained"].net.parameters.copy())

    crew, fields = Crew(threads=threads, progress=watch), np.arange(8)
    source = FieldArrays(images)
    trained = given["trained"] = train.begin(source, labels, fields, recipe, crew)
    trained.know(train.statistics(source, fields, crew.watch))
    train.fit(source, labels, fields, [], recipe, crew, trained)
    return trained.net.parameters, np.array(seen, np.float64)


def test_the_weights_are_the_mean_of_the_last_epochs():
    plain, ends = fit_watched(Recipe(**SMALL))
    assert np.array_equal(plain, ends[-1])
    for last in (1, 2, 4):
        mean, seen = fit_watched(Recipe(**SMALL, average=last))
        assert np.array_equal(seen, ends)  # no step goes from the mean
        assert np.allclose(mean, ends[-last:].mean(axis=0), rtol=1e-6, atol=1e-9)
        assert np.array_equal(mean, plain) == (last == 1)
    assert np.array_equal(mean, fit_watched(Recipe(**SMALL, average=4), threads=1)[0])


def test_runs_of_fewer_epochs_have_the_same_mean():
    """With a constant rate the epochs of a shorter run are the first of a longer one."""
    ends = [fit_watched(Recipe(**{**SMALL, "epochs": epochs}))[0] for epochs in (2, 3)]
    mean, _ = fit_watched(Recipe(**{**SMALL, "epochs": 3}, average=2))
    assert np.allclose(mean, np.mean(ends, axis=0, dtype=float), rtol=1e-6, atol=1e-9)


def test_of_one_epoch_nothing_is_kept():
    weights = np.ones(3, np.float32)
    one = Average(5, 1, 3)
    one.end_epoch(5, weights)
    assert one.tensors() == [] and weights.tolist() == [1, 1, 1]


# ---- a run ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    return read_table(screens.write_screen(tmp_path_factory.mktemp("screen"), 2, 8, 1))


def run(table, out, **options):
    recipe = Recipe(network="mcnn-gap", epochs=3, batch=3, average=2)
    return train_run(table, LABEL, out, recipe, holdout={"Metadata_Plate": ["P2"]}, threads=2,
                     val_fraction=0.25, checkpoint_s=0, **options)[0]


@pytest.fixture(scope="module")
def whole(table, tmp_path_factory):
    """The folder of an uninterrupted run."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    run(table, folder)
    return folder


def at_the_end(event):
    """Stop after the last epoch, when the weights are the mean already."""
    if event["stage"] == "epoch" and event["done"] == event["of"]:
        stop_at(event["done"])({**event, "stage": "step"})


@pytest.mark.parametrize("stop", [stop_at(3), stop_at(4), stop_at(5), stop_at(6), at_the_end])
def test_a_run_that_was_stopped_has_the_same_mean(table, whole, tmp_path, stop):
    """In the window of two epochs of two steps, at its ends, and when the mean is made."""
    with pytest.raises(Stopped):
        run(table, tmp_path / "run", progress=stop)
    model = run(table, tmp_path / "run", resume=True)
    assert model.digest() == load(whole / "model.safetensors").digest()


def test_the_run_says_that_it_averaged(whole):
    config = json.loads((whole / "config.json").read_text())
    model = load(whole / "model.safetensors")
    assert config["average"] == model.recipe["average"] == 2
    assert config["weights_sha256"] == model.digest()
