# SPDX-License-Identifier: BSD-3-Clause
"""docs/profiles.md: its code runs as it stands, from predictions to a score of replicates."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("tifffile")
pytest.importorskip("pycytominer", reason="pycytominer is not installed")
pytest.importorskip("copairs", reason="copairs is not installed")
import phenoscale
import screens

PAGE = Path(__file__).parents[2] / "docs" / "profiles.md"


#: What must be true of the names of the page.
CHECK = """
import numpy
of_controls = robust[robust["Metadata_Control"] == "negative"][features].to_numpy()
assert len(wells) == 48 and len(features) == 512
assert numpy.isfinite(of_controls).all() and numpy.abs(of_controls).max() < 1e4
assert len(kept) > 4 and numpy.isfinite(sphered[kept].to_numpy()).all()
assert len(scores) > 3 and scores["mean_average_precision"].between(0, 1).all()
"""


def test_the_page_runs(tmp_path):
    screen = phenoscale.simulate(tmp_path / "screen", seed=0, plates=2, phenotypes=3,
                                 size=(128, 128), wells=24)
    table = phenoscale.read_table(screen)
    phenoscale.predict_to_file(screens.make_model("mcnn", channels=table.channels), screen,
                               tmp_path / "predictions.csv")
    code = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    (tmp_path / "page.py").write_text("".join(code) + CHECK)
    done = subprocess.run([sys.executable, "-W", "ignore", "page.py"], cwd=tmp_path,
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
