# SPDX-License-Identifier: BSD-3-Clause
"""What goes wrong in ImageJ becomes one sentence, and the next command works."""

import json
import os
import signal
import sys
import time

import numpy as np
import pytest
import tifffile

import phenoscale
from host_imagej import COMMAND, Session, asked, headless, make_home, started
from screens import draw_field, make_model, write_screen

GRAY16 = draw_field("coarse", np.random.default_rng(0))[0]


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    home = make_home(tmp_path_factory.mktemp("imagej"))
    tifffile.imwrite(home / "gray16.tif", GRAY16)
    tifffile.imwrite(home / "gray8.tif", GRAY16.astype(np.uint8))
    tifffile.imwrite(home / "smaller.tif", GRAY16[:100])
    tifffile.imwrite(home / "rgb.tif", np.stack([GRAY16.astype(np.uint8)] * 3, axis=-1),
                     photometric="rgb")
    tifffile.imwrite(home / "negative.tif", np.full((3, 128, 128), -5, np.int16), imagej=True,
                     metadata={"axes": "ZYX"})
    (home / "no model.safetensors").write_bytes(b"nothing")
    make_model("mcnn", channels=["DNA"]).save(home / "one size.safetensors")
    return home


@pytest.fixture(scope="module")
def screen(home):
    """A table whose fields are the same few files over and over: some seconds of work."""
    folder = home / "a screen"
    path = write_screen(folder, size=(384, 384))
    lines = path.read_text().splitlines()
    (folder / "long.csv").write_text("\n".join([lines[0], *(lines[1:] * 40)]) + "\n")
    return folder


@pytest.fixture(scope="module")
def running(home):
    session = Session(home)
    yield session
    session.end()


@pytest.fixture
def session(running):
    """The same ImageJ for all, with fresh options."""
    running.do(f"run Options command=[{COMMAND}] paths=[] threads=0")
    return running


def test_a_worker_that_is_killed_is_started_anew(home, screen, session):
    assert session.classify() == session.classify() == ""
    before, n = started(home), asked(home)
    session.tell(f"run ClassifyFolder model=[{home}/pair.safetensors] folder=[{screen}/long.csv] "
                 f"output=[{home}/long.csv]")
    while asked(home) < n + 2:  # about, table
        time.sleep(0.05)
    time.sleep(0.5)
    os.kill(int(started(home)[-1]), signal.SIGKILL)
    said = session.answer()
    assert said.startswith("phenoscale: error: phenoscale ended in the middle of the task")
    assert started(home) == before and not (home / "long.csv").exists()
    assert session.classify() == ""
    assert len(started(home)) == len(before) + 1


@pytest.mark.alone
def test_escape_cancels_and_the_worker_stays(home, screen, session):
    session.classify()
    before, began = started(home), time.monotonic()
    said = session.do(f"escape ClassifyFolder model=[{home}/pair.safetensors] "
                      f"folder=[{screen}/long.csv] output=[{home}/long.csv]")
    assert said == "stopped\n" and time.monotonic() - began < 3
    assert not (home / "long.csv").exists()
    assert session.classify() == "" and started(home) == before


def test_mistakes_are_sentences(home, screen, session):
    """One ImageJ lives through all of them."""
    folder = f"model=[{home}/pair.safetensors] folder=[{screen}/screen.csv]"
    before = started(home)
    for lines, sentence in {
        lambda: session.do("run ClassifyFolder folder=[x] model=[]"): "no model is given",
        lambda: session.classify(model="absent"): "absent.safetensors does not exist",
        lambda: session.classify(model="no model"): "no model.safetensors",
        lambda: session.classify(model="pair"): "the model needs 2 channels: DNA, Actin; open",
        lambda: session.classify("rgb.tif"): "'rgb.tif' has 3 channels, the model needs 1 channel",
        lambda: session.classify("gray8.tif"): "the fields are uint8, the model was trained on",
        lambda: session.classify("smaller.tif", "one size"): "the fields are 100 x 128 pixels",
        lambda: session.classify("negative.tif"): "'negative.tif' has negative counts",
        lambda: session.do(f"run ClassifyFolder {folder} output=[]"): "no output is given",
        lambda: session.do(f"run ClassifyFolder {folder} output=[/proc/no.csv]"): "/proc/no.csv",
        lambda: session.do(f"run ClassifyFolder {folder} output=[{home}]"): str(home),
        lambda: session.do(f"run ClassifyFolder {folder} preset=opera output=[x]"):
            "Preset: 'opera' is given, and it is one of none, imagexpress, operetta",
        lambda: session.do(f"run ClassifyFolder {folder} preset=operetta output=[x.csv]"):
            "screen.csv is no folder",
        lambda: session.do("run Options threads=two"):
            "Threads (0: all): 'two' is given, and it is a whole number",
        lambda: session.do(f"open {home}/gray16.tif",
                           f"run EvidenceMap model=[{home}/gray16.safetensors] class=[fin]"):
            "Class: 'fin' is given, and it is one of most probable, coarse, fine",
    }.items():
        said = lines()
        assert said.startswith("phenoscale: error: ") and sentence in said, said
        assert said.count("\n") == 2 and "Exception" not in said  # the sentence, "stopped"
    assert session.classify() == "" and started(home) == before


