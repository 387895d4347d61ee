# SPDX-License-Identifier: BSD-3-Clause
"""Components of wells in blocks: numpy's own, scikit-learn's, and bits that do not depend on what
else is there."""

import numpy as np
import pytest

from phenoscale.profiles import components
from phenoscale.profiles.components import (
    MOST,
    applied,
    covariance,
    directions,
    kept_components,
)


@pytest.mark.parametrize("block", [1, 7, 4096])
def test_covariance_equals_numpy(block, monkeypatch):
    monkeypatch.setattr(components, "_ROWS", block)
    values = np.random.default_rng(0).normal(5, 2, (50, 6)).astype(np.float32)
    mean, found = covariance(values)
    assert np.allclose(mean, values.mean(axis=0), atol=1e-5)
    assert np.allclose(found, np.cov(values, rowvar=False), atol=1e-4)
    rows = np.array([3, 9, 11, 40])
    assert np.allclose(covariance(values, rows)[1], np.cov(values[rows], rowvar=False), atol=1e-4)


def test_directions_equal_those_of_scikit_learn():
    decomposition = pytest.importorskip("sklearn.decomposition")
    values = np.random.default_rng(1).normal(size=(80, 5)) * [5, 3, 2, 1, 0.5]
    theirs = decomposition.PCA().fit(values)
    variances, axes = directions(np.cov(values, rowvar=False))
    assert np.allclose(variances, theirs.explained_variance_)
    assert np.allclose(abs(axes.T @ theirs.components_.T), np.eye(5), atol=1e-8)
    assert (axes[np.abs(axes).argmax(axis=0), range(5)] > 0).all()
    shares = np.cumsum(theirs.explained_variance_ratio_)
    for share in (0.5, 0.9, 0.99, 1.0):
        assert kept_components(variances, share) == 1 + int((shares < share - 1e-12).sum())


def test_components_without_variance_and_too_many_are_left_out():
    assert kept_components(np.array([2.0, 1.0, 0.0, 0.0]), 1.0) == 2
    assert kept_components(np.ones(MOST + 50), 1.0) == MOST
    assert kept_components(np.zeros(3), 0.9) == 1


def test_a_plate_has_the_same_bits_beside_any_others():
    rng = np.random.default_rng(2)
    values, matrix = rng.normal(size=(300, 200)).astype(np.float32), rng.normal(size=(200, 30))
    plates = [np.arange(0, 97), np.arange(97, 300)]
    whole = applied(values, matrix, plates)
    alone = applied(values[:97], matrix, plates[:1])
    assert np.array_equal(whole[:97], alone)
    assert np.allclose(whole, values @ matrix, atol=1e-4)
