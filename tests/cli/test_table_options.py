# SPDX-License-Identifier: BSD-3-Clause
"""Tables and images on the command line: marked fields, skipped ones, bins, stacks, channels."""

import json
import os
import re

import numpy as np
import pandas
import tifffile

import phenoscale
import screens
from phenoscale.cli.options import path_maps
from phenoscale.images.survey import survey
from phenoscale.prediction.predict import predict
from phenoscale.tables.read import read_table

FAST = ["--network", "mcnn-gap", "--epochs", "1", "--batch", "4", "--threads", "2", "--quiet"]
LABEL = ["--label", "Metadata_Class"]


def test_marked_fields_are_honoured_by_train_and_predict(call, tmp_path):
    """check --write marks them; train and predict leave them out, list them, and say so."""
    screen = screens.write_screen(tmp_path / "screen", 2, 4, 1)
    os.remove(tmp_path / "screen" / "P1" / "A02_DNA.tif")
    screens.spoil(tmp_path / "screen" / "P1" / "A03_DNA.tif")
    clean, html, run = (tmp_path / name for name in ("clean.csv", "check.html", "run"))
    status, out, err = call("check", screen, "--write", clean, "--html", html, "--quiet", *LABEL)
    assert status == 3 and out.splitlines()[-3:] == [
        f"written: {html}", f"written: {clean}, 2 fields in it marked not to be used",
        str(tmp_path / "clean.errors.csv")]
    assert err == f"2 fields were skipped: see {tmp_path / 'clean.errors.csv'}\n"
    assert "2 field" in html.read_text()
    status, out, err = call("train", clean, *LABEL, "--out", run, *FAST)
    assert status == 3 and out.split()[-1] == str(run / "errors.csv"), err
    errors = pandas.read_csv(run / "errors.csv", dtype=str)
    assert errors["Line"].tolist() == ["3", "4"] and errors["Well"].tolist() == ["P1 A02", "P1 A03"]
    assert errors["Error"].str.contains("marked in column Phenoscale_Skip", regex=False).all()
    assert len(pandas.read_csv(run / "split.csv")) == 8
    out_file = tmp_path / "p" / "predictions.csv"
    out_file.parent.mkdir()
    status, out, err = call("predict", run / "model.safetensors", clean, "--out", out_file,
                            "--quiet")
    assert status == 3 and len(pandas.read_csv(out_file)) == 8
    assert len(pandas.read_csv(out_file.parent / "predictions.errors.csv")) == 2


def test_train_skips_what_cannot_be_used_when_told(call, tmp_path):
    screen = screens.write_screen(tmp_path / "screen", 2, 4, 1)
    screens.ruin(tmp_path / "screen" / "P1" / "A02_DNA.tif")
    assert call("train", screen, *LABEL, "--out", tmp_path / "no", *FAST)[0] == 1
    status, out, err = call("train", screen, *LABEL, "--out", tmp_path / "run", *FAST,
                            "--on-error", "skip")
    assert status == 3 and err.startswith("1 field was skipped")
    assert pandas.read_csv(tmp_path / "run" / "errors.csv")["Line"].tolist() == [3]


