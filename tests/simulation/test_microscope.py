# SPDX-License-Identifier: BSD-3-Clause
"""Lamps, places and plates: what is seen of them, and how much more of it there can be."""

import numpy as np
import pytest

from phenoscale.simulation.microscope import EFFECTS, blur, render_field, vignetting
from phenoscale.simulation.simulate import Well

SIZE = (256, 320)


@pytest.mark.parametrize("effects, least, most", [("usual", 0.4, 0.9), ("strong", 0.15, 0.75)])
def test_lamps(effects, least, most):
    lamps = [vignetting(0, channel, SIZE, 0, effects) for channel in range(3)]
    for lamp in lamps:
        corners = lamp[[0, 0, -1, -1], [0, -1, 0, -1]]
        assert 0.99 < lamp.max() <= 1 and least < corners.min() < most
    assert not np.allclose(lamps[0], lamps[1])


@pytest.mark.parametrize("effects", EFFECTS)
def test_wells_on_the_edge_are_dimmer(effects):
    inner, edge = (render_field(Well(0, 2, 3, is_edge), SIZE, 0, 1, effects)[0].mean()
                   for is_edge in (False, True))
    assert edge < inner


def test_strong_effects_part_the_plates():
    spread = {effects: np.log([render_field(Well(plate, 2, 3, False), (96, 112), 0, 1, effects)[
        0].mean((1, 2)) for plate in range(6)]).std(0).mean() for effects in EFFECTS}
    assert spread["strong"] > 1.5 * spread["usual"]


def test_blur_is_a_gaussian():
    point = np.zeros((41, 41), np.float32)
    point[20, 20] = 1
    x = np.arange(-20, 21)
    bell = np.exp(-x * x / (2 * 2.5 ** 2))
    assert np.allclose(blur(point, 2.5), np.outer(bell, bell) / bell.sum() ** 2, atol=1e-3)
