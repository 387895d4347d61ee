# SPDX-License-Identifier: BSD-3-Clause
"""Cells in and out: workbooks, doses as people write them, and files that read back the same."""

import csv
import gzip
import time
import zlib

import pandas
import pytest

from phenoscale.errors import InputError
from phenoscale.files.csv import read_cells, read_csv, write_csv
from phenoscale.tables.doses import tidy_doses
from phenoscale.tables.read import read_table

openpyxl = pytest.importorskip("openpyxl")


def save(tmp_path, rows, change=lambda sheet: None):
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)
    change(book.active)
    book.create_sheet("other").append(["nothing"])
    book.save(tmp_path / "screen.xlsx")
    return str(tmp_path / "screen.xlsx")


# ---- workbooks -----------------------------------------------------------------------------------


def test_workbook(tmp_path):
    """The first sheet of an .xlsx, whole numbers without a point, empty rows and columns gone."""
    table = read_table(save(tmp_path, [
        [], ["FileName_A", "Well", "Concentration", "moa"], ["a.tif", "b2", 0.3, 1.0], [],
        ["b.tif", "B03", 30, None]]))
    assert table.role("well").tolist() == ["B02", "B03"] and table.lines == [3, 5]
    assert table.role("concentration").tolist() == ["0.3", "30"]
    assert table.column("moa").tolist() == ["1", ""]


def test_merged_cells_formulas_and_leading_zeros(tmp_path):
    """What a spreadsheet shows, not what its cells hold alone."""
    def change(sheet):
        sheet.merge_cells("A2:A3")
        sheet.merge_cells("B2:C3")
        sheet["D2"].number_format = "0000"

    rows = [["plate", "x", "y", "n"], ["P1", "taxol", None, 12], [None, None, None, 13]]
    assert read_csv(save(tmp_path, rows, change))[1] == [
        ["P1", "taxol", "taxol", "0012"], ["P1", "taxol", "taxol", "13"]]
    with pytest.raises(InputError, match="cell B2 is a formula without its result: open and save"):
        read_csv(save(tmp_path, [["plate", "x"], ["P1", "=1+1"]]))


def test_a_large_workbook_is_refused_at_once(tmp_path):
    def far(sheet):
        sheet.cell(1_000_000, 1).value = "x"
        sheet.cell(1, 1000).value = "x"

    begun = time.process_time()
    with pytest.raises(InputError, match="has a sheet of 1000000 x 1000 cells: save it as CSV"):
        read_csv(save(tmp_path, [["a"]], far))
    with pytest.raises(InputError, match="unpacks to more than 16,777,216 bytes"):
        read_csv(save(tmp_path, [[f"{k} " * 6000] for k in range(900)]))
    assert time.process_time() - begun < 20


# ---- doses ---------------------------------------------------------------------------------------


def test_doses():
    given = ["0,3", "3e-4", "30 micromolar", "30 nM", "1.000000", "5 µM", "low", "", "1 dozen",
             "2 mM"]
    tidy = ["0.3", "0.0003", "30", "0.03", "1", "5", "low", "", "1 dozen", "2000"]
    assert tidy_doses(given) == tidy


def test_commas_of_both_sorts():
    """Decimal where any of the column can only be that; thousands where they can only be that."""
    assert tidy_doses(["1,250", "0,3"]) == ["1.25", "0.3"]
    assert tidy_doses(["1,000,000", "2,500.5 nM", "7"]) == ["1000000", "2.5005", "7"]
    assert tidy_doses(["10 µmol/L", "5 mmol/l", "2 nanomolar", "3 mol/l"]) == [
        "10", "5000", "0.002", "3000000"]
    for cells in (["7", "1,000 nM"], ["10,000"], ["1,000,000", "1,000"]):
        with pytest.raises(ValueError, match="may be a thousand or one: write it without"):
            tidy_doses(cells)


def test_an_unclear_dose_is_named_with_its_line(write_text):
    path = write_text('FileName_A,Well,Concentration\na.tif,A01,7\nb.tif,A02,"1,000"\n')
    with pytest.raises(InputError, match=r"line 3 \(well A02\), column Metadata_Concentration: "
                                         "'1,000' may be a thousand or one"):
        read_table(path)


# ---- what is written -----------------------------------------------------------------------------


def test_formulas_are_defused_and_numbers_are_not(tmp_path):
    cells = ["=1+1", "+x", "-x", "@f", "\tx", "-0.5", "+1e3", "plain", "＝1"]
    frame = pandas.DataFrame({"name": cells, "value": -1.5, "Image_FileName_A": "=a.tif"})
    write_csv(frame, tmp_path / "out.csv", safe=True)
    with open(tmp_path / "out.csv", newline="") as file:
        rows = list(csv.reader(file))[1:]
    expected = ["'=1+1", "'+x", "'-x", "'@f", "'\tx", "-0.5", "+1e3", "plain", "'＝1"]
    assert [row[0] for row in rows] == expected
    assert {row[1] for row in rows} == {"-1.5"} and {row[2] for row in rows} == {"=a.tif"}


def test_cells_are_as_they_are_unless_safe_ones_are_asked_for(tmp_path):
    cells = ["+DOX", "-DOX", "=1", "@x", "-0.5", "DMSO"]
    write_csv(pandas.DataFrame({"moa": cells}), tmp_path / "out.csv")
    assert pandas.read_csv(tmp_path / "out.csv", dtype=str)["moa"].tolist() == cells


def test_a_line_before_the_header(tmp_path):
    write_csv(pandas.DataFrame({"a": [1]}), tmp_path / "out.csv", before="# header l")
    assert (tmp_path / "out.csv").read_text() == "# header l\na\n1\n"


