# SPDX-License-Identifier: BSD-3-Clause
"""Jobs of MPI on this machine, with the two libraries that tools/install-mpi fetches."""

import os
import re
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

LIBRARIES = ["openmpi", "mpich"]
_HOME = Path(__file__).resolve().parents[2] / ".mpi"
_WORDS = {"openmpi": ["--allow-run-as-root", "--oversubscribe", "--bind-to", "none"], "mpich": []}


def home(library):
    """The folder of a library; skips the test where it is absent."""
    pytest.importorskip("mpi4py")
    if not (_HOME / library / "bin" / "mpiexec").exists():
        pytest.skip(f"no {library} in .mpi: `tools/install-mpi .mpi` fetches it")
    return _HOME / library


def start_ranks(library, size, words, cwd=None, loads=None, **environ):
    """A process of mpiexec with so many ranks of python, stdout and stderr piped; they load the
    library `loads`, by default its own."""
    return subprocess.Popen(
        [str(home(library) / "bin" / "mpiexec"), *_WORDS[library], "-n", str(size), sys.executable,
         *map(str, words)],
        cwd=cwd, text=True, errors="replace", stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, env={
            **os.environ, "OMP_WAIT_POLICY": "passive", **environ,
            "LD_LIBRARY_PATH": str(_HOME / (loads or library) / "lib")})


def run_ranks(library, size, words, cwd=None, seconds=120, **more):
    """(status, stdout, stderr) of such a job."""
    process = start_ranks(library, size, words, cwd, **more)
    try:
        out, err = process.communicate(timeout=seconds)
    finally:
        process.kill()
    return process.returncode, out, err


class launch_job:
    """`phenoscale launch` of a verb with two ranks, stdout and stderr piped."""

    def __init__(self, library, *words):
        root = ["--allow-run-as-root"] if library == "openmpi" else []
        self.process = subprocess.Popen(
            [sys.executable, "-m", "phenoscale", "launch", "-n", "2", *root, "--",
             *map(str, words)], text=True, errors="replace", stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            env={**os.environ, "PHENOSCALE_MPIEXEC": str(home(library) / "bin" / "mpiexec")})

    def has_ranks(self):
        """Whether its two ranks are there."""
        return sum(command_line(pid).startswith(f"{sys.executable} -m mpi4py -m phenoscale ")
                   for pid in below(self.process.pid)) == 2


def below(pid):
    """The processes that a process has started, and those that they have."""
    found = []
    with suppress(OSError):
        for task in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{task}/children") as file:
                found += [int(word) for word in file.read().split()]
    return [*found, *(one for child in found for one in below(child))]


def command_line(pid):
    """Its words, "" for a process that is gone."""
    with suppress(OSError), open(f"/proc/{pid}/cmdline", errors="replace") as file:
        return file.read().replace("\0", " ")
    return ""


def ranks_of(job):
    """The processes of a job's ranks, from the line that rank 0 says of them: (pids, what was
    said until then)."""
    said = ""
    for line in job.stderr:
        said += line
        found = re.search(r"\(processes ([\d, ]+)\)", line)
        if found:
            return [int(number) for number in found[1].split(",")], said
    raise AssertionError(said)


def wait_for(condition, seconds=60):
    """Until it is true."""
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "it never came to pass"
        time.sleep(0.02)


def segments(pids):
    """Names of the shared memory that these processes have mapped."""
    names = set()
    for pid in pids:
        with suppress(OSError), open(f"/proc/{pid}/maps", errors="replace") as maps:
            names.update(re.findall(r"/dev/shm/([^ \n]+)", maps.read()))
    return names


def is_alive(pid):
    """Whether a process is there and no zombie."""
    with suppress(OSError), open(f"/proc/{pid}/stat") as file:
        return file.read().rpartition(")")[2].split()[0] not in "ZX"
    return False
