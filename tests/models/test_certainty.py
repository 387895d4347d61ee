# SPDX-License-Identifier: BSD-3-Clause
"""Temperature, sets and novelty in a model: applied to every prediction, there and back in the
file, columns of the predictions."""

from dataclasses import replace

import numpy as np
import pytest

pandas = pytest.importorskip("pandas")
pytest.importorskip("tifffile")
import phenoscale
import screens
from phenoscale import InputError, load
from phenoscale.images.measures import measure_names
from phenoscale.models.certainty import NONE, Certainty, is_certainty, set_words
from phenoscale.models.head import Head
from phenoscale.models.novelty import Novelty, is_novelty, nearest
from phenoscale.prediction.frame import prediction_frame
from phenoscale.prediction.predict import predict_table
from phenoscale.tables.read import read_table

NAMES = measure_names(screens.CHANNELS, 0)
KNOWN = Certainty(0.5, {"95": [0.3, 0.7], "90": [0.4, 0.9]}, "made up")


def a_model(limit=1e6, certainty=KNOWN, kind="both"):
    rng, n = np.random.default_rng(0), len(NAMES)
    head = Head(kind, NAMES, "DNA", 1.0, "", np.zeros(n, np.float32), np.full(n, 1e-3, np.float32),
                rng.normal(size=(n + 1, 2)).astype(np.float32))
    novelty = Novelty(limit, "made up", np.eye(n, dtype=np.float32) * 2,
                      rng.normal(size=(2, n)).astype(np.float32))
    return replace(screens.make_model(), head=head, novelty=novelty, certainty=certainty)


def test_probabilities_are_at_the_temperature():
    fields, _ = screens.draw_fields(4)
    plain = phenoscale.predict(a_model(certainty=None), fields).probabilities.astype(float)
    wanted = plain**2 / (plain**2).sum(axis=1, keepdims=True)
    found = phenoscale.predict(a_model(), fields).probabilities
    np.testing.assert_allclose(found, wanted, atol=1e-6)
    network = replace(a_model(), head=None, novelty=None)
    assert not np.allclose(phenoscale.predict(network, fields).probabilities,
                           phenoscale.predict(replace(network, certainty=None), fields)
                           .probabilities)


def test_nan_stays():
    chances = np.array([[0.25, 0.75], [np.nan, np.nan]], np.float32)
    found = KNOWN.calibrated(chances)
    np.testing.assert_allclose(found[0], [0.1, 0.9], atol=1e-6)
    assert np.isnan(found[1]).all()
    assert Certainty().calibrated(chances) is chances


def test_there_and_back(tmp_path):
    model = a_model()
    model.save(tmp_path / "model.safetensors")
    again = load(tmp_path / "model.safetensors")
    assert again.certainty == model.certainty and again.digest() == model.digest()
    assert again.novelty.about() == model.novelty.about()
    for name in Novelty.TENSORS:
        np.testing.assert_array_equal(getattr(again.novelty, name), getattr(model.novelty, name))
    np.testing.assert_array_equal(again.head.weights, model.head.weights)
    assert len({m.digest() for m in (model, a_model(limit=1.0), a_model(certainty=None))}) == 3


def test_columns_of_the_predictions(tmp_path):
    table = read_table(screens.write_screen(tmp_path, plates=1, wells=4))
    model = a_model()
    found = predict_table(model, table)
    far = model.novelty.of(model.head, found.numbers)
    model.novelty.limit *= np.median(far)  # so that half of the fields are unlike every class
    found = predict_table(model, table)
    frame = prediction_frame(model, table, found)
    for column, limits in (("Phenoscale_Set", [0.3, 0.7]), ("Phenoscale_Set90", [0.4, 0.9])):
        for words, chances, away in zip(frame[column], found.probabilities,
                                        frame["Phenoscale_Novelty"]):
            keys = [key for key, p, limit in zip(model.keys, chances, limits) if p >= limit]
            assert words == (NONE if away > 1 or not keys else " ".join(keys))
    assert 0 < (frame["Phenoscale_Novelty"] > 1).sum() < len(frame)


