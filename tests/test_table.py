# SPDX-License-Identifier: BSD-3-Clause
"""Tables of fields: reading, writing, the BBBC013 folder, and every way a table can be wrong."""

import csv
import gzip
import os

import numpy as np
import pandas
import pytest

from phenoscale.csv_file import read_csv, write_csv
from phenoscale.errors import InputError, listed
from phenoscale.presets import PRESETS, folder_table, read_source
from phenoscale.table import normalise_well, read_table, write_table

SCREEN = """\
Image_FileName_DNA,Image_PathName_DNA,Image_FileName_Actin,Image_PathName_Actin,\
Metadata_Plate,Metadata_Well,Metadata_Site,moa,Metadata_Concentration
a1.tif,plate1,b1.tif,plate1,P1,b2,1,Actin,0.30
a2.tif,/far/away,b2.tif,plate1,P1,B02,2,,1e-3
a3.tif,plate2/../plate3,b3.tif,,007,B12,1,Eg5,
"""


@pytest.fixture
def write(tmp_path):
    """Write text or bytes as screen.csv; its path."""

    def write(content, name="screen.csv"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return str(path)

    return write


def fails(path, **options):
    """The one sentence that reading the table ends in."""
    with pytest.raises(InputError) as error:
        read_table(path, **options)
    sentence = str(error.value)
    assert "\n" not in sentence
    return sentence


# ---- what is read ------------------------------------------------------------------------------


def test_loaddata_csv(write, tmp_path):
    table = read_table(write(SCREEN))
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
    assert table.role("concentration").tolist() == ["0.30", "1e-3", ""]
    assert table.role("batch") is None
    assert table.column("moa").tolist() == ["Actin", "", "Eg5"]
    assert table.lines == [2, 3, 4]
    assert table.place(2) == f"{tmp_path}/screen.csv line 4 (well 007 B12)"


def test_channels_root_and_roles_can_be_chosen(write):
    text = SCREEN.replace("Metadata_Plate", "Barcode").replace("Metadata_Well", "Position")
    roles = {"plate": "Barcode", "well": "Position"}
    table = read_table(write(text), channels=["Actin", "DNA"], roles=roles, root="/images")
    assert table.channels == ["Actin", "DNA"]
    assert table.paths[0] == ["/images/plate1/b1.tif", "/images/plate1/a1.tif"]
    assert table.role("well").tolist() == ["B02", "B02", "B12"]
    assert read_table(write(SCREEN), channels=["DNA"]).paths[1] == ["/far/away/a2.tif"]


@pytest.mark.parametrize("ends", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_line_ends_and_marks(write, ends, mark):
    plain = read_table(write(SCREEN))
    other = read_table(write(mark + SCREEN.replace("\n", ends).encode(), "other.csv"))
    assert other.frame.equals(plain.frame) and other.lines == plain.lines


def test_quotes_blanks_empty_lines_and_columns(write):
    table = read_table(write('"FileName_A", moa ,,\n\n "x, y.tif",  two words ,,\n'))
    assert table.column("Image_FileName_A").tolist() == ["x, y.tif"]
    assert table.column("moa").tolist() == ["two words"]
    assert list(table.frame.columns) == ["Image_FileName_A", "moa"]
    assert table.lines == [3]
    assert table.file_columns == {"A": "FileName_A"}


def test_lines_count_line_ends_within_quotes(write):
    path = write('FileName_A,note\na.tif,"one\ntwo"\nb.tif,x\n')
    assert read_table(path).lines == [2, 4]


def test_gzip(write):
    table = read_table(write(gzip.compress(SCREEN.encode()), "screen.csv.gz"))
    assert table.column("moa").tolist() == ["Actin", "", "Eg5"]


def test_data_frame_gives_the_same_cells(write):
    from_csv = read_table(write(SCREEN), root="/r")
    frame = pandas.read_csv(write(SCREEN), dtype={"Metadata_Plate": str})
    frame.loc[1, "Metadata_Concentration"] = np.nan
    from_frame = read_table(frame.convert_dtypes(), root="/r")
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


def test_select_keeps_the_lines(write):
    table = read_table(write(SCREEN))
    for which in ([False, True, True], [1, 2], np.array([1, 2])):
        part = table.select(which)
        assert part.lines == [3, 4] and part.frame.index.tolist() == [0, 1]
        assert part.paths == table.paths[1:] and part.column("moa").tolist() == ["", "Eg5"]
    assert len(table.select([])) == 0


def test_digest_is_of_the_content_not_the_place(write):
    digest = read_table(write(SCREEN)).digest()
    assert len(digest) == 64
    assert read_table(write(SCREEN, "copy.csv"), root="/elsewhere").digest() == digest
    assert read_table(write(SCREEN.replace("plate1", "plate9"))).digest() == digest
    for change in (("Eg5", "Eg6"), ("a3.tif", "a4.tif"), ("moa", "mao")):
        assert read_table(write(SCREEN.replace(*change))).digest() != digest
    assert read_table(write(SCREEN), channels=["Actin", "DNA"]).digest() != digest


def test_bbbc021_names(write):
    text = (
        "TableNumber,Image_FileName_DAPI,Image_PathName_DAPI,Image_FileName_Actin,"
        "Image_PathName_Actin,Image_Metadata_Plate_DAPI,Image_Metadata_Well_DAPI,"
        "Image_Metadata_Compound\n4,d.tif,W4,a.tif,W4,Week4_27481,G10,taxol\n"
    )
    table = read_table(write(text))
    assert set(table.roles) == {"plate", "well", "compound"}
    assert table.role("plate").tolist() == ["Week4_27481"]
    given = read_table(write(text), roles={"plate": "Image_Metadata_Plate_DAPI"})
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


def test_written_table_reads_the_same(write, tmp_path):
    table = read_table(write(SCREEN), channels=["Actin"])
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


def test_formulas_are_defused_and_numbers_are_not(tmp_path):
    cells = ["=1+1", "+x", "-x", "@f", "\tx", "-0.5", "+1e3", "plain", "＝1"]
    frame = pandas.DataFrame({"name": cells, "value": -1.5, "Image_FileName_A": "=a.tif"})
    write_csv(frame, tmp_path / "out.csv")
    with open(tmp_path / "out.csv", newline="") as file:
        rows = list(csv.reader(file))[1:]
    expected = ["'=1+1", "'+x", "'-x", "'@f", "'\tx", "-0.5", "+1e3", "plain", "'＝1"]
    assert [row[0] for row in rows] == expected
    assert {row[1] for row in rows} == {"-1.5"} and {row[2] for row in rows} == {"=a.tif"}


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
        ("FileName_A;moa\na;0,3\n", ["line 1 has no commas"]),
        ("FileName_A\tmoa\na\tb\n", ["line 1 has no commas"]),
        ('FileName_A,x\na,1\nb,"2\nc,3\n', ["line 3 is not well-formed"]),
        ("FileName_A,x\na,1\nb," + "2" * 200000, ["line 3 is not well-formed", "field limit"]),
        ("FileName_A,x\na,1\nb,\0\n", ["line 3 has a zero byte"]),
        (b"FileName_A,x\na,1\nb,\xb5\n", ["line 3 is not UTF-8", "save it as"]),
        (SCREEN.encode("utf-16"), ["line 1 is not UTF-8"]),
        (SCREEN.replace("b2.tif", ""), ["line 3 (well P1 B02)", "Image_FileName_Actin is empty"]),
        ("FileName_A,x\na,1\n\n,2\n", ["line 4", "column FileName_A is empty"]),
    ],
)
def test_broken_tables(write, text, words):
    path = write(text)
    sentence = fails(path)
    assert path in sentence
    for word in words:
        assert word in sentence, sentence


