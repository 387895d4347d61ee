# SPDX-License-Identifier: BSD-3-Clause
"""Jobs of ranks at their edges: before MPI has begun, after the training; ranks that were told
different things."""

import signal
import sys
import time

import pytest

pytest.importorskip("mpi4py"), pytest.importorskip("tifffile")
import screens
from mpi_jobs import LIBRARIES, launch_job, run_ranks, wait_for
from phenoscale.__main__ import main


def unlike(change):
    """Words of Python for ranks of the command line, of which rank 1 does something before."""
    return ["-c", f"""
import os, sys
if (os.environ.get("PMI_RANK") or os.environ["OMPI_COMM_WORLD_RANK"]) == "1":
    {change}
from phenoscale.__main__ import main
main()
"""]


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    return screens.write_screen(tmp_path_factory.mktemp("screen"), 2, 12, 1)


def train(table, out, *words):
    return ["train", table, "--label", "Metadata_Class", "--out", out, "--network", "mcnn-gap",
            "--epochs", "1", "--val-fraction", "0", "--holdout", "Metadata_Plate=P2", "--threads",
            "1", *words]


@pytest.mark.alone
def test_a_rank_that_ends_before_mpi_does_not_leave_the_others_waiting(table, tmp_path):
    """MPICH does not see it: the other rank's alarm ends the job."""
    status, _, err = run_ranks("mpich", 2, [*unlike("sys.exit(5)"), *train(
        table, tmp_path / "run")], PHENOSCALE_HANG_S="1.5", seconds=40)
    assert status == signal.SIGALRM and "Traceback" not in err, (status, err)


@pytest.mark.parametrize("change, words", [
    ("sys.argv += ['--on-error', 'skip']", "on_error is skip, not stop"),
    ("sys.argv += ['--controls', 'Metadata_Class=fine']", "controls is"),
    ("os.environ['PHENOSCALE_ISA'] = 'portable'", "isa is portable, not"),
    ("sys.argv[2] = 'other.csv'", "table is ")])
def test_ranks_of_a_training_that_were_told_different_things(change, words, table, tmp_path):
    status, _, err = run_ranks("mpich", 2, [*unlike(change), *train(table, tmp_path / "run")])
    assert status == 1 and "rank 1 on " in err and words in err and "Traceback" not in err, err


def test_ranks_of_a_prediction_that_have_different_tables(table, tmp_path):
    """The same name, the rows in another order: else one's fields under the other's wells."""
    screens.make_model().save(tmp_path / "m")
    lines = table.read_text().splitlines(True)
    turned = table.with_name("turned.csv")
    turned.write_text("".join([lines[0], *reversed(lines[1:])]))
    change = (f"import builtins; real = open; builtins.open = lambda name, *w, **o: real("
              f"{str(turned)!r} if str(name) == {str(table)!r} else name, *w, **o)")
    status, _, err = run_ranks("mpich", 2, [*unlike(change), "predict", tmp_path / "m", table,
                                            "--out", tmp_path / "p.csv", "--threads", "1"])
    assert status == 1 and "differs from rank 0" in err and "table is " in err, err
    assert not (tmp_path / "p.csv").exists()


@pytest.mark.alone
@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("after", [0.3, 0.9, 1.5])
def test_a_signal_at_the_start_is_not_lost(library, after, table, tmp_path):
    job = launch_job(library, *train(table, tmp_path / "run", "--epochs", "1000"))
    wait_for(lambda: job.has_ranks())
    time.sleep(after)
    job.process.send_signal(signal.SIGINT if after < 1 else signal.SIGTERM)
    _, err = job.process.communicate(timeout=60)
    assert job.process.returncode == (130 if after < 1 else 75), err
    assert "Traceback" not in err


def test_a_report_that_a_stop_prevented_is_written_when_asked_again(table, tmp_path, capsys):
    words = [str(word) for word in train(table, tmp_path / "run", "--quiet")]
    for _ in range(2):
        with pytest.raises(SystemExit) as caught:
            main([*words, "--resume"])
        assert not caught.value.code
        assert capsys.readouterr().out.split() == [str(tmp_path / "run" / "report.html")]
        (tmp_path / "run" / "report.html").unlink()
    assert sys.exc_info()[0] is None
