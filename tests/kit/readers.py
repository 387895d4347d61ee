# SPDX-License-Identifier: BSD-3-Clause
"""Programs that read what is exported, where they are: mantispy and CellProfiler Analyst.

mantispy needs Python 3.12 or later, and lives in .pythons/readers (tools/install-pythons).
CellProfiler Analyst is in no package index: PHENOSCALE_CPA is a checkout of its source, and it is
read by a Python before 3.11, whose open() still knows the mode "U".
"""

import os
import subprocess
from pathlib import Path

import pytest

PYTHONS = Path(__file__).resolve().parents[2] / ".pythons"
MANTISPY, OLDEST = (PYTHONS / name / "bin" / "python" for name in ("readers", "oldest"))
CPA = os.environ.get("PHENOSCALE_CPA", "")
needs_mantispy = pytest.mark.skipif(
    not MANTISPY.exists(), reason="no mantispy in .pythons/readers: `make tests` installs it")
needs_cpa = pytest.mark.skipif(
    not (CPA and OLDEST.exists()), reason="no CellProfiler Analyst: set PHENOSCALE_CPA to a "
    "checkout of its source, and `make tests` for the Python that runs it")


def run_reader(python, text, *words, path=""):
    """What a program prints in another Python, warnings of phenoscale's files being errors."""
    plain = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    done = subprocess.run([python, "-c", text, *map(str, words)], capture_output=True, text=True,
                          env={**plain, "PYTHONPATH": str(path)}, cwd=PYTHONS.parent / "tests")
    assert done.returncode == 0, done.stderr
    return done.stdout
