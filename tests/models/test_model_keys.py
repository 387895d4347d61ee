# SPDX-License-Identifier: BSD-3-Clause
"""The keys of classes in a model file: kept, and in older files those of the letters."""

import json
import struct
from dataclasses import replace

import pytest

import screens
from phenoscale import InputError, load


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
