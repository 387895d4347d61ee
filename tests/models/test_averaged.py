# SPDX-License-Identifier: BSD-3-Clause
"""Means over the views of a field: what they are by hand, and in the model file."""

from dataclasses import replace

import numpy as np
import pytest
import safetensors.numpy

pytest.importorskip("pandas"), pytest.importorskip("tifffile")
import phenoscale
import screens
from phenoscale import InputError, load
from phenoscale.models.averaged import (
    MOST_MEMBERS,
    VIEWS,
    cost_words,
    joined,
    view_count,
)
from phenoscale.models.controls import controls_of

SIZES = [(128, 128), (128, 192), (150, 150)]


def seen(fields):
    """The views of fields (n, c, h, w) as one would turn them by hand."""
    whole = [fields, np.flip(fields, 2), np.flip(fields, 3), np.rot90(fields, 2, (2, 3))]
    if fields.shape[2] == fields.shape[3]:
        whole += [np.rot90(fields, 1, (2, 3)), np.rot90(fields, 3, (2, 3))]
        whole += [np.flip(np.rot90(fields, k, (2, 3)), 2) for k in (1, 3)]
    return whole


def by_hand(models, fields):
    """Mean probabilities, and the embeddings side by side, of models asked one view at a time."""
    found = [[phenoscale.predict(model, view) for view in seen(fields)] for model in models]
    return (np.mean([[one.probabilities for one in views] for views in found], axis=(0, 1)),
            np.hstack([np.mean([one.embeddings for one in views], axis=0) for views in found]))


def lively(size=(128, 128), seed=1, **options):
    """A model whose answers depend on how a field lies."""
    model = screens.make_model(size=size, seed=seed, **options)
    model.parameters *= 1.4
    return model


@pytest.mark.parametrize("network", ["mcnn", "mcnn-gap"])
@pytest.mark.parametrize("size", SIZES)
def test_the_mean_of_all_views(network, size):
    model, (fields, _) = lively(size, network=network), screens.draw_fields(3, size=size)
    chances, embeddings = by_hand([model], fields)
    found = phenoscale.predict(replace(model, views="all"), fields)
    np.testing.assert_allclose(found.probabilities, chances, atol=1e-6)
    np.testing.assert_allclose(found.embeddings, embeddings, rtol=1e-4, atol=1e-5)
    assert len({view.tobytes() for view in seen(fields)}) == view_count("all", *size)
    one = phenoscale.predict(model, fields)
    assert np.abs(one.embeddings - embeddings).max() > 1e-3


@pytest.mark.parametrize("views", VIEWS)
def test_how_a_field_lies_matters_no_more(views):
    model, (fields, _) = replace(lively(), views=views), screens.draw_fields(2)
    turned = phenoscale.predict(model, np.rot90(fields, 1, (2, 3)))
    off = np.abs(turned.embeddings - phenoscale.predict(model, fields).embeddings).max()
    assert (off < 1e-4) == (views == "all")


def test_the_threads_do_not_matter():
    model, (fields, _) = replace(lively(), views="all"), screens.draw_fields(3)
    one, two = (phenoscale.predict(model, fields, threads=n) for n in (1, 2))
    np.testing.assert_array_equal(one.logits, two.logits)
    np.testing.assert_array_equal(one.embeddings, two.embeddings)


def test_in_the_file(tmp_path):
    usual, model = lively(), replace(lively(), views="all")
    usual.save(tmp_path / "usual"), model.save(tmp_path / "all")
    again = load(tmp_path / "all")
    assert again.views == "all" and again.digest() == model.digest() != usual.digest()
    assert load(tmp_path / "usual").views == "one"
    said = [b"views" in (tmp_path / name).read_bytes() for name in ("usual", "all")]
    assert said == [False, True]  # a file of one view is as those of before


# ---- several networks ----------------------------------------------------------------------------


def several(n=3, views="one", **options):
    """(A model of n networks, the n models of one)."""
    singles = [lively(seed=seed, **options) for seed in range(n)]
    return replace(joined(singles[0], [one.parameters for one in singles[1:]]),
                   views=views), singles


