# SPDX-License-Identifier: BSD-3-Clause
"""The audit before a long run: every finding on a screen that has it, none on one that has not."""

import math
import re

import numpy as np
import pandas
import pytest
from PIL import Image
from scipy.ndimage import gaussian_filter

import screens
from phenoscale.checks import check as check_module
from phenoscale.checks import plan as plan_module
from phenoscale.checks.check import check
from phenoscale.checks.plan import plan
from phenoscale.errors import InputError
from phenoscale.reports.check_page import write_check_page
from phenoscale.tables.read import read_table
from phenoscale.words import duration

tifffile = pytest.importorskip("tifffile")


@pytest.fixture
def planned(monkeypatch):
    """No network is built: what it would take is not asked here."""
    asked = []
    monkeypatch.setattr(check_module, "plan", lambda *a: asked.append(a[:6]) or [])
    return asked


def screen(folder, **options):
    """Two plates of nine wells, two channels, 16-bit."""
    path = screens.write_screen(folder, **options)
    return read_table(path)


def change(table, row, function, c=0):
    """Write other pixels into one file."""
    path = table.paths[row][c]
    tifffile.imwrite(path, function(tifffile.imread(path)))


def findings(found, kind):
    return [finding for finding in found.findings if finding.kind == kind]


def test_nothing_to_say_of_a_good_screen(tmp_path, planned):
    table = screen(tmp_path)
    found = check(table, batch=8, label="Metadata_Class", threads=2)
    assert found.ok and found.findings == [] and found.bad() == {}
    assert planned == [((2, 128, 128), "uint16", 2, 16, 8, 2)]
    text = found.text()
    assert text == f"""\
{tmp_path}/screen.csv
  fields    18 in 18 wells on 2 plates
  channels  2: DNA, Actin
  files     TIFF
  size      128 x 128
  depth     16-bit

  Metadata_Class  fields  wells  P1  P2
  coarse               8      8   4   4
  fine                 8      8   4   4
  (none)               2      2   1   1

no problems: every file can be used"""


def test_progress_of_every_part(tmp_path):
    events = []
    check(screen(tmp_path, plates=1, wells=2), progress=events.append)
    stages = [event["stage"] for event in events]
    assert stages == ["check"] * 3 + ["look"] * 3 + ["plan"] * 2
    assert all(event["done"] <= event["of"] for event in events)


BAD = {
    "missing": (lambda path: path.unlink(), "missing: .*does not exist"),
    "unreadable header": (screens.ruin, "unreadable: .*cut off"),
    "unreadable pixels": (screens.spoil, "unreadable: .*strip 0 is damaged"),
    "size": (screens.larger, "size: .*is 256 x 128 where most are 128 x 128"),
    "colour": (screens.color, "channels: .*has 3 channels"),
    "blank": (lambda path: tifffile.imwrite(path, np.full((128, 128), 300, np.uint16)),
              "blank: channel DNA is blank, all pixels are 300"),
}


@pytest.mark.parametrize("what", BAD)
def test_a_bad_field_is_named_and_marked(tmp_path, planned, what):
    import pathlib

    table = screen(tmp_path)
    spoil, words = BAD[what]
    spoil(pathlib.Path(table.paths[5][0]))
    found = check(table)
    assert not found.ok and list(found.bad()) == [5]
    assert re.match("check: " + words, found.bad()[5])
    assert "1 problem in 1 of 18 fields" in found.text()
    assert planned[0][3] == 17  # fields that are left


def test_no_field_that_can_be_read(tmp_path, planned):
    table = read_table(pandas.DataFrame({"FileName_A": ["x.tif"]}), root=tmp_path)
    found = check(table)
    assert found.plan == [] and planned == []
    text = found.text()
    assert "fields    1\n" in text and "size" not in text
    assert "1 problem in 1 of 1 field (1 missing):" in text
    write_check_page(found, tmp_path / "check.html")
    assert "1 field of 1 cannot be used" in (tmp_path / "check.html").read_text()


def test_duplicates_are_found_by_their_pixels(tmp_path, planned):
    """Whatever the compression; a word more where the classes differ."""
    table = screen(tmp_path)
    for c in range(2):
        tifffile.imwrite(table.paths[3][c], tifffile.imread(table.paths[8][c]), compression="zlib")
    (finding,) = findings(check(table), "duplicate")
    assert finding.rows == [3, 8] and "2 fields with the same pixels: " in finding.sentence
    table.frame.loc[3, "Metadata_Class"], table.frame.loc[8, "Metadata_Class"] = "coarse", "fine"
    (finding,) = findings(check(table, label="Metadata_Class"), "duplicate")
    assert "of different classes" in finding.sentence
    # one channel alone is no duplicate
    change(table, 3, lambda pixels: pixels + 1)
    assert findings(check(table), "duplicate") == []


