# SPDX-License-Identifier: BSD-3-Clause
"""`phenoscale launch`: its command for every launcher, and what becomes of the job."""

import os
import re
import shlex
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from phenoscale.errors import InputError, LaunchError
from phenoscale.hosts_file import place, read_hosts
from phenoscale.launch import promised_size
from phenoscale.launchers import library_variables, FLAVOURS

ROOT = Path(__file__).resolve().parent.parent
VERSIONS = {
    "Open MPI 4": "mpirun (Open MPI) 4.1.4\n\nReport bugs to http://www.open-mpi.org/",
    "Open MPI 4 as mpiexec": "mpiexec (OpenRTE) 4.1.4",
    "Open MPI 5": "mpiexec (Open MPI) 5.0.11",
    "MPICH": "HYDRA build details:\n    Version:                                 5.0.2",
    "Intel MPI": "Intel(R) MPI Library for Linux* OS, Version 2021.18.1 Build 20260626",
    "Slurm": "slurm 22.05.8",
}
OPEN_MPI = "-n 2 --bind-to none {}-x MPI4PY_LIBMPI -x OMP_NUM_THREADS"
GOLDEN = {  # without hosts, and with a:1, b:1
    "Open MPI 4": (OPEN_MPI.format("--oversubscribe "), OPEN_MPI.format("--host a:1,b:1 ")),
    "Open MPI 4 as mpiexec": (OPEN_MPI.format("--oversubscribe "),
                              OPEN_MPI.format("--host a:1,b:1 ")),
    "Open MPI 5": (OPEN_MPI.format("--map-by :OVERSUBSCRIBE "), OPEN_MPI.format("--host a:1,b:1 ")),
    "MPICH": ("-n 2 -genvlist MPI4PY_LIBMPI,OMP_NUM_THREADS",
              "-n 2 -genvlist MPI4PY_LIBMPI,OMP_NUM_THREADS -hosts a:1,b:1"),
    "Intel MPI": ("-n 2 -genvlist I_MPI_PIN_DOMAIN,MPI4PY_LIBMPI,OMP_NUM_THREADS",
                  "-n 2 -genvlist I_MPI_PIN_DOMAIN,MPI4PY_LIBMPI,OMP_NUM_THREADS -ppn 1 "
                  "-hosts a,b"),
}
TRAIN = ["train", "screen.csv", "--label", "y", "--out", "run"]


def stub(path, version, job="exit 0", **answers):
    """A launcher in shell: answers --version and --mpi=list, else does `job`."""
    cases = {"--version": version, **{f"--{name}=list": text for name, text in answers.items()}}
    lines = [f"{word}) echo {shlex.quote(text)}; exit 0;;" for word, text in cases.items()]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\ncase \"$1\" in\n" + "\n".join(lines) + f"\nesac\n{job}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def start(launcher, *words, verb=TRAIN, ranks=2, **environ):
    """The words and environment of `phenoscale launch` as a program."""
    blank = {name: value for name, value in os.environ.items()
             if not re.match("OMP_|MPI4PY_|LD_LIB|PYTHONPATH|OMPI_|SLURM_|PHENOSCALE_", name)}
    command = [sys.executable, "-m", "phenoscale", "launch", "-n", str(ranks), *words, "--", *verb]
    path = {"PHENOSCALE_MPIEXEC": str(launcher)} if launcher else {}
    return command, {**blank, "OMP_WAIT_POLICY": "", **path, **environ}


def launch(*words, **how):
    """What `phenoscale launch` does: status, stdout, stderr."""
    command, environ = start(*words, **how)
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60)
    return done.returncode, done.stdout, done.stderr


# ---- commands ------------------------------------------------------------------------------


def plain(command, home):
    """A printed command without the paths of this machine, and without OMP_WAIT_POLICY."""
    words = shlex.split(command)
    assert words[0] == "env"
    words = [re.sub(re.escape(str(home)), "HOME", word) for word in words[1:]]
    words = ["python" if word == sys.executable else word for word in words]
    text = " ".join(words)
    return re.sub(r" -x OMP_WAIT_POLICY|,OMP_WAIT_POLICY", "", text)


@pytest.mark.parametrize("flavour", GOLDEN)
@pytest.mark.parametrize("hosts", [0, 1])
def test_commands(flavour, hosts, tmp_path):
    launcher = stub(tmp_path / "bin" / "mpiexec", VERSIONS[flavour])
    for name in ("libmpi.so.12", "libmpi.so.40"):
        (tmp_path / "lib").mkdir(exist_ok=True)
        (tmp_path / "lib" / name).touch()
    (tmp_path / "hosts").write_text("a\nb slots=1 # the second\n".replace(" slots=1", ""))
    words = ["--hosts", str(tmp_path / "hosts")] if hosts else []
    status, out, err = launch(launcher, "--threads", "1", "--dry-run", *words)
    number = 40 if flavour.startswith("Open") else 12
    pin = "I_MPI_PIN_DOMAIN=omp " if flavour.startswith("Intel") else ""
    assert (status, plain(out, tmp_path)) == (
        0, f"{pin}MPI4PY_LIBMPI=HOME/lib/libmpi.so.{number} OMP_NUM_THREADS=1 HOME/bin/mpiexec "
        f"{GOLDEN[flavour][hosts]} python -m mpi4py -m phenoscale train --threads 1 "
        "screen.csv --label y --out run"), err
