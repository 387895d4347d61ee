# SPDX-License-Identifier: BSD-3-Clause
"""The command line from the user's end: statuses, one sentence for a mistake, nothing left over."""

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios

import pytest

pandas = pytest.importorskip("pandas")
click = pytest.importorskip("click")
pytest.importorskip("tqdm")
pytest.importorskip("tifffile")
import phenoscale
import screens
from phenoscale.cli.verbs import VERBS, cli

FAST = ["--network", "mcnn-gap", "--epochs", "1", "--batch", "4", "--threads", "2", "--quiet"]
LABEL = ["--label", "Metadata_Class"]


@pytest.fixture
def screen(tmp_path):
    """A small screen that a test may break: path of its table."""
    return screens.write_screen(tmp_path / "screen", 2, 4, 1)


@pytest.fixture
def model(tmp_path):
    screens.make_model().save(tmp_path / "model.safetensors")
    return tmp_path / "model.safetensors"


def program(*words, **options):
    return subprocess.Popen([sys.executable, "-m", "phenoscale", *map(str, words)], text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)


def edit(path, **cells):
    """Change cells of a table: column=(row, value) or column=function of the column."""
    frame = pandas.read_csv(path, dtype=str, keep_default_na=False)
    for name, what in cells.items():
        if callable(what):
            frame[name] = frame[name].map(what)
        else:
            frame.loc[what[0], name] = what[1]
    frame.to_csv(path, index=False)


def image(screen, well, channel="DNA"):
    return screen.parent / "P1" / f"{well}_{channel}.tif"


def files(folder):
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


# ---- help and wrong usage -------------------------------------------------------------------


def test_every_verb_has_help(call):
    assert {"simulate", "check", "train", "predict", "report", "doctor", "bench"} <= set(VERBS)
    for words in [[], *([verb] for verb in VERBS)]:
        status, out, err = call(*words, "--help")
        assert status == 0 and err == "" and out.startswith("Usage: phenoscale ")
        assert "-h, --help" in out
    for verb in VERBS:  # every option says what it is, or its name does
        for option in cli.get_command(None, verb).params:
            assert isinstance(option, click.Argument) or option.help or option.show_default
            assert option.name


def test_the_list_of_verbs_says_what_their_help_does():
    limit = 78 - 6 - max(map(len, VERBS))  # as click cuts it for a terminal of 80 columns
    assert VERBS == {name: cli.get_command(None, name).get_short_help_str(limit) for name in VERBS}


def test_version_and_no_words(call):
    assert call("--version") == (0, f"phenoscale, version {phenoscale.__version__}\n", "")
    assert call()[0] == 2


