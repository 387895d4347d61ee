# SPDX-License-Identifier: BSD-3-Clause
"""What reaches a terminal, and terminals and pipes that go away: no work ends of it."""

import errno
import io
import os
import pty
import resource
import signal
import subprocess
import sys

import pytest

pandas = pytest.importorskip("pandas")
pytest.importorskip("tifffile"), pytest.importorskip("click"), pytest.importorskip("tqdm")
import screens
from phenoscale.progress import Progress
from phenoscale.streams import Outlet, undecorated
from phenoscale.training.checkpoint import newest
from phenoscale.words import visible

HOSTILE = "P1\x1b]0;owned\x07\x1b[2J\u202egp\x9b1m"


@pytest.fixture(scope="module")
def screen(tmp_path_factory):
    return screens.write_screen(tmp_path_factory.mktemp("screen"), 1, 4, 1)


def words(*more):
    return [sys.executable, "-m", "phenoscale", *map(str, more)]


def training(screen, out, *more):
    return words("train", screen, "--label", "Metadata_Class", "--network", "mcnn-gap", "--out",
                 out, "--val-fraction", "0", "--threads", "1", *more)


# ---- what is shown -------------------------------------------------------------------------------


def test_control_characters_are_shown_as_numbers():
    assert visible("a\x1b[2J\tb\n\x7f\x9b\u202e\u2066é", "\n\t") == (
        "a\\x1b[2J\tb\n\\x7f\\x9b\\u202e\\u2066é")
    stream = io.StringIO()
    Outlet(stream, True).write("\x1b[1m\n")
    undecorated(Outlet(stream, True)).write("\r\x1b[A")
    assert stream.getvalue() == "\\x1b[1m\n\r\x1b[A"


def test_a_warning_stays_on_its_line(capsys):
    Progress(False)({"stage": "warning", "words": "well A\n\x1b[2Jdone"})
    assert capsys.readouterr().err == "warning: well A\\n\\x1b[2Jdone\n"


def test_no_name_of_a_table_reaches_the_terminal(tmp_path):
    """As a plate, a class, a column and a file, in results, warnings and errors."""
    path = screens.write_screen(tmp_path, 1, 4, 0)
    frame = pandas.read_csv(path, dtype=str, keep_default_na=False)
    frame = frame.assign(Metadata_Plate=HOSTILE, Metadata_Class=frame["Metadata_Class"] + HOSTILE)
    frame[f"Metadata_{HOSTILE}"] = HOSTILE
    frame.to_csv(path, index=False)
    screens.make_model().save(tmp_path / "m")
    shown = ""
    for verb in (("check", path, "--label", "Metadata_Class"), ("check", path, "--label", HOSTILE),
                 ("check", path, "--label", "Metadata_Nothing"),
                 ("predict", tmp_path / "m", path, "--out", tmp_path / f"{HOSTILE}.csv"),
                 ("train", path, "--label", "Metadata_Class", "--out", tmp_path / HOSTILE,
                  "--holdout", f"Metadata_Plate={HOSTILE}")):
        done = subprocess.run(words(*verb), capture_output=True, text=True, encoding="utf-8")
        shown += done.stdout + done.stderr
        assert "Traceback" not in done.stderr
    assert "\\x1b]0;owned" in shown
    assert visible(shown, "\n\t") == shown
    file = (tmp_path / f"{HOSTILE}.csv").read_text(encoding="utf-8")
    assert HOSTILE in file  # as it is


# ---- ends that are gone --------------------------------------------------------------------------


class Broken(io.StringIO):
    """A stream that fails."""

    def __init__(self, number):
        super().__init__()
        self._number = number

    def write(self, text):
        raise OSError(self._number, os.strerror(self._number))

    def fileno(self):
        raise ValueError("no file")


