# SPDX-License-Identifier: BSD-3-Clause
"""The audit of a table's files: what may differ, what may not, and the words for it."""

import os

import numpy as np
import pandas
import pytest

from phenoscale import check as check_module
from phenoscale import survey as survey_module
from phenoscale.check import check
from phenoscale.errors import InputError
from phenoscale.presets import folder_table
from phenoscale.survey import field_shape
from phenoscale.table import read_table

HEADER = {
    "pages": 1,
    "samples": 1,
    "height": 512,
    "width": 640,
    "dtype": "uint16",
    "is_min_white": False,
}


@pytest.fixture
def headers(monkeypatch):
    """Headers by file name that stand in for the image reader; an exception is raised."""
    changed = {}

    def image_info(path):
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
        field_shape(read_table(folder / "screen.csv"))
    assert "\n" not in str(error.value)
    return str(error.value)


# ---- field_shape -------------------------------------------------------------------------------


def test_one_shape(screen, headers):
    table = read_table(screen / "screen.csv")
    assert field_shape(table) == ((2, 512, 640), "uint16")
    assert field_shape(table, skip=True) == ((2, 512, 640), "uint16", [])
    done = []
    field_shape(table, threads=2, progress=lambda n, total: done.append((n, total)))
    assert done == [(n, 30) for n in range(1, 31)]


@pytest.mark.parametrize("wide, narrow", [("uint16", "uint8"), ("float32", "uint16")])
def test_channels_may_differ_in_depth(screen, headers, wide, narrow):
    for row in range(30):
        headers[f"d{row}.tif"], headers[f"a{row}.tif"] = {"dtype": narrow}, {"dtype": wide}
    assert field_shape(read_table(screen / "screen.csv")) == ((2, 512, 640), wide)


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


@pytest.mark.parametrize("error", [ValueError, OSError])
def test_unreadable_file(screen, headers, error):
    headers["d3.tif"] = error(f"{screen}/d3.tif: strip 4 is damaged.")
    sentence = fails(screen)
    assert "screen.csv line 5 (well P1 A02), column Image_FileName_DNA" in sentence
    assert f"{screen}/d3.tif cannot be read (strip 4 is damaged): replace it" in sentence


def test_text_named_tif(screen):
    pytest.importorskip("phenoscale._core")
    tifffile = pytest.importorskip("tifffile")
    tifffile.imwrite(screen / "gray.tif", np.zeros((4, 6), np.uint16))
    for name, content in (("text.tif", b"no image"), ("empty.tif", b"")):
        (screen / name).write_bytes(content)
        table = read_table(pandas.DataFrame({"FileName_A": ["gray.tif", name]}), root=screen)
        with pytest.raises(InputError, match=f"row 1, column FileName_A: .*{name} cannot be"):
            field_shape(table)
        shape, dtype, problems = field_shape(table, skip=True)
        assert (shape, dtype, problems[0].row) == ((1, 4, 6), "uint16", 1)


def test_colour_file(screen, headers):
    headers["a0.tif"] = {"samples": 3}
    sentence = fails(screen)
    assert "line 2 (well P1 A01), column Image_FileName_Actin" in sentence
    assert "3 samples a pixel (a colour image): save each channel as a gray TIFF" in sentence


def test_one_field_of_another_size(screen, headers):
    headers["d29.tif"] = headers["a29.tif"] = {"height": 640, "width": 512}
    sentence = fails(screen)
    assert "the sizes of the files differ, 512 x 640 (58 files), 640 x 512 (2 files);" in sentence
    assert "screen.csv line 31 (well P2 A15) d29.tif" in sentence
    assert "crop all to one size (height x width), or leave these rows out" in sentence
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
    shape, dtype, problems = field_shape(table, skip=True)
    assert (shape, dtype) == ((2, 512, 640), "uint16")
    assert [(p.kind, p.row, p.line, p.well, os.path.basename(p.file)) for p in problems] == [
        ("samples", 1, 3, "P1 A01", "a1.tif"),
        ("unreadable", 3, 5, "P1 A02", "d3.tif"),
        ("depth", 4, 6, "P1 A03", "a4.tif"),
        ("size", 5, 7, "P1 A03", "d5.tif"),
        ("size", 5, 7, "P1 A03", "a5.tif"),
        ("missing", 7, 9, "P1 A04", "a7.tif"),
    ]
    bad = {problem.row for problem in problems}
    rest = table.select([row for row in range(30) if row not in bad])
    assert field_shape(rest) == (shape, dtype)


def test_no_field_left(screen, headers):
    for row in range(30):
        os.remove(screen / f"d{row}.tif")
    with pytest.raises(InputError, match="line 2 .*d0.tif does not exist.*29 more"):
        field_shape(read_table(screen / "screen.csv"), skip=True)


# ---- check -------------------------------------------------------------------------------------