@pytest.mark.parametrize("words, sentence", [
    (["trian"], "No such command 'trian'"),
    (["train"], "Missing argument 'TABLE'"),
    (["train", "t.csv", "--out", "run"], "Missing option '--label'"),
    (["train", "t.csv", *LABEL], "Missing option '--out'"),
    (["train", "t.csv", *LABEL, "--out", "r", "--network", "resnet"], "'resnet' is not one of"),
    (["train", "t.csv", *LABEL, "--out", "r", "--epochs", "0"], "0 is not in the range"),
    (["train", "t.csv", *LABEL, "--out", "r", "--epochs", "many"], "'many' is not a valid"),
    (["train", "t.csv", *LABEL, "--out", "r", "--lr", "-1"], "rate=-1.0: give a number from"),
    (["train", "t.csv", *LABEL, "--out", "r", "--lr", "nan"], "rate=nan: give a number from"),
    (["train", "t.csv", *LABEL, "--out", "r", "--smoothing", "1"], "smoothing=1.0: give"),
    (["train", "t.csv", *LABEL, "--out", "r", "--schedule", "step"], "no schedule 'step'"),
    (["train", "t.csv", *LABEL, "--out", "r", "--optimizer", "lion"], "no optimizer 'lion'"),
    (["train", "t.csv", *LABEL, "--out", "r", "--balance", "plate"], "no balance 'plate'"),
    (["train", "t.csv", *LABEL, "--out", "r", "--augment", "twist"], "no augmentation 'twist'"),
    (["train", "t.csv", *LABEL, "--out", "r", "--val-by", "row"], "'row' is not one of"),
    (["train", "t.csv", *LABEL, "--out", "r", "--threads", "0"], "0 is not in the range"),
    (["train", "t.csv", *LABEL, "--out", "r", "--holdout", "P1"],
     "--holdout P1: write it as --holdout COLUMN=VALUE"),
    (["train", "t.csv", *LABEL, "--out", "r", "--holdout", "=P1"], "--holdout =P1: write it as"),
    (["train", "t.csv", *LABEL, "--out", "r", "--controls", "x="], "--controls x=: write it as"),
    (["train", "t.csv", *LABEL, "--out", "r", "--role", "plate"], "--role plate: write it as"),
    (["train", "t.csv", *LABEL, "--out", "r", "--split", "S", "--holdout", "P=1"],
     "give either --split, or --holdout and --val-fraction"),
    (["train", "t.csv", *LABEL, "--out", "r", "--speed", "9"], "No such option"),
    (["check", "t.csv", "--path-map", "/a"], "--path-map /a: write it as --path-map OLD=NEW"),
    (["check", "t.csv", "--batch", "0"], "0 is not in the range"),
    (["predict", "m"], "Missing argument 'TABLE'"),
    (["predict", "m", "t", "--out", "o", "--embedding", "all"], "'all' is not one of"),
    (["predict", "m", "t", "--out", "o", "--on-error", "ask"], "'ask' is not one of"),
    (["simulate", "o", "--size", "12"], "--size 12: write it as HEIGHTxWIDTH"),
    (["simulate", "o", "--size", "²x3"], "write it as HEIGHTxWIDTH"),
    (["simulate", "o", "--size", "-1x3"], "write it as HEIGHTxWIDTH"),
    (["simulate", "o", "--seed", "-1"], "-1 is not in the range"),
    (["report"], "Missing argument 'RUN'"),
    (["bench", "--scaling", "--repeats", "3"], "--repeats does not go with --scaling"),
    (["bench", "--scaling", "--equality"], "--equality does not go with --scaling"),
    (["bench", "--scaling", "--no-equality"], "--equality does not go with --scaling"),
    (["bench", "--scaling", "--peer-python", "p"], "--peer-python does not go with --scaling"),
    (["bench", "--picture", "p.png"], "--picture goes with --scaling"),
])
def test_wrong_usage_is_status_2(call, monkeypatch, tmp_path, words, sentence):
    monkeypatch.chdir(tmp_path)
    status, out, err = call(*words)
    assert status == 2 and out == ""
    assert err.startswith("Usage: phenoscale") and sentence in err.splitlines()[-1]
    assert files(tmp_path) == []


# ---- the way through ------------------------------------------------------------------------


def test_check_train_predict_report(call, screen, tmp_path):
    clean, run = tmp_path / "clean.csv", tmp_path / "run"
    status, out, err = call("check", screen, "--write", clean, *LABEL, "--quiet",
                            "--channels", "Actin,DNA")
    assert status == 0 and err == "" and out.endswith(f"written: {clean}\n")
    assert "10 in 10 wells on 2 plates" in out and "2: Actin, DNA" in out
    status, out, err = call("train", clean, *LABEL, "--out", run, *FAST,
                            "--holdout", "Metadata_Plate=P2", "--controls", "Metadata_Class=fine")
    assert (status, out, err) == (0, f"{run / 'report.html'}\n", "")
    assert " ".join(files(run)[1:]) == ("config.json files.json heads.csv log.csv "
                                        "model.safetensors predictions.csv report.html split.csv")
    assert phenoscale.load(run / "model.safetensors").channels == ["Actin", "DNA"]
    again = tmp_path / "predictions.csv"
    status, out, err = call("predict", run / "model.safetensors", screen, "--out", again,
                            "--quiet", "--threads", "1")
    assert (status, out, err) == (0, f"{again}\n", "")
    ours, theirs = (pandas.read_csv(p, dtype=str).set_index(["Metadata_Plate", "Metadata_Well"])
                    for p in (again, run / "predictions.csv"))
    features = [name for name in theirs if name.startswith(("Phenoscale", "Image_Phenoscale"))]
    pandas.testing.assert_frame_equal(ours.loc[theirs.index, features], theirs[features])
    os.remove(run / "report.html")
    assert call("report", run) == (0, f"{run / 'report.html'}\n", "")
    assert "balanced accuracy" in (run / "report.html").read_text()


def test_progress_is_plain_lines_on_stderr(call, screen, tmp_path):
    status, out, err = call("train", screen, *LABEL, "--out", tmp_path / "run", *FAST[:-1])
    assert status == 0 and out.count("\n") == 1
    lines = err.splitlines()
    assert [line for line in lines if line.endswith("...")] == [
        "checking ...", "reading ...", "training ...", "measuring ...", "predicting ..."]
    assert any(re.fullmatch(r"epoch 1/1: loss \d\.\d{4}, [\d.]+ images/s", line) for line in lines)
    assert "\r" not in err


