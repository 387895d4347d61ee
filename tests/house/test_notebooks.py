# SPDX-License-Identifier: BSD-3-Clause
"""Every notebook runs from top to bottom, on a smaller screen, and is stored with its pictures; a
training cell can be stopped."""

import base64
import re
import time
from pathlib import Path

import nbclient
import nbformat
import pytest
from jupyter_client.manager import start_new_kernel

import screens

HOME = Path(__file__).parents[2] / "notebooks"
#: notebook -> the lines that are made smaller, and by what; how many pictures it shows; a word
SMALLER = {
    "01_first_steps": ({
        'SCREEN = {"plates": 4, "phenotypes": 6, "size": (256, 256), "sites": 2}':
            'SCREEN = {"plates": 2, "phenotypes": 3, "size": (128, 128), "wells": 24}',
        "EPOCHS = 12": "EPOCHS = 1"}, 4, "balanced accuracy"),
    "02_plate_to_hits": ({
        'SCREEN = {"plates": 3, "phenotypes": 6, "size": (256, 256), "wells": 112}':
            'SCREEN = {"plates": 3, "phenotypes": 3, "size": (128, 128), "wells": 24}',
        "EPOCHS = 16": "EPOCHS = 1"}, 4, "hits at q < 0.05"),
    "03_dose_response": ({
        'SCREEN = {"plates": 2, "phenotypes": 3, "size": (256, 256), "wells": 80}':
            'SCREEN = {"plates": 2, "phenotypes": 3, "size": (128, 128), "wells": 24}',
        "EPOCHS = 12": "EPOCHS = 1"}, 3, "cells of a field"),
    "04_profiles_and_mechanism": ({
        'SCREEN = {"plates": 2, "phenotypes": 6, "size": (256, 256), "wells": 112}':
            'SCREEN = {"plates": 2, "phenotypes": 2, "size": (128, 128), "wells": 36}',
        "EPOCHS = 12": "EPOCHS = 1"}, 3, "mAP, replicates"),
}


def said_by(notebook):
    """The outputs of its cells, and their words."""
    said = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    return said, [output.get("text", "") + output.get("data", {}).get("text/plain", "")
                  + output.get("data", {}).get("text/html", "") for output in said]


def check_outputs(name, notebook):
    said, words = said_by(notebook)
    pictures = [output.data["image/png"] for output in said
                if "image/png" in output.get("data", {})]
    _, count, word = SMALLER[name]
    assert len(pictures) == count
    assert all(len(base64.b64decode(picture)) > 4000 for picture in pictures)
    assert any(word in text for text in words)


def executed(name, folder):
    """A notebook, smaller, as it ran in a folder."""
    notebook = nbformat.read(HOME / f"{name}.ipynb", as_version=4)
    parameters = notebook.cells[1]
    for line, smaller in SMALLER[name][0].items():
        assert line in parameters.source
        parameters.source = parameters.source.replace(line, smaller)
    return nbclient.NotebookClient(notebook, timeout=300, resources={"metadata": {"path": folder}}
                                   ).execute()


def test_every_notebook_is_known():
    assert sorted(path.stem for path in HOME.glob("*.ipynb")) == sorted(SMALLER)


@pytest.mark.parametrize("name", SMALLER)
def test_notebook_runs(name, tmp_path, monkeypatch):
    monkeypatch.delenv("BBBC013", raising=False)
    notebook = executed(name, tmp_path)
    check_outputs(name, notebook)
    skipped = any("BBBC013 is skipped" in text for text in said_by(notebook)[1])
    assert skipped == (name == "03_dose_response")


def test_doses_of_the_real_plate(shared_data, tmp_path, monkeypatch):
    monkeypatch.setenv("BBBC013", str(shared_data("bbbc013")))
    notebook = executed("03_dose_response", tmp_path)
    check_outputs("03_dose_response", notebook)
    assert any("LY294002" in text for text in said_by(notebook)[1])


@pytest.mark.parametrize("name", SMALLER)
def test_notebook_is_stored_with_its_pictures(name):
    """As it ran (`jupyter execute --inplace`); its pictures in 128 colours, so that it is small,
    and nothing of the machine in it."""
    path = HOME / f"{name}.ipynb"
    notebook, text = nbformat.read(path, as_version=4), path.read_text(encoding="utf-8")
    check_outputs(name, notebook)
    assert len(text) < 1 << 20
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    assert not any(cell.metadata for cell in code), "times of the run are of no use to readers"
    said, words = said_by(notebook)
    assert not any(output.output_type == "error" or output.get("name") == "stderr"
                   for output in said)
    assert not re.search(r"(?<![\w<.])/\w+/|[A-Z]:\\", "".join(words)), "a path of a machine"


TRAIN = """
import phenoscale
from phenoscale import Crew, Recipe, Running, Split
table = phenoscale.read_table({path!r})
recipe = Recipe(network="mcnn", epochs={epochs}, batch=8)
def tell(event):
    if event["stage"] == "step":
        print("step", event["done"], flush=True)
def train(out, **options):
    model, _ = phenoscale.train_run(
        table, "Metadata_Class", out, recipe, Split(val_fraction=0), running=Running(**options),
        crew=Crew(threads=1, progress=tell))
    print("digest", model.digest(), flush=True)
"""


@pytest.fixture
def kernel():
    manager, client = start_new_kernel()
    yield manager, client
    client.stop_channels()
    manager.shutdown_kernel(now=True)


def say(client, code, until=None, then=None):
    """Run a cell: (what it printed, name of the error it ended in or "", seconds from `then`).

    then: called once the word `until` is printed.
    """
    number = client.execute(code)
    printed, error, begun = "", "", None
    while True:
        message = client.get_iopub_msg(timeout=120)
        kind, content = message["msg_type"], message["content"]
        if message["parent_header"].get("msg_id") != number:
            continue
        if kind == "stream":
            printed += content["text"]
            if then and begun is None and until in printed:
                time.sleep(0.3)  # into the next step
                begun = time.monotonic()
                then()
        elif kind == "error":
            error = content["ename"]
        elif kind == "status" and content["execution_state"] == "idle":
            return printed, error, time.monotonic() - (begun or time.monotonic())


@pytest.mark.alone
def test_a_cell_that_trains_can_be_stopped_and_gone_on_with(kernel, tmp_path):
    """The stop button: within half a second on an idle machine, with a checkpoint, and the kernel
    lives."""
    manager, client = kernel
    path = screens.write_screen(tmp_path / "screen", 1, 8, 0, size=(256, 384))
    assert say(client, TRAIN.format(path=str(path), epochs=3))[:2] == ("", "")
    whole, error, _ = say(client, f"train({str(tmp_path / 'whole')!r})")
    assert error == "" and "digest" in whole
    seconds = []
    while len(seconds) < 4 and not (seconds and min(seconds) < 0.7):  # a busy one may be late
        out = str(tmp_path / f"run{len(seconds)}")
        printed, error, late = say(client, f"train({out!r})", "step 1", manager.interrupt_kernel)
        assert error == "Stopped" and "digest" not in printed, printed
        seconds.append(late)
    assert min(seconds) < 0.7, seconds
    printed, error, _ = say(client, f"train({out!r}, resume=True)")
    assert error == "" and printed.splitlines()[-1] == whole.splitlines()[-1]