@pytest.mark.parametrize("command, sentence", [
    ("no-such-program serve", "the program 'no-such-program' cannot be started"),
    ('"two words" serve', "the program 'two words' cannot be started"),
    (f"{sys.executable} -m phenoscale --help", "is not phenoscale, it says 'Usage:"),
    (f"{sys.executable} -m phenoscale nonsense", "ended at once (Error: No such command"),
    (f"{sys.executable} -c print('{{\"protocol\":2}}')", "speaks another protocol"),
])
def test_a_command_that_is_no_worker(session, command, sentence):
    said = session.command(command)
    assert said.startswith("phenoscale: error: ") and sentence in said, said
    assert "Plugins > phenoscale > Phenoscale Options" in said and said.count("\n") == 2
    assert f"phenoscale {phenoscale.__version__} answers" in session.command(COMMAND)


def test_paths_of_another_machine(home, session):
    """What lies below the first path is named by the second; all else goes as pixels."""
    (home / "there").symlink_to(home)
    session.do(f"run Options command=[{COMMAND}] paths=[{home}/plain=/nowhere]")
    assert session.classify() == "" and last_field(home)[0]["dtype"] == "uint16"
    session.do(f"run Options command=[{COMMAND}] paths=[{home}={home}/there]")
    assert session.classify() == ""
    assert last_field(home) == [f"{home}/there/gray16.tif"]
    (home / "ssh").write_text('#!/bin/sh\nshift\nexec "$@"\n')
    (home / "ssh").chmod(0o755)
    session.do(f"run Options command=[ssh server {COMMAND}] paths=[]")
    assert session.classify() == "" and last_field(home)[0]["dtype"] == "uint16"


def last_field(home):
    line = (home / "requests").read_text().splitlines()[-1]
    return json.loads(line)["inputs"]["fields"][0]


def test_two_at_once(home, screen):
    """Two ImageJs, each with its worker, on the same fields."""
    sessions = [Session(home) for _ in range(2)]
    for number, session in enumerate(sessions):
        session.command(COMMAND)
        session.tell(f"run ClassifyFolder model=[{home}/pair.safetensors] "
                     f"folder=[{screen}/screen.csv] output=[{home}/{number}.csv]")
    for session in sessions:
        assert session.answer().startswith("phenoscale: fields=18 skipped=none")
        session.end()
    assert (home / "0.csv").read_text() == (home / "1.csv").read_text()


def test_two_commands_at_once_take_turns(home, screen, session):
    session.classify()
    before = started(home)
    said = session.do(f"twice ClassifyFolder model=[{home}/pair.safetensors] "
                      f"folder=[{screen}/screen.csv] output=[{home}/twice.csv]")
    assert said.count("phenoscale: fields=18 skipped=none") == 2 and "error" not in said
    assert started(home) == before


def test_the_worker_ends_with_imagej(home):
    session = Session(home)
    session.command(COMMAND)
    worker = int(started(home)[-1])
    os.kill(worker, 0)
    session.end()
    for _ in range(100):
        if not os.path.exists(f"/proc/{worker}"):
            return
        time.sleep(0.05)
    raise AssertionError("the worker outlives ImageJ")


def test_status_without_a_screen(home):
    assert headless(home)[0] == headless(home, "Classify", "")[0] == 2
    classify = "Phenoscale Classify Image"
    status, printed = headless(home, classify, f"model=[{home}/gray16.safetensors]",
                               "/proc/no.csv", home / "gray16.tif")
    assert status == 1
    assert printed.startswith("phenoscale: error: the table cannot be written: /proc/no.csv")
    status, printed = headless(home, classify, "model=[x]")
    assert status == 1 and printed == "phenoscale: error: no image is open: open one, and all its "\
        "channels\n"
    status, printed = headless(home, classify, "model=[x]", "r.csv", home / "worker")
    assert status == 1 and "worker cannot be opened as an image" in printed