def test_progress_on_a_terminal_is_a_bar(screen, tmp_path):
    """What is done of all, how fast, the loss, the time left; with --quiet nothing at all."""
    for more, is_told in (([], True), (["--quiet"], False)):
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("4H", 40, 120, 0, 0))
        words = ["train", screen, *LABEL, "--out", tmp_path / f"run{is_told}", *FAST[:-1], *more,
                 "--epochs", "15", "--val-fraction", "0.3"]
        process = subprocess.Popen([sys.executable, "-m", "phenoscale", *map(str, words)],
                                   stdout=subprocess.DEVNULL, stderr=theirs)
        os.close(theirs)
        shown = b""
        try:
            while part := os.read(ours, 4096):
                shown += part
        except OSError:  # the terminal's other end is closed
            pass
        os.close(ours)
        assert process.wait(60) == 0
        if not is_told:
            assert shown == b""
            continue
        text = shown.decode()
        assert re.search(r"training: +\d+%\|.*\| \d+/30 .*<.*, loss \d\.\d{3}, [\d.]+/s",
                         text), text
        assert re.search(r"epoch 2/15: loss [\d.]+, [\d.]+ images/s, validation \d+% balanced "
                         r"accuracy, about \d+ s left", text), text


def test_the_program_itself(screen, tmp_path):
    process = program("check", screen)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0 and "no problems" in out
    assert err == "checking ...\nlooking ...\ntiming ...\n"
    process = program("check", tmp_path / "none.csv")
    out, err = process.communicate(timeout=60)
    assert process.returncode == 1 and out == ""
    assert err.startswith("phenoscale: ") and err.count("\n") == 1


def test_doctor(call):
    status, out, err = call("doctor")
    assert status == 0 and err == "" and "all is well" in out and "oneDNN" in out


def test_scored_fields_that_cannot_be_read_are_status_3(call, screen, tmp_path):
    screens.spoil(image(screen, "A05"))
    status, out, err = call("train", screen, *LABEL, "--out", tmp_path / "run", *FAST)
    assert status == 3 and out.split() == [
        str(tmp_path / "run" / name) for name in ("report.html", "errors.csv")]
    assert err.startswith("1 field was skipped: see ")


# ---- bad input ------------------------------------------------------------------------------


