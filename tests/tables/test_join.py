# SPDX-License-Identifier: BSD-3-Clause
"""Plate maps and annotation tables, joined to the table of fields."""

import pandas
import pytest

from phenoscale.errors import InputError
from phenoscale.tables import join
from phenoscale.tables.join import join_table
from phenoscale.tables.read import read_table

FIELDS = pandas.DataFrame({
    "FileName_A": [f"{i}.tif" for i in range(6)],
    "Metadata_Plate": ["P1", "P1", "P1", "P2", "P2", "P2"],
    "Metadata_Well": ["A01", "a2", "B01", "A01", "A02", "B03"],
    "Metadata_Compound": ["taxol", "taxol", "DMSO", "taxol", "ALLN", ""],
    "Metadata_Concentration": ["0.3", "1", "0", "3e-1", "100", ""]})


def joined(tmp_path, text, name="map.csv", **options):
    (tmp_path / name).write_text(text)
    return join_table(read_table(FIELDS, **options), tmp_path / name)


def cells(table, column):
    return table.column(column).tolist()


@pytest.mark.parametrize("text", [
    "compound,concentration,moa\ntaxol,0.300000,Eg5\ntaxol,1.0,Mt\nALLN,1e2,Pd\nDMSO,0,DMSO\n",
    '"compound",concentration,"moa"\r"ALLN",100 uM,Pd\r"taxol",300 nM,Eg5\r"taxol",1,Mt\r'
    '"DMSO",0,DMSO\r',
    "moa;compound;concentration\nEg5;taxol;0,3\nMt;taxol;1,0\nPd;ALLN;100\nDMSO;DMSO;0\n",
])
def test_mechanisms_by_compound_and_number(tmp_path, text):
    """0.3 = 0.300000 = 3e-1 = 300 nM; LF, CR, semicolons."""
    table = joined(tmp_path, text)
    assert cells(table, "moa") == ["Eg5", "Mt", "DMSO", "Eg5", "Pd", ""]
    assert table.notes == ["map.csv joined on compound and concentration: 5 of 6 fields have a row"]


def test_wells_of_every_plate_and_of_one(tmp_path):
    table = joined(tmp_path, "well,sirna\nA1,x\nA02,y\nB03,z\nH12,w\n")
    assert cells(table, "sirna") == ["x", "y", "", "x", "y", "z"]
    assert table.notes == ["map.csv joined on well: 5 of 6 fields have a row; 1 of its rows have "
                           "no field: H12; 1 field without a row, for example B01"]
    table = joined(tmp_path, "Plate,Well,sirna\nP1,A1,x\nP2,A02,y\n")
    assert cells(table, "sirna") == ["x", "", "", "", "y", ""]


def test_no_key_is_an_error_that_names_the_cure(tmp_path):
    with pytest.raises(InputError, match="nothing tells which of its rows.*--role"):
        joined(tmp_path, "Position,sirna\nA1,x\n")


def test_columns_that_are_there_keep_their_cells(tmp_path):
    table = joined(tmp_path, "well,compound,dose\nB03,colchicine,7\nA01,other,1\n")
    assert cells(table, "Metadata_Compound")[-1] == "colchicine"
    assert cells(table, "Metadata_Compound")[0] == "taxol"


def test_a_grid(tmp_path):
    """As people fill it: a corner that names the column, empty wells, more than one block."""
    table = joined(tmp_path, "Sirna,1,2,3\nA,x,y,\nB,,q,z\n\nDose,1,2,3\nA,1,2,3\nB,4,5,6\n")
    assert cells(table, "Sirna") == ["x", "y", "", "x", "y", "z"]
    assert cells(table, "Dose") == ["1", "2", "4", "1", "2", "6"]
    # no name in the corner: the line above, or the name of the file
    table = joined(tmp_path, "Sirna,,\n,1,2\nA,x,y\n")
    assert cells(table, "Sirna")[:3] == ["x", "y", ""]
    assert cells(joined(tmp_path, ",1,2\nA,x,y\n"), "map")[:3] == ["x", "y", ""]


def test_a_grid_for_each_plate(tmp_path):
    table = joined(tmp_path, "P1,,\nSirna,1,2\nA,x,y\nP2,,\nSirna,1,2\nA,u,v\n")
    assert cells(table, "Sirna") == ["x", "y", "", "u", "v", ""]
    with pytest.raises(InputError, match="line 4: well A1 has a second Sirna: name the plate"):
        joined(tmp_path, "Sirna,1,2\nA,x,y\nSirna,1,2\nA,u,v\n")
    with pytest.raises(InputError, match="line 3 is no part of a grid"):
        joined(tmp_path, "Sirna,1,2\nA,x,y\nnotes,of,mine\n")


