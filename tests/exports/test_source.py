# SPDX-License-Identifier: BSD-3-Clause
"""A table to be exported: what it says, its features, what a row is."""

import numpy as np
import pandas
import pytest

import export_tables
from phenoscale.errors import InputError
from phenoscale.exports.source import read_source, short_names
from phenoscale.files.parquet import write_parquet

TABLES = {"field": export_tables.fields, "well": export_tables.wells,
          "treatment": export_tables.treatments}


@pytest.mark.parametrize("unit", TABLES)
@pytest.mark.parametrize("kind", ["frame", "csv", "parquet"])
def test_the_same_comes_of_a_frame_a_csv_and_parquet(tmp_path, unit, kind):
    table = TABLES[unit]()
    source = table
    if kind == "csv":
        source = export_tables.written(table, tmp_path / "t.csv")
    if kind == "parquet":
        pytest.importorskip("pyarrow")
        source = tmp_path / "t.parquet"
        write_parquet([table], source)
    found = read_source(source)
    features = [name for name in table if name.startswith("Image_")
                and table[name].dtype == np.float32]
    assert found.unit == unit and found.features == features
    assert found.values.dtype == np.float32
    assert np.array_equal(found.values, table[features].to_numpy())
    assert list(found.about) == [name for name in table if name not in features]
    for name in found.about:
        wanted = table[name]
        if wanted.dtype.kind == "f":
            mine = found.about[name].to_numpy(float).astype(wanted.dtype)
            np.testing.assert_array_equal(mine, wanted.to_numpy())
        else:
            assert found.about[name].astype(str).tolist() == wanted.astype(str).tolist()


def test_plates_that_are_numbers_stay_text_and_short_floats_stay_short(tmp_path):
    table = export_tables.fields().assign(Metadata_Plate="0012")
    found = read_source(export_tables.written(table, tmp_path / "t.csv")).about
    assert set(found["Metadata_Plate"]) == {"0012"}
    assert found["Metadata_CellCount"].dtype == np.float32
    assert found["Metadata_Concentration"].dtype == np.float64


def test_roles_by_other_names_and_names_of_cellprofiler_become_ours():
    table = export_tables.fields().rename(columns={
        "Metadata_Plate": "Barcode", "Metadata_Well": "Image_Metadata_Well",
        "Phenoscale_Class": "Image_Phenoscale_Class", "Metadata_Compound": "drug"})
    table["Image_Metadata_Well"] = table["Image_Metadata_Well"].str.replace("0", "")
    found = read_source(table).about
    assert {"Metadata_Plate", "Metadata_Well", "Metadata_Compound", "Phenoscale_Class"
            } <= set(found)
    assert found["Metadata_Well"].tolist() == export_tables.fields()["Metadata_Well"].tolist()


def test_counts_of_wells_are_no_names_of_wells():
    found = read_source(pandas.DataFrame({"Treatment": ["a", "b"], "Wells": [3, 4]}))
    assert found.unit == "treatment" and found.about["Wells"].tolist() == [3, 4]


def test_cells_that_are_no_numbers_and_empty_columns_stay_text():
    table = pandas.DataFrame({"Phenoscale_P": ["0.5", ""], "Phenoscale_Control": ["", ""],
                              "Metadata_Concentration": ["3 uM", "1"]})
    found = read_source(table).about
    assert found["Phenoscale_P"].dtype.kind == "f" and np.isnan(found["Phenoscale_P"][1])
    assert found["Phenoscale_Control"].tolist() == ["", ""]
    assert found["Metadata_Concentration"].tolist() == ["3 uM", "1"]


def test_tables_that_cannot_be_read_are_told(tmp_path):
    with pytest.raises(InputError, match="the DataFrame has no rows"):
        read_source(export_tables.fields().iloc[:0])
    with pytest.raises(InputError, match="does not exist|cannot be read"):
        read_source(tmp_path / "no.csv")
    twice = export_tables.fields().assign(Image_Phenoscale_Class="x")
    with pytest.raises(InputError, match="column Phenoscale_Class twice, with Image_ before"):
        read_source(twice)


def test_short_names_stay_apart():
    assert short_names(["Metadata_Well", "Image_Cells_Count_DNA", "Well"]) == {
        "Metadata_Well": "Metadata_Well", "Image_Cells_Count_DNA": "Cells_Count_DNA",
        "Well": "Well"}
