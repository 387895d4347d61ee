# SPDX-License-Identifier: BSD-3-Clause
"""AnnData: read by anndata, and validated by scverse's image-profiling schema without a warning."""

import sys
import warnings

import numpy as np
import pytest

import export_tables
from phenoscale.errors import InputError
from phenoscale.exports.export import export
from readers import MANTISPY, needs_mantispy, run_reader

TABLES = {"fields": export_tables.fields, "wells": export_tables.wells,
          "treatments": export_tables.treatments}
#: columns of var of the schema 2.0, as mantispy 0.1.0a1 asks for them
VAR = {"object", "feature_group", "feature", "channel", "scale", "angle", "gray_levels",
       "radial_bin", "params", "is_feature", "feature_kind"}
VALIDATE = """
import sys, warnings
with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of the libraries that it imports
    import mantispy
warnings.simplefilter("error")
found = mantispy.io.validate(mantispy.io.read(sys.argv[1]))
print(found)
"""


def exported(table, folder):
    """The AnnData that comes of a table, no warning said on the way."""
    anndata = pytest.importorskip("anndata")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = export(table, "anndata", folder / "t.h5ad")
        return anndata.read_h5ad(folder / "t.h5ad"), found


@pytest.mark.parametrize("name", TABLES)
def test_features_and_what_is_said_of_rows_come_back(tmp_path, name):
    table = TABLES[name]()
    data, found = exported(table, tmp_path)
    assert found == ([str(tmp_path / "t.h5ad")], [])
    features = list(data.var_names)
    assert features == [one for one in table if one.startswith("Image_")
                        and table[one].dtype == np.float32]
    assert data.X.dtype == np.float32 and np.array_equal(data.X, table[features].to_numpy())
    for column in set(table) - set(features):
        mine = data.obs[column]
        if table[column].dtype.kind == "f":
            np.testing.assert_allclose(mine.astype(float), table[column], rtol=1e-15)
        else:
            assert mine.astype(str).tolist() == table[column].astype(str).tolist()
    assert data.obs_names.is_unique
    assert set(data.uns["phenoscale"]) == {"phenoscale", "table", "sha256", "model",
                                           "normalisation"}


@pytest.mark.parametrize("name, resolution, grouped_by", [
    ("fields", "well", ["Metadata_Plate", "Metadata_Well", "Metadata_Site"]),
    ("wells", "well", ["Metadata_Plate", "Metadata_Well"]),
    ("treatments", "aggregate", ["Phenoscale_Treatment"])])
def test_it_says_of_itself_what_the_schema_asks_for(tmp_path, name, resolution, grouped_by):
    data, _ = exported(TABLES[name](), tmp_path)
    said = data.uns["mantispy"]
    assert (said["schema_version"], said["resolution"]) == ("2.0", resolution)
    assert list(said["grouped_by"]) == grouped_by and set(grouped_by) <= set(data.obs)
    assert said["perturbation"]["column"] in data.obs
    assert data.var["is_feature"].all() and VAR == set(data.var)
    assert set(data.var["feature_kind"]) <= {"measurement", "embedding", "derived"}
    is_dmso = (data.obs["Metadata_Compound"] == "DMSO").to_numpy()
    assert np.array_equal(data.obs["Metadata_Control"], is_dmso)
    assert (data.obs["Metadata_Control_Type"].astype(str)
            == np.where(is_dmso, "negcon", "treatment")).all()


@needs_mantispy
@pytest.mark.parametrize("name", TABLES)
def test_the_schema_validates_it_without_a_warning(tmp_path, name):
    exported(TABLES[name](), tmp_path)
    assert run_reader(MANTISPY, VALIDATE, tmp_path / "t.h5ad").strip() == "valid"


@needs_mantispy
def test_the_schema_would_find_a_fault(tmp_path):
    data, _ = exported(export_tables.fields(), tmp_path)
    del data.uns["mantispy"]["resolution"], data.obs["Metadata_Control"]
    data.write_h5ad(tmp_path / "t.h5ad")
    said = run_reader(MANTISPY, VALIDATE.replace("mantispy.io.read(", "__import__('anndata')"
                                                 ".read_h5ad("), tmp_path / "t.h5ad")
    assert "['resolution'] is missing" in said and "'Metadata_Control'" in said


def test_names_of_measures_are_taken_apart(tmp_path):
    data, _ = exported(export_tables.fields(), tmp_path)
    var = data.var.astype(object).where(data.var.notna(), None)
    row = var.loc["Image_Texture_Contrast_Actin_3_00_256"]
    assert [row[name] for name in ("object", "feature_group", "feature", "channel", "scale",
                                   "angle", "gray_levels", "params")] == [
        "Image", "Texture", "Contrast", "Actin", 3, 0, 256, "3_00_256"]
    assert var.loc["Image_Correlation_Overlap_DNA_Actin", "channel"] == "DNA|Actin"
    assert var.loc["Image_Phenoscale_Emb0000", "feature_kind"] == "embedding"
    assert var.loc["Image_Phenoscale_Emb0000", "feature_group"] is None


def test_controls_of_the_table_are_kept_beside_those_of_the_schema(tmp_path):
    table = export_tables.fields()
    table["Metadata_Control"] = ["poscon" if w == "A02" else "" for w in table["Metadata_Well"]]
    data, _ = exported(table, tmp_path)
    is_positive = (table["Metadata_Well"] == "A02").to_numpy()
    assert ((data.obs["Metadata_Control_Type"] == "poscon") == is_positive).all()
    assert (data.obs["Metadata_Control_Recorded"].astype(str) == table["Metadata_Control"].to_numpy(
    )).all()


def test_without_plates_it_is_anndata_and_says_that_it_is_not_the_schema(tmp_path):
    data, found = exported(export_tables.fields().drop(columns="Metadata_Plate"), tmp_path)
    assert "mantispy" not in data.uns and len(data) == 24
    assert "not of the image-profiling schema" in found.notes[0] and "Metadata_Plate" in (
        found.notes[0])


def test_what_cannot_be_written_is_told(tmp_path, monkeypatch):
    table = export_tables.fields()
    bare = table[[name for name in table if not name.startswith("Image_")]]
    with pytest.raises(InputError, match="has no features.* --embedding last"):
        export(bare, "anndata", tmp_path / "t.h5ad")
    monkeypatch.setitem(sys.modules, "anndata", None)
    with pytest.raises(InputError, match="pip install anndata"):
        export(table, "anndata", tmp_path / "t.h5ad")
    assert not list(tmp_path.iterdir())