def test_bins_stacks_and_channels_of_one_file(call, tmp_path):
    """What the model file says of them is done again by predict, without another word."""
    rows, rng = [], np.random.default_rng(0)
    for number in range(8):
        kind = screens.CLASSES[number % 2]
        stack = np.stack([screens.draw_field(kind, rng, (256, 256)) for _ in range(3)])
        tifffile.imwrite(tmp_path / f"{number}.tif", stack, metadata={"axes": "ZCYX"}, imagej=True)
        rows.append({"file": f"{number}.tif", "well": f"A{number + 1}", "class": kind})
    table = tmp_path / "screen.csv"
    pandas.DataFrame(rows).to_csv(table, index=False)
    words = ["--channels", "DNA=file:0,Actin=file:1", "--z", "max"]
    status, _, err = call("train", table, "--label", "class", "--out", tmp_path / "run", *FAST,
                          *words, "--bin", "2", "--holdout", "Metadata_Well=A01,A02")
    assert status == 0, err
    model = phenoscale.load(tmp_path / "run" / "model.safetensors")
    assert (model.size, model.bin, model.z) == ([256, 256], 2, "max")
    assert (model.channels, model.sources) == (["DNA", "Actin"], ["file:0", "file:1"])
    assert "height=128 width=128" in model.description
    status, _, err = call("predict", tmp_path / "run" / "model.safetensors", table, "--out",
                          tmp_path / "p.csv", "--quiet")
    assert status == 0, err
    ours, theirs = (pandas.read_csv(path, dtype=str) for path in
                    (tmp_path / "p.csv", tmp_path / "run" / "predictions.csv"))
    features = [c for c in theirs if "Phenoscale_" in c]
    pandas.testing.assert_frame_equal(ours.loc[:1, features], theirs[features])
    # the same from arrays: the stack projected, not binned
    first = np.stack([tifffile.imread(tmp_path / f"{n}.tif").max(axis=0) for n in (0, 1)])
    found = predict(model, first).probabilities
    columns = ["Phenoscale_Prob_coarse", "Phenoscale_Prob_fine"]
    assert np.allclose(found, ours.loc[:1, columns].astype(float), atol=1e-6)


def stacks(tmp_path, description=None, n=8):
    """Files of three pages that nobody explains, and a bare table of them."""
    rows, rng = [], np.random.default_rng(0)
    for number in range(n):
        kind = screens.CLASSES[number % 2]
        stack = np.stack([screens.draw_field(kind, rng, (128, 128), 1)[0] for _ in range(3)])
        tifffile.imwrite(tmp_path / f"{number}.tif", stack, metadata=None,
                         photometric="minisblack", description=description)
        rows.append({"file": f"{number}.tif", "well": f"A{number + 1}", "class": kind})
    pandas.DataFrame(rows).to_csv(tmp_path / "screen.csv", index=False)
    return tmp_path / "screen.csv"


def test_pages_as_channels_read_back_from_a_clean_table(call, tmp_path):
    table, clean = stacks(tmp_path), tmp_path / "clean.csv"
    for words in ("DNA=file:0,Actin=file:2", "DNA=file:0", "file=file:1"):
        status, _, err = call("check", table, "--channels", words, "--write", clean, "--quiet")
        assert status == 0, err
        wanted = survey(read_table(table, channels=words.split(","))).planes
        assert survey(read_table(clean)).planes == wanted


def test_predict_reads_the_channel_that_was_trained_on(call, tmp_path):
    """Also where the channel is called as its column."""
    table, run = stacks(tmp_path), tmp_path / "run"
    status, _, err = call("train", table, "--label", "class", "--out", run, *FAST, "--channels",
                          "file=file:1", "--holdout", "Metadata_Well=A01,A02")
    assert status == 0, err
    status, _, err = call("predict", run / "model.safetensors", table, "--out", tmp_path / "p.csv",
                          "--quiet")
    assert status == 0, err
    ours, theirs = (pandas.read_csv(path, dtype=str) for path in
                    (tmp_path / "p.csv", run / "predictions.csv"))
    features = [c for c in theirs if "Phenoscale_" in c]
    pandas.testing.assert_frame_equal(ours.loc[:1, features], theirs[features])


def test_a_page_is_named_beside_a_bare_column_of_files(call, tmp_path):
    table = stacks(tmp_path)
    frame = pandas.read_csv(table).assign(Frame_file=2, Frame_rate="25 Hz", Sample_ID="s1")
    frame.to_csv(table, index=False)
    assert {plane.page for row in survey(read_table(table)).planes for (plane,) in row} == {2}
    assert call("check", table, "--write", tmp_path / "clean.csv", "--quiet")[0] == 0
    clean = read_table(tmp_path / "clean.csv")
    assert survey(clean).planes == survey(read_table(table)).planes
    assert clean.column("Sample_ID")[0] == "s1" and clean.column("Frame_rate")[0] == "25 Hz"
    for cell, words in (("first", "frame first"), ("-1", "frame -1"), ("1.5", "frame 1.5")):
        frame.astype(str).assign(Frame_file=cell).to_csv(table, index=False)
        assert f"{words}: only pages of the first series are read" in call("check", table)[2]
    frame.assign(Frame_file=1.0).to_csv(table, index=False)
    assert {plane.page for row in survey(read_table(table)).planes for (plane,) in row} == {1}