def test_titles_of_grids_hold_until_the_next(tmp_path):
    text = ("Plate: P1,\nSirna,1,2\nA,x,y\nDose,1,2\nA,1,2\n\n"
            "P2,\nSirna,1,2\nA,u,v\nDose,1,2\nA,3,4\n")
    table = joined(tmp_path, text)
    assert cells(table, "Sirna") == ["x", "y", "", "u", "v", ""]
    assert cells(table, "Dose") == ["1", "2", "", "3", "4", ""]
    # as people leave them: a margin, the inner wells, one column, plates as numbers
    table = joined(tmp_path, ",,,\n,Sirna,2,3\n,A,x,y\n,B,z,w\n")
    assert cells(table, "Sirna") == ["", "x", "", "", "x", "w"]
    assert cells(joined(tmp_path, "Sirna,1\nA,x\nB,y\n"), "Sirna")[:3] == ["x", "", "y"]
    assert cells(joined(tmp_path, "Sirna,1,2\nA\nB\n"), "Sirna") == [""] * 6
    frame = FIELDS.assign(Metadata_Plate=["0012"] * 3 + ["13"] * 3)
    (tmp_path / "map.csv").write_text("12,\nSirna,1\nA,x\n0013,\nSirna,1\nA,y\n")
    assert cells(join_table(read_table(frame), tmp_path / "map.csv"), "Sirna") == [
        "x", "", "", "y", "", ""]


@pytest.mark.parametrize(("text", "words"), [
    ("P3,\nSirna,1,2\nA,x,y\n", "line 2: 'P3' before this grid is no plate of the table of "
     "fields, which has P1, P2"),
    ("Sirna,1,2,\nA,x,y,z\n", "line 2: 'z' stands in no numbered column of the grid"),
    ("Sirna,1,2,notes\nA,x,y,\n", "line 1: 'notes' stands in no numbered column"),
    ("Rna,1\nA,u\nmy notes,\nRna,1\nB,u\n", "line 4: 'my notes' before this grid"),
])
def test_what_a_grid_may_not_hold(tmp_path, text, words):
    with pytest.raises(InputError) as error:
        joined(tmp_path, text)
    assert words in str(error.value)


def test_columns_of_blanks_at_the_right_are_no_columns(tmp_path):
    assert cells(joined(tmp_path, "well,sirna,,\nA01,x,,\n"), "sirna")[0] == "x"
    with pytest.raises(InputError, match="line 2, column Metadata_Concentration: '1,000' may be"):
        joined(tmp_path, 'compound,concentration,m\ntaxol,"1,000",a\n')


def test_a_workbook_with_a_grid_gives_compounds(tmp_path):
    """The grid of a spreadsheet supplies a role that the fields lack; doses as numbers."""
    book = pytest.importorskip("openpyxl").Workbook()
    for row in (["Concentration", 1, 2, 3], ["A", 0.3, "1 nM", None], ["B", 10, None, 30.0]):
        book.active.append(row)
    book.save(tmp_path / "map.xlsx")
    fields = FIELDS.drop(columns=["Metadata_Compound", "Metadata_Concentration"])
    table = join_table(read_table(fields), tmp_path / "map.xlsx")
    assert table.roles["concentration"] == "Metadata_Concentration"
    assert table.role("concentration").tolist() == ["0.3", "0.001", "10", "0.3", "0.001", "30"]


@pytest.mark.parametrize(("text", "words"), [
    ("", "has no rows to join"), ("well,x\n", "has no rows to join"),
    ("well,x\nA01,1,2\n", "line 2 has 3 cells"), ("well,x\nA01,1\nA1,2\n", "line 3: well A1 is "
                                                 "there twice"),
    ("well,x\nQ99,1\n", "no field of the DataFrame has a well of it: the fields have for example "
     "'A01', it has 'Q99'"),
    ("compound,concentration,m\ntaxol,0.3,a\ntaxol,0.30000001,b\n", "line 3: compound and "
     "concentration taxol 0.30000001 is there twice"),
    ("well,x,x\nA01,1,2\n", "column x is there twice")])
def test_tables_that_cannot_be_joined(tmp_path, text, words):
    with pytest.raises(InputError) as error:
        joined(tmp_path, text)
    assert words in str(error.value) and "map.csv" in str(error.value)


