# SPDX-License-Identifier: BSD-3-Clause
"""Folders of images: every preset on names as the instruments write them, patterns, and what is
passed over."""

import os

import pytest

from phenoscale.errors import InputError
from phenoscale.files.csv import read_csv
from phenoscale.images.survey import survey
from phenoscale.tables.folders import PRESETS
from phenoscale.tables.read import read_table
from phenoscale.tables.table import write_table

GUID = "BEDC2073-A983-4B98-95E9-84466707A25D"
#: preset -> files, then channels and (plate, well, site) of the fields they make
FOLDERS = {
    "imagexpress": (
        [f"Plate 7/TimePoint_1/Plate 7_{well}_s{site}_w{w}{end}.{'TIF' if site == 1 else 'tif'}"
         for well in ("B02", "AF48") for site in (1, 2, 10) for w in (1, 2)
         for end in (GUID, "_thumb" + GUID)],
        ["w1", "w2"], [("Plate 7", well, site) for well in ("AF48", "B02")
                       for site in ("1", "2", "10")]),
    "operetta": (
        [f"plate__2026-01-01/Images/r02c{c:02d}f{f:02d}p01-ch{ch}sk1fk1fl1.tiff"
         for c in (3, 11) for f in (1, 2) for ch in (1, 2, 10)]
        + ["plate__2026-01-01/Images/Index.idx.xml"],
        ["ch1", "ch2", "ch10"], [("plate__2026-01-01", well, site) for well in ("B03", "B11")
                                 for site in ("01", "02")]),
    "cellvoyager": (
        [f"AssayPlate_Greiner_#781091_{well}_T0001F00{f}L01A0{c}Z01C0{c}.tif"
         for well in ("B02", "P24") for f in (1, 2) for c in (1, 2)] + ["DC_sony_1.tif"],
        ["C01", "C02"], [("AssayPlate_Greiner_#781091", well, site) for well in ("B02", "P24")
                         for site in ("001", "002")]),
    "incell": (
        [f"{row} - {column}(fld {f} wv {w}).tif" for row, column in (("B", "2"), ("H", "12"))
         for f in (1, 2) for w in ("DAPI - DAPI", "FITC - FITC")],
        ["DAPI - DAPI", "FITC - FITC"], [("screen", well, site) for well in ("B02", "H12")
                                         for site in ("1", "2")]),
    "cellprofiler": (
        [f"P1_A0{w}_s{s}_w{c}.tif" for w in (1, 2) for s in (1, 2) for c in (1, 2)],
        ["w1", "w2"], [("P1", well, site) for well in ("A01", "A02") for site in ("1", "2")]),
    "bbbc021": (
        [f"Week1/Week1_22123/{start}G10_s{s}_w{w}{GUID}.tif" for s in (1, 2) for w in (4, 2, 1)
         for start in ("Week6_200607_",)] + [f"Week1/Week1_22123/B02_s1_w{w}{GUID}.tif"
                                             for w in (1, 2, 4)],
        ["DAPI", "Tubulin", "Actin"], [("Week1_22123", "B02", "1"), ("Week1_22123", "G10", "1"),
                                       ("Week1_22123", "G10", "2")]),
}


@pytest.fixture
def folder(tmp_path):
    """A function that makes empty files below one folder; the folder."""
    def make(names):
        for name in names:
            (tmp_path / "screen" / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / "screen" / name).touch()
        return tmp_path / "screen"

    return make


@pytest.mark.parametrize("preset", FOLDERS)
def test_presets(folder, preset, tmp_path):
    names, channels, fields = FOLDERS[preset]
    table = read_table(folder(names), preset=preset)
    assert set(table.channels) == set(channels)
    rows = list(zip(table.role("plate"), table.role("well"), table.role("site")))
    assert rows == fields
    used = {os.path.relpath(path, tmp_path / "screen") for row in table.paths for path in row}
    assert used == {name for name in names if "_thumb" not in name and "DC_" not in name
                    and ".xml" not in name}
    assert f"well {fields[0][1]}" not in table.notes[0] and "Well" in table.notes[0]
    write_table(table, tmp_path / "clean.csv")
    again = read_table(tmp_path / "clean.csv")
    assert (again.paths, again.roles, again.channels) == (table.paths, table.roles, table.channels)