@pytest.fixture
def planned(monkeypatch):
    """A memory plan without a network."""
    plan = {
        "network": "mcnn",
        "batch": 8,
        "size": (512, 640),
        "parameters": 1_000_000,
        "network_bytes": 30_000_000,
        "optimizer_bytes": 4_000_000,
    }
    asked = []
    monkeypatch.setattr(
        check_module, "_plan_memory", lambda *arguments: asked.append(arguments) or plan
    )
    return asked


def test_summary_golden(screen, headers, planned):
    found = check(read_table(screen / "screen.csv"), batch=8, label="moa", threads=2)
    assert found.ok and found.bad_rows == []
    assert (found.fields, found.wells, found.plates) == (30, 15, 2)
    assert planned == [((2, 512, 640), "mcnn", 2, 8, 2)]
    assert (
        found.text()
        == f"""\
{screen}/screen.csv
  fields    30 in 15 wells on 2 plates
  channels  2: DNA, Actin
  size      512 x 640
  depth     16-bit
  network   mcnn, 1,000,000 parameters, fields padded to 512 x 640
  memory    0.03 GB to train with batch 8 (0.00 GB of it for the momentum)

  moa     fields  wells  P1  P2
  Actin       18      9  10   8
  Eg5         10      5  10   0
  (none)       2      1   0   2

note: class Eg5 lies on one plate only: a network may learn the plate instead

no problems: every file can be used"""
    )


def test_problems_are_counted_and_named(screen, headers, planned):
    for row in range(0, 30, 2):
        headers[f"d{row}.tif"] = {"height": 500, "dtype": "uint8"}
        headers[f"a{row}.tif"] = {"height": 500}
    os.remove(screen / "a7.tif")
    headers["d9.tif"], headers["a9.tif"] = {"pages": 5}, {"is_min_white": True}
    found = check(read_table(screen / "screen.csv"))
    assert not found.ok and len(found.problems) == 30
    text = found.text()
    assert "size      500 x 640 (30 files), 512 x 640 (29 files)" in text
    assert "depth     16-bit (44 files), 8-bit (15 files)" in text
    assert "1 file with several pages" in text and "1 file with white stored as 0" in text
    lines = text.splitlines()
    assert "30 problems in 15 of 30 fields (" in text
    assert lines[-1] == "  and 10 more"
    assert found.bad_rows == list(range(1, 30, 2))


def test_without_plates_labels_and_readable_files(tmp_path, headers, planned):
    table = read_table(pandas.DataFrame({"FileName_A": ["x.tif"]}), root=tmp_path)
    found = check(table)
    assert (found.plates, found.wells, found.memory, planned) == (0, 0, None, [])
    text = found.text()
    assert "fields    1\n" in text and "size" not in text
    assert "1 problem in 1 of 1 field (1 missing):" in text


def test_many_plates_are_counted(tmp_path, headers, planned):
    rows = [(f"{n}.tif", f"P{n}", "A01", "AB"[n % 2]) for n in range(20)]
    for name, *_ in rows:
        (tmp_path / name).touch()
    columns = ["FileName_A", "Metadata_Plate", "Metadata_Well", "label"]
    table = read_table(pandas.DataFrame(rows, columns=columns), root=tmp_path)
    text = check(table, label="label").text()
    assert "  label  fields  wells  plates\n  A          10     10      10\n" in text
    with pytest.raises(InputError, match="no column Label: it has label"):
        check(table, label="Label")


def test_rare_classes_and_repeated_files(screen, headers, planned):
    table = read_table(screen / "screen.csv")
    table.frame.loc[0, "moa"] = "rare"
    table.paths[3] = table.paths[2]
    notes = check(table, label="moa").notes
    assert "class rare has one field: two or more are needed to train" in notes
    assert "2 files named more than once in the table: d2.tif, a2.tif" in notes


def test_a_plan_that_cannot_be_made_is_a_note(screen, headers, monkeypatch):
    def refuse(*arguments):
        raise MemoryError("9 GB are too much")

    monkeypatch.setattr(check_module, "_plan_memory", refuse)
    found = check(read_table(screen / "screen.csv"), batch=512)
    assert found.ok and found.memory is None
    assert found.notes == ["no memory plan for mcnn with batch 512: 9 GB are too much"]


def test_real_plate(shared_data):
    pytest.importorskip("phenoscale._core")
    found = check(folder_table(shared_data("bbbc013"), "bbbc013"), label="Metadata_Control")
    assert found.ok, found.text()
    assert dict(found.sizes) == {(640, 640): 192}
    assert {channel: dict(n) for channel, n in found.dtypes.items()} == {
        "GFP": {"uint8": 96},
        "DNA": {"uint8": 96},
    }
    assert found.labels["fields"].to_dict() == {"negative": 16, "positive": 8, "": 72}
    assert found.memory["size"] == (640, 640) and found.memory["parameters"] > 1e6
    assert "dose ranks" in found.text()
