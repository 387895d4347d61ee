# SPDX-License-Identifier: BSD-3-Clause
"""Means over the views of a field: what they are by hand, and in the model file."""

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("pandas"), pytest.importorskip("tifffile")
import phenoscale
import screens
from phenoscale import InputError, load
from phenoscale.models.averaged import VIEWS, view_count

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
