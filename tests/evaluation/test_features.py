# SPDX-License-Identifier: BSD-3-Clause
"""Which columns are features: by name, never by place, never metadata."""

import random

import pytest

from phenoscale.errors import InputError
from phenoscale.evaluation.features import choose_features

MEASURED = ["Cells_AreaShape_Area", "Nuclei_Texture_Contrast_DNA_3_00_256",
            "Cytoplasm_Intensity_MeanIntensity_ER", "Image_Granularity_1_DNA",
            "Image_Cells_Count_DNA", "Cells_Neighbors_NumberOfNeighbors_Adjacent"]
NEVER = ["Metadata_CellCount", "Metadata_dose_2", "Image_Count_Cells", "Image_Count", "ImageNumber",
         "Image_ImageNumber", "ObjectNumber", "TableNumber", "Cells_Number_Object_Number",
         "Cells_Parent_Nuclei", "Nuclei_Location_Center_X", "Nuclei_AreaShape_Center_X",
         "Cells_AreaShape_BoundingBoxMinimum_X", "Image_Metadata_Site", "Image_Width_DNA",
         "Image_Height_DNA", "Image_ExecutionTime_01LoadData", "Image_ModuleError_01LoadData",
         "Image_Group_Index", "Image_Series_DNA", "Image_Frame_DNA", "Image_Sample_DNA",
         "Phenoscale_Prob_0", "Image_Phenoscale_Prob_0", "Phenoscale_ControlDistance", "Plate_id"]


def numbered(prefix, n=8, width=0):
    return [f"{prefix}{k:0{width}}" for k in range(n)]


@pytest.mark.parametrize("names", [
    MEASURED, numbered("efficientnet_", 12), numbered("MCNN_"), numbered("emb_12_"),
    numbered("feature"), numbered("Image_Phenoscale_Emb", 9, 4), numbered("Phenoscale_Emb", 9, 4)])
def test_names_in_use_wherever_they_stand(names):
    columns = [*names, *NEVER, "Plate", "score"]
    random.Random(0).shuffle(columns)
    found, said = choose_features(dict.fromkeys(columns, True), None, "t.csv")
    assert found == [name for name in columns if name in names]
    assert said.startswith(f"features: {len(names)} columns by their names, {found[0]} to ")
    assert "numbers that are none: " in said and "score" in said and "Metadata" not in said


def test_text_is_no_feature():
    found, _ = choose_features({"Cells_Note": False, "Cells_A": True}, None, "t.csv")
    assert found == ["Cells_A"]


def test_prefixes_choose_but_never_metadata():
    columns = dict.fromkeys([*MEASURED, *NEVER, *numbered("deep_"), "0", "1"], True)
    found, said = choose_features(columns, ["Cells_", "Nuclei_"], "t.csv")
    assert found == [name for name in MEASURED if name.startswith(("Cells_", "Nuclei_"))]
    assert "that begin with Cells_, Nuclei_" in said
    assert choose_features(columns, ["0"], "t.csv")[0] == ["0"]


@pytest.mark.parametrize("columns, prefixes, words", [
    (["score", "Plate"], None, "t.csv: no columns are features by their names .*--features; "
                               "numbers are in score, Plate"),
    (numbered("", 20), None, "no columns are features by their names"),
    (numbered("emb_", 7), None, "no columns are features by their names"),
    ([*MEASURED, *numbered("emb_")], None, "features of several kinds, 8 as emb_0, 6 as "
                                           "Cells_AreaShape_Area: .*--features emb_"),
    ([*numbered("a_"), *numbered("b_")], None, "several kinds, 8 as a_0, 8 as b_0: .*-features a_"),
    (MEASURED, ["Cels_"], "no column of numbers that could be a feature begins with Cels_"),
    (NEVER, ["Metadata_"], "begins with Metadata_"),
    (MEASURED, [], "--features names nothing"),
])
def test_what_is_doubtful_is_said(columns, prefixes, words):
    with pytest.raises(InputError, match=words):
        choose_features(dict.fromkeys(columns, True), prefixes, "t.csv")
