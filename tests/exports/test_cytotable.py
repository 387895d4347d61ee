# SPDX-License-Identifier: BSD-3-Clause
"""Parquet with CytoTable's names: pycytominer and copairs read it as it is."""

import numpy as np
import pandas
import pytest

import export_tables
from phenoscale.errors import InputError
from phenoscale.exports.export import export
from phenoscale.files.parquet import about_parquet

pyarrow = pytest.importorskip("pyarrow")


@pytest.fixture
def path(tmp_path):
    """Fields, exported."""
    export(export_tables.fields(), "cytotable", tmp_path / "t.parquet")
    return tmp_path / "t.parquet"


def test_names_types_and_provenance(path):
    found, table = pandas.read_parquet(path), export_tables.fields()
    assert all(name.startswith(("Metadata_", "Image_")) for name in found)
    assert found["Metadata_ImageNumber"].tolist() == list(range(1, 25))
    numbers = [name for name in found if name.startswith("Image_")
               and found[name].dtype.kind == "f"]
    assert numbers and all(found[name].dtype == np.float32 for name in numbers)
    assert np.array_equal(found[numbers].to_numpy(), table[numbers].to_numpy())
    assert found["Image_FileName_DNA"].tolist() == table["Image_FileName_DNA"].tolist()
    assert found["Metadata_Phenoscale_Class"].tolist() == table["Phenoscale_Class"].tolist()
    assert about_parquet(path)["model"] == "0123456789abcdef"


def test_pycytominer_takes_features_for_features_and_keeps_the_classes(path):
    pycytominer = pytest.importorskip("pycytominer")
    from pycytominer.cyto_utils import infer_cp_features

    profiles = pycytominer.cyto_utils.load.load_profiles(path)
    features = infer_cp_features(profiles, image_features=True)
    table = export_tables.fields()
    assert features == [name for name in table if name.startswith("Image_")
                        and table[name].dtype == np.float32]
    done = pycytominer.normalize(path, features="infer", image_features=True,
                                 samples="Metadata_Compound == 'DMSO'", method="standardize")
    controls = done[done["Metadata_Compound"] == "DMSO"][features]
    assert abs(controls.mean()).max() < 1e-5
    assert {"Metadata_Phenoscale_Class", "Metadata_Phenoscale_Prob_Up"} <= set(done)
    wells = pycytominer.aggregate(done, strata=["Metadata_Plate", "Metadata_Well"],
                                  features=features)
    assert len(wells) == 12


def test_copairs_scores_it(path):
    copairs = pytest.importorskip("copairs.map")
    table = pandas.read_parquet(path)
    features = [name for name in table if name.startswith("Image_Phenoscale_Emb")]
    about = table[[name for name in table if name.startswith("Metadata_")]]
    found = copairs.average_precision(about, table[features].to_numpy(), ["Metadata_Compound"], [],
                                      [], ["Metadata_Compound"])
    assert found["average_precision"].notna().all()


@pytest.mark.parametrize("name", ["wells", "treatments"])
def test_wells_and_treatments_have_no_image_number(tmp_path, name):
    table = getattr(export_tables, name)()
    export(table, "cytotable", tmp_path / "t.parquet")
    found = pandas.read_parquet(tmp_path / "t.parquet")
    assert len(found) == len(table) and "Metadata_ImageNumber" not in found
    assert "Metadata_Phenoscale_Treatment" in found and "Image_Profile_0004" in found


def test_names_of_cellprofilers_own_tables_get_their_image(tmp_path):
    table = export_tables.fields().rename(columns=lambda name: name.replace("Image_Phenoscale_Emb",
                                                                            "Phenoscale_Emb"))
    export(table, "cytotable", tmp_path / "t.parquet")
    assert "Image_Phenoscale_Emb0000" in pandas.read_parquet(tmp_path / "t.parquet")


def test_another_ending_is_refused(tmp_path):
    with pytest.raises(InputError, match="Parquet is written; give a name that ends in .parquet"):
        export(export_tables.fields(), "cytotable", tmp_path / "t.csv")
