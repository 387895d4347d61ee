# SPDX-License-Identifier: BSD-3-Clause
"""The file of a fit: there and back, and every damage is a sentence."""

import json

import numpy as np
import pytest

from phenoscale.errors import InputError
from phenoscale.files.tensors import read_header, write_tensors
from phenoscale.profiles.fitted import Fitted, Recipe, load_fit


def made(matrix=(5, 3), states=True):
    rng = np.random.default_rng(0)
    columns = matrix[1] or 5

    def drawn(*shape):
        return rng.normal(size=shape).astype(np.float32)

    return Fitted(Recipe("median", "robust", True, False, 0.9, 0.3), [f"f{k}" for k in range(5)],
                  drawn(5), drawn(5), drawn(*matrix), drawn(4, columns), [0, 0, 2, 2],
                  {"ill": drawn(columns), "well": drawn(columns)} if states else {}, {"steps": []})


@pytest.mark.parametrize("fitted", [made(), made((0, 0), False)])
def test_there_and_back(fitted, tmp_path):
    fitted.save(tmp_path / "fit")
    found = load_fit(tmp_path / "fit")
    assert found.columns == fitted.columns
    for name in ("recipe", "features", "null_plates", "about"):
        assert getattr(found, name) == getattr(fitted, name)
    for name in ("pooled", "mean", "matrix", "null"):
        assert np.array_equal(getattr(found, name), getattr(fitted, name))
    assert {k: v.tolist() for k, v in found.states.items()} == {
        k: v.tolist() for k, v in fitted.states.items()}
    fitted.save(tmp_path / "again")
    assert (tmp_path / "fit").read_bytes() == (tmp_path / "again").read_bytes()


@pytest.mark.parametrize("change", [
    {"recipe": {"aggregate": "mode"}}, {"recipe": {"no": 1}}, {"features": ["f"]},
    {"features": [1, 2, 3, 4, 5]}, {"null_plates": [0]}, {"null_plates": [0, 0, 2, "2"]},
    {"states": ["ill"]}, {"shapes": {}}, {"about": []}, {"recipe": None}])
def test_what_does_not_go_together_is_damage(change, tmp_path):
    fitted = made()
    fitted.save(tmp_path / "fit")
    about, _ = read_header(str(tmp_path / "fit"), "phenoscale-profile", "a fit")
    tensors = [(name, array.shape, array.ravel()) for name, array in fitted._arrays().items()]
    write_tensors(tmp_path / "fit", "phenoscale-profile", {**about, **change}, tensors)
    with pytest.raises(InputError, match="fit is damaged"):
        load_fit(tmp_path / "fit")


def test_other_files_and_ends_that_are_missing(tmp_path):
    made().save(tmp_path / "fit")
    content = (tmp_path / "fit").read_bytes()
    (tmp_path / "fit").write_bytes(content[:-8])
    with pytest.raises(InputError, match="damaged"):
        load_fit(tmp_path / "fit")
    (tmp_path / "other").write_text(json.dumps({}))
    with pytest.raises(InputError, match="is no phenoscale-profile file, or is damaged"):
        load_fit(tmp_path / "other")
    with pytest.raises(InputError, match="does not exist: give a file that phenoscale profile"):
        load_fit(tmp_path / "nothing")
    broken = made()
    broken.matrix[0, 0] = np.nan
    broken.save(tmp_path / "nan")
    with pytest.raises(InputError, match="not finite"):
        load_fit(tmp_path / "nan")