def test_every_preset_fits_its_example():
    import re

    for name, preset in PRESETS.items():
        assert re.search(preset.pattern, preset.example), name
        assert name in FOLDERS or name == "bbbc013"


def test_rows_beyond_z(folder):
    names = [f"p/Images/r{row:02d}c01f01p01-ch1.tiff" for row in (1, 26, 27, 32)]
    table = read_table(folder(names), preset="operetta")
    assert sorted(table.role("well")) == ["A01", "AA01", "AF01", "Z01"]
    for name, words in (("p/Images/r00c01f01p01-ch1.tiff", "its row or column is no number"),
                        ("p/a\\b_A01_s1_w1.tif", "has a backslash")):
        preset = "operetta" if "Images" in name else "cellprofiler"
        with pytest.raises(InputError, match=words):
            read_table(folder([name]), preset=preset)
    with pytest.raises(InputError, match="A_x.tif fits the pattern, but its row or column"):
        read_table(folder(["A_x.tif"]), pattern=r"(?P<Row>[A-Z])_(?P<Column>\w)\.tif")


def test_links_to_folders_are_followed_once(folder, tmp_path):
    (tmp_path / "far").mkdir()
    (tmp_path / "far" / "P2_A01_s1_w1.tif").touch()
    top = folder(["P1_A01_s1_w1.tif", "notes.md", "P1_A02_s1_w1.tif.md5"])
    os.symlink(tmp_path / "far", top / "plate2")
    os.symlink(top, top / "again")
    table = read_table(top, preset="cellprofiler")
    assert table.role("plate").tolist() == ["P1", "P2"]
    assert "2 other files" in table.notes[-1]


def test_a_name_that_is_not_utf_8(folder):
    top = folder(["P1_A01_s1_w1.tif"])
    open(os.path.join(os.fsencode(top), b"Gr\xf6\xdfe_A02_s1_w1.tif"), "w").close()
    with pytest.raises(InputError, match="is not UTF-8: rename it"):
        read_table(top, preset="cellprofiler")


def test_what_is_passed_over_is_counted(folder):
    table = read_table(folder(FOLDERS["imagexpress"][0] + ["a.tif", "b.png", "notes.txt"]),
                       preset="imagexpress")
    assert table.notes[-1] == ("passed over: 12 thumbnails, 2 images that the pattern does not "
                               "fit, 1 other files")
    assert sum(note.startswith("Plate 7/") for note in table.notes) == 5


def test_planes_of_z_in_several_files(folder):
    names = [f"Images/r01c01f01p{z:02d}-ch1sk1fk1fl1.tiff" for z in range(1, 13)]
    screen = folder(names)
    with pytest.raises(InputError, match="12 planes of one field .*--z how they become one"):
        read_table(screen, preset="operetta")
    table = read_table(screen, preset="operetta", z="max")
    assert len(table) == 1 and [p.path for p in table.planes[0][0]] == [
        str(screen / name) for name in names]
    assert read_table(screen, preset="operetta", z="11").paths == [[str(screen / names[11])]]


def test_a_projection_beside_its_planes_is_left_out(folder):
    """ZStep_0 of MetaXpress; a channel that has nothing else keeps it."""
    names = [f"P1/TimePoint_1/ZStep_{z}/P1_{well}_s1_w{w}.TIF" for well in ("A01", "A02")
             for z in range(4) for w in ((1, 2) if z == 0 else (1,))]
    screen = folder(names)
    for z, steps in (("mean", [1, 2, 3]), ("0", [1]), ("2", [3])):
        table = read_table(screen, preset="imagexpress", z=z)
        assert [[p.path for p in planes] for planes in table.planes[0]] == [
            [str(screen / f"P1/TimePoint_1/ZStep_{step}/P1_A01_s1_w1.TIF") for step in steps],
            [str(screen / "P1/TimePoint_1/ZStep_0/P1_A01_s1_w2.TIF")]]
        assert ("2 projections of z are left out, as P1/TimePoint_1/ZStep_0/P1_A01_s1_w1.TIF: the "
                "planes lie beside them") in table.notes
    assert len(read_table(screen, preset="imagexpress", channels=["w2"])) == 2
    for step in (1, 2, 3):
        os.remove(screen / f"P1/TimePoint_1/ZStep_{step}/P1_A02_s1_w1.TIF")
    table = read_table(screen, preset="imagexpress", z="max", channels=["w1"])
    (problem,) = survey(table.select([1])).problems
    assert problem.kind == "missing" and "give the file of site 1" in problem.sentence


