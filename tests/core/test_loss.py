# SPDX-License-Identifier: BSD-3-Clause
"""Losses of the C core against their slow twins."""

import numpy as np
import pytest

import reference
from phenoscale import _core

LOSSES = list(_core.loss_names())


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("classes", [1, 2, 3, 13, 1000])
@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.9])
def test_loss_equals_twin(name, classes, smoothing):
    random = np.random.default_rng(classes)
    for size in (0.1, 3, 30):
        logits = (random.normal(size=classes) * size).astype(np.float32)
        label = int(random.integers(classes))
        loss, gradient = _core.loss(name, logits, label, smoothing)
        expected, by_logits = reference.LOSSES[name](logits, label, smoothing)
        assert loss == pytest.approx(expected, rel=1e-12, abs=1e-12)
        assert gradient.dtype == np.float64 and gradient.shape == (classes,)
        assert np.abs(gradient - by_logits).max() < 1e-12


@pytest.mark.parametrize("name", LOSSES)
def test_huge_logits_stay_finite(name):
    logits = np.array([1e4, -1e4, 3e38, 0], dtype=np.float32)
    loss, gradient = _core.loss(name, logits, 0, 0.1)
    assert np.isfinite(loss) and np.isfinite(gradient).all()
    logits[0] = np.nan
    assert not np.isfinite(_core.loss(name, logits, 1, 0.0)[0])


@pytest.mark.parametrize("label, smoothing", [(-1, 0), (3, 0), (0, -0.1), (0, 1.0), (0, np.nan)])
def test_senseless_values_are_refused(label, smoothing):
    with pytest.raises(ValueError, match="label"):
        _core.loss("softmax", np.zeros(3, np.float32), label, smoothing)


def test_unknown_loss_is_named():
    with pytest.raises(ValueError, match="hinge"):
        _core.loss("hinge", np.zeros(3, np.float32), 0, 0.0)


def test_softmax_equals_twin():
    logits = np.random.default_rng(0).normal(size=(9, 5)).astype(np.float32) * 20
    probabilities = _core.softmax(logits)
    assert probabilities.dtype == np.float32
    assert np.abs(probabilities - reference.softmax(logits.astype(float))).max() < 1e-7
    assert np.abs(probabilities.sum(1) - 1).max() < 1e-6
    assert _core.softmax(np.array([[1000, 0]], np.float32)).tolist() == [[1, 0]]
    assert _core.softmax(np.full((1, 2), 1e20, np.float32)).tolist() == [[0.5, 0.5]]
    assert np.isnan(_core.softmax(np.array([[np.nan, 0]], np.float32))).all()
