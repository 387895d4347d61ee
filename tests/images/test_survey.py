# SPDX-License-Identifier: BSD-3-Clause
"""The headers of a table's files: what may differ, what may not, and the words for it; which planes
a field is made of."""

import os

import numpy as np
import pandas
import pytest

from phenoscale.errors import InputError
from phenoscale.images import survey as survey_module
from phenoscale.images.disk import of_disk
from phenoscale.images.fields import open_fields
from phenoscale.images.survey import survey
from phenoscale.images.usable import sentences, usable
from phenoscale.tables.columns import SKIP
from phenoscale.tables.read import read_table
from phenoscale.tables.table import write_table

tifffile = pytest.importorskip("tifffile")

HEADER = {
    "pages": 1,
    "samples": 1,
    "height": 512,
    "width": 640,
    "dtype": "uint16",
    "native": "uint16",
    "is_min_white": False,
    "description": "",
    "kind": "TIFF",
}


@pytest.fixture
def headers(monkeypatch):
    """Headers by file name that stand in for the image reader; an exception is raised."""
    changed = {}

    def image_info(path, page=0):
        header = changed.get(os.path.basename(path), {})
        if isinstance(header, Exception):
            raise header
        return HEADER | header

    monkeypatch.setattr(survey_module, "image_info", image_info)
    return changed


@pytest.fixture
def screen(tmp_path):
    """A CSV of 30 fields, 2 channels, 2 plates, and an empty file for each image."""
    rows = []
    for row in range(30):
        rows.append(
            {
                "Image_FileName_DNA": f"d{row}.tif",
                "Image_FileName_Actin": f"a{row}.tif",
                "Metadata_Plate": "P1" if row < 20 else "P2",
                "Metadata_Well": f"A{row // 2 + 1:02d}",
                "moa": "Eg5" if row < 10 else "Actin" if row < 28 else "",
            }
        )
        for name in (f"d{row}.tif", f"a{row}.tif"):
            (tmp_path / name).touch()
    pandas.DataFrame(rows).to_csv(tmp_path / "screen.csv", index=False)
    return tmp_path


def fails(folder):
    with pytest.raises(InputError) as error:
        usable(read_table(folder / "screen.csv"))
    assert "\n" not in str(error.value)
    return str(error.value)


# ---- shapes and depths ---------------------------------------------------------------------------


def shape_of(table, **options):
    found = usable(table, **options).survey
    return found.shape, found.dtype


def test_one_shape(screen, headers):
    table = read_table(screen / "screen.csv")
    assert shape_of(table) == shape_of(table, on_error="skip") == ((2, 512, 640), "uint16")
    done = []
    fields = usable(table, threads=2, progress=done.append)
    assert done == [{"stage": "check", "done": n, "of": 30} for n in range(1, 31)]
    assert fields.rows.tolist() == list(range(30)) and fields.left_out == {}


@pytest.mark.parametrize("wide, narrow", [("uint16", "uint8"), ("float32", "uint16")])
def test_channels_may_differ_in_depth(screen, headers, wide, narrow):
    for row in range(30):
        headers[f"d{row}.tif"], headers[f"a{row}.tif"] = {"dtype": narrow}, {"dtype": wide}
    assert shape_of(read_table(screen / "screen.csv")) == ((2, 512, 640), wide)


def test_missing_file(screen, headers):
    os.remove(screen / "a7.tif")
    sentence = fails(screen)
    assert sentence == (
        f"{screen}/screen.csv line 9 (well P1 A04), column Image_FileName_Actin: "
        f"{screen}/a7.tif does not exist: restore it, or correct its path, or leave the row out"
    )
    os.remove(screen / "d8.tif")
    os.remove(screen / "d9.tif")
    assert fails(screen).endswith("(2 more files have the same fault)")


def test_unreadable_file(screen, headers):
    headers["d3.tif"] = ValueError(f"{screen}/d3.tif: strip 4 is damaged.")
    sentence = fails(screen)
    assert "screen.csv line 5 (well P1 A02), column Image_FileName_DNA" in sentence
    assert f"{screen}/d3.tif cannot be read (strip 4 is damaged): replace it" in sentence