def test_the_real_mechanisms(shared_data):
    """BBBC021's own two tables, and the annotation of the IDR: 2,528 labels without DMSO."""
    folder = shared_data("bbbc021_tables")
    table = read_table(folder / "BBBC021_v1_image.csv.gz", join=[folder / "BBBC021_v1_moa.csv"])
    moa = table.column("moa")
    assert ((moa != "") & (moa != "DMSO")).sum() == 2528 and (moa == "DMSO").sum() == 1320
    assert moa[moa != ""].nunique() == 13
    assert "on compound and concentration: 3,848 of 13,200 fields have a row" in table.notes[0]
    annotated = join_table(table, folder / "idr0035-screenA-annotation.csv.gz")
    assert "joined on plate and well: 13,200 of 13,200 fields have a row" in annotated.notes[-1]
    theirs = annotated.column("Compound MOA (from Ljosa et al, 2013)")
    both = (theirs != "") & (moa != "") & (moa != "DMSO")
    assert both.sum() == 2528 and (theirs[both] == moa[both]).all()


def test_sites_are_numbers_and_need_no_plate(tmp_path):
    """Well and site tell a row; site 01 is site 1."""
    fields = FIELDS.assign(Metadata_Site=["1", "2", "1", "1", "1", "1"], Metadata_Well="A01")
    (tmp_path / "map.csv").write_text("well,site,focus\nA1,01,good\nA01,2,bad\n")
    table = join_table(read_table(fields.drop(columns="Metadata_Plate")), tmp_path / "map.csv")
    assert cells(table, "focus") == ["good", "bad", "good", "good", "good", "good"]


def test_plates_under_another_name_are_not_passed_over(tmp_path):
    text = "barcode no,well,sirna\nP1,A01,x\nP2,A01,y\n"
    with pytest.raises(InputError, match="column barcode no holds plates of the fields.*--role"):
        joined(tmp_path, text)
    table = read_table(FIELDS, join=[tmp_path / "map.csv"], roles={"plate": "barcode no"})
    assert cells(table, "sirna") == ["x", "", "", "y", "", ""]


def test_a_role_that_only_the_joined_table_has(tmp_path):
    (tmp_path / "map.csv").write_text("well,my drug\nA01,colchicine\n")
    fields = FIELDS.drop(columns="Metadata_Compound")
    table = read_table(fields, join=[tmp_path / "map.csv"], roles={"compound": "my drug"})
    assert table.role("compound").tolist()[0] == "colchicine"
    with pytest.raises(InputError, match="no column their drug for the role compound"):
        read_table(fields, join=[tmp_path / "map.csv"], roles={"compound": "their drug"})


def test_grids_of_plates_beside_a_named_role(tmp_path, monkeypatch):
    """Their plates are not taken for faults before the table's are known; nothing is read twice."""
    text = "P1\nsirna,1,2\nA,x,y\nP2\nsirna,1,2\nA,u,v\n"
    (tmp_path / "map.csv").write_text(text)
    (tmp_path / "more.csv").write_text("well,my drug\nA01,colchicine\n")
    read, seen = join.read_cells, []
    monkeypatch.setattr(join, "read_cells", lambda path: (seen.append(path), read(path))[1])
    table = read_table(FIELDS, join=[tmp_path / "map.csv"], roles={"plate": "Metadata_Plate"})
    assert cells(table, "sirna") == ["x", "y", "", "u", "v", ""] and len(seen) == 1
    fields = FIELDS.drop(columns="Metadata_Compound")
    table = read_table(fields, join=[tmp_path / "map.csv", tmp_path / "more.csv"],
                       roles={"compound": "my drug"})
    assert table.role("compound").tolist()[0] == "colchicine"
    assert cells(table, "sirna") == ["x", "y", "", "u", "v", ""]
    table = read_table(fields, join=[tmp_path / "map.csv"], roles={"compound": "sirna"})
    assert table.role("compound").tolist() == ["x", "y", "", "u", "v", ""]


def test_the_last_word_of_a_title_names_the_plate(tmp_path):
    text = "Compound plate: P2\nsirna,1,2\nA,x,y\n"
    assert cells(joined(tmp_path, text), "sirna") == ["", "", "", "x", "y", ""]


def test_a_conflict_of_columns_is_counted(tmp_path):
    """A map is never dropped without a word; doses and wells are compared as such."""
    table = joined(tmp_path, "plate,well,compound,concentration\nP1,A1,taxol,0.300\nP1,A2,DMSO,1\n"
                   "P2,A1,ALLN,0.3\n")
    assert cells(table, "Metadata_Compound") == ["taxol", "taxol", "DMSO", "taxol", "ALLN", ""]
    assert table.notes[1:] == [
        "map.csv: compound differs in 2 of 6 fields (P1 A02: 'taxol', here 'DMSO'): the table's "
        "own is kept; rename one, or remove the table's",
        "map.csv: concentration is not taken where the compounds differ (2 fields)"]


