# SPDX-License-Identifier: BSD-3-Clause
"""Tables of fields: reading, writing, the BBBC013 folder, and every way a table can be wrong."""

import gzip
import os
import subprocess
import sys

import numpy as np
import pandas
import pytest

from calls import fails
from phenoscale.errors import InputError
from phenoscale.files.csv import write_csv
from phenoscale.tables.read import read_table
from phenoscale.tables.table import write_table
from phenoscale.tables.wells import normalise_well
from phenoscale.words import listed

SCREEN = """\
Image_FileName_DNA,Image_PathName_DNA,Image_FileName_Actin,Image_PathName_Actin,\
Metadata_Plate,Metadata_Well,Metadata_Site,moa,Metadata_Concentration
a1.tif,plate1,b1.tif,plate1,P1,b2,1,Actin,0.30
a2.tif,/far/away,b2.tif,plate1,P1,B02,2,,1e-3
a3.tif,plate2/../plate3,b3.tif,,007,B12,1,Eg5,
"""


# ---- what is read ------------------------------------------------------------------------------


def test_loaddata_csv(write_text, tmp_path):
    table = read_table(write_text(SCREEN))
    assert len(table) == 3
    assert table.channels == ["DNA", "Actin"]
    assert table.paths == [
        [f"{tmp_path}/plate1/a1.tif", f"{tmp_path}/plate1/b1.tif"],
        ["/far/away/a2.tif", f"{tmp_path}/plate1/b2.tif"],
        [f"{tmp_path}/plate3/a3.tif", f"{tmp_path}/b3.tif"],
    ]
    assert table.roles == {
        "plate": "Metadata_Plate",
        "well": "Metadata_Well",
        "site": "Metadata_Site",
        "concentration": "Metadata_Concentration",
    }
    assert table.role("well").tolist() == ["B02", "B02", "B12"]
    assert table.role("plate").tolist() == ["P1", "P1", "007"]  # text stays text
    assert table.role("concentration").tolist() == ["0.3", "0.001", ""]
    assert table.role("batch") is None
    assert table.column("moa").tolist() == ["Actin", "", "Eg5"]
    assert table.lines == [2, 3, 4]
    assert table.place(2) == f"{tmp_path}/screen.csv line 4 (well 007 B12)"


def test_channels_root_and_roles_can_be_chosen(write_text, tmp_path):
    root = tmp_path / "images"
    root.mkdir()
    text = SCREEN.replace("Metadata_Plate", "Barcode").replace("Metadata_Well", "Position")
    roles = {"plate": "Barcode", "well": "Position"}
    table = read_table(write_text(text.replace("/far/away", "far")), channels=["Actin", "DNA"],
                       roles=roles, root=root)
    assert table.channels == ["Actin", "DNA"]
    assert table.paths[0] == [f"{root}/plate1/b1.tif", f"{root}/plate1/a1.tif"]
    assert table.role("well").tolist() == ["B02", "B02", "B12"]
    assert read_table(write_text(SCREEN), channels=["DNA"]).paths[1] == ["/far/away/a2.tif"]
    renamed = read_table(write_text(SCREEN), channels=["Nuclei=DNA", "Second=Actin:1"])
    assert renamed.channels == ["Nuclei", "Second"]
    assert [c.plane for c in renamed.sources] == [None, 1]
    assert renamed.paths[0] == [f"{tmp_path}/plate1/a1.tif", f"{tmp_path}/plate1/b1.tif"]


