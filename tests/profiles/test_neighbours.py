# SPDX-License-Identifier: BSD-3-Clause
"""The nearest treatments: a slow twin in any blocks, and the ends."""

import numpy as np
import pytest

from phenoscale.profiles import neighbours
from phenoscale.profiles.neighbours import nearest_treatments, unit_rows


@pytest.mark.parametrize("cells", [1, 50, 1 << 25])
def test_nearest_equal_their_slow_twin(cells, monkeypatch):
    monkeypatch.setattr(neighbours, "_CELLS", cells)
    profiles = np.random.default_rng(0).normal(size=(23, 4)).astype(np.float32)
    profiles[7] = 3 * profiles[2] + np.float32(0.01)
    nearest, similarity = nearest_treatments(profiles)
    unit = profiles / np.linalg.norm(profiles, axis=1, keepdims=True)
    for i in range(23):
        order = sorted((j for j in range(23) if j != i), key=lambda j: -float(unit[i] @ unit[j]))
        assert nearest[i].tolist() == order[:3]
        assert similarity[i] == pytest.approx([unit[i] @ unit[j] for j in order[:3]], abs=1e-5)
    assert nearest[7][0] == 2


def test_few_and_none():
    nearest, similarity = nearest_treatments(np.ones((2, 3), np.float32))
    assert nearest.tolist() == [[1, -1, -1], [0, -1, -1]]
    assert np.isnan(similarity[:, 1:]).all() and similarity[0, 0] == pytest.approx(1)
    for n in (0, 1):
        assert (nearest_treatments(np.ones((n, 3), np.float32))[0] == -1).all()


def test_a_row_of_zeros_stays():
    assert unit_rows(np.array([[0, 0], [3, 4]], np.float32)).tolist() == [
        [0, 0], pytest.approx([0.6, 0.8])]
