# SPDX-License-Identifier: BSD-3-Clause
"""The real CellProfiler for the tests: pipelines as text, runs without a window, their results.

CellProfiler lives in .cellprofiler (tools/install-cellprofiler); phenoscale is not installed there,
so that a run has it in its own Python only where PYTHONPATH says so.
"""

import csv
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
HOME = ROOT / ".cellprofiler"
needs_cellprofiler = pytest.mark.skipif(
    not (HOME / "java").exists(),
    reason="no CellProfiler in .cellprofiler: `make tests` with Python 3.11 installs it")
TUTORIAL = ROOT / "docs" / "whole_image.cppipe"
PROGRAM = [Path(sys.executable).with_name("phenoscale"), "serve"]
WORKER = " ".join(f'"{word}"' for word in PROGRAM)
_HEADER = "{name}:[module_num:{number}|svn_version:'Unknown'|variable_revision_number:{revision}|" \
    "show_window:False|notes:[]|batch_state:array([], dtype=uint8)|enabled:True|wants_pause:False]"


def environment(here):
    """Environment variables of a CellProfiler, with phenoscale in its Python or not."""
    plain = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
    more = {"PYTHONPATH": str(ROOT / "python")} if here else {}
    return {**plain, "JAVA_HOME": str(HOME / "java"), **more}


def put(pipeline, settings):
    """A pipeline with other values: {text of a setting: value}, the first of each name."""
    for name, value in settings.items():
        line = re.compile(rf"(?m)^    {re.escape(name)}:.*$")
        assert line.search(pipeline), name
        pipeline = line.sub(lambda _, name=name, value=value: f"    {name}:{value}", pipeline, 1)
    return pipeline


def block(name, settings, revision=1):
    """A module as text: {text of a setting: value}, or a list of pairs."""
    pairs = settings.items() if isinstance(settings, dict) else settings
    return "\n".join([_HEADER.format(name=name, number=0, revision=revision),
                      *(f"    {text}:{value}" for text, value in pairs)])


def blocks(pipeline):
    """The modules of a pipeline as texts."""
    return pipeline.strip().split("\n\n")[1:]


def pipeline_of(modules):
    """Modules as texts -> a pipeline, numbered anew."""
    numbered = [re.sub(r"\[module_num:\d+", f"[module_num:{number}", text)
                for number, text in enumerate(modules, 1)]
    head = ("CellProfiler Pipeline: http://www.cellprofiler.org\nVersion:5\nDateRevision:400\n"
            f"GitHash:\nModuleCount:{len(modules)}\nHasImagePlaneDetails:False")
    return "\n\n".join([head, *numbered]) + "\n"


def measure(model, images, embedding=False, measures=False, command="", here="", there=""):
    """A MeasureWholeImage as text; `images` is {channel of the model: image}."""
    model = Path(model)
    channels = [pair for channel, image in images.items() for pair in (
        ("Channel of the model", channel), (f"Image for channel {channel}", image))]
    return block("MeasureWholeImage", [
        ("Model folder", f"Elsewhere...|{model.parent}"), ("Model file", model.name),
        ("Measure the embedding?", "Yes" if embedding else "No"),
        ("Record the measures?", "Yes" if measures else "No"),
        ("Threads, 0 for automatic", 0), ("Worker command", command),
        ("Folder that a worker shares", here),
        ("Name of that folder on the worker's computer", there),
        ("Number of channels", len(images)), *channels], revision=2)


def train(images, folder, label="Class", revision=2, **more):
    """A TrainWholeImage as text; `more`: name, epochs, control, value, command."""
    return block("TrainWholeImage", {
        "Images to train on": ", ".join(images), "Metadata of the class": label,
        "Output folder": folder if "|" in str(folder) else f"Elsewhere...|{folder}",
        "Name of the run folder": more.get("name", "run"), "Network": "mcnn-gap",
        "Epochs": more.get("epochs", 1), "Metadata of the controls": more.get("control", "None"),
        "Its value for controls": more.get("value", "coarse"),
        "Worker command": more.get("command", ""), "Folder that a worker shares": "",
        "Name of that folder on the worker's computer": ""}, revision)


def batch(folder, moved):
    """A CreateBatchFiles as text, for computers that call the folder otherwise."""
    return block("CreateBatchFiles", {
        "Store batch files in default output folder?": "Yes", "Output folder path": folder,
        "Are the cluster computers running Windows?": "No", "Hidden- in batch mode": "No",
        "Hidden- in distributed mode": "No",
        "Hidden- default input folder at time of save": folder, "Hidden- revision number": 0,
        "Hidden- from old matlab": "No", "Local root path": folder, "Cluster root path": moved},
        revision=8)


def load_data(table="screen.csv", rescale=True):
    """A LoadData as text, of a table in the input folder."""
    text = put(blocks(TUTORIAL.read_text())[0], {"Name of the file": table})
    return put(text, {"Rescale intensities?": "Yes" if rescale else "No"})


def export():
    """An ExportToSpreadsheet as text."""
    return blocks(TUTORIAL.read_text())[-1]


@dataclass
class Run:
    """A CellProfiler that was started."""

    process: subprocess.Popen
    out: Path
    log: Path

    def result(self, status=0):
        """(rows of Image.csv or None, log) at its end; fails the test on another status."""
        found = self.process.wait(timeout=150)
        words = self.log.read_text(errors="replace")
        assert found == status, words[-4000:]
        table = self.out / "Image.csv"
        if not table.exists():
            return None, words
        with open(table, newline="") as file:
            return list(csv.DictReader(file)), words


def start(pipeline, source, out, plugins, here=True, words=()):
    """Start `cellprofiler -c -r`; `pipeline` is text, or the path of a file."""
    out.mkdir(parents=True, exist_ok=True)
    if not isinstance(pipeline, Path):
        path = out / "pipeline.cppipe"
        path.write_text(pipeline)
        pipeline = path
    log = out / "log.txt"
    with open(log, "w") as file:
        process = subprocess.Popen(
            [str(word) for word in (HOME / "bin/cellprofiler", "-c", "-r", "-p", pipeline, "-i",
                                    source, "-o", out, "--plugins-directory", plugins, *words)],
            env=environment(here), cwd=out, stdin=subprocess.DEVNULL, stdout=file,
            stderr=subprocess.STDOUT)
    return Run(process, out, log)


def driver(request, here=True):
    """What tests/kit/cellprofiler_driver.py answers in CellProfiler's Python."""
    import json

    done = subprocess.run([HOME / "bin/python", ROOT / "tests/kit/cellprofiler_driver.py"],
                          input=json.dumps(request), env=environment(here), text=True, timeout=200,
                          capture_output=True)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    return json.loads(done.stdout.splitlines()[-1]), done.stderr
