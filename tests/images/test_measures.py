# SPDX-License-Identifier: BSD-3-Clause
"""Names of the classic numbers, and whose cells are counted."""

import numpy as np
import pytest

from phenoscale import InputError, _core
from phenoscale.images.measures import Measurer, find_nuclei, measure_names


@pytest.mark.parametrize("channels, number", [
    (["DNA", "Actin"], 0), (["w2_actin", "w1 dapi"], 1), (["RNA", "ER", "Hoechst33342"], 2),
    (["Nuclei", "Golgi"], 0), (["AGP", "H2B-GFP"], 1), (["mDNA", "cDNAx"], -1), (["A", "B"], -1),
    (["DNA", "DAPI"], -1)])
def test_the_channel_of_nuclei_goes_by_its_name_and_is_said(channels, number):
    found, words = find_nuclei(channels)
    assert found == number
    assert (f"in channel {channels[number]}" if number >= 0 else "name theirs by --nuclei") in words


def test_the_channel_of_nuclei_as_given():
    assert find_nuclei(["A", "DNA"], "A") == (0, "") and find_nuclei(["DNA"], "none") == (-1, "")
    with pytest.raises(InputError, match="no channel DAPI of nuclei: the fields have DNA, A"):
        find_nuclei(["A", "DNA"], "DAPI")


def test_names_are_of_the_channels_and_their_pairs():
    names = measure_names(["DNA", "Actin", "x"], 0)
    assert len(names) == len(set(names)) == len(_core.number_rows(3, 0))
    for name in ("Intensity_MeanIntensity_x", "Correlation_RWC_x_DNA", "Cells_Count_DNA",
                 "Texture_Contrast_Actin_3_00_256", "ImageQuality_LocalFocusScore_Actin_20"):
        assert f"Image_{name}" in names


def test_the_bits_do_not_depend_on_threads():
    fields = np.random.default_rng(3).integers(0, 4000, (5, 2, 90, 70)).astype(np.uint16)
    one, three = (Measurer(["DNA", "x"], 0, threads)(list(fields)) for threads in (1, 3))
    assert np.array_equal(np.array(one), np.array(three), equal_nan=True)