def test_a_disk_that_fails_is_no_damage(screen, headers):
    headers["d3.tif"] = of_disk(f"{screen}/d3.tif", OSError(5, "Input/output error"))
    words = (f"{screen}/d3.tif cannot be read from its disk: Input/output error; the file may be "
             "whole: see to the disk or the share, then try again, or leave the row out")
    assert fails(screen).endswith(words)
    assert usable(read_table(screen / "screen.csv"), "skip").left_out[3].endswith(words)
    headers["d3.tif"] = PermissionError(13, "Permission denied", f"{screen}/d3.tif")
    assert f"{screen}/d3.tif cannot be read: Permission denied, or" in fails(screen)


def test_text_named_tif(screen):
    tifffile.imwrite(screen / "gray.tif", np.zeros((4, 6), np.uint16))
    for name, content in (("text.tif", b"no image"), ("empty.tif", b"")):
        (screen / name).write_bytes(content)
        table = read_table(pandas.DataFrame({"FileName_A": ["gray.tif", name]}), root=screen)
        with pytest.raises(InputError, match=f"row 1, column FileName_A: .*{name} cannot be"):
            usable(table)
        fields = usable(table, "skip")
        assert (fields.survey.shape, fields.survey.dtype) == ((1, 4, 6), "uint16")
        assert fields.rows.tolist() == [0] and name in fields.left_out[1]


def test_colour_file(screen, headers):
    headers["a0.tif"] = {"samples": 3}
    sentence = fails(screen)
    assert "line 2 (well P1 A01), column Image_FileName_Actin" in sentence
    assert "has 3 channels: name those wanted, --channels A=Actin:0,B=Actin:1,C=Actin:2" in sentence


def test_one_field_of_another_size(screen, headers):
    headers["d29.tif"] = headers["a29.tif"] = {"height": 640, "width": 512}
    sentence = fails(screen)
    assert "the sizes of the files differ, 512 x 640 (58 files), 640 x 512 (2 files);" in sentence
    assert "screen.csv line 31 (well P2 A15) d29.tif" in sentence
    assert "make a table of each size, or crop all to one (height x width), or leave these rows " \
        "out" in sentence
    del headers["a29.tif"]
    assert "d29.tif is 640 x 512 where most are 512 x 640" in fails(screen)


def test_the_first_twenty_of_many(screen, headers):
    for row in range(29):
        headers[f"d{row}.tif"] = {"height": 513}
    sentence = fails(screen)
    assert "513 x 640 (29 files)" in sentence
    assert sentence.count("(well ") == 20 and "and 9 more" in sentence


def test_a_channel_of_two_depths(screen, headers):
    headers["a4.tif"] = {"dtype": "uint8"}
    sentence = fails(screen)
    assert "line 6 (well P1 A03), column Image_FileName_Actin" in sentence
    assert "is uint8 where most of channel Actin are uint16" in sentence
    assert "export all fields of a channel with one depth" in sentence
    headers["a5.tif"] = {"dtype": "uint8"}
    sentence = fails(screen)
    assert "csv line 6 (well P1 A03) a4.tif, " in sentence
    assert "csv line 7 (well P1 A03) a5.tif; " in sentence
    assert "depths of the files differ, uint16 (28 files), uint8 (2 files) in channel A" in sentence


def test_skip_names_the_rows_to_leave_out(screen, headers):
    os.remove(screen / "a7.tif")
    headers["d3.tif"] = ValueError("damaged")
    headers["d5.tif"] = headers["a5.tif"] = {"width": 641}
    headers["a4.tif"] = {"dtype": "uint8"}
    headers["a1.tif"] = {"samples": 4}
    table = read_table(screen / "screen.csv")
    problems = survey(table).problems
    assert [(p.kind, p.row, p.line, p.well, os.path.basename(p.file)) for p in problems] == [
        ("channels", 1, 3, "P1 A01", "a1.tif"),
        ("unreadable", 3, 5, "P1 A02", "d3.tif"),
        ("depth", 4, 6, "P1 A03", "a4.tif"),
        ("size", 5, 7, "P1 A03", "d5.tif"),
        ("size", 5, 7, "P1 A03", "a5.tif"),
        ("missing", 7, 9, "P1 A04", "a7.tif"),
    ]
    fields = usable(table, "skip")
    assert sorted(fields.left_out) == [1, 3, 4, 5, 7] and "d5.tif" in fields.left_out[5]
    found = fields.survey
    assert (found.shape, found.dtype) == shape_of(table.select(fields.rows))


