# SPDX-License-Identifier: BSD-3-Clause
"""What a model file has of classes beside their names: keys, and the labels that they were."""

import json
import struct
from dataclasses import replace

import pytest

import screens
from phenoscale import InputError, WholeImageClassifier, load


def with_keys(path, keys):
    """A model file whose metadata has these keys, or with None those of an older version."""
    screens.make_model().save(path)
    content = path.read_bytes()
    end = 8 + struct.unpack("<Q", content[:8])[0]
    header = json.loads(content[8:end])
    about = json.loads(header["__metadata__"]["phenoscale"])
    assert about.pop("keys") == screens.CLASSES
    about.update({} if keys is None else {"keys": keys})
    header["__metadata__"]["phenoscale"] = json.dumps(about)
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + content[end:])
    return path


def test_keys_are_kept(tmp_path):
    """A later rule for keys changes no column of a model that was trained before it."""
    assert load(with_keys(tmp_path / "m", ["up", "down"])).keys == ["up", "down"]
    assert load(with_keys(tmp_path / "m", None)).keys == screens.CLASSES
    renamed = replace(screens.make_model(), classes=["+DOX", "-DOX"], keys=[])
    assert renamed.keys == ["plusDOX", "minusDOX"]


@pytest.mark.parametrize("keys", [["a", "a"], ["a"], list("abc"), ["a b", "c"], ["", "b"], "ab"])
def test_keys_that_are_none(tmp_path, keys):
    with pytest.raises(InputError, match="its 'keys' is missing or makes no sense"):
        load(with_keys(tmp_path / "m", keys))


LABELS = {"dtype": "int64", "values": [2, 10]}


@pytest.mark.parametrize("labels", [
    LABELS, {"dtype": "bool", "values": [False, True]}, {"dtype": "str", "values": ["a", "b"]}])
def test_labels_are_kept(tmp_path, labels):
    replace(screens.make_model(), labels=labels).save(tmp_path / "m")
    assert load(tmp_path / "m").labels == labels


@pytest.mark.parametrize("labels", [
    [], {"dtype": "int64"}, {"values": [1, 2]}, {**LABELS, "more": 1}, {**LABELS, "values": [1]},
    {**LABELS, "values": [1, 1]}, {**LABELS, "values": [1, 2.5]}, {**LABELS, "values": [[1], [2]]},
    {**LABELS, "values": [1, 10**30]}, {**LABELS, "values": ["a", "b"]},
    {**LABELS, "values": {"a": 1}}, {**LABELS, "dtype": "object"}, {**LABELS, "dtype": []},
    {"dtype": "U999999999", "values": ["a", "b"]}], ids=repr)
def test_labels_that_are_none(tmp_path, labels):
    replace(screens.make_model(), labels=labels).save(tmp_path / "m")
    with pytest.raises(InputError, match="its 'labels' is missing or makes no sense"):
        load(tmp_path / "m")


def test_a_recipe_that_is_none(tmp_path):
    for recipe, words in (([], "its 'recipe' is missing or makes no sense"),
                          ({"epochs": -1}, "its recipe makes no sense: epochs=-1"),
                          ({"augment": 3}, "its recipe makes no sense")):
        replace(screens.make_model(), recipe=recipe).save(tmp_path / "m")
        with pytest.raises(InputError, match=words):
            WholeImageClassifier.load(tmp_path / "m")