def test_predictions_say_the_same(tmp_path):
    """As arrays, to Python."""
    table = read_table(screens.write_screen(tmp_path, plates=1, wells=4))
    model = a_model()
    model.novelty.limit *= np.median(model.novelty.of(model.head, predict_table(model,
                                                                                table).numbers))
    found = predict_table(model, table)
    frame = prediction_frame(model, table, found)
    np.testing.assert_array_equal(found.novelty, frame["Phenoscale_Novelty"])
    for coverage, column in (("95", "Phenoscale_Set"), ("90", "Phenoscale_Set90")):
        assert set_words(model.keys, found.sets[coverage]) == frame[column].tolist()
    plain = phenoscale.predict(replace(a_model(certainty=None), novelty=None),
                               screens.draw_fields(2)[0])
    assert plain.novelty is None and plain.sets == {}


def test_the_reach_of_folds_widens_the_limit():
    numbers = np.random.default_rng(5).normal(size=(6, len(NAMES))).astype(np.float32)
    model, wide = a_model(limit=1.0), a_model(1.0, replace(KNOWN, reach=2.0))
    np.testing.assert_allclose(wide.novelties(numbers) * 2, model.novelties(numbers))
    assert np.isnan(replace(model, novelty=None).novelties(numbers)).all()


def test_sets_of_a_network_alone_ask_no_measures():
    """They are the same whether the fields are measured or not."""
    numbers = np.random.default_rng(5).normal(size=(6, len(NAMES))).astype(np.float32)
    chances = np.full((6, 2), 0.5, np.float32)
    both, network = a_model(limit=1e-9), a_model(limit=1e-9, kind="network")
    assert not both.sets(chances, numbers)["95"].any()
    assert network.sets(chances, numbers)["95"].any(axis=1).all()


def test_novelty_by_hand():
    rng = np.random.default_rng(3)
    values, whiten = rng.normal(size=(5, 4)), rng.normal(size=(4, 4))
    centres = rng.normal(size=(3, 4)) @ whiten
    wanted = [min(np.sqrt(sum((sum(row[i] * whiten[i, j] for i in range(4)) - centre[j]) ** 2
                              for j in range(4))) for centre in centres) for row in values]
    np.testing.assert_allclose(nearest(values, whiten, centres), wanted)


def test_novelty_without_numbers():
    model = a_model()
    assert np.isnan(model.novelty.of(model.head, np.empty((3, 0), np.float32))).all()
    numbers = np.full((2, len(NAMES)), 5.0, np.float32)
    numbers[1] = np.nan
    assert np.isnan(model.novelty.of(model.head, numbers)).tolist() == [False, True]


@pytest.mark.parametrize(("old", "new", "key"), [
    (b'kind\\": \\"both', b'kind\\": \\"bath', "head"), (b'limit\\": 1', b'limit\\": 0', "novelty"),
    (b'temperature\\": 0.5', b'temperature\\": 0.0', "certainty")])
def test_a_file_that_says_nonsense(tmp_path, old, new, key):
    path = tmp_path / "model.safetensors"
    a_model(limit=1.0).save(path)
    content = path.read_bytes()
    assert old in content
    path.write_bytes(content.replace(old, new))
    with pytest.raises(InputError, match=f"its '{key}' is missing or makes no sense"):
        load(path)


@pytest.mark.parametrize("bad", [
    {"temperature": 0}, {"temperature": "1"}, {"sets": {"80": [0, 0]}}, {"sets": {"95": [0.5]}},
    {"sets": {"95": [0.5, 2]}}, {"sets": []}, {"why": None}, {"reach": 0}, {"reach": "1"},
    {"more": 1}])
def test_a_certainty_that_makes_no_sense(bad):
    good = {"temperature": 1.0, "sets": {"95": [0.5, 0.5]}, "why": "", "reach": 1.0}
    assert is_certainty(good, 2) and is_certainty(None, 2)
    assert not is_certainty({**good, **bad}, 2)


@pytest.mark.parametrize("bad", [{"limit": 0}, {"limit": "1"}, {"why": 1}, {"more": 1}])
def test_a_novelty_that_makes_no_sense(bad):
    good = {"limit": 1.0, "why": ""}
    assert is_novelty(good) and is_novelty(None) and not is_novelty({**good, **bad})