def test_no_field_left(screen, headers):
    for row in range(30):
        os.remove(screen / f"d{row}.tif")
    with pytest.raises(InputError, match="line 2 .*d0.tif does not exist.*29 more"):
        usable(read_table(screen / "screen.csv"), "skip")


def test_marked_fields_are_left_out(screen, headers, tmp_path):
    """What a check wrote is honoured, without another word about the same field."""
    os.remove(screen / "a7.tif")
    table = read_table(screen / "screen.csv")
    write_table(table, tmp_path / "clean.csv", {7: "missing: a7.tif", 9: "blank: a9.tif"})
    clean = read_table(tmp_path / "clean.csv")
    assert clean.column(SKIP).tolist()[6:10] == ["", "missing: a7.tif", "", "blank: a9.tif"]
    assert clean.digest() == read_table(tmp_path / "clean.csv").digest()
    fields = usable(clean)
    assert fields.rows.tolist() == [row for row in range(30) if row not in (7, 9)]
    assert fields.left_out[9].endswith("csv line 11 (well P1 A05): blank: a9.tif (marked in "
                                       "column Phenoscale_Skip)")
    assert all(len(planes) == 1 for row in fields.survey.planes for planes in row)
    with pytest.raises(InputError, match="no field is left"):
        usable(clean.select([7, 9]))


# ---- which planes a field is made of -------------------------------------------------------------


def planes_of(folder, channels=None, z=None, **columns):
    """(page, sample) of the planes of each channel of one field, or the fault of it."""
    cells = {f"FileName_{name}" if "_" not in name else name: [value]
             for name, value in columns.items()}
    table = read_table(pandas.DataFrame(cells), channels=channels, root=folder, z=z)
    found = survey(table)
    if found.problems:
        return found.problems[0].sentence
    return [[(plane.page, plane.sample) for plane in planes] for planes in found.planes[0]]


def pages(*shape, dtype="uint16"):
    return np.arange(np.prod(shape, dtype=int)).reshape(shape).astype(dtype)


def test_pages_without_a_word_are_what_the_user_says(tmp_path):
    """Neither channels nor planes until --channels or --z says so; not both."""
    tifffile.imwrite(tmp_path / "a.tif", pages(4, 5, 6), metadata=None, photometric="minisblack")
    assert planes_of(tmp_path, A="a.tif", z="2") == [[(2, 0)]]
    assert planes_of(tmp_path, A="a.tif", z="max") == [[(0, 0), (1, 0), (2, 0), (3, 0)]]
    asked = ("has 4 pages that nothing explains: --channels A=A:0,B=A:1 if they are channels, "
             "--z max if they are planes")
    assert asked in planes_of(tmp_path, A="a.tif")
    assert asked + ", not both" in planes_of(tmp_path, ["DNA=A:3"], "max", A="a.tif")
    assert "4 planes of z, counted from 0: there is no plane 4" in planes_of(
        tmp_path, A="a.tif", z="4")
    # asked for by number they are channels; a column of frames names a page
    assert planes_of(tmp_path, ["DNA=A:3", "Actin=A:0"], A="a.tif") == [[(3, 0)], [(0, 0)]]
    assert "has 4 channels, counted from 0: there is no channel 4" in planes_of(
        tmp_path, ["DNA=A:4"], A="a.tif")
    assert planes_of(tmp_path, A="a.tif", Frame_A="2", z="max") == [[(2, 0)]]
    assert "has 4 pages, counted from 0: there is no page 7" in planes_of(
        tmp_path, A="a.tif", Frame_A="7")


