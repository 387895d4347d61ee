# SPDX-License-Identifier: BSD-3-Clause
"""Which column plays which role: found by the names in use, or said to be absent."""

import pandas
import pytest

from phenoscale.errors import InputError
from phenoscale.tables.read import read_table
from phenoscale.tables.roles import absent_roles, column_key, known_roles
from phenoscale.tables.table import write_table


def fields(wells=("A1", "A01", "b02", "B2"), **columns):
    return pandas.DataFrame({"FileName_A": [f"{k}.tif" for k in range(len(wells))],
                             **columns, **({"w": wells} if not columns else {})})


def notes(frame, **words):
    return " | ".join(read_table(frame, **words).notes)


@pytest.mark.parametrize("role, names", [
    ("well", ["CPD_WELL_POSITION", "Well_Position", "WellID", "well", "Well Name", "WELL"]),
    ("plate", ["Barcode", "Assay_Plate_Barcode", "plate_id", "PlateName", "PLATE"]),
    ("site", ["Field", "field_id", "FOV", "siteNumber"]),
    ("compound", ["pert_iname", "DrugName", "cpd"]), ("concentration", ["Conc", "dose"]),
    ("batch", ["BatchID", "batch"])])
@pytest.mark.parametrize("prefix", ["", "Metadata_", "metadata_"])
def test_roles_are_found_by_the_names_in_use(role, names, prefix):
    cells = {"well": ["a1", "B2", "B02", "r03c04"]}.get(role, ["1", "1", "2", "2"])
    for name in names:
        table = read_table(fields(**{prefix + name: cells}))
        assert table.roles == {role: f"Metadata_{role.capitalize()}"}
        assert table.column(prefix + name).tolist() == table.role(role).tolist()
        if role == "well":
            assert table.role("well").tolist() == ["A01", "B02", "B02", "C04"]
        is_guess = column_key(name) != role
        assert bool(table.notes) == is_guess, table.notes
        assert not is_guess or f"{prefix}{name} for the {role}" in table.notes[0]


def test_what_only_sounds_like_a_role_is_left():
    for column, cells in (("Barcode", list("abcd")),  # one a row tells all fields of a well apart
                          ("Field", ["bright", "dark"] * 2), ("Plate_Map_Name", ["a", "b"] * 2),
                          ("Metadata_Well", [""] * 4)):
        assert read_table(fields(**{column: cells})).roles == {}


def test_an_empty_column_gives_way():
    table = read_table(fields(Metadata_Plate="", Barcode=["1", "1", "2", "2"]))
    assert table.role("plate").tolist() == ["1", "1", "2", "2"]


def test_columns_that_disagree_are_said_never_chosen_silently():
    plates = {"Assay_Plate": ["a", "a", "b", "b"], "Barcode": ["x", "y", "x", "y"]}
    with pytest.raises(InputError, match="columns Assay_Plate, Barcode could each be the plate, "
                                         "and disagree: say which with --role plate=Assay_Plate"):
        read_table(fields(**plates))
    assert read_table(fields(**plates), roles={"plate": "Barcode"}).role("plate")[1] == "y"
    words = notes(fields(Plate=["a", "a", "b", "b"], Barcode=["x", "y", "x", "y"]))
    assert "columns Plate, Barcode could each be the plate, and disagree: Plate is taken" in words
    assert "disagree" not in notes(fields(Plate=["a", "a", "b", "b"], Barcode=["x", "x", "y", "y"]))
    wells = {"Well_Position": ["A01", "A02", "B01", "B02"]}
    assert "disagree" not in notes(fields(**wells, WellID=["a1", "a2", "b1", "b2"]))
    assert "disagree" not in notes(fields(**wells, WellID=["1", "2", "3", "4"]))
    with pytest.raises(InputError, match="could each be the well, and disagree"):
        read_table(fields(**wells, WellName=["A01", "A02", "B02", "B01"]))


def test_rows_and_columns_make_wells(tmp_path):
    for row, column in ((["A", "a", "B", "AF"], ["1", "02", "3", "48"]),
                        (["1", "1", "2", "32"], ["1", "2", "3", "48"])):
        for names in (("Row", "Column"), ("Metadata_Row", "Metadata_Col"), ("well_row", "WellCol")):
            table = read_table(fields(**dict(zip(names, (row, column)))))
            assert table.role("well").tolist() == ["A01", "A02", "B03", "AF48"]
            assert f"wells are made of the columns {names[0]} and {names[1]}" in table.notes[0]
    write_table(table, tmp_path / "clean.csv")
    again = read_table(tmp_path / "clean.csv")
    assert again.role("well").tolist() == table.role("well").tolist() and not again.notes
    bad = read_table(fields(Row=["0", "1", "2", "3"], Column=["1"] * 4))
    assert "well" not in bad.roles and "make no wells: row '0', column '1'" in bad.notes[0]
    words = notes(fields(Well=["A01", "A02", "B01", "B02"], Row=["A", "A", "B", "B"],
                         Column=["1", "2", "1", "3"]))
    assert "columns Row and Column say other wells than Well, which is taken" in words


def test_a_height_of_the_focus_is_no_plane():
    frame = fields(well=["A01", "A01", "A02", "A02"], z=["7034.2", "7035.1", "7034.9", "7031.0"])
    table = read_table(frame)
    assert len(table) == 4 and "z" not in table.roles
    assert "column z counts no planes (7034.2, 7035.1 and 2 more)" in table.notes[0]
    assert "focus" in notes(frame.assign(z=["7034", "7035", "7036", "7030"]))
    for one in ("1", "nan"):  # tells nothing apart
        assert len(read_table(frame.assign(z=one))) == 4
    for z in (["0", "1", "0", "1"], ["-1.5", "1.5", "-1.5", "1.5"]):
        with pytest.raises(InputError, match="2 planes of one field .*say with --z"):
            read_table(frame.assign(z=z))
    assert len(read_table(frame.assign(site=["1", "2"] * 2))) == 4
    with pytest.raises(InputError, match="2 planes of one field .*say with --z"):
        read_table(frame.assign(site="1"))  # which nothing else tells apart
    assert len(read_table(frame, z="max")) == 2  # the user says that there are stacks


def test_absent_roles_are_said_with_what_looks_like_them():
    table = read_table(fields(Position=["A01", "A02", "B01", "B02"], plating="x", Plates=["1"] * 4))
    (words,) = absent_roles(table)
    assert words.startswith("no column is known to be the plate, well, site, compound, ")
    assert "Position looks like the well (A01, A02 and 2 more): --role well=Position" in words
    assert "Plates looks like the plate (1): --role plate=Plates" in words
    full = {role: ["1", "1", "2", "2"] for role in ("plate", "site", "compound", "concentration")}
    assert absent_roles(read_table(fields(**full, well=["A1", "A2"] * 2))) == []


def test_rounded_barcodes_are_suspected():
    for name in ("Barcode", "Metadata_Plate", "Source_Plate_Barcode"):
        words = notes(fields(**{name: ["2.01235E+11", "2.01235E+11", "2,01236e+11", "x"]}))
        assert f"column {name} has 2.01235E+11, 2,01236e+11: a spreadsheet seems to have" in words


def test_names_alone():
    known = known_roles(["Barcode", "metadata_well", "Metadata_Well", "x"])
    assert known["plate"] == ["Barcode"] and known["well"] == ["Metadata_Well", "metadata_well"]
