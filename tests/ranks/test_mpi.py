# SPDX-License-Identifier: BSD-3-Clause
"""Trainings over real ranks of both libraries: the bits of one process, and how jobs end."""

import json
import os
import signal
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("mpi4py"), pytest.importorskip("tifffile")
import mpi_program
import screens
from mpi_jobs import LIBRARIES, is_alive, ranks_of, run_ranks, segments, start_ranks, wait_for
from phenoscale import load
from phenoscale.files.lock import LOCK
from phenoscale.ranks.alone import Alone

PROGRAM = Path(mpi_program.__file__)
SAME = ["all", "mcnn", "few", "plain", "broken", "skip"]  # matrix: up to rounding


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    """A sound screen, and one with a file that only decoding finds to be damaged."""
    sound, bad = (tmp_path_factory.mktemp(name) for name in ("sound", "bad"))
    made = [screens.write_screen(folder, 2, 24, 1) for folder in (sound, bad)]
    screens.spoil(bad / "P1" / "A05_DNA.tif")
    return made


@pytest.fixture(scope="module")
def alone(tables, tmp_path_factory):
    """What one process makes of every case."""
    folder = tmp_path_factory.mktemp("alone")
    return {name: mpi_program.run_case(name, Alone(), tables[name == "skip"], folder)
            for name in [*SAME, "matrix"]}


def say(library, size, cases, tables, folder, **environ):
    """What rank 0 of the program says of the cases."""
    found = {}
    for bad, part in enumerate((cases, ["skip"] if "skip" in cases else [])):
        names = [name for name in part if bad or name != "skip"]
        if names:
            status, out, err = run_ranks(library, size, [
                PROGRAM, ",".join(names), tables[bad], folder], **environ)
            assert status == 0, err
            found.update(json.loads(out.strip().splitlines()[-1]))
    return found


# ---- the same bits -------------------------------------------------------------------------------


@pytest.mark.parametrize("library, size, cases", [
    ("mpich", 2, [*SAME, "matrix"]), ("mpich", 3, ["all", "few"]), ("mpich", 4, SAME),
    ("mpich", 8, ["all", "few"]), ("openmpi", 2, ["all", "mcnn", "matrix"]),
    ("openmpi", 4, ["all", "broken"])])
def test_any_number_of_ranks_ends_in_the_bits_of_one_process(library, size, cases, tables, alone,
                                                             tmp_path):
    found = say(library, size, cases, tables, tmp_path)
    for name in cases:
        notes = found[name].pop("notes")
        if name == "matrix":
            assert found[name]["norm"] == pytest.approx(alone[name]["norm"], rel=1e-5)
            continue
        wanted = {key: value for key, value in alone[name].items() if key != "notes"}
        assert found[name] == wanted, name
        # what was warned of is the same too, but for what is said of the ranks themselves
        assert set(alone[name]["notes"]) <= set(notes)


def test_the_cases_are_what_they_say(alone):
    """Two steps left out, a field that cannot be read, a matrix that is near."""
    assert sum("is left out. Its fields" in note for note in alone["broken"]["notes"]) == 2
    assert alone["broken"]["weights"] != alone["all"]["weights"]
    assert any("cannot be read" in note for note in alone["skip"]["notes"])
    assert alone["matrix"]["norm"] == pytest.approx(alone["all"]["norm"], rel=1e-5)


@pytest.mark.parametrize("library", LIBRARIES)
def test_what_ranks_say_and_send(library, tables, tmp_path):
    found = say(library, 3, ["talk"], tables, tmp_path)["talk"]
    one = [np.float32(1) / np.arange(rank + 1, rank + 1001, dtype=np.float32) for rank in range(3)]
    assert found == [[0, 1, 2], 2000, ["from", 0], [float(k) for k in range(7)], True,
                     ((one[0] + one[1]) + one[2]).tolist(), [0.5, 1.5, 2.5], [0.0] * 10]


# ---- how jobs end --------------------------------------------------------------------------------


def train(library, size, table, out, *words, **environ):
    """A training of the command line as a job that would not end by itself."""
    return start_ranks(library, size, [
        "-m", "mpi4py", "-m", "phenoscale", "train", table, "--label", "Metadata_Class", "--out",
        out, "--network", "mcnn-gap", "--batch", "8", "--threads", "1", "--val-fraction", "0",
        "--holdout", "Metadata_Plate=P2", "--checkpoint-every", "0", *words], **environ)


def in_mid_training(job, out):
    """The processes of a job that has written a checkpoint, and their shared memory."""
    pids, _ = ranks_of(job)
    wait_for(lambda: any(Path(out).glob("checkpoint-*.safetensors")))
    return pids, segments(pids)


def ended(job, pids, shared, seconds):
    """Status and words of a job that ends in so many seconds, and leaves nothing behind."""
    try:
        out, err = job.communicate(timeout=seconds)
    finally:
        job.kill()
    wait_for(lambda: not any(map(is_alive, pids)), 5)
    assert shared and not shared & set(os.listdir("/dev/shm"))
    return job.returncode, out + err


@pytest.mark.alone
@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("rank, sign", [(0, "SIGTERM"), (1, "SIGUSR1")])
def test_a_signal_to_any_rank_stops_all_with_a_checkpoint(library, rank, sign, tables, tmp_path):
    job = train(library, 2, tables[0], tmp_path / "run", "--epochs", "400")
    pids, shared = in_mid_training(job, tmp_path / "run")
    os.kill(pids[rank], getattr(signal, sign))
    status, err = ended(job, pids, shared, 20)
    assert status == 75 and f"stopped by {sign}: go on with --resume" in err
    assert "Traceback" not in err and any((tmp_path / "run").glob("checkpoint-*"))


