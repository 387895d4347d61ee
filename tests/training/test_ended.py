# SPDX-License-Identifier: BSD-3-Clause
"""What of a run that has ended must be as in the training that takes it."""

import json
from dataclasses import asdict, replace

import pytest

pandas = pytest.importorskip("pandas")
from phenoscale import InputError
from phenoscale.tables.keys import KEY
from phenoscale.training.ended import check_ended
from phenoscale.training.recipe import Recipe
from phenoscale.training.run_folder import RunFolder

RECIPE = Recipe(epochs=3, augment=("flip", "turn"))


@pytest.fixture
def folder(tmp_path):
    about = {**asdict(RECIPE), "augment": ["flip"], "classes": ["a", "b"]}
    (tmp_path / "config.json").write_text(json.dumps(about), encoding="utf-8")
    pandas.DataFrame({KEY: ["f1", "f2", "f3"], "Split": ["train", "val", "skipped"]}).to_csv(
        tmp_path / "split.csv", index=False)
    return RunFolder(tmp_path)


def test_the_same_is_taken(folder):
    check_ended(folder, RECIPE)  # whose fields were oblong
    check_ended(folder, RECIPE, {"f1": "train", "f2": "val", "f3": "train"})
    check_ended(folder, RECIPE, {"f1": "skipped", "f4": "test"})


@pytest.mark.parametrize("name, value", [("seed", 1), ("epochs", 4), ("views", "all"),
                                         ("augment", ("shift", "turn"))])
def test_another_recipe(folder, name, value):
    with pytest.raises(InputError, match=f"is with another {name}: resume with what"):
        check_ended(folder, replace(RECIPE, **{name: value}))


def test_another_side(folder):
    with pytest.raises(InputError, match="is of another split, or another table: resume"):
        check_ended(folder, RECIPE, {"f1": "train", "f2": "train"})