def test_one_file_for_two_channels(tmp_path, planned):
    table = screen(tmp_path)
    tifffile.imwrite(table.paths[2][1], tifffile.imread(table.paths[2][0]))
    (finding,) = findings(check(table), "same channels")
    assert finding.rows == [2]
    assert "DNA and Actin have the same pixels in 1 field" in finding.sentence


def test_bits_in_use(tmp_path, planned):
    for bits, shift, words in ((12, 0, "of which 12 are used"), (16, 0, "depth     16-bit\n"),
                               (12, 4, "of which 12 are used (counts are multiples of 16)")):
        rng, folder = np.random.default_rng(0), tmp_path / f"{bits}_{shift}"
        table = screen(folder)
        for row in table.paths:
            for path in row:
                tifffile.imwrite(path, (rng.integers(0, 2**bits, (128, 128)) << shift).astype(
                    np.uint16))
        assert words in check(table).text()


def test_saturation_is_seen_at_the_bits_in_use(tmp_path, planned):
    table = screen(tmp_path)
    for row in range(len(table)):
        change(table, row, lambda pixels: pixels // 17)  # at most 3855: 12 bits
    assert findings(check(table), "saturated") == []

    def burn(pixels):
        pixels[:20, :20] = 4095
        return pixels

    change(table, 4, burn)
    (finding,) = findings(check(table), "saturated")
    assert finding.rows == [4] and "channel DNA, 1 field with more than 1% of the pixels" in \
        finding.sentence


def test_out_of_focus(tmp_path, planned):
    """One field blurred; the two textures of the classes alone are no reason."""
    rng = np.random.default_rng(0)
    table = screen(tmp_path, wells=12)
    for row in range(len(table)):
        blobs = gaussian_filter(rng.normal(size=(128, 128)), 2.5)
        blobs += 0.4 * gaussian_filter(rng.normal(size=(128, 128)), 1) / 2.5
        tifffile.imwrite(table.paths[row][0], (3000 + 20000 * blobs / blobs.std() / 10).clip(
            0).astype(np.uint16))
    assert findings(check(table), "out of focus") == []
    change(table, 7, lambda pixels: gaussian_filter(pixels.astype(float), 4).astype(np.uint16))
    (finding,) = findings(check(table), "out of focus")
    assert finding.rows == [7]


def test_confounded_classes(tmp_path, planned):
    table = screen(tmp_path)
    on_p2 = (table.frame["Metadata_Plate"] == "P2") & (table.frame["Metadata_Class"] == "fine")
    table.frame.loc[on_p2, "Metadata_Class"] = ""
    found = check(table, label="Metadata_Class")
    assert [f.sentence for f in findings(found, "confounded")] == [
        "class fine lies on one plate only (P1): a network may learn the plate instead"]
    table.frame.loc[0, "Metadata_Class"] = "rare"
    sentences = [f.sentence for f in check(table, label="Metadata_Class").findings]
    assert "rare has one field: two or more are needed to train" in sentences
    with pytest.raises(InputError, match="no column Label: it has "):
        check(table, label="Label")


def test_wells_with_missing_fields_and_repeated_files(tmp_path, planned):
    table = screen(tmp_path)
    frame = pandas.concat([table.frame, table.frame.assign(Metadata_Site="2")[:-1]])
    found = check(read_table(frame.reset_index(drop=True), root=tmp_path))
    (finding,) = findings(found, "missing fields")
    assert finding.sentence == "1 well with fewer than 2: P2 A09"
    (finding,) = findings(found, "named twice")
    assert finding.sentence.startswith("34 files named more than once in the table: A01_DNA.tif")
    assert len(findings(found, "duplicate")) == 17


def test_saved_overlays_are_named_for_what_they_are(tmp_path, planned):
    table = screen(tmp_path)
    for row in range(len(table)):
        Image.fromarray(np.zeros((128, 128, 3), np.uint8)).save(tmp_path / f"{row}.png")
    frame = table.frame.assign(FileName_Overlay=[f"{row}.png" for row in range(len(table))])
    found = check(read_table(frame, root=tmp_path))
    (finding,) = findings(found, "pictures")
    assert "FileName_Overlay has pictures of several colours (0.png) beside the TIFFs of DNA, " \
        "Actin: saved overlays, no channel of the camera" in finding.sentence
    assert "--channels DNA,Actin" in found.table.notes[0]


def test_kinds_of_files_are_said(tmp_path, planned):
    table = screen(tmp_path)
    rng = np.random.default_rng(0)
    for row in range(len(table)):
        for path in table.paths[row]:
            pixels = rng.normal(size=(128, 128))
            tifffile.imwrite(path, pixels, photometric="miniswhite" if row == 0 else "minisblack")
    found = check(table)
    assert [f.kind for f in found.findings] == ["min-is-white", "rounded"]
    assert "2 files with white stored as 0" in found.text() and "float64" in found.text()
    assert "depth     32-bit float\n" in found.text()


def test_many_plates_are_counted(tmp_path, planned):
    table = screen(tmp_path, plates=9, wells=2)
    text = check(table, label="Metadata_Class").text()
    assert "  coarse               9      9       9\n" in text


def test_problems_are_counted(tmp_path, planned):
    table = screen(tmp_path, wells=20)
    for row in range(1, 30):
        screens.ruin(tmp_path / table.paths[row][0])
    lines = check(table).text().splitlines()
    assert "29 problems in 29 of 42 fields (29 unreadable):" in lines
    assert lines[-1] == "  and 9 more"


# ---- plan ----------------------------------------------------------------------------------------


def test_the_plan_is_of_this_machine(tmp_path):
    found = check(screen(tmp_path, size=(256, 384)), label="Metadata_Class", threads=1)
    lines = {(line.network, line.bin): line for line in found.plan}
    assert list(lines) == [("mcnn", 1), ("mcnn", 2), ("mcnn-gap", 1), ("mcnn-gap", 2)]
    for (_, bin), line in lines.items():
        assert line.size == (256 // bin, 384 // bin) and line.fits and line.seconds > 0
        assert line.memory_bytes > 4 * 2 * line.parameters
    assert lines["mcnn", 1].parameters > lines["mcnn", 2].parameters
    assert lines["mcnn-gap", 1].parameters == lines["mcnn-gap", 2].parameters
    text = found.text()
    assert re.search(r"to train with +field +parameters +memory +40 epochs\n", text)
    assert re.search(r"mcnn --bin 2 +128 x 192 +[\d,]+ +\d\.\d\d GB +\d+ s\n", text)


def test_twice_the_fields_take_twice_the_time():
    few, many = (plan((1, 128, 128), "uint8", 2, n, threads=1)[1] for n in (100, 1000))
    assert 3 < many.seconds / few.seconds < 30


def test_a_plan_that_cannot_be_made_is_said(tmp_path, monkeypatch):
    def refuse(*arguments):
        raise MemoryError("9 GB are too much")

    monkeypatch.setattr(check_module, "plan", refuse)
    found = check(screen(tmp_path), batch=512)
    assert found.ok and found.plan == []
    assert found.findings[-1].sentence == "none: 9 GB are too much"


def test_durations():
    assert [duration(s) for s in (9, 150, 7200, 3 * 86400)] == ["9 s", "2 min", "2.0 h",
                                                                "3.0 days"]


# ---- page ----------------------------------------------------------------------------------------


def test_page(tmp_path, planned):
    table = screen(tmp_path)
    screens.ruin(tmp_path / table.paths[1][0])
    tifffile.imwrite(table.paths[2][1], tifffile.imread(table.paths[2][0]))
    table.frame.loc[0, "Metadata_Class"] = "<b>odd</b>"
    found = check(table, label="Metadata_Class")
    write_check_page(found, tmp_path / "check.html")
    page = (tmp_path / "check.html").read_text()
    assert "1 field of 18 cannot be used" in page and "same channels" in page
    assert "&lt;b&gt;odd&lt;/b&gt;" in page and "<b>odd" not in page
    assert "<script" not in page and "http" not in page.replace("http-equiv", "")
    assert page.count("data:image/") == 5  # spread, counts, a map a channel, examples
    assert len(page) < 3_000_000


@pytest.mark.parametrize("size", [(1, 200), (200, 1), (3, 1000)])
def test_page_of_odd_fields(tmp_path, planned, size):
    """Ten channels, very flat fields, plates called as the columns of the page."""
    names, rng = [f"c{k}" for k in range(10)], np.random.default_rng(0)
    for k in range(10):
        tifffile.imwrite(tmp_path / f"{k}.tif", rng.integers(0, 999, size).astype(np.uint16))
    table = read_table(pandas.DataFrame({
        **{f"FileName_{name}": [f"{k}.tif"] * 2 for k, name in enumerate(names)},
        "plate": ["fields", "wells"], "class": ["a", "b"]}), root=tmp_path)
    found = check(table, label="class")
    assert "wells" in found.text()
    write_check_page(found, tmp_path / "check.html")
    assert (tmp_path / "check.html").read_text().count("data:image/") >= 2


def test_as_many_classes_as_fields(tmp_path, planned):
    """Named up to a limit, counted beyond."""
    table = screen(tmp_path)
    table.frame["Metadata_Class"] = [f"class {k}" for k in range(len(table))]
    found = check(table, label="Metadata_Class")
    assert len(findings(found, "class")) == 6 and len(findings(found, "confounded")) == 6
    assert findings(found, "class")[-1].sentence == "13 more classes have one field"
    assert found.labels.cells(1, 5)[0] == ["", "fields", "wells", "plates"]
    assert found.labels.cells(1, 5)[1:] == [[f"class {k}", "1", "1", "1"]
                                            for k in (0, 1, 10, 11, 12)]


def test_a_network_that_is_too_large_is_not_timed(monkeypatch):
    monkeypatch.setattr(plan_module, "memory", lambda: 10**7)
    monkeypatch.setattr(plan_module, "_seconds", lambda *a: pytest.fail("was run"))
    assert not any(line.fits for line in plan((1, 128, 128), "uint8", 2, 10))


def test_large_fields_make_a_step_in_part(monkeypatch):
    """What a check takes does not grow with them; whole fields and parts agree on the time."""
    made = []
    monkeypatch.setattr("phenoscale.checks.plan._seconds",
                        lambda net, shape, dtype: (made.append((net, shape)), (1.0, 8.0))[1])
    lines = [line for line in plan((2, 2600, 1300), "uint16", 2, 10) if line.bin < 4]
    assert [shape for _, shape in made[:4]] == [(2, 1920, 896), (2, 1300, 650),
                                                (2, 650, 325), (2, 1920, 896)]
    whole, gap = lines[0], lines[2]
    assert whole.is_reckoned and "about " in whole.cells()[-1] and not lines[1].is_reckoned
    area = 21 * 11 / (15 * 7)
    assert gap.seconds == pytest.approx(40 * 10 * (area + 8 / 4))
    assert whole.seconds == pytest.approx(
        400 * (area + 2 * whole.parameters / len(made[0][0].parameters)))
    assert max(net.memory for net, _ in made) < 2e9
    made.clear()
    plan((1, 2, 65000), "uint16", 2, 10)  # 128 rows once it is padded
    assert max(math.prod(shape) for _, shape in made) < 6e6


def test_a_network_that_cannot_be_built_is_one_line_of_the_plan(monkeypatch):
    def build(text, batch, threads):
        if "mcnn-gap" not in text and "height=512" in text:
            raise MemoryError
        return make_net(text, batch, threads)

    make_net = plan_module.make_net
    monkeypatch.setattr(plan_module, "make_net", build)
    lines = plan((1, 512, 512), "uint8", 2, 10)
    assert lines[0].cells() == ["512 x 512", "-", "(too much)", "-"]
    assert lines[1].fits and lines[1].bin == 2


def test_limits_of_a_field(tmp_path):
    names = [f"c{k}" for k in range(65)]
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((4, 4), np.uint8))
    table = read_table(pandas.DataFrame({f"FileName_{n}": ["a.tif"] for n in names}), root=tmp_path)
    with pytest.raises(InputError, match="fields of 65 channels, 4 x 4 pixels: at most 64"):
        check(table)


def test_real_plate(shared_data, tmp_path):
    found = check(read_table(shared_data("bbbc013"), preset="bbbc013"), label="Metadata_Control")
    assert found.ok, found.text()
    assert dict(found.survey.sizes) == {(640, 640): 192}
    assert {channel: dict(n) for channel, n in found.survey.dtypes.items()} == {
        "GFP": {"uint8": 96}, "DNA": {"uint8": 96}}
    assert found.labels.fields == {"negative": 16, "positive": 8, "": 72}
    assert found.plan[0].network == "mcnn" and found.plan[0].size == (640, 640)
    assert "dose ranks" in found.text()
    write_check_page(found, tmp_path / "check.html")
    assert (tmp_path / "check.html").stat().st_size < 3_000_000


def test_fields_without_a_class_are_counted_beside_many_classes(tmp_path, planned):
    """The row of those without a class is the last, and not among the first forty."""
    table = screen(tmp_path, plates=5)
    table.frame["Map"] = ["", "", *(f"drug {row}" for row in range(2, len(table)))]
    text = check(table, label="Map").text()
    assert len(table) == 45 and "(none)" not in text
    assert "  and 3 more classes\n  and 2 fields without a class\n" in text
