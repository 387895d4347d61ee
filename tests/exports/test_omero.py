# SPDX-License-Identifier: BSD-3-Clause
"""OMERO.table: the rules of omero-metadata hold everywhere, its own reader where it is installed.

omero-metadata needs omero-py, and that a build of Ice, which few computers have.
"""

import csv
import json

import numpy as np
import pandas
import pytest

import export_tables
from phenoscale.errors import InputError
from phenoscale.exports.export import export

#: of omero_metadata/populate.py 0.14: types of columns, and what it adds itself
TYPES = {"plate", "well", "image", "dataset", "roi", "d", "l", "s", "b"}
ADDED = {"plate name", "well name", "image name", "roi name", "dataset name", "image", "roi"}


def exported(table, folder):
    """Types, names and rows of the CSV, and the notes."""
    found = export(table, "omero", folder / "o.csv")
    with open(folder / "o.csv", newline="") as file:
        types, names, *rows = csv.reader(file)
    assert types[0].startswith("# header ")
    return [types[0].removeprefix("# header "), *types[1:]], names, rows, found.notes


@pytest.mark.parametrize("name", ["fields", "wells"])
def test_it_keeps_the_rules_of_omero_metadata(tmp_path, name):
    table = getattr(export_tables, name)()
    types, names, rows, notes = exported(table, tmp_path)
    assert notes == [] and len(rows) == len(table) and set(types) <= TYPES
    assert {len(row) for row in rows} == {len(types)} == {len(names)} and len(names) <= 512
    assert types[:2] == ["plate", "well"] and names[:2] == ["Plate", "Well"]
    assert all(word.isidentifier() for word in names) and len(set(names)) == len(names)
    assert not {word.lower() for word in names} & ADDED
    read = {"d": float, "l": int}
    for row in rows:
        for kind, cell in zip(types, row):
            if kind in read and not (kind == "d" and cell == ""):
                read[kind](cell)


def test_types_and_cells_are_those_of_the_table(tmp_path):
    table = export_tables.fields()
    types, names, rows, _ = exported(table, tmp_path)
    kinds = dict(zip(names, types))
    assert [kinds[name] for name in ("Class", "Prob_Up", "Site", "CellCount",
                                     "Intensity_MeanIntensity_DNA")] == ["s", "d", "s", "d", "d"]
    found = pandas.DataFrame(rows, columns=names)
    assert found["Well"].tolist() == table["Metadata_Well"].tolist()
    np.testing.assert_allclose(found["Prob_Up"].astype(float), table["Phenoscale_Prob_Up"])
    assert not any("Emb" in name or "FileName" in name for name in names)


def test_whole_numbers_are_long(tmp_path):
    types, names, _, _ = exported(export_tables.wells(), tmp_path)
    assert dict(zip(names, types))["Fields"] == "l"


def test_formulas_are_harmless_and_plates_like_them_refused(tmp_path):
    _, names, rows, _ = exported(export_tables.fields(), tmp_path)
    at = names.index("Compound")
    assert {row[at] for row in rows} == {"DMSO", "'" + export_tables.CELL}
    with pytest.raises(InputError, match="plate -P1 cannot be written"):
        export(export_tables.fields(plates=("-P1",)), "omero", tmp_path / "p.csv")


def test_rows_without_a_well_and_too_many_measures_are_left_out_and_said(tmp_path):
    table = export_tables.fields()
    table.loc[3, "Metadata_Well"] = ""
    more = pandas.DataFrame({f"Image_Granularity_{k}_DNA": 0.0 for k in range(500)},
                            index=table.index)
    _, names, rows, notes = exported(pandas.concat([table, more], axis=1), tmp_path)
    assert len(rows) == 23 and "Class" in names and len(names) < 30
    assert notes == ["1 row without a plate or well left out",
                     "504 measures left out: an OMERO.table has at most 512 columns"]


def test_names_that_omero_adds_itself_are_ours(tmp_path):
    _, names, _, _ = exported(export_tables.fields().assign(Image="x", Dataset="y"), tmp_path)
    assert {"Phenoscale_Image", "Phenoscale_Dataset"} <= set(names)


def test_the_provenance_lies_beside_it(tmp_path):
    export(export_tables.fields(), "omero", tmp_path / "o.csv")
    assert json.loads((tmp_path / "o.json").read_text())["model"] == "0123456789abcdef"


@pytest.mark.parametrize("column", ["Metadata_Plate", "Metadata_Well"])
def test_a_table_without_plates_or_wells_is_refused(tmp_path, column):
    with pytest.raises(InputError, match=f"no column {column}: OMERO finds rows by it"):
        export(export_tables.wells().drop(columns=column), "omero", tmp_path / "o.csv")


def test_its_own_reader_makes_the_columns(tmp_path):
    populate = pytest.importorskip("omero_metadata.populate",
                                   reason="no omero-metadata with omero-py: pip install both")
    from omero.model import ScreenI

    exported(export_tables.fields(), tmp_path)
    with open(tmp_path / "o.csv", newline="") as file:
        first, header, *_ = csv.reader(file)
    assert populate.HeaderResolver.is_row_column_types(first)
    types = populate.HeaderResolver.get_column_types(first)
    columns = populate.HeaderResolver(ScreenI(1, False), header, types).create_columns()
    kinds = {column.name: type(column).__name__ for column in columns}
    assert kinds["Plate"] == "PlateColumn" and kinds["Well"] == "WellColumn"
    assert kinds["Prob_Up"] == "DoubleColumn" and kinds["Class"] == "StringColumn"
    assert kinds["Plate Name"] == kinds["Well Name"] == "StringColumn"