@pytest.mark.parametrize("network", ["mcnn", "mcnn-gap"])
@pytest.mark.parametrize("views", VIEWS)
def test_the_mean_of_several_networks(tmp_path, network, views):
    (model, singles), (fields, _) = several(views=views, network=network), screens.draw_fields(3)
    model.save(tmp_path / "model")
    again, found = load(tmp_path / "model"), phenoscale.predict(model, fields)
    assert (again.members, again.digest()) == (3, model.digest())
    np.testing.assert_array_equal(again.parameters, model.parameters)
    np.testing.assert_array_equal(phenoscale.predict(again, fields).logits, found.logits)
    if views == "all":
        chances, embeddings = by_hand(singles, fields)
    else:
        theirs = [phenoscale.predict(one, fields) for one in singles]
        chances = np.mean([one.probabilities for one in theirs], axis=0)
        embeddings = np.hstack([one.embeddings for one in theirs])
    np.testing.assert_allclose(found.probabilities, chances, atol=1e-6)
    np.testing.assert_allclose(found.embeddings, embeddings, rtol=1e-4, atol=1e-5)


def test_the_tensors_of_each_are_in_the_file(tmp_path):
    model, singles = several()
    model.save(tmp_path / "model")
    tensors = safetensors.numpy.load_file(tmp_path / "model")
    for k, one in enumerate(singles):
        for name, at, shape, _ in one.slices:
            numbers = tensors[f"member{k + 1}.{name}"]
            assert numbers.shape == tuple(shape)
            np.testing.assert_array_equal(numbers.ravel(), one.parameters[at : at + numbers.size])
    singles[0].save(tmp_path / "one")
    assert set(safetensors.numpy.load_file(tmp_path / "one")) == {
        name for name, *_ in singles[0].slices}
    assert b"members" not in (tmp_path / "one").read_bytes()  # as files of before have it


def lying(path, model, **about):
    """The file of a model that says something else of it."""
    said = {**model._about(), **about}
    model._about = lambda: said
    model.save(path)
    return path


@pytest.mark.parametrize("members, words", [
    (2, "network is not one for its classes"), (4, "network is not one for its classes"),
    (0, "'members'"), (MOST_MEMBERS + 1, "'members'"), (3.0, "'members'")])
def test_members_that_are_not_there(tmp_path, members, words):
    with pytest.raises(InputError, match=words):
        load(lying(tmp_path / "model", several()[0], members=members))


def test_a_file_without_room_for_its_members(tmp_path):
    size = several(3)[0].embedding["size"]
    path = lying(tmp_path / "model", lively(), members=3, embedding={"name": "x", "size": size})
    with pytest.raises(InputError, match="its tensors have no room in it"):
        load(path)


def test_what_is_known_of_the_most_networks_has_room(tmp_path):
    model, (fields, _) = several(MOST_MEMBERS)[0], screens.draw_fields(3)
    embeddings = phenoscale.predict(model, fields).embeddings
    model.controls = controls_of(embeddings)
    model.save(tmp_path / "model")
    np.testing.assert_allclose(load(tmp_path / "model").distances(embeddings),
                               model.distances(embeddings))


def test_the_cost_is_said():
    assert cost_words(lively()) == []
    one = 4 * lively().parameters.size / 1e6
    (words,) = cost_words(several(views="all")[0])
    assert "means of 3 networks over 8 views of a field: a prediction takes 24 times" in words
    assert words.endswith(f"{3 * one:.1f} MB")
    (words,) = cost_words(several()[0])
    assert "means of 3 networks: a prediction takes 3 times" in words
    (words,) = cost_words(replace(lively(size=(128, 192)), views="all"))
    assert "means over 4 views of a field: a prediction takes 4 times" in words


@pytest.mark.parametrize("word", ["some", 1, ["all"]])
def test_views_that_make_no_sense(tmp_path, word):
    path = tmp_path / "model.safetensors"
    replace(lively(), views=word).save(path)
    with pytest.raises(InputError, match="'views' is missing or makes no sense"):
        load(path)


def test_a_field_that_overflows_is_skipped_alone():
    model = replace(screens.make_model(dtype="float32"), views="all")
    model.parameters *= 1e7
    fields = np.zeros((3, 2, 128, 128), np.float32)
    fields[1] = 9e14
    found = phenoscale.predict(model, fields, on_error="skip")
    assert list(found.skipped) == [1] and np.isfinite(found.logits[[0, 2]]).all()
