# SPDX-License-Identifier: BSD-3-Clause
"""Trainings over ranks that are killed again and again, many ranks, many exchanges; `make soak`
has the long forms."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytest.importorskip("mpi4py"), pytest.importorskip("tifffile")
import mpi_program
import screens
from mpi_jobs import LIBRARIES, home, is_alive, ranks_of, run_ranks
from phenoscale import load

PROGRAM = Path(mpi_program.__file__)
pytestmark = pytest.mark.soak


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    return screens.write_screen(tmp_path_factory.mktemp("screen"), 2, 24, 1)


def launch(library, out, table, epochs):
    """`phenoscale launch` of a training with two ranks that is restarted as often as need be."""
    return subprocess.Popen(
        [sys.executable, "-m", "phenoscale", "launch", "-n", "2", "--threads", "1", "--restarts",
         "1000", *(["--allow-run-as-root"] if library == "openmpi" else []), "--", "train", table,
         "--label", "Metadata_Class", "--out", out, "--network", "mcnn-gap", "--batch", "8",
         "--epochs", str(epochs), "--val-fraction", "0.25", "--holdout", "Metadata_Plate=P2",
         "--checkpoint-every", "0"], text=True, errors="replace",
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL,
        env={**os.environ, "PHENOSCALE_MPIEXEC": str(home(library) / "bin" / "mpiexec"),
             "PHENOSCALE_HANG_S": "2"})


@pytest.mark.alone
@pytest.mark.parametrize("library", LIBRARIES)
def test_killed_ranks_and_restarts_end_in_the_same_bits(library, table, tmp_path, amount):
    """Ranks killed or frozen at random moments: a restart each, and the bits of a quiet run."""
    epochs = amount(10, 300)  # longer than the kills
    quiet = launch(library, tmp_path / "quiet", table, epochs)
    assert quiet.communicate(timeout=900) and quiet.returncode == 0
    wanted, chance = load(tmp_path / "quiet" / "model.safetensors").digest(), random.Random(7)
    job, kills, said = launch(library, tmp_path / "run", table, epochs), amount(1, 60), ""
    for number in range(LIBRARIES.index(library), LIBRARIES.index(library) + kills):
        pids, words = ranks_of(job)
        said += words
        time.sleep(chance.uniform(0.3, 0.9))
        os.kill(chance.choice(pids), [signal.SIGKILL, signal.SIGSTOP][number % 2])
    said += job.communicate(timeout=900)[1]
    assert job.returncode == 0, said
    assert load(tmp_path / "run" / "model.safetensors").digest() == wanted
    assert said.count("starting it again") == kills
    assert not any(map(is_alive, pids))


def test_many_ranks_understand_one_another(tmp_path, amount):
    ranks = amount(12, 64)
    status, out, err = run_ranks("mpich", ranks, [PROGRAM, "talk", "-", tmp_path])
    assert status == 0, err
    said = json.loads(out.strip().splitlines()[-1])["talk"]
    assert said[0] == list(range(ranks)) and said[6] == [rank + 0.5 for rank in range(ranks)]


@pytest.mark.parametrize("library", LIBRARIES)
def test_exchanges_leave_no_memory_behind(library, tmp_path, amount):
    """Kilobytes after many exchanges, beyond those after the first hundred."""
    status, out, err = run_ranks(library, 2, [PROGRAM, f"flat:{amount(2000, 100_000)}", "-",
                                              tmp_path], seconds=3600)
    assert status == 0, err
    assert max(json.loads(out.strip().splitlines()[-1])["flat"]) < 2000
