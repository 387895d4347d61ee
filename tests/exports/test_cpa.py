# SPDX-License-Identifier: BSD-3-Clause
"""CellProfiler Analyst: its own reader opens it, where there is one; its rules hold everywhere."""

import json
import sqlite3
from contextlib import closing

import pytest

import export_tables
from phenoscale.errors import InputError
from phenoscale.exports.export import export
from readers import CPA, OLDEST, needs_cpa, run_reader

#: of cpa/properties.py of CellProfiler Analyst 3: what it asks for, and a part of what it knows
REQUIRED = {"db_type", "image_table", "image_id", "image_path_cols", "image_file_cols"}
KNOWN = REQUIRED | {
    "db_sqlite_file", "object_table", "object_id", "plate_id", "well_id", "well_format",
    "plate_type", "image_names", "image_channel_colors", "channels_per_image", "object_name",
    "image_tile_size", "check_tables"}
PLATE_TYPES = {"6", "24", "96", "384", "1536", "5600"}
READ = """
import json, logging, sys
logging.disable(logging.CRITICAL)
from cpa.properties import Properties
from cpa.dbconnect import DBConnect
p, db = Properties(), DBConnect()
p.load_file(sys.argv[1])
db.connect()
columns = db.GetColumnNames("Per_Image")
print(json.dumps({
    "keys": db.GetAllImageKeys(), "plates": db.GetPlateNames(),
    "places": db.GetPlatesAndWellsPerImage(), "shape": p.plate_shape, "names": p.image_names,
    "paths": db.GetFullChannelPathsForImage((1,)),
    "groups": {k: list(map(list, v.items())) for k, v in db.GetGroupMaps()[0].items()},
    "types": dict(zip(columns, [t.__name__ for t in db.GetColumnTypes("Per_Image")])),
    "up": db.execute("SELECT Phenoscale_Prob_Up FROM Per_Image")}))
"""


def exported(table, folder):
    """Lines of the properties as a dict, and the rows of the database, one dict each."""
    found = export(table, "cpa", folder / "t.properties")
    assert found.paths == [str(folder / "t.properties"), str(folder / "t.db")]
    text = (folder / "t.properties").read_text()
    lines = dict(line.split(" = ", 1) for line in text.splitlines()
                 if line and not line.startswith("#"))
    with closing(sqlite3.connect(folder / "t.db")) as base:
        base.row_factory = sqlite3.Row
        rows = [dict(row) for row in base.execute("SELECT * FROM Per_Image")]
    return lines, rows, found.notes


@needs_cpa
def test_its_own_reader_finds_images_wells_classes_and_groups(tmp_path):
    table = export_tables.fields()
    export(table, "cpa", tmp_path / "t.properties")
    found = json.loads(run_reader(OLDEST, READ, tmp_path / "t.properties", path=CPA))
    assert found["keys"] == [[k] for k in range(1, 25)] and found["plates"] == ["P1", "P2"]
    assert [tuple(row[1:]) for row in found["places"]] == list(
        zip(table["Metadata_Plate"], table["Metadata_Well"]))
    assert found["shape"] == [8, 12] and found["names"] == export_tables.CHANNELS
    assert found["paths"] == ["/data/P1/P1_A01_1_DNA.tif", "/data/P1/P1_A01_1_Actin.tif"]
    assert [one for _, (one,) in found["groups"]["Class"]] == table["Phenoscale_Class"].tolist()
    assert [found["types"][name] for name in (
        "ImageNumber", "Phenoscale_Prob_Up", "Image_Metadata_CellCount", "Phenoscale_Class")] == [
        "int", "float", "float", "str"]
    assert [one for one, in found["up"]] == pytest.approx(table["Phenoscale_Prob_Up"].tolist())


def test_it_keeps_the_rules_of_properties(tmp_path):
    lines, rows, notes = exported(export_tables.fields(), tmp_path)
    assert all(lines[name] for name in REQUIRED) and notes == []
    assert {name for name in lines if not name.startswith("group_SQL_")} <= KNOWN
    assert lines["plate_type"] in PLATE_TYPES and lines["db_sqlite_file"] == "t.db"
    lists = [lines[name].split(", ") for name in ("image_path_cols", "image_file_cols",
                                                  "image_names", "image_channel_colors",
                                                  "channels_per_image")]
    assert {len(one) for one in lists} == {2}
    columns = {*lists[0], *lists[1], lines["image_id"], lines["plate_id"], lines["well_id"]}
    assert columns <= set(rows[0])
    assert all(name.isidentifier() and name.isascii() for name in rows[0])  # it puts no quotes


