# SPDX-License-Identifier: BSD-3-Clause
"""Pages are the same whatever the user has set for matplotlib."""

import os
import subprocess
import sys

import pytest

pytest.importorskip("matplotlib")

PAGE = """
import locale, sys
from contextlib import suppress

with suppress(locale.Error):
    locale.setlocale(locale.LC_ALL, "")
from phenoscale.errors import InputError
from phenoscale.reports import gallery, pictures
from phenoscale.reports.drawing import drawing
from phenoscale.reports.page import encode

@drawing()
def page():
    import numpy
    import pandas
    log = pandas.DataFrame({"epoch": [1, 2], "loss": [1.5, 0.5], "rate": [0.01, 0.001]})
    plate = pandas.DataFrame({"Metadata_Well": ["A01", "B02"], "Phenoscale_Class": ["a", "b"],
                              "p": [0.25, 0.75]})
    shades = numpy.linspace(0, 1, 48 * 48).reshape(48, 48, 1).repeat(3, 2)
    return [encode(pictures.curves(log), "svg+xml"),
            encode(pictures.confusion([[2, 1], [0, 3]], ["a", "b"]), "svg+xml"),
            encode(pictures.plate_map(plate, ["a", "b"], "p"), "png"),
            encode(gallery.gallery([("a", [(shades, "A01", False)])]), "jpeg")]

try:
    print(*page(), sep="\\n")
except InputError as error:
    sys.exit(str(error))
import matplotlib
assert matplotlib.rcParams["font.size"] == float(sys.argv[1])  # the user's again
"""
HOSTILE = """backend: TkAgg
text.usetex: True
font.size: 31
font.family: cursive
axes.facecolor: black
axes.formatter.use_locale: True
savefig.format: pdf
savefig.facecolor: red
savefig.transparent: True
savefig.bbox: tight
svg.fonttype: none
lines.linewidth: 9
figure.dpi: 3
axes.prop_cycle: cycler('color', ['r'])
path.sketch: 9, 10, 3
"""


def draw(folder, size=10.0, **variables):
    environ = {name: value for name, value in os.environ.items()
               if not name.startswith(("MPL", "MATPLOTLIB", "LC_"))}
    return subprocess.run([sys.executable, "-c", PAGE, str(size)], cwd=folder, text=True,
                          env={**environ, **variables}, capture_output=True, check=False)


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    done = draw(tmp_path_factory.mktemp("plain"))
    assert done.returncode == 0 and len(done.stdout.splitlines()) == 4, done.stderr
    return done.stdout


def test_no_matplotlibrc_is_heard(plain, tmp_path):
    (tmp_path / "matplotlibrc").write_text(HOSTILE)
    done = draw(tmp_path, 31.0, LC_ALL="C.UTF-8")
    assert done.returncode == 0 and done.stdout == plain, done.stderr


@pytest.mark.parametrize("backend", ["no-such", "TkAgg", "module://nowhere"])
def test_no_backend_is_heard(plain, tmp_path, backend):
    done = draw(tmp_path, MPLBACKEND=backend)
    assert done.returncode == 0 and done.stdout == plain, done.stderr


@pytest.mark.parametrize("words", ["# für mich", "axes.formatter.use_locale: True"])
def test_a_file_that_stops_matplotlib_is_named(tmp_path, words):
    """Not in UTF-8; a locale that is not there."""
    (tmp_path / "matplotlibrc").write_bytes(words.encode("latin-1"))
    done = draw(tmp_path, LC_ALL="xx_XX.UTF-8")
    assert done.returncode == 1 and "its file matplotlibrc" in done.stderr
    assert "Traceback" not in done.stderr
