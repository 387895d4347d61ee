# SPDX-License-Identifier: BSD-3-Clause
"""The line of docs/cellprofiler.md that installs the wheel, in a copy of CellProfiler, and
CellProfiler after it."""

import csv
import os
import re
import shlex
import shutil

import pytest

import cellprofilers as cp
from phenoscale.hosts.install_plugin import install
from screens import make_model, write_screen
from wheels import ROOT, clean_environment, run

CHANNELS = ["DNA", "Actin", "Tubulin"]
VERSIONS = "import numpy, pandas, phenoscale as p; print(numpy.__version__, p.__file__)"

pytestmark = cp.needs_cellprofiler


def link(source, target):
    """A second name of a file, or a copy on another disk; pip replaces files and never edits."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


@pytest.fixture(scope="module")
def python(built, tmp_path_factory):
    """Python of a copy of CellProfiler, after the page's line."""
    home = tmp_path_factory.mktemp("host") / "cellprofiler"
    shutil.copytree(cp.HOME.resolve(), home, symlinks=True, copy_function=link)
    found = home / "bin/python"
    for package in ("pandas", "tqdm", "click", "safetensors"):  # which the tests' own has for us
        for part in home.glob(f"lib/python3.*/site-packages/{package}*"):
            shutil.rmtree(part)
    page = (ROOT / "docs/cellprofiler.md").read_text()
    line, = re.findall(r"^    (PYTHON -m pip install .*)$", page, re.MULTILINE)
    words = [word.replace("PYTHON", str(found)).replace("WHEEL", str(built[0]))
             for word in shlex.split(line)]
    before = run(found, "-c", "import numpy; print(numpy.__version__)", env=clean_environment())
    run(*words, env=clean_environment())
    after, where = run(found, "-c", VERSIONS, env=clean_environment()).split(maxsplit=1)
    assert after == before.strip() and after.startswith("1.")
    assert where.startswith(str(home))
    return found


def test_cellprofiler_measures_and_trains_with_the_wheel(python, tmp_path):
    plugins, source, out = tmp_path / "plugins", tmp_path / "screen", tmp_path / "out"
    for folder in (plugins, source, out):
        folder.mkdir()
    install("cellprofiler", plugins)
    write_screen(source, plates=2, wells=2, unlabelled=0, channels=CHANNELS)
    model = source / "model.safetensors"
    make_model("mcnn-gap", channels=CHANNELS).save(model)
    pipeline = out / "p.cppipe"
    pipeline.write_text(cp.pipeline_of([
        cp.load_data(), cp.measure(model, {name: name for name in CHANNELS}),
        cp.train(CHANNELS, tmp_path), cp.export()]))
    said = run(python, "-m", "cellprofiler", "-c", "-r", "-p", pipeline, "-i", source, "-o", out,
               "--plugins-directory", plugins, cwd=out,
               env={**clean_environment(), "JAVA_HOME": str(cp.HOME / "java")})
    with open(out / "Image.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 4 and all(row["Phenoscale_Class"] for row in rows), said
    assert (tmp_path / "run/model.safetensors").exists(), said
    assert (tmp_path / "run/report.html").exists(), said