def test_broken_gzip(write):
    path = write(gzip.compress(SCREEN.encode())[:-20], "short.csv.gz")
    assert path in fails(path)
    assert "cannot be read" in fails(write(SCREEN, "plain.csv.gz"))


def test_unknown_names_are_answered_with_the_closest(write):
    path = write(SCREEN)
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


# ---- folders -----------------------------------------------------------------------------------


def test_bbbc013_layout(shared_data):
    folder = shared_data("bbbc013")
    table = folder_table(folder, "bbbc013")
    assert (len(table), table.channels) == (96, ["GFP", "DNA"])
    header, rows, _ = read_csv(str(folder / "1049_Metadata.csv"))
    controls = {"-1": "negative", "1": "positive", "0": ""}
    for row, line in enumerate(rows):
        true = dict(zip(header, line))
        cells = table.frame.iloc[row]
        well = f"{true['Row']}{true['Column']}"
        assert cells["Metadata_Well"] == well
        assert (cells["Metadata_Row"], cells["Metadata_Column"]) == (true["Row"], true["Column"])
        assert cells["Metadata_Concentration"] == true["SBS_Doses"]
        assert cells["Metadata_Control"] == controls[true["SBS_Controls"]]
        assert cells["Metadata_Compound"] == ("Wortmannin" if true["Row"] < "E" else "LY294002")
        assert (cells["Metadata_Plate"], cells["Metadata_Site"]) == ("BBBC013", "1")
        for c, path in enumerate(table.paths[row]):
            name = f"Channel{c + 1}-{int(true['ImageNumber']):02d}-{well[0]}-{well[1:]}.tif"
            assert path == str(folder / name) and os.path.isfile(path)
    assert set(table.roles) == {"plate", "well", "site", "compound", "concentration"}
    assert "dose ranks" in table.notes[0]


@pytest.fixture
def plate(tmp_path):
    for name in PRESETS["bbbc013"].channels:
        for well in ("01-A-01", "12-A-12", "50-E-02"):
            (tmp_path / f"Channel{name}-{well}.tif").touch()
    (tmp_path / "Channel2ILLUM.mat").touch()
    (tmp_path / "Channel1-97-I-01.tif").touch()
    return tmp_path


def test_part_of_a_folder(plate):
    table = read_source(plate, "bbbc013", channels=["DNA"], roles={"batch": "Metadata_Row"})
    assert table.role("well").tolist() == ["A01", "A12", "E02"]
    assert table.column("Metadata_Control").tolist() == ["negative", "positive", "negative"]
    assert table.role("batch").tolist() == ["A", "A", "E"]
    assert table.place(1) == f"{plate} row 2 (well BBBC013 A12)"
    write_table(table, plate / "t.csv")
    assert read_source(plate / "t.csv").paths == table.paths


def test_wrong_folders(plate):
    def sentence(*arguments):
        with pytest.raises(InputError) as error:
            read_source(*arguments)
        return str(error.value)

    assert "unknown preset bbbc13: there are bbbc013" in sentence(plate, "bbbc13")
    assert "say with --preset" in sentence(plate)
    (plate / "t.csv").write_text(SCREEN)
    assert "t.csv is no folder" in sentence(plate / "t.csv", "bbbc013")
    (plate / "Channel2-12-A-12.tif").unlink()
    assert "well A12 has no file of channel DNA beside Channel1-12-A-12" in sentence(
        plate, "bbbc013"
    )
    (plate / "Channel1-13-A-12.tif").touch()
    assert "for one well and channel" in sentence(plate, "bbbc013")
    (plate / "empty").mkdir()
    assert "no file named like Channel1-01-A-01.tif" in sentence(plate / "empty", "bbbc013")