def test_projections_alone_are_planes(folder):
    screen = folder([f"P1/ZStep_0/P1_A0{w}_s1_w1.TIF" for w in (1, 2)])
    assert len(read_table(screen, preset="imagexpress")) == 2


def test_a_projection_without_a_number_of_z(folder):
    """As an IN Cell writes it."""
    screen = folder([f"A - 1(fld 1 wv DAPI - DAPI{z}).tif" for z in ("", " z 1", " z 2")])
    table = read_table(screen, preset="incell", z="max")
    assert [os.path.basename(p.path)[-8:] for p in table.planes[0][0]] == ["z 1).tif", "z 2).tif"]


@pytest.mark.parametrize("plates", [
    ("BR1__2021-03-01T11_35_40-Measurement 1", "BR1__2021-03-02T11_35_40-Measurement 2"),
    ("BR1/Measurement 1", "BR1/Measurement 2", "BR2/Measurement 1")])
def test_measurements_of_one_plate_are_two_plates(folder, plates):
    table = read_table(folder([f"{plate}/Images/r01c01f01p03-ch1.tiff" for plate in plates]),
                       preset="operetta")
    assert table.role("plate").tolist() == [plate.replace("/", " ") for plate in plates]


def test_planes_that_differ_by_channel(folder):
    """Channel 1 has three, channel 2 the first of them; alone it needs no --z."""
    screen = folder([f"P/Images/r01c01f01p{z:02d}-ch{c}.tiff" for z in (1, 2, 3) for c in (1, 2)
                     if c < 2 or z == 1])
    table = read_table(screen, preset="operetta", z="max")
    assert [len(planes) for planes in table.planes[0]] == [3, 1]
    assert len(read_table(screen, preset="operetta", channels=["ch2"])) == 1


@pytest.mark.parametrize(("name", "words"), [
    ("001002-1-001001001.tif", r"but 001002-1-001001001.tif: say --pattern '\(\?P<Row>.*Channel"),
    ("P1_A01_s1_w1.tif", "but P1_A01_s1_w1.tif: say --preset imagexpress or cellprofiler"),
    ("plate1.tif", "but plate1.tif: say with --pattern what its parts are"),
    ("notes.txt", "tiff: give the folder that holds the images")])
def test_names_of_another_kind_are_named(folder, name, words):
    with pytest.raises(InputError, match=words):
        read_table(folder([name]), preset="operetta")


def test_a_pattern_of_ones_own(folder):
    names = [f"{well}_01_{c}_{s}_{dye}_001.tif" for well in ("B7", "D6") for s in (1, 2)
             for c, dye in enumerate(("DAPI", "GFP"), 1)]
    pattern = r"(?P<Well>[A-H]\d+)_01_\d_(?P<Site>\d)_(?P<Channel>[A-Z]+)_(?P<Replicate>\d+)\.tif"
    table = read_table(folder(names), pattern=pattern, channels=["Green=GFP", "DAPI"])
    assert table.channels == ["Green", "DAPI"]
    assert table.role("well").tolist() == ["B07", "B07", "D06", "D06"]
    assert table.column("Metadata_Replicate").tolist() == ["001"] * 4
    assert set(table.role("plate")) == {"screen"}
    for pattern, words in (("(", "is no regular expression"), ("x", "needs the named groups"),
                           ("(?P<Row>A)", "it has Row"), ("(?P<Well>Z9)", "no file named like")):
        with pytest.raises(InputError, match=words):
            read_table(folder([]), pattern=pattern)