def test_stacks_that_are_not_alike(call, tmp_path):
    """Pages of another kind than the first, a description that does not fit, several depths."""
    table = stacks(tmp_path)
    with tifffile.TiffWriter(tmp_path / "1.tif") as file:
        file.write(np.zeros((128, 128), np.uint16), metadata=None)
        file.write(np.zeros((128, 128, 3), np.uint16), metadata=None, photometric="rgb")
    status, out, _ = call("check", table, "--channels", "a=file:0,b=file:1", "--quiet")
    assert status == 3 and ("has 3 samples a pixel on page 1 where its first page has 1 samples a "
                            "pixel: save the pages as files") in out
    table = stacks(tmp_path, "ImageJ=1.53t\nimages=6\nchannels=2\nslices=3\n")
    status, _, err = call("train", table, "--label", "class", "--z", "max", "--out",
                          tmp_path / "run", *FAST, "--channels", "a=file:0,b=file:1")
    assert status == 1 and "has 3 pages, but its description by ImageJ speaks of 2 C x 3 Z" in err
    tifffile.imwrite(tmp_path / "0.tif", np.arange(128 * 128, dtype=np.uint16).reshape(128, 128))
    table = stacks(tmp_path)
    tifffile.imwrite(tmp_path / "0.tif", np.arange(128 * 128, dtype=np.uint16).reshape(128, 128))
    status, out, _ = call("check", table, "--z", "max", "--quiet")
    assert ("stacks: channel file has stacks of several depths: 3 planes in 7 fields, 1 plane in 1 "
            "field") in out
    status, out, _ = call("check", table, "--z", "1", "--quiet")
    assert status == 3 and "has 1 plane of z, counted from 0: there is no plane 1" in out


def test_roles_survive_a_clean_table(call, tmp_path):
    screen, clean = screens.write_screen(tmp_path, 2, 4, 0), tmp_path / "clean.csv"
    frame = pandas.read_csv(screen).rename(columns={"Metadata_Plate": "Barcode",
                                                    "Metadata_Well": "Position"})
    frame.to_csv(screen, index=False)
    roles = ["--role", "plate=Barcode", "--role", "well=Position"]
    assert call("check", screen, *roles, "--write", clean, "--quiet")[0] == 0
    again = read_table(clean)
    assert {"plate", "well"} <= set(again.roles) and again.place(0).endswith("(well P1 A01)")
    assert again.column("Barcode").tolist() == frame["Barcode"].tolist()
    frame.assign(Metadata_Plate="other").to_csv(screen, index=False)
    assert "has a column Metadata_Plate, but Barcode is the plate: remove or rename" in call(
        "check", screen, *roles, "--write", clean, "--quiet")[2]
    assert call("check", screen, "--role", "plate=a", "--role", "plate=b")[0] == 2


def test_own_names_of_columns_in_every_option(call, tmp_path):
    """As the list in docs/tables.md; config.json and what is written have our names."""
    screen, run = screens.write_screen(tmp_path, 2, 4, 0), tmp_path / "run"
    frame = pandas.read_csv(screen).rename(columns={
        "Metadata_Plate": "Barcode", "Metadata_Well": "well", "Metadata_Class": "compound",
        "Metadata_Compound": "x"})
    frame.to_csv(screen, index=False)
    words = ["train", screen, "--label", "compound", "--out", run, *FAST[:-1]]
    for option, cell in (("--holdout", "to hold out: it has P1, P2"),
                         ("--controls", "for a control: it has P1, P2")):
        status, _, err = call(*words, option, "Barcode=P9")
        assert status == 1 and f"column Barcode has no P9 {cell}" in err
    status, _, err = call(*words, "--holdout", "Barcode=P2", "--controls", "well=a1")
    assert status == 0 and "Barcode for the plate" in err, err
    config = json.loads((run / "config.json").read_text())
    assert (config["label"], config["holdout"], config["controls"], config["n_test"]) == (
        "Metadata_Compound", {"Metadata_Plate": ["P2"]}, {"Metadata_Well": ["A01"]}, 4)
    assert set(pandas.read_csv(run / "predictions.csv")["Metadata_Plate"]) == {"P2"}


