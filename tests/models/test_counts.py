# SPDX-License-Identifier: BSD-3-Clause
"""The counts in a model file: there and back, an older file without them, damage refused."""

import json

import numpy as np
import pytest

import screens
from phenoscale import InputError, load
from phenoscale.files.tensors import read_about
from phenoscale.images.counts import looks_at
from phenoscale.models.counts import KEPT, is_counts
from phenoscale.models.model import Model
from phenoscale.prediction.counts import counts_of


@pytest.fixture(scope="module")
def counts():
    return counts_of([looks_at(field) for field in screens.draw_fields(6)[0]])


def test_there_and_back(tmp_path, counts):
    model = screens.make_model()
    model.counts = counts
    model.save(tmp_path / "m")
    assert load(tmp_path / "m").counts == counts and len(json.dumps(counts)) < 2000
    assert set(counts) == {*KEPT, "bits"}


def test_a_file_of_an_earlier_version_has_none(tmp_path, monkeypatch):
    about = Model._about
    monkeypatch.setattr(Model, "_about", lambda self: {
        name: value for name, value in about(self).items() if name != "counts"})
    screens.make_model().save(tmp_path / "m")
    assert "counts" not in read_about(tmp_path / "m", "phenoscale", "")
    assert load(tmp_path / "m").counts is None


@pytest.mark.parametrize("damage", [
    lambda c: [], lambda c: {}, lambda c: {**c, "more": []}, lambda c: {**c, "bits": [1]},
    lambda c: {**c, "bits": [1, -1]}, lambda c: {**c, "bits": [1, 2.0]},
    lambda c: {**c, "mean": [[1, 2, 3, 4, 5]]}, lambda c: {**c, "mean": [[1] * 5, [1] * 4]},
    lambda c: {**c, "floor": [[5, 4, 3, 2, 1]] * 2}, lambda c: {**c, "floor": [["1"] * 5] * 2},
    lambda c: {**c, "shape": [[1e300] * 5] * 2}, lambda c: {**c, "shape": [[True] * 5] * 2}])
def test_damage(tmp_path, counts, damage):
    assert is_counts(counts, 2) and is_counts(None, 2) and not is_counts(damage(counts), 2)
    model = screens.make_model()
    model.counts = damage(counts)
    model.save(tmp_path / "m")
    with pytest.raises(InputError, match="damaged.*'counts' is missing or makes no sense"):
        load(tmp_path / "m")


def test_numbers_are_plain(counts):
    assert all(type(n) is float for name in KEPT for row in counts[name] for n in row)
    assert counts_of(np.zeros((0, 2, 5))) is None
