# SPDX-License-Identifier: BSD-3-Clause
"""Jobs of MPI on this machine, with the two libraries that tools/install-mpi fetches."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

LIBRARIES = ["openmpi", "mpich"]
_HOME = Path(__file__).resolve().parents[1] / ".mpi"
_WORDS = {"openmpi": ["--allow-run-as-root", "--oversubscribe", "--bind-to", "none"], "mpich": []}


def start_ranks(library, size, words, cwd=None):
    """A process of mpiexec with so many ranks of python, stdout and stderr piped."""
    pytest.importorskip("mpi4py")
    mpiexec = _HOME / library / "bin" / "mpiexec"
    if not mpiexec.exists():
        pytest.skip(f"no {library} in .mpi: `tools/install-mpi .mpi` fetches it")
    return subprocess.Popen(
        [str(mpiexec), *_WORDS[library], "-n", str(size), sys.executable, *map(str, words)],
        cwd=cwd, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        env={**os.environ, "LD_LIBRARY_PATH": str(_HOME / library / "lib")})


def run_ranks(library, size, words, cwd=None):
    """(status, stdout, stderr) of such a job."""
    process = start_ranks(library, size, words, cwd)
    try:
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
    return process.returncode, out, err
