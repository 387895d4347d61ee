# SPDX-License-Identifier: BSD-3-Clause
"""`phenoscale predict` as the ranks of MPI jobs: one file, whatever happened to the ranks."""

import signal
import sys

import pytest

pytest.importorskip("pandas"), pytest.importorskip("click"), pytest.importorskip("tqdm")
pytest.importorskip("tifffile")
from mpi_jobs import LIBRARIES, run_ranks
from predictions import BLOCKS, Prediction

#: The command line in small blocks; rank 1 ends itself by a signal once it has written a block.
PROGRAM = """
import os, sys
from phenoscale.prediction import blocks
from phenoscale.prediction import stream
from phenoscale.__main__ import main
from phenoscale.ranks.job import join
stream.BLOCK = 3
number = int(sys.argv[1])
real = blocks.Blocks.__setitem__
def write(self, block, found):
    real(self, block, found)
    if number and join().rank == 1:
        os.kill(os.getpid(), number)
blocks.Blocks.__setitem__ = write
main(sys.argv[2:])
"""


@pytest.fixture
def job(tmp_path, monkeypatch):
    return Prediction(tmp_path, monkeypatch)


def predict(library, size, job, number=0, *words):
    return run_ranks(library, size, [
        "-c", PROGRAM, int(number), "predict", job.folder / "m", job.source, "--out",
        job.out / "p.csv", "--threads", "1", "--quiet", *words])


@pytest.mark.parametrize("library", LIBRARIES)
def test_a_killed_rank_ends_the_job_and_another_job_goes_on(job, library):
    status, out, _ = predict(library, 3, job, signal.SIGKILL)
    assert status != 0 and str(job.out) not in out and not (job.out / "p.csv").exists()
    before = {path: path.stat().st_mtime_ns for path in job.parts.glob("*.safetensors")}
    assert job.parts / "block-000001.safetensors" in before
    assert job.parts / "block-000004.safetensors" not in before and len(before) < BLOCKS
    status, _, err = predict(library, 2, job)
    assert status == 1 and err.count("holds a prediction that was stopped: go on with") == 1
    assert {path: path.stat().st_mtime_ns for path in before} == before
    status, out, err = predict(library, 2, job, 0, "--resume")
    assert status == 3 and out.split() == [str(job.out / "p.csv"), str(job.out / "p.errors.csv")]
    assert err.count("4 fields were skipped") == 1
    assert job.content() == job.wanted() and not job.parts.exists()


@pytest.mark.parametrize("library", LIBRARIES)
def test_a_signal_to_any_rank_stops_all_with_75(job, library):
    status, out, err = predict(library, 2, job, signal.SIGUSR1)
    assert status == 75 and str(job.out) not in out
    assert "(process " in err and "stopped by SIGUSR1: go on with --resume" in err
    assert "Traceback" not in err
    assert any(job.parts.glob("*.safetensors"))


@pytest.mark.parametrize("library", LIBRARIES)
def test_an_error_of_any_rank_is_one_sentence(job, library):
    """A field of a block that is not rank 0's."""
    lines = job.source.read_text().splitlines(True)
    job.source.write_text("".join(line for n, line in enumerate(lines) if n not in (5, 8, 15)))
    status, _, err = predict(library, 2, job, 0, "--on-error", "stop")
    ours = [line for line in err.splitlines() if line.startswith("phenoscale: ")]
    assert status == 1 and len(ours) == 1, err
    assert "rank 1 on " in ours[0] and "(well P1 B01)" in ours[0] and "is damaged" in ours[0]
    assert "Traceback" not in err and sys.executable not in ours[0]