def test_rows_are_the_fields_with_their_numbers(tmp_path):
    table = export_tables.fields()
    table.loc[2, "Metadata_CellCount"] = None
    _, rows, _ = exported(table, tmp_path)
    assert [row["ImageNumber"] for row in rows] == list(range(1, 25))
    for name, column in (("Phenoscale_Class",) * 2, ("Phenoscale_Prob_Up",) * 2,
                         ("Image_Metadata_Well", "Metadata_Well"),
                         ("Image_Intensity_MeanIntensity_DNA",) * 2):
        assert [row[name] for row in rows] == table[column].tolist()
    assert rows[2]["Image_Metadata_CellCount"] is None
    assert not any("Emb" in name for name in rows[0])


def test_the_groups_are_queries_that_run(tmp_path):
    lines, rows, _ = exported(export_tables.fields(), tmp_path)
    groups = {name: text for name, text in lines.items() if name.startswith("group_SQL_")}
    assert set(groups) == {f"group_SQL_{name}" for name in ("Plate", "Well", "Class", "Compound")}
    with closing(sqlite3.connect(tmp_path / "t.db")) as base:
        for query in groups.values():
            assert len(base.execute(query).fetchall()) == len(rows)


def test_the_provenance_is_in_both(tmp_path):
    exported(export_tables.fields(), tmp_path)
    with closing(sqlite3.connect(tmp_path / "t.db")) as base:
        said = dict(base.execute("SELECT * FROM Phenoscale_Provenance"))
    assert said["model"] == "0123456789abcdef" and len(said["sha256"]) == 64
    text = (tmp_path / "t.properties").read_text()
    assert all(f"# {key}: {value}\n" in text for key, value in said.items())


def test_a_line_break_in_a_name_makes_no_line_of_the_properties(tmp_path):
    path = export_tables.written(export_tables.fields(), tmp_path / "a\ndb_type = mysql.csv")
    export(path, "cpa", tmp_path / "t.properties")
    lines = (tmp_path / "t.properties").read_text().splitlines()
    assert [line for line in lines if line.startswith("db_type")] == ["db_type = sqlite"]


def test_names_that_sql_takes_for_one_stay_apart(tmp_path):
    table = export_tables.fields().assign(**{"A b": 1, "a_B": 2, "1;x": 3, "ImageNumber": 4})
    _, rows, _ = exported(table, tmp_path)
    assert [rows[0][name] for name in ("A_b", "a_B_2", "Image_1_x", "ImageNumber_2")] == [1, 2, 3,
                                                                                        4]
    assert rows[0]["ImageNumber"] == 1


def test_more_measures_than_sqlite_has_columns_are_left_out_and_said(tmp_path):
    table = export_tables.fields()
    more = {f"Image_Granularity_{k}_DNA": 0.0 for k in range(1900)}
    import pandas

    table = pandas.concat([table, pandas.DataFrame(more, index=table.index)], axis=1)
    _, rows, notes = exported(table, tmp_path)
    assert notes == ["1,904 measures left out: SQLite has at most 2,000 columns"]
    assert "Phenoscale_Class" in rows[0] and len(rows[0]) < 30


def test_files_of_several_images_are_told(tmp_path):
    table = export_tables.fields().assign(Image_Frame_DNA="1")
    _, _, notes = exported(table, tmp_path)
    assert notes == ["files of DNA hold several images: CellProfiler Analyst shows the first"]


def test_a_table_without_images_is_refused(tmp_path):
    with pytest.raises(InputError, match="Image_FileName_<channel>, and CellProfiler Analyst"):
        export(export_tables.wells(), "cpa", tmp_path / "t.properties")
    table = export_tables.fields().drop(columns="Image_PathName_DNA")
    with pytest.raises(InputError, match="no column Image_PathName_DNA"):
        export(table, "cpa", tmp_path / "t.properties")
    assert not list(tmp_path.iterdir())