def test_real_sixteen_bit_files(shared_data):
    """Names of a Cytation; three wells, three channels."""
    pattern = r"(?P<Well>[A-H]\d+)_01_\d_(?P<Site>\d)_(?P<Channel>[A-Z]+)_001\.tif"
    table = read_table(shared_data("nf1_16bit"), pattern=pattern)
    assert table.channels == ["DAPI", "GFP", "RFP"] and len(table) == 3
    found = survey(table)
    assert (found.shape, found.dtype, found.problems) == ((3, 904, 1224), "uint16", [])


# ---- folders -----------------------------------------------------------------------------------


def test_bbbc013_layout(shared_data):
    folder = shared_data("bbbc013")
    table = read_table(folder, preset="bbbc013")
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
    assert any("dose ranks" in note for note in table.notes)
    assert table.notes[0] == ("Channel1-01-A-01.tif: Plate BBBC013, Well A01, Site 1, Row A, "
                              "Column 01, Compound Wortmannin, Concentration 0, Control negative, "
                              "Channel GFP")
    assert table.notes[-1] == "passed over: 5 other files"


@pytest.fixture
def plate(tmp_path):
    for name in PRESETS["bbbc013"].channels:
        for well in ("01-A-01", "12-A-12", "50-E-02"):
            (tmp_path / f"Channel{name}-{well}.tif").touch()
    (tmp_path / "Channel2ILLUM.mat").touch()
    (tmp_path / "Channel1-97-I-01.tif").touch()
    return tmp_path


def test_part_of_a_folder(plate):
    table = read_table(plate, preset="bbbc013", channels=["DNA"], roles={"batch": "Metadata_Row"})
    assert table.role("well").tolist() == ["A01", "A12", "E02"]
    assert table.column("Metadata_Control").tolist() == ["negative", "positive", "negative"]
    assert table.role("batch").tolist() == ["A", "A", "E"]
    assert table.place(1) == f"{plate} row 2 (well A BBBC013 A12)"
    write_table(table, plate / "t.csv")
    assert read_table(plate / "t.csv").paths == table.paths


def test_wrong_folders(plate):
    def sentence(source, preset=None):
        with pytest.raises(InputError) as error:
            read_table(source, preset=preset)
        return str(error.value)

    assert "unknown preset bbbc13: there are bbbc013" in sentence(plate, "bbbc13")
    assert "say with --preset" in sentence(plate)
    (plate / "t.csv").write_text("FileName_A\na.tif\n")
    assert "t.csv is no folder" in sentence(plate / "t.csv", "bbbc013")
    (plate / "Channel2-12-A-12.tif").unlink()
    table = read_table(plate, preset="bbbc013")
    (problem,) = [p for p in survey(table).problems if p.kind == "missing"]
    assert "(well BBBC013 A12), column Image_FileName_DNA: the file of DNA is not named" in (
        problem.sentence)
    (plate / "Channel1-13-A-12.tif").touch()
    assert "for one field and channel" in sentence(plate, "bbbc013")
    (plate / "empty").mkdir()
    assert "no file named like Channel1-01-A-01.tif" in sentence(plate / "empty", "bbbc013")


def test_hidden_files_and_links_within(folder):
    """The ._ files of macOS are no images; a link to a part of the folder adds nothing."""
    top = folder(["day1/P1_A01_s1_w1.tif", "day1/._P1_A01_s1_w1.tif"])
    os.symlink(top / "day1", top / "a link")
    table = read_table(top, preset="cellprofiler")
    assert len(table) == 1 and "1 other files" in table.notes[-1]


def test_a_plate_in_two_folders_is_said(folder):
    table = read_table(folder(["R1/Plate1_A01_s1_w1.tif", "R2/Plate1_A01_s2_w1.tif"]),
                       preset="imagexpress")
    assert any("plate Plate1 lies in R1, R2" in note for note in table.notes)


def test_a_projection_that_stands_for_planes_is_said(folder):
    table = read_table(folder([f"ZStep_{z}/P_A01_s1_w1.tif" for z in (0, 1)]
                              + ["ZStep_0/Q_A01_s1_w1.tif"]), preset="imagexpress", z="max")
    assert any(note.startswith("Q w1: a projection of z stands for it") for note in table.notes)