#: what is wrong -> (how to break the screen, more words for train, what the sentence says)
BAD = {
    "table missing": (os.remove, [], [r"screen.csv does not exist: give the path of"]),
    "image missing": (lambda s: os.remove(image(s, "A02")), [],
                      [r"screen.csv line 3 \(well P1 A02\), column Image_FileName_DNA",
                       "A02_DNA.tif does not exist: restore it, or correct its path, or leave"]),
    "images missing": (lambda s: [os.remove(image(s, w)) for w in ("A02", "A03", "A04")], [],
                       ["line 3", r"\(2 more files have the same fault\)"]),
    "no image": (lambda s: screens.ruin(image(s, "A03", "Actin")), [],
                 ["line 4", "column Image_FileName_Actin", "A03_Actin.tif cannot be read",
                  "replace it, or leave the row out"]),
    "spoilt image": (lambda s: screens.spoil(image(s, "A01")), [],
                     ["line 2", "P1 A01", "A01_DNA.tif", "leave the row out"]),
    "RGB": (lambda s: screens.color(image(s, "A01")), [],
            ["line 2", "has 3 channels: name those wanted, --channels A=DNA:0,B=DNA:1,C=DNA:2"]),
    "sizes": (lambda s: screens.larger(image(s, "A04")), [],
              ["line 5", "is 256 x 128 where most are 128 x 128", "crop all to one size"]),
    "many sizes": (lambda s: [screens.larger(image(s, w)) for w in ("A02", "A04")], [],
                   [r"128 x 128 \(18 files\), 256 x 128 \(2 files\)", "line 3", "line 5"]),
    "depths": (lambda s: screens.shallower(image(s, "A04")), [], ["line 5", "uint8", "one depth"]),
    "NaN": (lambda s: [screens.no_number(p) for p in (s.parent / "P1").glob("*.tif")] + [
        screens.no_number(p) for p in (s.parent / "P2").glob("*.tif")], [],
            ["line 2", "16384 of its 16384 pixels are NaN or infinite"]),
    "label": (lambda s: None, ["--label", "Metadata_Clas"],
              ["screen.csv has no column Metadata_Clas: it has Metadata_Class, "]),
    "label empty": (lambda s: edit(s, Metadata_Class=lambda v: ""), [],
                    ["column Metadata_Class is empty: no field has a class"]),
    "one class": (lambda s: edit(s, Metadata_Class=lambda v: v and "fine"), [],
                  ["column Metadata_Class has one class only, fine", "two or more are needed"]),
    "one field": (lambda s: edit(s, Metadata_Class=(3, "rare")), [],
                  [(r"class rare of column Metadata_Class has one field to train on \(see .*line 5 "
                   r"\(well P1 A04\)\)"), "every class needs two or more"]),
    "holdout": (lambda s: None, ["--holdout", "Metadata_Plate=P9"],
                ["column Metadata_Plate has no P9 to hold out: it has P1, P2"]),
    "holdout column": (lambda s: None, ["--holdout", "Plate=P1"],
                       ["no column Plate: it has Metadata_Plate"]),
    "holdout all": (lambda s: None, ["--holdout", "Metadata_Plate=P1,P2"],
                    ["none of its 4 fields to train on", "hold out fewer"]),
    "val": (lambda s: None, ["--val-fraction", "1.5"], ["fraction is 1.5"]),
    "channel": (lambda s: None, ["--channels", "DNA,Actine"],
                ["no channel Actine", "its channels are Actin, DNA"]),
    "role": (lambda s: None, ["--role", "plate=Plate"], ["no column Plate for the role plate"]),
    "unknown role": (lambda s: None, ["--role", "dish=Metadata_Plate"], ["unknown role dish"]),
    "controls": (lambda s: None, ["--controls", "moa=DMSO"], ["no column moa"]),
    "split": (lambda s: None, ["--split", "Metadata_Plate"],
              ["line 2", "column Metadata_Plate says 'p1'", "needs train, val or test there"]),
    "two sides": (lambda s: edit(s, Metadata_Well=(1, "a1")), ["--holdout",
                                                              "Metadata_Class=fine,coarse"],
                  ["to train on"]),
    "no cell": (lambda s: edit(s, Image_FileName_DNA=(2, "")), [],
                ["line 4", "column Image_FileName_DNA: the file of DNA is not named"]),
    "a row too long": (lambda s: s.write_text(s.read_text() + "a,b\n"), [],
                       ["line 12 has 2 cells where the header has 10"]),
    "not text": (lambda s: s.write_bytes(b"\x89PNG\r\n\xff\xfe"), [], ["not UTF-8"]),
    "mixed": (lambda s: s.write_text(s.read_text().replace(",", ";", 1)), [],
              ["line 2 has 10 cells where the header has 9"]),
    "z": (lambda s: None, ["--z", "median"], ["z=median: give max, mean or the number"]),
    "root": (lambda s: (s.parent / "other").mkdir(), ["--root", "other"], ["--root other is no"]),
    "join": (lambda s: None, ["--join", "none.csv"], ["none.csv does not exist"]),
    "a folder": (lambda s: [os.remove(s), s.mkdir()], [], ["is a folder"]),
    "divergence": (lambda s: None, ["--lr", "100", "--clip", "0", "--batch", "2", "--epochs", "9",
                                    "--schedule", "constant"], ["smaller learning rate"]),
}


@pytest.mark.parametrize("what", BAD)
def test_bad_input_of_train(call, screen, tmp_path, what):
    break_it, words, sentences = BAD[what]
    break_it(screen)
    before = files(tmp_path)
    status, out, err = call("train", screen, *LABEL, "--out", tmp_path / "new" / "run", *FAST,
                            *words)
    assert status == 1 and out == ""
    assert err.startswith("phenoscale: ") and err.count("\n") == 1 and "Traceback" not in err
    for sentence in sentences:
        assert re.search(sentence, err), err
    assert files(tmp_path) == before and not (tmp_path / "new").exists()


def test_out_of_train(call, screen, tmp_path):
    (tmp_path / "file").write_text("mine")
    (tmp_path / "model.safetensors").write_text("an old one")
    for out, words in ((tmp_path / "file", "cannot be made: File exists"),
                       (tmp_path / "file" / "run", "cannot be made: Not a directory"),
                       (tmp_path, "holds a run already: choose another --out, or remove it"),
                       ("", "cannot be made: No such file")):
        before = files(tmp_path)
        status, stdout, err = call("train", screen, *LABEL, "--out", out, *FAST)
        assert status == 1 and stdout == "" and words in err and err.count("\n") == 1, err
        assert files(tmp_path) == before