@pytest.mark.parametrize("words", [{"imagej": True}, {"ome": True}, {}])
def test_hyperstacks_say_what_their_pages_are(tmp_path, words):
    """ImageJ's, OME's and tifffile's descriptions: channels and z in one file."""
    stack = pages(3, 2, 5, 6)  # z, c
    tifffile.imwrite(tmp_path / "a.tif", stack, metadata={"axes": "ZCYX"},
                     photometric="minisblack", **words)
    channels = ["DNA=A:1", "Actin=A:0"]
    assert planes_of(tmp_path, channels, "max", A="a.tif") == [
        [(1, 0), (3, 0), (5, 0)], [(0, 0), (2, 0), (4, 0)]]
    assert planes_of(tmp_path, channels, "1", A="a.tif") == [[(3, 0)], [(2, 0)]]
    assert "has 2 channels: name those wanted, --channels A=A:0,B=A:1" in planes_of(
        tmp_path, A="a.tif", z="max")
    table = read_table(pandas.DataFrame({"FileName_A": ["a.tif"]}), channels=channels,
                       root=tmp_path,
                       z="mean")
    source = open_fields(table, survey(table), 1)
    source.start([0])
    mean = np.floor(stack.astype(float).mean(0) + 0.5)
    assert np.array_equal(source.next(), mean[[1, 0]])
    tifffile.imwrite(tmp_path / "t.tif", pages(4, 5, 6), metadata={"axes": "TYX"},
                     photometric="minisblack", **words)
    assert "has 4 time points: export one of them, or name its page in a column Frame_A" \
        in planes_of(tmp_path, A="t.tif", z="max")


def test_samples_are_channels(tmp_path):
    tifffile.imwrite(tmp_path / "rgb.tif", pages(5, 6, 3), photometric="rgb")
    channels = ["DNA=A:2", "Actin=A:0"]
    assert planes_of(tmp_path, channels, A="rgb.tif") == [[(0, 2)], [(0, 0)]]
    assert "has 3 channels" in planes_of(tmp_path, A="rgb.tif")
    assert planes_of(tmp_path, A="rgb.tif", Image_Sample_A="1") == [[(0, 1)]]
    tifffile.imwrite(tmp_path / "deep.tif", pages(4, 5, 6, 3), photometric="rgb", metadata=None)
    assert planes_of(tmp_path, channels, "max", A="deep.tif") == [
        [(page, 2) for page in range(4)], [(page, 0) for page in range(4)]]


def test_shapes_without_names_of_axes(tmp_path):
    """One axis is asked for, several have no order that anyone could say."""
    tifffile.imwrite(tmp_path / "a.tif", pages(5, 6, 6), photometric="minisblack")
    assert "has 5 pages that nothing explains" in planes_of(tmp_path, A="a.tif")
    assert planes_of(tmp_path, ["DNA=A:4"], A="a.tif") == [[(4, 0)]]
    tifffile.imwrite(tmp_path / "b.tif", pages(3, 4, 6, 6), photometric="minisblack")
    for channels, z in ((None, None), (None, "max"), (["DNA=A:1"], None), (["DNA=A:1"], "max")):
        assert "has 3 x 4 pages, and its description by tifffile does not say which are channels" \
            in planes_of(tmp_path, channels, z, A="b.tif")
    tifffile.imwrite(tmp_path / "c.tif", pages(1, 4, 6, 6), photometric="minisblack")
    assert len(planes_of(tmp_path, z="max", A="c.tif")[0]) == 4


@pytest.mark.parametrize("words", [{}, {"metadata": None}])
def test_columns_that_are_channels(tmp_path, words):
    """(height, width, 2) written as pages of two columns."""
    tifffile.imwrite(tmp_path / "a.tif", pages(40, 60, 2), photometric="minisblack", **words)
    for channels, z in ((None, None), (["DNA=A:0"], None), (None, "max")):
        assert "is 40 pages of 2 columns, an array whose last axis is the channel" in planes_of(
            tmp_path, channels, z, A="a.tif")


@pytest.mark.parametrize("thumbnails", [{"subfiletype": 1}, {}])
@pytest.mark.parametrize("is_first", [False, True])
def test_thumbnails_and_pyramids_are_no_planes(tmp_path, thumbnails, is_first):
    """By what they say of themselves, or by their size."""
    full, small = pages(2, 40, 60), pages(2, 10, 15)
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        for k in range(2):
            for plane, how in sorted([(full[k], {}), (small[k], thumbnails)],
                                     key=lambda one: one[0].size, reverse=not is_first):
                file.write(plane, metadata=None, contiguous=False, **how)
    at = [[(int(is_first), 0)], [(int(is_first) + 2, 0)]]
    assert planes_of(tmp_path, ["DNA=A:0", "Actin=A:1"], A="a.tif") == at
    assert planes_of(tmp_path, z="mean", A="a.tif") == [at[0] + at[1]]
    assert "has 2 channels, counted from 0: there is no channel 2" in planes_of(
        tmp_path, ["DNA=A:2"], A="a.tif")
    found = survey(read_table(pandas.DataFrame({"FileName_A": ["a.tif"]}), z="1", root=tmp_path))
    assert found.shape == (1, 40, 60) and found.notes == [
        "1 file with thumbnails, smaller copies or masks beside their pages: those are left out"]