def holder(out):
    """The process that writes there."""
    return json.loads((out / LOCK).read_text())["process"]


@pytest.mark.alone
def test_any_number_of_ranks_goes_on_to_the_same_bits(tables, tmp_path):
    """Stopped with two ranks, gone on with four; and with one, killed, and gone on with two."""
    epochs, digests = ["--epochs", "8"], set()
    for number, (library, sizes) in enumerate([("mpich", [2, 4]), ("openmpi", [1, 2])]):
        out = tmp_path / str(number)
        job = train(library, sizes[0], tables[0], out, *epochs)
        wait_for(lambda: any(out.glob("checkpoint-*.safetensors")))  # noqa: B023
        if number:  # a rank outlives its launcher for a moment: it is killed too
            os.kill(holder(out), signal.SIGKILL)
        job.send_signal([signal.SIGUSR1, signal.SIGKILL][number])
        job.communicate(timeout=20)
        assert not (out / "model.safetensors").exists()
        job = train(library, sizes[1], tables[0], out, *epochs, "--resume", "--checkpoint-every",
                    "60")
        _, err = job.communicate(timeout=100)
        assert job.returncode == 0 and "resumed after step" in err, err
        digests.add(load(out / "model.safetensors").digest())
    assert len(digests) == 1


@pytest.mark.alone
@pytest.mark.parametrize("library", LIBRARIES)
def test_a_killed_rank_ends_the_job(library, tables, tmp_path):
    job = train(library, 3, tables[0], tmp_path / "run", "--epochs", "400")
    pids, shared = in_mid_training(job, tmp_path / "run")
    os.kill(pids[1], signal.SIGKILL)
    status, err = ended(job, pids, shared, 5)
    # The launcher says it: Open MPI by rank, MPICH by the number of a process, which now and then
    # is that of another rank that it killed itself.
    named = "rank 1" in err if library == "openmpi" else any(str(pid) in err for pid in pids)
    assert status in (137, 9) and named and os.uname().nodename in err, err
    assert any((tmp_path / "run").glob("checkpoint-*"))


@pytest.mark.alone
@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("rank", [0, 2])
def test_a_frozen_rank_is_found_and_named(library, rank, tables, tmp_path):
    job = train(library, 3, tables[0], tmp_path / "run", "--epochs", "400", PHENOSCALE_HANG_S="2")
    pids, shared = in_mid_training(job, tmp_path / "run")
    os.kill(pids[rank], signal.SIGSTOP)
    status, err = ended(job, pids, shared, 15)
    assert status == 76
    assert (f"rank {rank} on {os.uname().nodename} (process {pids[rank]}) has not answered for 2 s"
            in err)


@pytest.mark.alone
@pytest.mark.parametrize("library", LIBRARIES)
def test_a_fault_of_one_rank_ends_all(library, tables, tmp_path):
    job = start_ranks(library, 3, [PROGRAM, "fault", tables[0], tmp_path])
    _, err = job.communicate(timeout=20)
    assert job.returncode == 1 and "ZeroDivisionError: on rank 1 alone" in err


@pytest.mark.parametrize("library", LIBRARIES)
def test_a_full_disk_of_rank_0_is_a_warning_for_a_checkpoint_and_an_error_for_the_model(
        library, tables, tmp_path):
    status, _, err = run_ranks(library, 2, [PROGRAM, "full,all", tables[0], tmp_path])
    assert status == 1 and "No space left on device" in err


@pytest.mark.parametrize("library, loads", [("openmpi", "mpich"), ("mpich", "openmpi")])
def test_a_launcher_of_another_library_is_refused(library, loads, tables, tmp_path):
    job = train(library, 2, tables[0], tmp_path / "run", "--epochs", "1", loads=loads)
    _, err = job.communicate(timeout=60)
    assert job.returncode == 64
    assert "launcher" in err and "'phenoscale launch'" in err
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("words", ["soon", "-1", "nan", "0.5"])
def test_a_limit_that_is_none(words, tables, tmp_path):
    job = train("mpich", 2, tables[0], tmp_path / "run", "--epochs", "1", PHENOSCALE_HANG_S=words)
    _, err = job.communicate(timeout=60)
    assert job.returncode == 1 and "Traceback" not in err
    assert f"PHENOSCALE_HANG_S={words}: give a number of seconds over 1" in err


def test_other_verbs_are_not_for_ranks(tables, tmp_path):
    status, _, err = run_ranks("mpich", 2, ["-m", "phenoscale", "report", tmp_path])
    assert status == 2 and "'report' is not shared by 2 ranks" in err


def test_ranks_may_be_bound_too_tightly(tables, tmp_path):
    """What mpirun does by itself with two ranks; the rest of these tests unbind."""
    words = ["-c", f"import os; os.sched_setaffinity(0, {{0}}); os.execv({sys.executable!r}, "
             f"[{sys.executable!r}, '-m', 'phenoscale', *__import__('sys').argv[1:]])"]
    status, _, err = run_ranks("mpich", 2, [
        *words, "train", tables[0], "--label", "Metadata_Class", "--out", tmp_path / "run",
        "--network", "mcnn-gap", "--epochs", "1", "--val-fraction", "0", "--threads", "2"])
    assert status == 0 and "are bound to 1 each" in err
