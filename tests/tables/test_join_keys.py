# SPDX-License-Identifier: BSD-3-Clause
"""Which columns a table is joined on, what is one spelling, and what is said of the rest."""

import pandas
import pytest

from phenoscale.errors import InputError
from phenoscale.tables.read import read_table
from phenoscale.tables.spellings import comparable, plain_name, same_numbers


def fields(**columns):
    """Two plates of three wells; a column of None is left out."""
    columns = {"FileName_A": [f"{i}.tif" for i in range(6)],
               "Metadata_Plate": ["P1"] * 3 + ["P2"] * 3,
               "Metadata_Well": ["A01", "A02", "A03"] * 2, "Metadata_Site": ["1"] * 6, **columns}
    return pandas.DataFrame({name: cells for name, cells in columns.items() if cells is not None})


def read(folder, frame, *texts, roles=None):
    """The fields with tables joined, in order."""
    paths = [folder / f"{number}.csv" for number in range(len(texts))]
    for path, text in zip(paths, texts):
        path.write_text(text)
    return read_table(frame, join=paths, roles=roles)


def cells(table, column):
    return table.column(column).tolist()


def notes(table):
    return " | ".join(table.notes)


PLATES = "Assay_Plate_Barcode,Plate_Map_Name\nP1,C-1\nP2,C-2\n"
MAP = ("plate_map_name\twell_position\tbroad_sample\n"
       "C-1\tA1\tDMSO\nC-1\tA2\ttaxol\nC-2\tA01\ttaxol\nC-2\tA02\tDMSO\n")
NAMED = {"plate": "Assay_Plate_Barcode", "well": "well_position"}


# ---- which columns -------------------------------------------------------------------------------


def test_a_list_of_plates(tmp_path):
    table = read(tmp_path, fields(), "plate,Cell_line,Hours\nP1,A549,24\nP2,U2OS,48\n")
    assert cells(table, "Cell_line") == ["A549"] * 3 + ["U2OS"] * 3
    assert table.notes == ["0.csv joined on plate: 6 of 6 fields have a row"]
    with pytest.raises(InputError, match="line 3: plate P1 is there twice"):
        read(tmp_path, fields(), "plate,Cell_line\nP1,A549\nP1,U2OS\n")


def test_maps_in_sequence(tmp_path):
    """Plate to map name, map name and well to compound, compound to mechanism."""
    table = read(tmp_path, fields(), PLATES, MAP, "broad_sample,moa\nDMSO,none\ntaxol,Mt\n",
                 roles=NAMED)
    assert cells(table, "broad_sample") == ["DMSO", "taxol", "", "taxol", "DMSO", ""]
    assert cells(table, "moa") == ["none", "Mt", "", "Mt", "none", ""]
    words = notes(table)
    assert "0.csv joined on plate: 6 of 6" in words
    assert "1.csv joined on Plate_Map_Name and well: 4 of 6 fields have a row" in words
    assert "2 fields without a row, for example C-1 A03, C-2 A03" in words
    assert "2.csv joined on " in words


def test_maps_in_the_wrong_order_or_alone_are_refused(tmp_path):
    """Two maps differ in every well: never on the well alone."""
    for texts in ((MAP, PLATES), (MAP,)):
        with pytest.raises(InputError, match="well A01 is there twice.*column plate_map_name tells "
                                             "them apart, which the fields lack: --join the table"):
            read(tmp_path, fields(), *texts, roles={"well": "well_position"})


def test_one_of_several_maps_is_for_its_own_plates(tmp_path):
    """The map has one row a well, and is none of the other plates' all the same."""
    frame = fields(Plate_Map_Name=["C-1"] * 3 + ["C-2"] * 3)
    table = read(tmp_path, frame, "plate map name,well,x\nC-1,A1,a\nC-1,A2,b\n")
    assert cells(table, "x") == ["a", "b", "", "", "", ""]
    assert "joined on Plate_Map_Name and well" in notes(table)


def test_a_batch_tells_plates_of_one_name_apart(tmp_path):
    frame = fields(Metadata_Plate=["P1"] * 6, Metadata_Batch=["b1"] * 3 + ["b2"] * 3)
    table = read(tmp_path, frame, "batch,plate,well,x\nb1,P1,A1,a\n")
    assert cells(table, "x") == ["a", "", "", "", "", ""]
    table = read(tmp_path, frame, "batch,plate,cell\nb1,P1,A549\nb2,P1,U2OS\n")
    assert cells(table, "cell") == ["A549"] * 3 + ["U2OS"] * 3
    assert table.notes[0].startswith("0.csv joined on batch and plate:")