@pytest.mark.parametrize("ends", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_line_ends_and_marks(write_text, ends, mark):
    plain = read_table(write_text(SCREEN))
    other = read_table(write_text(mark + SCREEN.replace("\n", ends).encode(), "other.csv"))
    assert other.frame.equals(plain.frame) and other.lines == plain.lines


def test_quotes_blanks_empty_lines_and_columns(write_text):
    table = read_table(write_text('"FileName_A", moa ,,\n\n "x, y.tif",  two words ,,\n'))
    assert table.column("Image_FileName_A").tolist() == ["x, y.tif"]
    assert table.column("moa").tolist() == ["two words"]
    assert list(table.frame.columns) == ["Image_FileName_A", "moa"]
    assert table.lines == [3]
    assert table.file_columns == {"A": "FileName_A"}


def test_lines_count_line_ends_within_quotes(write_text):
    path = write_text('FileName_A,note\na.tif,"one\ntwo"\nb.tif,x\n')
    assert read_table(path).lines == [2, 4]


@pytest.mark.parametrize("mark", ["utf-16", "utf-8"])
@pytest.mark.parametrize("delimiter", [";", "\t"])
def test_other_delimiters(write_text, delimiter, mark):
    """As spreadsheets of other countries save them: semicolons and decimal commas, tabs, UTF-16."""
    text = SCREEN.replace(",", delimiter).replace("0.30", "0,30").encode(mark)
    plain, other = read_table(write_text(SCREEN)), read_table(write_text(text, "other.csv"))
    assert other.frame.equals(plain.frame) and other.paths == plain.paths


def test_index_of_deepprofiler(write_text, tmp_path):
    """A path column a channel, and nothing else that names files."""
    table = read_table(write_text(
        "Metadata_Plate,Metadata_Well,Metadata_Site,DNA,ER,Treatment,Replicate\n"
        "P1,a01,1,P1/a_d.tif,P1/a_e.tiff,taxol.tif like,1\nP1,A02,1,P1/b_d.tif,,DMSO,1\n"))
    assert table.channels == ["DNA", "ER"] and table.role("well").tolist() == ["A01", "A02"]
    assert table.paths == [[f"{tmp_path}/P1/a_d.tif", f"{tmp_path}/P1/a_e.tiff"],
                           [f"{tmp_path}/P1/b_d.tif", ""]]
    assert table.place(0).endswith("line 2 (well P1 A01)") and table.file_column(0) == "DNA"


def test_bare_roles(write_text):
    table = read_table(write_text("file,compound,Concentration,moa,plate,WELL,replicate\n"
                             "a.png,taxol,0.3,Eg5,P1,b2,3\n"))
    assert table.channels == ["file"] and table.column("moa").tolist() == ["Eg5"]
    assert table.roles == {role: f"Metadata_{role.capitalize()}" for role in
                           ("plate", "well", "compound", "concentration")}
    # a Metadata_ column of the same role wins
    both = read_table(write_text("FileName_A,plate,Metadata_Plate\na.tif,x,P1\n"))
    assert both.role("plate").tolist() == ["P1"] and both.column("plate").tolist() == ["x"]


def test_other_columns_are_not_taken_for_files(write_text):
    table = read_table(write_text("FileName_A,Sample_ID,Frame_Rate,Series_2,URL_B,PathName_A\n"
                             "a.tif,7,25,x,file:///d/b%20c.tif,p\n"))
    assert table.channels == ["A", "B"] and table.paths[0][1] == "/d/b c.tif"
    assert {"Sample_ID", "Frame_Rate", "Series_2"} <= set(table.frame.columns)


def test_a_huge_table(write_text, tmp_path):
    """A million rows are read, in bounded memory."""
    rows = "".join(f"f{i}.tif,P{i % 55},A{i % 12 + 1:02d},Eg5 inhibitors\n" for i in range(10**6))
    path = write_text("FileName_A,Metadata_Plate,Metadata_Well,moa\n" + rows)
    code = ("import resource, sys; from phenoscale.tables.read import read_table;"
            "table = read_table(sys.argv[1]); assert len(table) == 10**6;"
            "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)")
    done = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 3_000_000  # KiB


@pytest.mark.soak
def test_mutated_tables(write_text, amount):
    """A table or an InputError of one line, whatever the bytes."""
    random, n_read = np.random.default_rng(0), 0
    base = (SCREEN * 3).encode()
    pieces = [b",", b'"', b"\n", b"\r", b";", b"\t", b"\0", b"\xff", b"\xef\xbb\xbf", b"'", b"=",
              b"../", b"C:\\", b"\xff\xfe", b"PK\x03\x04", "細".encode(), b"x" * 5000]
    n = amount(3000, 300_000)
    for _ in range(n):
        mutant = bytearray(base)
        for _ in range(random.integers(1, 3)):
            at = random.integers(len(mutant))
            piece = pieces[random.integers(len(pieces))]
            mutant[at : at + random.integers(0, 9)] = piece
        if random.random() < 0.1:
            mutant = mutant[: random.integers(len(mutant))]
        try:
            n_read += len(read_table(write_text(bytes(mutant)))) > 0
        except InputError as error:
            assert "\n" not in str(error) and "screen.csv" in str(error)
    assert 0.1 < n_read / n < 0.9, n_read


def test_gzip(write_text):
    table = read_table(write_text(gzip.compress(SCREEN.encode()), "screen.csv.gz"))
    assert table.column("moa").tolist() == ["Actin", "", "Eg5"]


def test_data_frame_gives_the_same_cells(write_text, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    from_csv = read_table(write_text(SCREEN))
    frame = pandas.read_csv(write_text(SCREEN), dtype={"Metadata_Plate": str})
    frame.loc[1, "Metadata_Concentration"] = np.nan
    from_frame = read_table(frame.convert_dtypes())
    assert from_frame.paths == from_csv.paths
    assert from_frame.column("Metadata_Site").tolist() == ["1", "2", "1"]
    assert from_frame.column("Metadata_Concentration").tolist() == ["0.3", "", ""]
    assert from_frame.column("moa").tolist() == ["Actin", "", "Eg5"]
    assert from_frame.place(1) == "the DataFrame row 1 (well P1 B02)"


def test_whole_floats_of_a_frame_lose_their_point():
    frame = pandas.DataFrame({"FileName_A": ["a", "b"], "label": [1.0, np.nan]})
    assert read_table(frame).column("label").tolist() == ["1", ""]


def test_wells():
    names = ["b2", "B02", "B-2", "b 002", "P24", "AF48", "", "17", "B123", "well"]
    clean = ["B02", "B02", "B02", "B02", "P24", "AF48", "", "17", "B123", "well"]
    assert [normalise_well(name) for name in names] == clean


def test_select_keeps_the_lines(write_text):
    table = read_table(write_text(SCREEN))
    for which in ([False, True, True], [1, 2], np.array([1, 2])):
        part = table.select(which)
        assert part.lines == [3, 4] and part.frame.index.tolist() == [0, 1]
        assert part.paths == table.paths[1:] and part.column("moa").tolist() == ["", "Eg5"]
    assert len(table.select([])) == 0


def test_digest_is_of_the_content_not_the_place(write_text):
    digest = read_table(write_text(SCREEN)).digest()
    assert len(digest) == 64
    moved = SCREEN.replace("plate", "/elsewhere/plate")
    assert read_table(write_text(moved, "copy.csv")).digest() == digest
    assert read_table(write_text(SCREEN.replace("plate1", "plate9"))).digest() == digest
    for change in (("Eg5", "Eg6"), ("a3.tif", "a4.tif"), ("moa", "mao")):
        assert read_table(write_text(SCREEN.replace(*change))).digest() != digest
    assert read_table(write_text(SCREEN), channels=["Actin", "DNA"]).digest() != digest


def test_bbbc021_names(write_text):
    text = (
        "TableNumber,Image_FileName_DAPI,Image_PathName_DAPI,Image_FileName_Actin,"
        "Image_PathName_Actin,Image_Metadata_Plate_DAPI,Image_Metadata_Well_DAPI,"
        "Image_Metadata_Compound\n4,d.tif,W4,a.tif,W4,Week4_27481,G10,taxol\n"
    )
    table = read_table(write_text(text))
    assert set(table.roles) == {"plate", "well", "compound"}
    assert table.role("plate").tolist() == ["Week4_27481"]
    given = read_table(write_text(text), roles={"plate": "Image_Metadata_Plate_DAPI"})
    assert given.roles == table.roles


def test_real_bbbc021_table(shared_data):
    path = shared_data("bbbc021_tables") / "BBBC021_v1_image.csv.gz"
    table = read_table(path)
    assert (len(table), table.channels) == (13200, ["DAPI", "Tubulin", "Actin"])
    assert table.role("plate").nunique() == 55
    assert len({table.well_name(row) for row in range(0, 13200, 4)}) == 3300
    assert table.role("compound").nunique() == 113


def test_real_tables_without_files(shared_data):
    folder = shared_data("bbbc021_tables")
    for name in ("BBBC021_v1_moa.csv", "idr0035-screenA-annotation.csv.gz"):
        sentence = fails(folder / name)
        assert name in sentence and "Image_FileName_<channel>" in sentence


# ---- what is written ---------------------------------------------------------------------------


def test_written_table_reads_the_same(write_text, tmp_path):
    table = read_table(write_text(SCREEN), channels=["Actin"])
    out = tmp_path / "elsewhere" / "clean.csv"
    out.parent.mkdir()
    write_table(table, out)
    again = read_table(out)
    assert list(again.frame.columns) == [
        "Image_FileName_Actin",
        "Image_PathName_Actin",
        "Metadata_Plate",
        "Metadata_Well",
        "Metadata_Site",
        "Metadata_Concentration",
        "moa",
    ]
    assert (again.paths, again.roles) == (table.paths, table.roles)
    assert again.column("moa").tolist() == ["Actin", "", "Eg5"]
    assert os.listdir(out.parent) == ["clean.csv"]


def test_nothing_is_left_half_written(tmp_path):
    (tmp_path / "taken").mkdir()
    for path in (tmp_path / "no folder" / "out.csv", tmp_path / "taken"):
        with pytest.raises(InputError, match="cannot be written"):
            write_csv(pandas.DataFrame({"a": [1]}), path)
    assert os.listdir(tmp_path) == ["taken"]


# ---- what is refused ---------------------------------------------------------------------------


def test_missing_file_and_folder(tmp_path):
    assert "nothing.csv does not exist" in fails(tmp_path / "nothing.csv")
    sentence = fails(tmp_path)
    assert "is a folder" in sentence and "--preset" in sentence


@pytest.mark.parametrize(
    "text, words",
    [
        ("", ["no fields"]),
        ("FileName_A,moa\n", ["no fields", "one row for each field"]),
        ("Plate,Well\nP,A01\n", ["no column Image_FileName_<channel>"]),
        ("FileName_A,x\na.tif,1\nb.tif\n", ["line 3 has 1 cells", "header has 2"]),
        ("FileName_A,x\na.tif,1,2\n", ["line 2 has 3 cells"]),
        ("FileName_A,moa,moa\na,b,c\n", ["line 1", "column moa is there twice"]),
        ("FileName_A,Image_FileName_A\na,b\n", ["FileName_A and Image_FileName_A", "twice"]),
        ("FileName_A,,x\na,b,c\n", ["line 1", "column 2 has no name"]),
        ("FileName_A;moa\na;b;c\n", ["line 2 has 3 cells"]),
        ("FileName_A\tmoa\na\n", ["line 2 has 1 cells"]),
        ('FileName_A,x\na,1\nb,"2\nc,3\n', ["line 3 is not well-formed"]),
        ("FileName_A,x\na,1\nb," + "2" * 2000000, ["line 3 is not well-formed", "field limit"]),
        ("FileName_A,x\na,1\nb,\0\n", ["line 3 has a zero byte"]),
        (b"FileName_A,x\na,1\nb,\xb5\n", ["line 3 is not UTF-8", "save it as"]),
        (SCREEN.encode("utf-16-le"), ["line 1 has a zero byte"]),
        (SCREEN.encode("utf-16")[:-1], ["is not UTF-8"]),
        (b"PK\x03\x04 no workbook", ["cannot be read as an .xlsx workbook"]),
    ],
)
def test_broken_tables(write_text, text, words):
    path = write_text(text)
    sentence = fails(path)
    assert path in sentence
    for word in words:
        assert word in sentence, sentence


def test_broken_gzip(write_text):
    path = write_text(gzip.compress(SCREEN.encode())[:-20], "short.csv.gz")
    assert path in fails(path)
    assert "cannot be read" in fails(write_text(SCREEN, "plain.csv.gz"))


def test_unknown_names_are_answered_with_the_closest(write_text):
    path = write_text(SCREEN)
    assert "no channel Dna" in fails(path, channels=["Dna"])
    assert fails(path, channels=["Actn"]).endswith("its channels are Actin, DNA")
    assert "each channel once" in fails(path, channels=["DNA", "DNA"])
    assert "unknown role plates: the roles are plate, well" in fails(path, roles={"plates": "x"})
    sentence = fails(path, roles={"well": "Metadata_Wel"})
    assert "no column Metadata_Wel for the role well: it has Metadata_Well," in sentence
    with pytest.raises(InputError, match="no column Moa: it has moa, "):
        read_table(path).column("Moa")


def test_listed():
    assert listed([]) == "none"
    assert listed("abc", limit=2) == "a, b and 1 more"
