# SPDX-License-Identifier: BSD-3-Clause
"""The head of a model: two opinions by definition, there and back in the file."""

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("pandas")
import phenoscale
import screens
from phenoscale import InputError, load
from phenoscale.images.measures import measure_names
from phenoscale.models.head import HEADS, Head, is_head, standardised

NAMES = measure_names(screens.CHANNELS, 0)


def a_head(kind="both", seed=0, names=NAMES):
    """One that nobody fitted."""
    rng = np.random.default_rng(seed)
    mean, scale = rng.random((2, len(names))).astype(np.float32)
    return Head(kind, list(names), screens.CHANNELS[0], 0.5, "made up", mean, scale * (scale > 0.2),
                rng.normal(size=(len(names) + 1, 2)).astype(np.float32))


def by_hand(head, logits, numbers):
    """Twin of `Head.probabilities`, a field and a measure at a time."""
    rows = []
    for one, values in zip(logits.astype(float), numbers.astype(float)):
        network = np.exp(one) / np.exp(one).sum()
        scores = head.weights[-1].astype(float).copy()
        for value, mean, scale, weights in zip(values, head.mean, head.scale, head.weights):
            away = 0.0 if np.isnan(value) else min(10.0, max(-10.0, (value - mean) * scale))
            scores += away * weights
        measures = np.exp(scores - scores.max())
        measures /= measures.sum()
        rows.append({"network": network, "measures": measures,
                     "both": (network + measures) / 2}[head.kind])
    return np.array(rows)


@pytest.mark.parametrize("kind", HEADS)
def test_as_defined(kind):
    rng, head = np.random.default_rng(1), a_head(kind)
    logits = rng.normal(size=(5, 2)).astype(np.float32)
    numbers = rng.normal(size=(5, len(NAMES))).astype(np.float32)
    numbers[2, 7], numbers[3, 9] = np.nan, 1e30
    found = head.probabilities(logits, numbers)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, by_hand(head, logits, numbers), atol=2e-7)
    logits[4] = np.nan  # a field that could not be read
    assert np.isnan(head.probabilities(logits, numbers)[4]).all()


def test_a_number_far_off_counts_as_ten_deviations():
    numbers = np.array([[3.0, np.nan, 1e30, -1e30]], np.float32)
    away = standardised(numbers, np.ones(4), np.full(4, 2))
    assert away.tolist() == [[4.0, 0.0, 10.0, -10.0]]


@pytest.mark.parametrize("kind", HEADS)
def test_there_and_back(tmp_path, kind):
    model = replace(screens.make_model(), head=a_head(kind))
    model.save(tmp_path / "model.safetensors")
    again = load(tmp_path / "model.safetensors")
    assert again.head.about() == model.head.about() and again.digest() == model.digest()
    for name in Head.TENSORS:
        np.testing.assert_array_equal(getattr(again.head, name), getattr(model.head, name))
    np.testing.assert_array_equal(again.parameters, model.parameters)
    fields, _ = screens.draw_fields(3)
    ours, theirs = phenoscale.predict(model, fields), phenoscale.predict(again, fields)
    np.testing.assert_array_equal(ours.probabilities, theirs.probabilities)
    assert ours.numbers.shape == (3, 0 if kind == "network" else len(NAMES))


def test_another_head_is_another_model():
    models = [replace(screens.make_model(), head=head) for head in (
        None, a_head("both"), a_head("measures"), a_head("both", seed=1))]
    assert len({model.digest() for model in models}) == 4


@pytest.mark.parametrize("about", [
    {}, {"kind": "forest"}, {"names": []}, {"names": [1]}, {"names": ["x"] * 5000}, {"nuclei": "Q"},
    {"strength": "1"}, {"why": None}, {"more": 1}])
def test_what_makes_no_sense(about):
    good = a_head().about()
    assert is_head(good, screens.CHANNELS) and is_head(None, [])
    assert not is_head({**good, **about} if about else [], screens.CHANNELS)


def test_a_file_whose_head_has_no_tensors(tmp_path):
    path = tmp_path / "model.safetensors"
    replace(screens.make_model(), head=a_head()).save(path)
    content = path.read_bytes()
    path.write_bytes(content.replace(b'"head.mean"', b'"head.mood"'))
    with pytest.raises(InputError, match="damaged"):
        load(path)


def test_a_measure_of_another_version(tmp_path):
    names = [*NAMES[:-1], "Image_Texture_Smell_DNA"]
    model = replace(screens.make_model(), head=a_head(names=names))
    with pytest.raises(InputError, match="no measure Image_Texture_Smell_DNA.*train again"):
        phenoscale.predict(model, screens.draw_fields(1)[0])
    assert phenoscale.predict(replace(model, head=a_head("network", names=names)),
                              screens.draw_fields(1)[0]).logits.shape == (1, 2)


def test_a_head_without_measures_does_not_measure(monkeypatch):
    from phenoscale import _core

    model = replace(screens.make_model(), head=a_head("network"))
    monkeypatch.setattr(_core, "numbers", None)
    fields, _ = screens.draw_fields(2)
    found = phenoscale.predict(model, fields)
    plain = phenoscale.predict(replace(model, head=None), fields)
    np.testing.assert_array_equal(found.probabilities, plain.probabilities)
