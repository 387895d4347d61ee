# SPDX-License-Identifier: BSD-3-Clause
"""Reversal: 0 at the disease, 1 at the healthy state, a slow twin, what lies beside the axis."""

import math

import numpy as np
import pytest

from phenoscale.errors import InputError
from phenoscale.profiles.reversal import reversal


def test_both_states_the_middle_and_beside_it():
    disease, healthy = [1.0, 2.0, 0.0], [5.0, 2.0, 0.0]
    score, off = reversal([disease, healthy, [3, 2, 0], [3, 4, 0], [9, 2, 3], [-3, 2, 0]],
                          disease, healthy)
    assert score.tolist() == [0, 1, 0.5, 0.5, 2, -1]
    assert off.tolist() == [0, 0, 0, 0.5, 0.75, 0]


def test_reversal_equals_its_slow_twin():
    rng = np.random.default_rng(0)
    profiles, disease, healthy = rng.normal(size=(9, 4)), *rng.normal(size=(2, 4))
    score, off = reversal(profiles, disease, healthy)
    axis = [h - d for h, d in zip(healthy, disease)]
    length = math.sqrt(sum(a * a for a in axis))
    for row, (mine, beside) in enumerate(zip(score, off)):
        along = sum((x - d) * a for x, d, a in zip(profiles[row], disease, axis)) / length**2
        left = [x - d - along * a for x, d, a in zip(profiles[row], disease, axis)]
        assert mine == pytest.approx(along)
        assert beside == pytest.approx(math.sqrt(sum(x * x for x in left)) / length)


def test_states_that_are_the_same_have_no_axis():
    with pytest.raises(InputError, match="both states have the same profile"):
        reversal([[1, 2]], [1, 1], [1, 1])
