# SPDX-License-Identifier: BSD-3-Clause
"""A check compares plates, and says what is blank in a class, and which size fields have."""

import re

import numpy as np
import pytest

import screens
from phenoscale.checks import check as check_module
from phenoscale.checks.check import check
from phenoscale.checks.plates import plate_levels
from phenoscale.reports.check_page import write_check_page
from phenoscale.tables.read import read_table

tifffile = pytest.importorskip("tifffile")


@pytest.fixture(autouse=True)
def planned(monkeypatch):
    """No network is built: what it would take is not asked here."""
    monkeypatch.setattr(check_module, "plan", lambda *a: [])


def changed(folder, change, **options):
    """A screen of 12 bits whose files `change` (row, channel, pixels) has rewritten."""
    table = read_table(screens.write_screen(folder, unlabelled=0, **options))
    for row, files in enumerate(table.paths):
        for c, path in enumerate(files):
            pixels = tifffile.imread(path) // np.uint16(16)
            tifffile.imwrite(path, change(table.frame.iloc[row], c, pixels))
    return read_table(folder / "screen.csv")


def found(table, kind, label=None):
    return [finding for finding in check(table, label=label).findings if finding.kind == kind]


def of_plate(change, plate="P2", channel=0):
    return lambda row, c, pixels: (change(pixels) if row["Metadata_Plate"] == plate
                                   and c == channel else pixels)


CHANGES = {
    "upper bits": (lambda p: p * np.uint16(16), "plate P2: DNA has counts 1. times those of the "
                   "other plates .mean 1.,.* all multiples of 16: export all plates alike"),
    "lower bits": (lambda p: p // 16, "plate P2: DNA has counts 1/1. of those of the other plates"),
    "offset": (lambda p: p + np.uint16(2500), "plate P2: DNA has an offset, its darkest pixels "
               "have 2,... counts more"),
    "multiples alone": (lambda p: p & ~np.uint16(3), "plate P2: DNA has counts .* all multiples "
                        "of 4"),
}


@pytest.mark.parametrize("case", CHANGES)
@pytest.mark.parametrize("plates", [2, 4])
def test_a_plate_that_is_unlike_the_others(tmp_path, case, plates):
    change, words = CHANGES[case]
    table = changed(tmp_path, of_plate(change), plates=plates)
    (finding,) = found(table, "counts")
    assert re.match(words, finding.sentence), finding.sentence
    assert [table.role("plate").iloc[row] for row in finding.rows] == ["P2"] * 8


def test_plates_alike_are_not_said(tmp_path):
    assert found(changed(tmp_path, lambda row, c, pixels: pixels, plates=4), "counts") == []
    one = changed(tmp_path / "one", lambda row, c, pixels: pixels * np.uint16(
        16 if row["Metadata_Well"] == "A01" else 1), plates=1)
    assert found(one, "counts") == []  # there is no other plate


@pytest.mark.parametrize("top", [1400, 4095, 62000])
def test_saturation_at_the_channels_own_pile(tmp_path, top):
    """Of one plate, whatever the count, with a hot pixel in other fields."""
    def burn(row, c, pixels):
        if row["Metadata_Plate"] == "P2" and c == 1:
            pixels = (pixels.astype(float) * (top / 1100)).clip(0, top).astype(np.uint16)
            pixels[:20, :20] = top
        pixels[40, 40] = 65535
        return pixels

    table = changed(tmp_path, burn)
    (finding,) = found(table, "saturated")
    assert "channel Actin, 8 fields" in finding.sentence and "P2 A01" in finding.sentence
    assert finding.rows == list(range(8, 16))


def test_a_channel_that_is_blank_in_one_class(tmp_path):
    table = changed(tmp_path, lambda row, c, pixels: pixels * np.uint16(
        0 if c == 1 and row["Metadata_Class"] == "fine" else 1))
    (finding,) = [one for one in found(table, "confounded", "Metadata_Class")
                  if "blank" in one.sentence]
    assert finding.sentence.startswith("channel Actin is blank in every field of class fine and in "
                                       "no other: the network would learn that")
    assert [table.frame["Metadata_Class"].iloc[row] for row in finding.rows] == ["fine"] * 8


def test_fields_of_several_sizes(tmp_path):
    """Which rows have which size, and the cure."""
    table = changed(tmp_path, lambda row, c, pixels: (
        pixels[:100, :100] if row["Metadata_Plate"] == "P2" else pixels))
    (finding,) = found(table, "sizes")
    assert finding.sentence.startswith(
        "8 fields of 128 x 128 (line 2-9, plate P1); 8 fields of 100 x 100 (line 10-17, plate P2): "
        "one table has one size; make a table of each")


def test_the_picture_of_plates(tmp_path):
    table = changed(tmp_path, of_plate(lambda pixels: pixels * np.uint16(16)))
    checked = check(table)
    (p1, levels, high), (p2, other, _) = plate_levels(table, checked.pixels)
    assert (p1, p2) == ("plate P1", "plate P2") and levels[0][2].startswith("0-1")
    assert other[0][2].startswith("4-1") and other[0][1] == pytest.approx(16 * levels[0][1], 0.5)
    assert levels[0][0] < levels[0][1] < high[0]
    write_check_page(checked, tmp_path / "check.html")
    page = (tmp_path / "check.html").read_text()
    assert "Darkest pixels, mean and largest count of every plate" in page
    assert "plate P2: DNA has counts" in page