def test_failures_that_are_passed_over():
    for number in (errno.EIO, errno.EPIPE, errno.ENOSPC):
        Outlet(Broken(number), True).write("progress")
    for number in (errno.EIO, errno.EPIPE):
        Outlet(Broken(number), False).write("result")
    with pytest.raises(OSError, match="No space left"):
        Outlet(Broken(errno.ENOSPC), False).write("result")


def test_a_log_on_a_disk_that_was_full_for_a_moment_goes_on(tmp_path):
    """What ends the work is said once there is room."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    with open(tmp_path / "log", "w", buffering=1) as file:
        outlet = Outlet(file, True)
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, before[1]))
        try:
            outlet.write("progress\n")
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        outlet.write("the end\n")
        outlet.end()
    assert (tmp_path / "log").read_text().endswith("the end\n")


@pytest.mark.parametrize("closing", ["2>&-", ">&-", ">&- 2>&- <&-", "2>/dev/full"])
def test_streams_that_are_closed(screen, tmp_path, closing):
    """A training ends with its model and report; nothing is written into a file of it."""
    command = training(screen, tmp_path / "run", "--epochs", "1")
    done = subprocess.run(["sh", "-c", f'"$@" {closing}', "sh", *command], capture_output=True,
                          text=True)
    assert done.returncode == 0, done.stderr
    names = set(os.listdir(tmp_path / "run"))
    assert {"model.safetensors", "report.html", "log.csv"} <= names
    if "2>" in closing and ">&- " not in closing:
        assert done.stdout == f"{tmp_path / 'run' / 'report.html'}\n"


def test_results_that_nobody_reads(screen, tmp_path):
    done = subprocess.run(["sh", "-c", '"$@" | head -n 1', "sh", *words("check", screen)],
                          capture_output=True, text=True)
    assert done.stdout.count("\n") == 1 and done.stderr.count("\n") < 5, done.stderr
    for what in ("Traceback", "Exception", "BrokenPipe"):
        assert what not in done.stderr
    with open("/dev/full", "w") as full:
        done = subprocess.run(words("check", screen), stdout=full, stderr=subprocess.PIPE,
                              text=True)
    assert done.returncode == 1 and done.stderr.endswith("No space left on device\n")
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("is_terminal", [True, False])
def test_a_stderr_that_goes_away_in_the_middle(screen, tmp_path, is_terminal):
    ours, theirs = pty.openpty() if is_terminal else os.pipe()
    process = subprocess.Popen(training(screen, tmp_path / "run", "--epochs", "3"), stderr=theirs,
                               stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True)
    os.close(theirs)
    seen = b""
    while b"reading" not in seen:
        seen += os.read(ours, 100)
    os.close(ours)
    out, _ = process.communicate(timeout=300)
    assert process.returncode == 0
    assert out == f"{tmp_path / 'run' / 'report.html'}\n" and os.path.exists(out[:-1])


# ---- a terminal that closes ----------------------------------------------------------------------


def hung_up(command, times=1, **options):
    """The status of a command whose terminal closes in the middle of its first epochs."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(command, stderr=theirs, stdout=subprocess.DEVNULL,
                               stdin=subprocess.DEVNULL, **options)
    os.close(theirs)
    seen = b""
    while b"epoch 1/" not in seen:
        seen += os.read(ours, 1000)
    os.close(ours)
    for _ in range(times):
        process.send_signal(signal.SIGHUP)
    return process.wait(timeout=300)


def test_it_is_a_stop_with_a_checkpoint(screen, tmp_path):
    """Twice, as the kernel and a shell tell of it."""
    command = training(screen, tmp_path / "run", "--epochs", "5000")
    assert hung_up(command, times=2) == 75
    assert newest(tmp_path / "run", pytest.fail)[0]["step"] >= 1


def test_nohup_is_obeyed(screen, tmp_path):
    command = ["sh", "-c", 'trap "" HUP; exec "$@"', "sh",
               *training(screen, tmp_path / "run", "--epochs", "3")]
    assert hung_up(command) == 0
