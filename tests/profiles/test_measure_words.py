# SPDX-License-Identifier: BSD-3-Clause
"""The words of every measure that the C library knows."""

import pytest

from phenoscale import _core
from phenoscale.images.measures import measure_names
from phenoscale.profiles.measure_words import channels_in, wording
from phenoscale.tables.predictions import is_measure


@pytest.mark.parametrize("channels", [["DNA"], ["DNA", "Actin", "Tubulin"],
                                      ["w_1", "w", "Image 2", "3"]])
def test_every_measure_has_words_of_its_own(channels):
    columns = measure_names(channels, 0)
    assert len(columns) == len(_core.number_rows(len(channels), 0)) and all(map(
        is_measure, columns))
    words = [wording(column, channels_in(columns)) for column in columns]
    assert None not in words
    said = [word for one in words for word in (one.up, one.down)]
    assert len(set(said)) == 2 * len(columns), "two measures, or up and down, have the same words"
    assert not [word for word in said if "None" in word or "{" in word]


def test_channels_scales_and_kinds_are_said():
    for column, up, down in [
            ("Cells_Count_DNA", "more cells", "fewer cells"),
            ("Bands_RMS_4_DNA", "DNA with stronger detail at 8 px",
             "DNA with weaker detail at 8 px"),
            ("Granularity_3_Actin", "Actin with more grains of 12 px",
             "Actin with fewer grains of 12 px"),
            ("Patterns_4_0_DNA", "DNA with more bright spots at 4 px",
             "DNA with fewer bright spots at 4 px"),
            ("Texture_Correlation_DNA_3_02_256", "DNA coarser over 3 px down",
             "DNA finer over 3 px down"),
            ("CoarseTexture_Contrast_DNA_12", "DNA rougher over 12 px",
             "DNA smoother over 12 px"),
            ("ImageQuality_Laplacian_DNA", "DNA sharper", "DNA blurrier"),
            ("Correlation_Overlap_DNA_Actin", "DNA and Actin overlap more",
             "DNA and Actin overlap less")]:
        word = wording(f"Image_{column}", ["DNA", "Actin"])
        assert (word.up, word.down) == (up, down) and is_measure(f"Image_{column}")


def test_channels_with_lines_in_their_names_are_told_apart():
    columns = measure_names(["a_b", "c", "a"], -1)
    assert channels_in(columns) == ["a_b", "c", "a"]
    word = wording("Image_Correlation_Overlap_a_b_c", channels_in(columns))
    assert word.up == "a_b and c overlap more"
    assert wording("Image_Correlation_Overlap_a_b_c").up == "a and b_c overlap more"


def test_amounts_and_families():
    channels = ["DNA", "Actin"]
    words = {column: wording(column, channels) for column in measure_names(channels, 0)}
    amounts = {column for column, one in words.items() if one.is_amount}
    assert {"Image_Cells_Count_DNA", "Image_Intensity_MeanIntensity_Actin",
            "Image_Foreground_Share_DNA"} <= amounts
    assert not [column for column in amounts if "Correlation" in column or "Slope" in column]
    family = {column: one.family for column, one in words.items()}
    assert family["Image_Bands_RMS_1_DNA"] == family["Image_Bands_RMS_6_DNA"]
    assert family["Image_Bands_RMS_1_DNA"] != family["Image_Bands_RMS_1_Actin"]


def test_other_columns_have_none():
    for column in ("Metadata_CellCount", "Image_Intensity_TotalIntensity_DNA",
                   "Image_Phenoscale_Emb0000", "Bands_RMS_1_DNA"):
        assert wording(column) is None
