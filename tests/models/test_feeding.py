# SPDX-License-Identifier: BSD-3-Clause
"""How a model says that it is by plate: through its file, and never by mistake without."""

import json
import math

import pytest

import phenoscale
import screens
from phenoscale import InputError
from phenoscale.files.tensors import read_about, write_tensors
from phenoscale.models.feeding import NORMALISERS, Feeding, is_feeding

GOOD = {"normalise": "plate", "controls": {"Metadata_Control": ["DMSO", "mock"]}}


def test_the_training_fields_are_the_only_way_without_plates():
    assert [Feeding(name).is_by_plate for name in NORMALISERS] == [False, True, True]


@pytest.mark.parametrize("feeding", [None, Feeding(**GOOD), Feeding("percentile")])
def test_it_goes_through_the_file(tmp_path, feeding):
    model = screens.make_model()
    model.feeding = feeding
    if feeding:
        model.scale, model.offset = [], []
    model.save(tmp_path / "m")
    assert phenoscale.load(tmp_path / "m").feeding == feeding


def test_a_model_by_plate_has_no_scale_of_its_own_and_others_have(tmp_path):
    """So that a host that does not look cannot apply one."""
    for feeding, scale in ((Feeding("plate"), [1.0, 1.0]), (None, [])):
        model = screens.make_model()
        model.feeding, model.scale, model.offset = feeding, scale, scale
        model.save(tmp_path / "m")
        with pytest.raises(InputError, match="its 'scale' is missing or makes no sense"):
            phenoscale.load(tmp_path / "m")


@pytest.mark.parametrize("change", [
    {"normalise": "magic"}, {"normalise": None}, {"controls": None}, {"controls": ["x"]},
    {"controls": {"a": "x"}}, {"controls": {"a": []}}, {"controls": {"a": [1]}},
    {"controls": {"a": ["x"] * 1001}}, {"more": 1}])
def test_nonsense_is_no_feeding(tmp_path, change):
    assert is_feeding(None) and is_feeding(GOOD) and not is_feeding({**GOOD, **change})
    model = screens.make_model()
    model.save(tmp_path / "m")
    about = read_about(tmp_path / "m", "phenoscale", "")
    about["feeding"] = json.loads(json.dumps({**GOOD, **change}))
    tensors = [(name, shape, model.parameters[at : at + math.prod(shape)])
               for name, at, shape, _ in model.slices]
    write_tensors(tmp_path / "m", "phenoscale", about, tensors)
    with pytest.raises(InputError, match="its 'feeding' is missing or makes no sense"):
        phenoscale.load(tmp_path / "m")


def test_the_refusal_names_model_way_and_cure():
    words = Feeding("percentile").refusal("m.safetensors")
    assert words.startswith("m.safetensors normalises by percentile: ")
    assert "predict_table" in words and words.endswith("train with --normalise fields")