def test_a_dose_goes_with_its_compound(tmp_path):
    """The map's dose of taxol is none of the field's DMSO."""
    (tmp_path / "map.csv").write_text("plate,well,compound,concentration\nP1,A1,taxol,5\n"
                                      "P1,A2,ALLN,6\n")
    fields = FIELDS.drop(columns="Metadata_Concentration")
    table = join_table(read_table(fields), tmp_path / "map.csv")
    assert cells(table, "Metadata_Concentration") == ["5", "", "", "", "", ""]
    assert "map.csv: concentration is not taken where the compounds differ (1 field)" in table.notes


def test_a_second_join_overwrites_nothing(tmp_path):
    (tmp_path / "a.csv").write_text("well,sirna\nA01,x\n")
    (tmp_path / "b.csv").write_text("well,sirna\nA01,y\nA02,z\n")
    table = read_table(FIELDS, join=[tmp_path / "a.csv", tmp_path / "b.csv"])
    assert cells(table, "sirna") == ["x", "z", "", "x", "z", ""]
    assert [note.partition(" ")[0] for note in table.notes] == ["a.csv", "b.csv", "b.csv:"]
    assert "sirna differs in 2 of 6 fields (P1 A01: 'x', here 'y')" in table.notes[2]


def test_a_role_that_two_columns_could_play(tmp_path):
    (tmp_path / "map.csv").write_text("plate,well,compound\nP1,A1,ALLN\n")
    fields = FIELDS.rename(columns={"Metadata_Compound": "Treatment"})
    table = read_table(fields, join=[tmp_path / "map.csv"], roles={"compound": "Treatment"})
    assert table.role("compound").tolist()[0] == "taxol"
    assert "compound" in table.notes[-1]
    assert "in 1 of 6 fields (P1 A01: 'taxol', here 'ALLN')" in table.notes[-1]
    (tmp_path / "map.csv").write_text("plate,well,my drug\nP1,A1,ALLN\n")
    table = read_table(FIELDS, join=[tmp_path / "map.csv"], roles={"compound": "my drug"})
    assert table.role("compound").tolist()[0] == "ALLN"
    assert "its compound, my drug, differs from Metadata_Compound in 1 of 6" in table.notes[-1]


def test_images_are_of_the_table_of_fields_alone(tmp_path):
    """A LoadData CSV as a map: its files make no channels, and its planes of z no stacks."""
    table = joined(tmp_path, "FileName_A,FileName_B,well,z,x\n9.tif,8.tif,A1,3,a\n")
    assert not {"Image_FileName_B"} & set(table.frame.columns) and table.channels == ["A"]
    assert table.frame["Image_FileName_A"].tolist()[0] == "0.tif" and "z" not in table.roles
    assert "Image_FileName_A, Image_FileName_B left out" in table.notes[-1]


def test_columns_that_add_nothing_or_stand_beside_others_are_said(tmp_path):
    assert "it has no further column, and adds nothing" in joined(
        tmp_path, "plate,well\nP1,A1\n").notes[-1]
    (tmp_path / "map.csv").write_text("well,MOA\nA01,x\n")
    table = join_table(read_table(FIELDS.assign(moa="y")), tmp_path / "map.csv")
    assert table.notes[-1] == "map.csv: its column MOA stands beside the table's moa"


def test_a_map_with_merged_cells(tmp_path):
    """A plate's name in one tall cell is that of all its wells."""
    book = pytest.importorskip("openpyxl").Workbook()
    for row in (["Plate", "Well", "x"], ["P1", "A1", "a"], [None, "A2", "b"], ["P2", "A1", "c"]):
        book.active.append(row)
    book.active.merge_cells("A2:A3")
    book.save(tmp_path / "map.xlsx")
    table = join_table(read_table(FIELDS), tmp_path / "map.xlsx")
    assert cells(table, "x") == ["a", "b", "", "c", "", ""]


def test_a_map_with_two_columns_of_wells_that_disagree_is_refused(tmp_path):
    with pytest.raises(InputError, match="columns Well and Well Position could each be the well"):
        joined(tmp_path, "Plate,Well,Well Position,sirna\nP1,A1,A2,x\nP1,A2,A1,y\n")


def test_a_title_that_ends_like_a_plate_names_none(tmp_path):
    with pytest.raises(InputError, match="'Replicate P2' before this grid is no plate"):
        joined(tmp_path, "Replicate P2\nsirna,1,2\nA,x,y\n")