def test_check_names_what_is_wrong(call, screen, tmp_path):
    os.remove(image(screen, "A02"))
    screens.color(image(screen, "A03"))
    status, out, err = call("check", screen, "--quiet")
    assert status == 3 and "2 problems in 2 of 10 fields" in out and err == ""
    assert "line 3 (well P1 A02)" in out and "line 4 (well P1 A03)" in out
    assert "is a file to read" in call("check", screen, "--write", screen)[2]
    status, out, err = call("check", screen.parent, "--pattern", "(?P<Well>A)", "--quiet")
    assert status == 1 and "for one field and channel" in err
    assert call("check", screen.parent)[0] == 1
    assert "say with --preset" in call("check", screen.parent)[2]
    assert "has no file named like Channel1-01-A-01.tif" in call(
        "check", screen.parent, "--preset", "bbbc013")[2]
    assert "unknown preset bbbc31: there are bbbc013" in call(
        "check", screen.parent, "--preset", "bbbc31")[2]


def test_bad_input_of_predict(call, screen, model, tmp_path):
    def fails(*words, status=1):
        before = files(tmp_path)
        found, out, err = call("predict", *words, "--quiet")
        assert (found, out) == (status, "") and err.count("\n") == 1, err
        assert err.startswith("phenoscale: ") and files(tmp_path) == before
        return err

    out = ["--out", tmp_path / "p.csv"]
    assert "none does not exist" in fails(tmp_path / "none", screen, *out)
    assert "no phenoscale file" in fails(screen, screen, *out)
    assert "none.csv does not exist" in fails(model, tmp_path / "none.csv", *out)
    os.mkfifo(tmp_path / "pipe.csv")
    (tmp_path / "folder.csv").mkdir()
    (tmp_path / "model.csv").symlink_to(model)
    for bad, words in ((screen, "is a file to read"), ("model.csv", "is a file to read"),
                       ("folder.csv", "it is a folder"), ("no/p.csv", "give a file in a folder"),
                       ("pipe.csv", "a pipe or a stream"), ("p.json", "give a name that ends in")):
        assert words in fails(model, screen, "--out", tmp_path / bad)
    assert (tmp_path / "pipe.csv").is_fifo()  # as root one could replace a device
    assert "has no channel Actin of the model" in fails(
        model, screen, *out, "--channels", "DNA")
    other = screens.make_model(channels=["DNA", "Tubulin"])
    other.save(tmp_path / "other")
    assert "has no channel Tubulin" in fails(tmp_path / "other", screen, *out)
    screens.make_model("mcnn", size=(256, 128)).save(tmp_path / "size")
    assert "128 x 128 pixels, the mcnn model was trained on 256 x 128" in fails(
        tmp_path / "size", screen, *out)
    screens.make_model(dtype="uint8").save(tmp_path / "depth")
    assert "are uint16, the model was trained on uint8" in fails(tmp_path / "depth", screen, *out)
    os.remove(image(screen, "A02"))
    assert "line 3 (well P1 A02)" in fails(model, screen, *out, "--on-error", "stop")


def test_bad_input_of_report_and_simulate(call, tmp_path):
    for folder in (tmp_path / "none", tmp_path):
        status, out, err = call("report", folder)
        assert status == 1 and out == "" and err.startswith("phenoscale: ")
        assert err.count("\n") == 1 and str(folder) in err
    assert files(tmp_path) == []
    (tmp_path / "config.json").write_text("{")
    assert call("report", tmp_path)[0] == 1
    (tmp_path / "file").write_text("")
    for words in ([tmp_path / "file"], [tmp_path / "x", "--size", "9x9"],
                  [tmp_path / "x", "--size", "99999x99999"]):
        status, out, err = call("simulate", *words, "--quiet")
        assert status == 1 and out == "" and err.count("\n") == 1, err
        assert err.startswith("phenoscale: ") and not (tmp_path / "x").exists()


def test_a_hostile_model_file(call, screen, tmp_path):
    for content in (b"", b"\x80\x04\x95", b"\xff" * 8, b"\0" * 100):
        (tmp_path / "m").write_bytes(content)
        status, out, err = call("predict", tmp_path / "m", screen, "--out", tmp_path / "p.csv")
        assert status == 1 and out == "" and err.count("\n") == 1 and "is no phenoscale" in err


def test_an_output_pipe_that_closes_is_no_traceback(screen):
    process = program("check", screen, "--quiet")
    process.stdout.close()
    err = process.stderr.read()
    assert process.wait(60) == 0 and err == ""
