# SPDX-License-Identifier: BSD-3-Clause
"""One row a well for spreadsheets."""

import json

import numpy as np
import pandas
import pytest

import export_tables
from phenoscale.errors import InputError
from phenoscale.exports.export import export
from phenoscale.files.csv import read_csv


def rows_of(table, folder):
    """The CSV that comes of a table, as cells of text."""
    export(table, "wells", folder / "w.csv")
    return pandas.read_csv(folder / "w.csv", dtype=str, keep_default_na=False)


def test_of_fields_the_median_of_the_probabilities_and_their_class(tmp_path):
    table = export_tables.fields()
    found = rows_of(table, tmp_path)
    assert list(found)[:4] == ["Plate", "Well", "Row", "Column"] and len(found) == 12
    assert found.iloc[4].tolist()[:4] == ["P1", "B02", "B", "2"]
    for _, row in found.iterrows():  # the slow way
        mine = table[(table["Metadata_Plate"] == row["Plate"])
                     & (table["Metadata_Well"] == row["Well"])]
        assert int(row["Fields"]) == len(mine) == 2
        up, down = mine["Phenoscale_Prob_Up"].median(), mine["Phenoscale_Prob_Down"].median()
        assert float(row["Prob_Up"]) == pytest.approx(up / (up + down), abs=1e-6)
        assert row["Class"] == ("Up+" if up > down else "Down")
        assert float(row["CellCount"]) == pytest.approx(mine["Metadata_CellCount"].mean(), rel=1e-6)
    assert not any("Emb" in name or "Intensity" in name for name in found)


def test_of_wells_every_column_but_the_profile_empty_where_nothing_is_known(tmp_path):
    table = export_tables.wells()
    found = rows_of(table, tmp_path)
    assert len(found) == len(table)
    assert {"Distance", "P", "Treatment", "Control", "Class", "Prob_Up"} <= set(found)
    assert not any("Profile" in name for name in found)
    assert set(found["P"][table["Phenoscale_P"].isna().to_numpy()]) == {""}
    np.testing.assert_allclose(found["Distance"].astype(float), table["Phenoscale_Distance"])


def test_of_measures_the_wells_without_classes(tmp_path):
    table = export_tables.fields()
    table = table[[name for name in table if not name.startswith("Phenoscale_")]]
    found = rows_of(table, tmp_path)
    assert len(found) == 12 and {"Fields", "CellCount", "Compound"} <= set(found)
    assert "Class" not in found


def test_formulas_are_harmless_and_read_back(tmp_path):
    found = rows_of(export_tables.fields(), tmp_path)
    assert set(found["Compound"]) == {"DMSO", "'" + export_tables.CELL}
    header, rows, _ = read_csv(str(tmp_path / "w.csv"))
    assert {row[header.index("Compound")] for row in rows} == {"DMSO", export_tables.CELL}


def test_the_provenance_lies_beside_it(tmp_path):
    path = export_tables.written(export_tables.fields(), tmp_path / "p.csv")
    found = export(path, "wells", tmp_path / "w.csv.gz")
    assert found.paths == [str(tmp_path / "w.csv.gz"), str(tmp_path / "w.json")]
    assert json.loads((tmp_path / "w.json").read_text())["table"] == "p.csv"


def test_a_table_without_wells_is_refused(tmp_path):
    with pytest.raises(InputError, match="has no column Metadata_Well: name the column"):
        export(export_tables.treatments(), "wells", tmp_path / "w.csv")