def test_unknown_wells_are_said_and_kept(call, tmp_path):
    screen, run = screens.write_screen(tmp_path, 2, 4, 0), tmp_path / "run"
    frame = pandas.read_csv(screen).rename(columns={"Metadata_Well": "Position"})
    frame.to_csv(screen, index=False)
    status, out, _ = call("check", screen, "--quiet")
    assert status == 0 and "not found: well, batch" in out and "roles: no column is known" in out
    assert "Position looks like the well (A01, A02 and 2 more): --role well=Position" in out
    status, _, err = call("train", screen, *LABEL, "--out", run, *FAST[:-1], "--holdout",
                          "Metadata_Plate=P2")
    assert status == 0 and "note: no column is known to be the well, batch; Position looks" in err
    notes = json.loads((run / "config.json").read_text())["notes"]
    assert any("the wells are not known" in note for note in notes)


def test_a_check_judges_its_own_marks_anew(call, tmp_path):
    screen, clean = screens.write_screen(tmp_path, 1, 4, 0), tmp_path / "clean.csv"
    path = tmp_path / "P1" / "A02_DNA.tif"
    path.rename(tmp_path / "away.tif")
    assert call("check", screen, "--write", clean, "--quiet")[0] == 3
    (tmp_path / "away.tif").rename(path)
    status, out, _ = call("check", clean, "--write", tmp_path / "again.csv", "--quiet")
    assert status == 0 and read_table(tmp_path / "again.csv").skipped() == {}
    # a mark of somebody else stays, and is said
    pandas.read_csv(screen).assign(Phenoscale_Skip=["", "", "dust", ""]).to_csv(screen, index=False)
    status, out, _ = call("check", screen, "--write", clean, "--quiet")
    assert status == 3 and "no problems: every other file can be used" in out
    assert re.search(r"marked: 1 field not to be used, says column Phenoscale_Skip: .*dust", out)
    assert read_table(clean).skipped() == {2: "dust"}


def test_nothing_that_is_read_is_written_over(call, tmp_path):
    screen = screens.write_screen(tmp_path, 1, 4, 0)
    (tmp_path / "map.csv").write_text("well,sirna\nA01,x\n")
    image, errors = tmp_path / "P1" / "A02_DNA.tif", tmp_path / "c.errors.csv"
    os.link(image, tmp_path / "other name.html")
    (tmp_path / "link.csv").symlink_to(image)
    (tmp_path / "page.csv").symlink_to("x.html")
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    words = ["--join", tmp_path / "map.csv", "--quiet"]
    for more, sentence in (
            (["--write", tmp_path / "map.csv"], "map.csv is a file to read"),
            (["--write", tmp_path / "link.csv"], "link.csv is a file to read"),
            (["--write", image], "A02_DNA.tif cannot be written: a table is written as CSV"),
            (["--html", tmp_path / "other name.html"], "other name.html is a file to read"),
            (["--write", tmp_path / "page.csv", "--html", tmp_path / "x.html"],
             "page.csv would be written twice"),
            (["--write", "/dev/stdout"], "/dev/stdout cannot be written: "),
            (["--html", tmp_path / "page.pdf"], "page.pdf cannot be written: a page is")):
        status, _, err = call("check", screen, *words, *more)
        assert status == 1 and sentence in err, err
    (tmp_path / "screen.csv").rename(errors)
    _, _, err = call("check", errors, "--write", tmp_path / "c.csv")
    assert "c.errors.csv is a file to read" in err
    errors.rename(tmp_path / "screen.csv")
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_path_maps_and_equal_signs(tmp_path):
    (tmp_path / "a=b").mkdir()
    assert path_maps((f"C:\\data={tmp_path}/a=b", "/x=/y")) == {"C:\\data": f"{tmp_path}/a=b",
                                                              "/x": "/y"}