@pytest.mark.parametrize("safe", [False, True])
def test_every_text_reads_back_the_same(tmp_path, safe):
    cells = ["+", "-", "-JQ1", "@x", "=1", "'=1", "''+2", "'x", "-0.5", "'-0.5", "a\nb", 'a"b',
             "c,d", "ü µ", "+1e3"]
    frame = pandas.DataFrame({"name": cells, "FileName_A": cells}).replace("a\nb", "a\rb")
    write_csv(frame, tmp_path / "out.csv", safe)
    header, rows, _ = read_csv(str(tmp_path / "out.csv"))
    assert [row[0] for row in rows] == cells and [row[1] for row in rows] == cells
    write_csv(frame, tmp_path / "out.csv.gz", safe)
    assert gzip.decompress((tmp_path / "out.csv.gz").read_bytes()) == (
        tmp_path / "out.csv").read_bytes()
    assert read_csv(str(tmp_path / "out.csv.gz"))[1] == rows


def test_what_cannot_be_written(tmp_path):
    with pytest.raises(InputError, match="a table is written as CSV"):
        write_csv(pandas.DataFrame({"a": [1]}), tmp_path / "out.xlsx")
    with pytest.raises(InputError, match="'Gr.*udcf6.*' is not UTF-8: rename"):
        write_csv(pandas.DataFrame({"a": ["Gr\udcf6\udcdfe"]}, dtype=object), tmp_path / "out.csv")
    assert not list(tmp_path.iterdir())


def test_the_line_that_excel_understands(write_text):
    path = write_text("sep=;\nplate;x\nP1;2\n")
    assert read_csv(path) == (["plate", "x"], [["P1", "2"]], [3])


def test_titles_errors_and_cuts(tmp_path, write_text):
    """A merged title stays one cell, #N/A is no text, and a title does not choose the delimiter."""
    def change(sheet):
        sheet.merge_cells("A1:C1")

    rows = [["Plate 12", None, None], ["compound", 1, 2], ["A", "x", "y"]]
    assert read_cells(save(tmp_path, rows, change))[0][0] == ["Plate 12", "", ""]
    assert read_cells(write_text("A screen\n\nFileName_A;moa\na.tif;0,3\n"))[0][-1] == [
        "a.tif", "0,3"]


def test_points_where_a_comma_is_decimal():
    assert tidy_doses(["1.000,5", "0,3", "1.000.000"]) == ["1000.5", "0.3", "1000000"]
    with pytest.raises(ValueError, match="'1.250' may be a thousand or one: write it without"):
        tidy_doses(["0,3", "1.250"])


def test_headers_are_defused(tmp_path):
    write_csv(pandas.DataFrame({"=1+1": ["x"], "moa": ["y"]}), tmp_path / "t.csv", safe=True)
    assert (tmp_path / "t.csv").read_text().startswith("'=1+1,")
    assert read_csv(str(tmp_path / "t.csv"))[0] == ["=1+1", "moa"]


def test_packed_tables_that_unpack_to_too_much(tmp_path, monkeypatch):
    """A bomb is refused by name before it is unpacked; a table that shrinks well is none."""
    rows = b"FileName_DNA,Metadata_Well\n" + b"a.tif,A01\n" * 100_000
    (tmp_path / "dense.csv.gz").write_bytes(gzip.compress(rows, 9))
    assert len(read_cells(str(tmp_path / "dense.csv.gz"))[0]) == 100_001
    pack, seen = zlib.compressobj(9, wbits=31), []
    with open(tmp_path / "bomb.csv.gz", "wb") as file:  # 300 MB of which at most 64 are unpacked
        for _ in range(75):
            file.write(pack.compress(bytes(1 << 22)))
        file.write(pack.flush())
    inner = gzip.GzipFile.read
    monkeypatch.setattr(gzip.GzipFile, "read",
                        lambda self, n=-1: (seen.append(n), inner(self, n))[1])
    with pytest.raises(InputError, match="bomb.csv.gz unpacks to more than 100 times its size"):
        read_cells(str(tmp_path / "bomb.csv.gz"))
    assert sum(seen) <= (1 << 26) + 2 * (1 << 22) and min(seen) > 0


def test_a_parquet_of_too_much(tmp_path):
    pyarrow = pytest.importorskip("pyarrow")
    pytest.importorskip("pyarrow.parquet").write_table(
        pyarrow.table({f"c{k}": pyarrow.array([0]).take(pyarrow.array([0] * 1_000_000))
                       for k in range(10)}), tmp_path / "bomb.parquet")
    with pytest.raises(InputError, match="bomb.parquet unpacks to more than 100 times its size"):
        read_cells(str(tmp_path / "bomb.parquet"))


def test_a_sheet_of_merged_cells_without_end(tmp_path):
    book, path = openpyxl.Workbook(), tmp_path / "merged.xlsx"
    book.active["A1"] = "a"
    book.active.merged_cells.add("A2:CV30000")
    book.save(path)
    with pytest.raises(InputError, match="has 2,999,900 merged cells: save its sheet as CSV"):
        read_csv(str(path))


def test_parquet_of_a_cell_without_end(tmp_path):
    pyarrow = pytest.importorskip("pyarrow")
    parquet, path = pytest.importorskip("pyarrow.parquet"), tmp_path / "cell.parquet"
    table = pyarrow.table({"a": ["x" * (70 << 20)]})
    parquet.write_table(table, path, compression="zstd", write_statistics=False)
    with pytest.raises(InputError, match="unpacks to more than 100 times its size"):
        read_csv(str(path))
