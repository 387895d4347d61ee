# SPDX-License-Identifier: BSD-3-Clause
"""Sphering: what it does to the controls, pycytominer's, strengths."""

import numpy as np

from phenoscale.profiles.components import covariance, directions
from phenoscale.profiles.sphering import STRENGTHS, sphering_gains, sphering_matrix


def drawn(wells=200, columns=6):
    rng = np.random.default_rng(0)
    mixed = rng.normal(size=(columns, columns))
    return (rng.normal(size=(wells, columns)) @ mixed).astype(np.float32)


def test_controls_become_a_sphere():
    values = drawn()
    matrix = sphering_matrix(*directions(covariance(values)[1]), 0)
    assert np.allclose(np.cov(values @ matrix, rowvar=False), np.eye(6), atol=1e-4)
    assert np.allclose(matrix, matrix.T)  # ZCA: axes stay as near to themselves as they can


def test_without_eps_it_is_zca():
    """By the inverse root of the covariance, written out."""
    values = drawn()
    centred = values.astype(float) - values.astype(float).mean(axis=0)
    weights, axes = np.linalg.eigh(np.cov(centred.T))
    wanted = centred @ axes @ np.diag(weights ** -0.5) @ axes.T
    ours = (values - values.mean(axis=0)) @ sphering_matrix(*directions(covariance(values)[1]), 0)
    assert np.allclose(ours, wanted, atol=1e-3)


def test_a_strong_eps_leaves_cosines_as_they_are():
    values = drawn()
    variances, axes = directions(covariance(values)[1])
    matrix = sphering_matrix(variances, axes, 1e9)
    assert np.allclose(matrix / matrix[0, 0], np.eye(6), atol=1e-6)
    ratios = [np.ptp(np.log(sphering_gains(variances, eps))) for eps in STRENGTHS]
    assert ratios == sorted(ratios)


def test_controls_that_are_all_the_same_change_nothing():
    assert np.array_equal(sphering_matrix(np.zeros(3), np.eye(3), 0.1), np.eye(3))