def test_a_further_column_takes_part_where_rows_repeat_without_it(tmp_path):
    frame = fields(Time=["0", "24", "48"] * 2, Metadata_Well=["A01"] * 6)
    table = read(tmp_path, frame, "plate,well,time,x\nP1,A1,0,a\nP1,A1,24,b\nP2,A1,0,c\n")
    assert cells(table, "x") == ["a", "b", "", "c", "", ""]
    assert "Time takes part, since its rows repeat plate and well" in notes(table)


def test_a_column_of_one_name_where_no_role_is_shared(tmp_path):
    frame = fields(Metadata_Plate=None, Metadata_Well=None, ImageNumber=list("123456"))
    table = read(tmp_path, frame, "ImageNumber,good\n1,y\n2,n\n")
    assert cells(table, "good") == ["y", "n", "", "", "", ""]
    frame = fields(Metadata_Plate=None, Metadata_Well=None, s=list("abc") * 2, t=list("uvv") * 2)
    with pytest.raises(InputError, match="may be joined on s, t, which disagree"):
        read(tmp_path, frame, "s,t,x\na,v,1\nb,u,2\n")


@pytest.mark.parametrize(("header", "rows"), [
    ("plate,Row,Column,x", ["P1,1,1,a", "P1,1,2,b", "P2,1,3,c"]),
    ("plate,Well_Row,Well_Col,x", ["P1,A,1,a", "P1,a,02,b", "P2,A,3.0,c"]),
])
def test_row_and_column_make_a_well(tmp_path, header, rows):
    table = read(tmp_path, fields(), "\n".join([header, *rows]) + "\n")
    assert cells(table, "x") == ["a", "b", "", "", "", "c"]
    assert "are its wells, for example A01" in notes(table)


def test_rows_that_count_from_0_are_refused(tmp_path):
    """1 would be the first row or the second."""
    with pytest.raises(InputError, match="columns Row and Column count from 0"):
        read(tmp_path, fields(), "plate,Row,Column,x\nP1,0,0,a\nP1,1,1,b\n")


def test_wells_of_a_map_and_fields_without(tmp_path):
    with pytest.raises(InputError, match="nothing says which wells the fields .* are in: --role"):
        read(tmp_path, fields(Metadata_Well=None), "plate,well,x\nP1,A1,a\n")
    with pytest.raises(InputError, match="nothing tells which.*--role well=Position$"):
        read(tmp_path, fields(), "Kind,Position,x\nB1,A1,a\nB1,A2,b\n")


def test_plates_of_the_map_in_a_column_of_the_fields(tmp_path):
    """The other way round than plates of the fields in a column of the map."""
    frame = fields(Metadata_Plate=None, No=["P1"] * 3 + ["P2"] * 3)
    with pytest.raises(InputError, match="column No holds plates of 0.csv.*--role plate=No"):
        read(tmp_path, frame, "plate,well,x\nP1,A1,a\n")
    table = read(tmp_path, frame, "plate,well,x\nP1,A1,a\n", roles={"plate": "No"})
    assert cells(table, "x") == ["a", "", "", "", "", ""]


def test_a_column_of_either_table_in_either_spelling(tmp_path):
    frame = fields(Metadata_Plate=None, barcode=["P1"] * 3 + ["P2"] * 3)
    for word in ("plate", "Metadata_Plate", "barcode"):
        name = "barcode" if word == "barcode" else "plate"
        mine = frame.rename(columns={"barcode": name})
        table = read(tmp_path, mine, f"{name},well,x\nP2,A1,a\n", roles={"plate": word})
        assert cells(table, "x") == ["", "", "", "a", "", ""]


# ---- spellings -----------------------------------------------------------------------------------


def test_12_and_0012_and_12_0_are_one_plate(tmp_path):
    frame = fields(Metadata_Plate=["0012"] * 3 + ["13"] * 3)
    table = read(tmp_path, frame, "plate,well,x\n12,A1,a\n13.0,A1,b\n")
    assert cells(table, "x") == ["a", "", "", "b", "", ""]
    assert "plate: as numbers 12 of it is 0012 of the fields, 13.0 of it is 13" in notes(table)


def test_a_number_that_may_be_two_plates_is_said(tmp_path):
    frame = fields(Metadata_Plate=["0012"] * 3 + ["12"] * 3)
    table = read(tmp_path, frame, "plate,well,x\n12,A1,a\n012,A1,b\n")
    assert cells(table, "x") == ["", "", "", "a", "", ""]
    assert "plate: 012 of it may be 0012, 12: it is taken for none of them" in notes(table)
    with pytest.raises(InputError, match="no field .* 012 of it may be 0012, 12"):
        read(tmp_path, frame, "plate,well,x\n012,A1,b\n")
    # in a grid too
    with pytest.raises(InputError, match="'012' before this grid is no plate"):
        read(tmp_path, frame, "012,\nx,1\nA,y\n")
    table = read(tmp_path, frame, "12,\nx,1\nA,y\n")
    assert cells(table, "x") == ["", "", "", "y", "", ""]


