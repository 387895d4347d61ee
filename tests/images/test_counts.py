# SPDX-License-Identifier: BSD-3-Clause
"""What the counts of a plane are like."""

import numpy as np
import pytest

from phenoscale.images.counts import KINDS, levels_of, looks_at, pile_of, sample_of


def plane(seed=0, level=600, size=(300, 310)):
    return np.random.default_rng(seed).normal(level, 40, size).astype(np.uint16)


@pytest.mark.parametrize("size", [(40, 50), (300, 310), (1100, 900)])
def test_the_five_numbers(size):
    pixels = plane(size=size)
    pixels[:, : size[1] // 50 + 1] = 100
    found = dict(zip(KINDS, levels_of(pixels)))
    assert found["mean"] == pytest.approx(pixels.mean(), rel=1e-12) and found["floor"] == 100
    assert found["deviation"] == pytest.approx(pixels.std(), rel=0.1)
    assert int(found["bits"]) == np.bitwise_or.reduce(pixels, axis=None)
    assert looks_at(pixels[None]) == [levels_of(pixels)]


def test_of_a_blank_plane_and_of_floats():
    assert levels_of(np.full((64, 64), 7, np.uint8)) == [7, 7, 0, 0, 7]
    assert levels_of(np.zeros((64, 64), np.float32)) == [0, 0, 0, 0, 0]
    mean, floor, deviation, _, bits = levels_of((plane() / 4096).astype(np.float32))
    assert 0 < floor < mean < 1 and deviation > 0 and bits == 0


@pytest.mark.parametrize("top", [255, 3900, 4095, 60000, 65520])
def test_a_pile_is_found_wherever_it_lies(top):
    """With hot pixels above it, too."""
    light = np.random.default_rng(0).gamma(2, top / 6, (256, 256))
    pixels = light.clip(0, top).astype(np.uint16)
    assert (light > top).mean() > 0.01 and pile_of(sample_of(pixels)) == top
    pixels[::50, ::50] = min(65535, 2 * top)
    assert pile_of(sample_of(pixels)) == top


@pytest.mark.parametrize("pixels", [
    plane(), np.random.default_rng(0).poisson(3, (256, 256)).astype(np.uint8),
    np.random.default_rng(0).binomial(1, 0.05, (256, 256)).astype(np.uint8) + 7,
    np.full((9, 9), 5, np.uint16)], ids=["noise", "few counts", "two counts", "blank"])
def test_no_pile(pixels):
    assert np.isnan(pile_of(sample_of(pixels)))
