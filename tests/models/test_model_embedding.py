# SPDX-License-Identifier: BSD-3-Clause
"""The embedding of a model file: before the last ReLU, and in older files behind it, as it was."""

import json
import struct

import numpy as np
import pytest

import phenoscale
import screens
from phenoscale import WholeImageClassifier

#: network -> lines of its description, and how they were before
OLDER = {"mcnn": {"fc: dense units=512\n": "fc: dense units=512 relu=1\n",
                  "classes: dense units=2 rectify=1\n": "classes: dense units=2\n"},
         "mcnn-gap": {"filters=1024 kernel=1\n": "filters=1024 kernel=1 relu=1\n",
                      "gap: gap rectify=1\n": "gap: gap\n"}}


def older_file(path, model):
    """A model file as it was before embeddings were taken before a ReLU."""
    model.save(path)
    content = path.read_bytes()
    end = 8 + struct.unpack("<Q", content[:8])[0]
    header = json.loads(content[8:end])
    about = json.loads(header["__metadata__"]["phenoscale"])
    for line, before in OLDER[model.network].items():
        assert about["description"].count(line) == 1
        about["description"] = about["description"].replace(line, before)
    for later in ("recipe", "labels"):
        del about[later]
    header["__metadata__"]["phenoscale"] = json.dumps(about)
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + content[end:])
    return path


@pytest.mark.parametrize("network", OLDER)
def test_older_files_stay_as_they_were(tmp_path, network):
    """The same bits but for the embedding, which is behind the ReLU."""
    fields, _ = screens.draw_fields(3)
    model = screens.make_model(network)
    older = phenoscale.load(older_file(tmp_path / "m", model))
    now, before = (phenoscale.predict(one, fields, 2) for one in (model, older))
    assert now.logits.tobytes() == before.logits.tobytes()
    assert now.embeddings.shape == before.embeddings.shape
    behind = np.maximum(now.embeddings, 0)
    own = slice(1024, None) if network == "mcnn-gap" else slice(None)  # a mean is another number
    assert np.array_equal(behind[:, own], before.embeddings[:, own])
    assert (now.embeddings <= behind).all() and (before.embeddings >= 0).all()
    assert (now.embeddings[:, :1024] <= before.embeddings[:, :1024]).all()
    assert WholeImageClassifier.load(tmp_path / "m").get_params()["network"] == network
    again = phenoscale.predict(older, fields, 2, tower="plain").embeddings
    np.testing.assert_allclose(again, before.embeddings, atol=1e-3 * np.abs(again).max())


@pytest.mark.parametrize("network", OLDER)
def test_no_number_is_cut_off(network):
    """Of first weights half of the numbers lie below 0; all of them tell the fields apart."""
    found = phenoscale.predict(screens.make_model(network), screens.draw_fields(8)[0], 2).embeddings
    assert (found.min(axis=0) < 0).mean() > 0.1
    median = np.median(found, axis=0)
    assert (np.median(np.abs(found - median), axis=0) > 0).all()
