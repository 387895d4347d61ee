# SPDX-License-Identifier: BSD-3-Clause
"""What is wrong with a field: each word where it holds, and nowhere else."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from phenoscale.images.measures import Measurer
from phenoscale.images.quality import blurred, focus_in, quality_of
from phenoscale.simulation import microscope
from phenoscale.simulation.microscope import render_field
from phenoscale.simulation.simulate import plan_plate

CHANNELS = ["DNA", "Actin", "Tubulin"]
MEASURER = Measurer(CHANNELS, 0, 1)


def words_of(*fields):
    numbers = np.array(MEASURER(list(fields)), np.float32)
    return quality_of(MEASURER.names, numbers)


@pytest.fixture(scope="module")
def plate():
    """Ten fields of a simulated plate."""
    return [render_field(well, (192, 240), 3, 1)[0] for well in plan_plate(0, 4, 20, 3)[::2]]


def test_fields_with_nothing_wrong(plate):
    assert words_of(*plate) == [""] * len(plate)


def test_empty(plate):
    flat, dark = plate[0].copy(), plate[0].copy()
    flat[1] = 100
    dark[0] = np.random.default_rng(0).normal(100, 3, dark[0].shape).astype(np.uint16)
    assert words_of(flat, dark) == ["empty", "empty"]


def test_saturated_is_no_blank_plane_of_few_levels(plate):
    """More than a hundredth of the pixels, at a value that stands out."""
    bright, hardly, blank = (plate[1] * np.uint16(8) for _ in range(3))
    bright[2] = np.minimum(bright[2], np.percentile(bright[2], 97))
    hardly[2] = np.minimum(hardly[2], np.percentile(hardly[2], 99.5))
    blank[2] = 100 + (np.random.default_rng(0).random(blank[2].shape) < 0.1)
    assert words_of(bright, hardly, blank) == ["saturated", "", ""]


def test_crowded_where_nuclei_lie_over_each_other(monkeypatch):
    """Four fields in one, whose own nuclei lie far apart."""
    monkeypatch.setattr(microscope, "CROWDING", (-0.45, -0.45))
    wells = plan_plate(0, 4, 20, 3)[::3]
    layers = [[render_field(well, (256, 320), 3, site)[0] for site in range(4)] for well in wells]
    over = [np.sum(one, axis=0).astype(np.uint16) for one in layers]
    assert words_of(*(one[0] for one in layers)).count("crowded") == 0
    assert words_of(*over).count("crowded") >= len(wells) - 1


def test_blurred_beside_its_own_plate(plate):
    soft = np.stack([np.rint(gaussian_filter(plane.astype(float), 8)).astype(np.uint16)
                     for plane in plate[4]])
    numbers = np.array(MEASURER([*plate, soft]))
    focus = numbers[:, focus_in(MEASURER.names)]
    found = blurred(focus, ["P1"] * len(focus))
    assert found.tolist() == [False] * len(plate) + [True]
    assert quality_of(MEASURER.names, numbers, found)[-1].split()[-1] == "blurred"
    assert not blurred(focus, ["P1"] * len(plate) + ["P2"]).any()
    assert not blurred(focus[-7:], ["P1"] * 7).any()  # too few to tell
    focus[0] = np.nan
    assert blurred(focus, ["P1"] * len(focus)).tolist() == found.tolist()


def test_without_nuclei_every_channel_has_to_be_blurred():
    names = Measurer(CHANNELS, -1, 1).names
    assert [names[k] for k in focus_in(names)] == [
        f"Image_ImageQuality_PowerLogLogSlope_{channel}" for channel in CHANNELS]
    assert [MEASURER.names[k] for k in focus_in(MEASURER.names)] == [
        "Image_ImageQuality_PowerLogLogSlope_DNA"]
    focus = np.random.default_rng(0).normal(-2, 0.1, (20, 3))
    focus[3], focus[4, :2] = -9, -9
    assert np.flatnonzero(blurred(focus, ["P"] * 20)).tolist() == [3]


def test_what_is_not_defined_says_nothing():
    assert quality_of(MEASURER.names, np.full((2, len(MEASURER.names)), np.nan)) == ["", ""]
