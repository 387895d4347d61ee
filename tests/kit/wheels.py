# SPDX-License-Identifier: BSD-3-Clause
"""Commands around a built wheel, away from the development build."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def run(*command, **options):
    """Standard output and error of a command; fails the test with them if the command fails."""
    done = subprocess.run([str(word) for word in command], text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, timeout=600, **options)
    assert done.returncode == 0, f"{command[0]}: status {done.returncode}\n{done.stdout[-6000:]}"
    return done.stdout


def clean_environment():
    """Ours without what leads to the development build and its libraries."""
    own = Path(sys.executable).parent
    kept = {k: v for k, v in os.environ.items()
            if not k.startswith("LD_") and k not in ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")}
    kept["PATH"] = os.pathsep.join(p for p in os.environ["PATH"].split(os.pathsep)
                                   if Path(p) != own)
    return kept