def test_what_was_noted_is_said_and_kept(call, tmp_path):
    """Notes of reading on stderr and in config.json; the model knows the plane that was chosen."""
    table, run, clean = stacks(tmp_path), tmp_path / "run", tmp_path / "clean.csv"
    (tmp_path / "map.csv").write_text("well,sirna\nA01,x\n")
    frame = pandas.read_csv(table)
    frame["well"] = [f"A{row + 1:02d}" for row in range(len(frame))]
    frame.to_csv(table, index=False)
    assert call("check", table, "--z", "1", "--join", tmp_path / "map.csv", "--write", clean,
                "--quiet")[0] == 0
    words = ["--label", "class", "--z", "1", *FAST[:-1], "--out", run]
    status, _, err = call("train", clean, *words, "--join", tmp_path / "map.csv")
    assert status == 0 and "note: map.csv joined on well" in err, err
    assert any("map.csv joined on well" in note for note in
               json.loads((run / "config.json").read_text())["notes"])
    assert phenoscale.load(run / "model.safetensors").z == "1"
    status, _, err = call("predict", run / "model.safetensors", clean, "--out",
                          tmp_path / "p.csv", "--join", tmp_path / "map.csv", "--quiet")
    assert status == 0 and "note" not in err


def test_a_model_knows_the_plane_that_a_check_chose(call, tmp_path):
    """The clean table has one plane a field; a table of all planes is read as that one was."""
    rows, rng = [], np.random.default_rng(0)
    for number in range(8):
        kind = screens.CLASSES[number % 2]
        for z in range(2):
            tifffile.imwrite(tmp_path / f"{number}_{z}.tif",
                             screens.draw_field(kind, rng, (128, 128), 1)[0])
            rows.append({"FileName_A": f"{number}_{z}.tif", "well": f"A{number + 1}", "site": 1,
                         "Metadata_Z": z, "class": kind})
    table, clean, run = (tmp_path / name for name in ("all.csv", "clean.csv", "run"))
    pandas.DataFrame(rows).to_csv(table, index=False)
    assert call("check", table, "--z", "1", "--write", clean, "--quiet")[0] == 0
    status, _, err = call("train", clean, "--label", "class", *FAST, "--out", run)
    assert status == 0 and phenoscale.load(run / "model.safetensors").z == "1", err
    for source, name in ((table, "p.csv"), (clean, "q.csv")):
        status, _, err = call("predict", run / "model.safetensors", source, "--out",
                              tmp_path / name, "--quiet")
        assert status == 0, err
    first, second = (pandas.read_csv(tmp_path / name) for name in ("p.csv", "q.csv"))
    assert first.filter(like="Phenoscale_").equals(second.filter(like="Phenoscale_"))


def test_lists_of_skipped_fields_come_and_go(call, tmp_path):
    """One of an earlier time is removed; a file that only has its name is not touched."""
    screen, clean = screens.write_screen(tmp_path / "s", 1, 4, 0), tmp_path / "clean.csv"
    path, errors = tmp_path / "s" / "P1" / "A02_DNA.tif", tmp_path / "clean.errors.csv"
    path.rename(tmp_path / "away.tif")
    assert call("check", screen, "--write", clean, "--quiet")[0] == 3 and errors.exists()
    (tmp_path / "away.tif").rename(path)
    assert call("check", screen, "--write", clean, "--quiet")[0] == 0 and not errors.exists()
    errors.write_text("my,notes\n")
    status, _, err = call("check", screen, "--write", clean, "--quiet")
    assert status == 1 and "clean.errors.csv is not a list of skipped fields" in err
    assert errors.read_text() == "my,notes\n"


def test_names_are_refused_before_the_work(call, tmp_path):
    screen = screens.write_screen(tmp_path, 1, 4, 0)
    status, _, err = call("check", screen, "--write", tmp_path / "clean.xlsx", "--quiet")
    assert status == 1 and "clean.xlsx cannot be written: a table is written as CSV" in err
    frame = pandas.read_csv(screen)
    frame.assign(Metadata_Plate="other", Barcode="P1").to_csv(screen, index=False)
    os.remove(tmp_path / "P1" / "A02_DNA.tif")  # which a check that began would name
    status, out, err = call("check", screen, "--role", "plate=Barcode", "--write",
                            tmp_path / "c.csv", "--quiet")
    assert status == 1 and not out and "has a column Metadata_Plate, but Barcode is" in err