def test_spellings_of_sites_doses_and_names_of_columns():
    sites = comparable("site", {"1", "02", "s3"}, {"01", "site 2", "f03"})[0]
    assert [sites[cell] for cell in ("1", "01", "02", "site 2", "s3", "f03")] == list("112233")
    doses = comparable("concentration", {"0.3", "low", ""}, {"0.300000", "3e-1", "0.31"})[0]
    assert doses["0.3"] == doses["0.300000"] == doses["3e-1"] != doses["0.31"]
    assert doses["low"] == "low" and doses[""] == ""
    assert plain_name("Metadata_Plate_Map_Name") == plain_name("plate map name")
    assert same_numbers({"0012"}, {"12", "012"})[0] == {"12": "12", "012": "012"}


def test_a_barcode_that_a_spreadsheet_shortened(tmp_path):
    frame = fields(Metadata_Plate=["201235000123"] * 6)
    with pytest.raises(InputError, match=r"2.01235E\+11 looks like a long number"):
        read(tmp_path, frame, "plate,well,x\n2.01235E+11,A1,b\n")


def test_names_that_differ_by_case_or_blanks_are_said(tmp_path):
    frame = fields(Metadata_Compound=["DMSO", "Taxol", "Eg5 inh"] * 2)
    table = read(tmp_path, frame, "compound,moa\ndmso,a\nTaxol,b\neg5inh,c\n")
    assert cells(table, "moa") == ["", "b", ""] * 2
    assert "'DMSO' and 'dmso', 'Eg5 inh' and 'eg5inh' of it differ by case or blanks only, and " \
           "are not joined" in notes(table)
    with pytest.raises(InputError, match="no field.*'DMSO' and 'dmso' of it differ by case"):
        read(tmp_path, frame, "compound,moa\ndmso,a\n")


def test_a_compound_without_a_dose_has_its_row(tmp_path):
    frame = fields(Metadata_Compound=["DMSO", "t", "t"] * 2,
                   Metadata_Concentration=["", "1", "2"] * 2)
    table = read(tmp_path, frame, "compound,concentration,moa\nDMSO,,n\nt,1,m\nt,2,m\n")
    assert cells(table, "moa") == ["n", "m", "m"] * 2


# ---- rows ----------------------------------------------------------------------------------------


def test_rows_that_repeat_another_and_rows_without_a_key(tmp_path):
    table = read(tmp_path, fields(), "plate,well,x\nP1,A1,a\nP1,A01,a\n,A2,b\nP2,,c\n")
    assert cells(table, "x") == ["a", "", "", "", "", ""]
    assert "1 row of it only repeat another, as line 3" in notes(table)
    assert "2 rows of it (line 4, 5) without plate or well belong to no field" in notes(table)


def test_a_wholly_empty_column_is_no_part_of_a_key(tmp_path):
    table = read(tmp_path, fields(Metadata_Plate=["P1"] * 6), "plate,well,x\n,A1,a\n")
    assert table.notes[0].startswith("0.csv joined on well:")


def test_large_tables_are_joined_in_time(tmp_path):
    """Every row alone: nothing is compared with everything."""
    n = 20_000
    frame = pandas.DataFrame({"FileName_A": "a.tif", "compound": "c", "concentration": [
        f"{number / 10}" for number in range(n)]})
    text = "\n".join(f"c,{number / 10:.3f},{number}" for number in range(5, n + 5))
    table = read(tmp_path, frame, f"compound,concentration,x\n{text}\n")
    assert cells(table, "x")[5:] == [str(number) for number in range(5, n)]
    assert f"{n - 5:,} of {n:,} fields have a row; 5 of its rows have no field" in notes(table)


def test_roles_by_the_names_in_use(tmp_path):
    """As in the table of fields, and said."""
    table = read(tmp_path, fields(), PLATES, MAP)
    assert cells(table, "broad_sample") == ["DMSO", "taxol", "", "taxol", "DMSO", ""]
    assert "; taken by the names of its columns: well_position for the well" in notes(table)
    table = read(tmp_path, fields(), ",Well,x\n0,r01c02,a\n1,r01c03,b\n")
    assert cells(table, "x") == ["", "a", "b"] * 2


def test_a_column_that_is_like_a_role_takes_it_from_none(tmp_path):
    """The compound of the fields stays, though the map has one by another name."""
    frame = fields(Metadata_Compound=["Sample"] * 6)
    table = read(tmp_path, frame, "plate,well,drug\nP1,A1,DMSO\n")
    assert set(table.role("compound")) == {"Sample"} and cells(table, "drug")[0] == "DMSO"
    assert "its compound, drug, differs from Metadata_Compound in 1 of 6 fields" in notes(table)