def test_a_pyramid_in_sub_directories(tmp_path):
    with tifffile.TiffWriter(tmp_path / "a.ome.tif") as file:
        file.write(pages(3, 40, 60), subifds=1, metadata={"axes": "CYX"}, photometric="minisblack")
        file.write(pages(3, 20, 30), subfiletype=1, photometric="minisblack")
    assert planes_of(tmp_path, ["DNA=A:2"], A="a.ome.tif") == [[(2, 0)]]


def test_one_page_of_a_set_is_one_plane(tmp_path):
    """A description of 15 planes cannot be of a file of one page alone."""
    text = ('<OME><Image><Pixels DimensionOrder="XYCZT" SizeC="3" SizeZ="5" SizeT="1" SizeX="6" '
            'SizeY="5"/></Image></OME>')
    tifffile.imwrite(tmp_path / "a.tif", pages(5, 6), description=text, metadata=None)
    assert planes_of(tmp_path, A="a.tif") == [[(0, 0)]]
    table = read_table(pandas.DataFrame({"FileName_A": ["a.tif"]}), root=tmp_path)
    assert survey(table).notes == ["1 file of one page with a description by OME of several: each "
                                   "is read as the one page that it is"]
    tifffile.imwrite(tmp_path / "a.tif", pages(2, 5, 6), description=text, metadata=None,
                     photometric="minisblack")
    assert "has 2 pages, but its description by OME" in planes_of(tmp_path, z="max", A="a.tif")


@pytest.mark.parametrize("other", ["uint16.tif", "other.png"])
def test_signed_counts(tmp_path, other):
    """int16 without a negative number is uint16, with one an error; alone and beside others."""
    signed = pages(2, 5, 6, dtype="int16")
    tifffile.imwrite(tmp_path / "good.tif", signed[0])
    tifffile.imwrite(tmp_path / "bad.tif", signed[1] - 40)
    if other == "uint16.tif":
        tifffile.imwrite(tmp_path / other, pages(5, 6))
    else:
        pytest.importorskip("PIL.Image").fromarray(pages(5, 6)).save(tmp_path / other)
    table = read_table(pandas.DataFrame({"FileName_A": ["good.tif", "bad.tif", other]}),
                       root=tmp_path)
    found = survey(table)
    assert (found.dtype, found.problems) == ("uint16", [])
    assert "2 files of signed 16-bit numbers (int16): taken as counts" in found.notes[0]
    source = open_fields(table, found, 1)
    source.start([0, 1])
    field = source.next()
    assert field.dtype == np.uint16 and np.array_equal(field[0], signed[0])
    with pytest.raises(InputError, match="bad.tif: .*10 of its 30 pixels are negative"
                       if other == "uint16.tif" else "10 of its 30 pixels are negative.*offset"):
        source.next()


def test_a_folder_that_is_missing_is_one_line(screen, headers):
    """For 'train', and for the list of a check."""
    frame = pandas.read_csv(screen / "screen.csv")
    for name in ("DNA", "Actin"):
        frame[f"Image_PathName_{name}"] = ["day/one" if row < 20 else "" for row in frame.index]
    frame.to_csv(screen / "screen.csv", index=False)
    os.remove(screen / "d29.tif")
    said = (f"the folder {screen}/day does not exist: 40 files of it are missing: restore it, or "
            "correct the paths, or leave these rows out")
    assert fails(screen) == f"{screen}/screen.csv: {said}"
    lines = sentences(survey(read_table(screen / "screen.csv")).problems)
    assert lines[0] == said and len(lines) == 2 and f"{screen}/d29.tif does not exist" in lines[1]
