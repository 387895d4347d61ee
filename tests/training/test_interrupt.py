# SPDX-License-Identifier: BSD-3-Clause
"""Ctrl-C: one word, status 130 and nothing lost or left over, whenever it comes."""

import os
import shutil
import signal
import subprocess
import sys
import time

import pytest

pytest.importorskip("pandas"), pytest.importorskip("click"), pytest.importorskip("tqdm")
pytest.importorskip("tifffile")
import screens
from phenoscale.signals import Stopped, Stopper
from phenoscale.tables.read import read_table
from phenoscale.training.checkpoint import newest

pytestmark = pytest.mark.alone


def interrupt(process, word):
    """Send SIGINT once the word is on stderr: (seconds until the end, the rest of stderr)."""
    for line in process.stderr:
        if line.startswith(word):
            break
    time.sleep(0.3)  # into the first step
    begun = time.monotonic()
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    return time.monotonic() - begun, err


@pytest.mark.parametrize("word, is_kept", [("reading", False), ("epoch 1/", True)])
def test_in_training(word, is_kept, tmp_path):
    """Before the first step nothing is left over; after it a checkpoint that can be gone on
    from."""
    path = screens.write_screen(tmp_path / "screen", 1, 8, 0, size=(512, 768))
    before, seconds = sorted(tmp_path.rglob("*")), []
    words = ["train", path, "--label", "Metadata_Class", "--out", tmp_path / "run", "--network",
             "mcnn", "--epochs", "99", "--batch", "8", "--threads", "1"]
    while len(seconds) < 3 and not any(s < 1 for s in seconds):  # a busy machine may be late
        process = subprocess.Popen([sys.executable, "-m", "phenoscale", *map(str, words)],
                                   text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        late, err = interrupt(process, word)
        assert process.returncode == 130 and "Traceback" not in err, err
        if is_kept:
            assert err.splitlines()[-1] == "stopped by SIGINT: go on with --resume"
            assert newest(tmp_path / "run")[0]["step"] >= 1
            shutil.rmtree(tmp_path / "run")
        else:
            assert err.splitlines()[-1] == "stopped by SIGINT"
        assert sorted(tmp_path.rglob("*")) == before
        seconds.append(late)
    assert min(seconds) < 1, seconds


@pytest.mark.parametrize("module", ["click", "numpy", "phenoscale._core", "pandas",
                                    "phenoscale.models.networks", "phenoscale.tables.table"])
def test_while_a_module_is_imported(module, tmp_path):
    path = screens.write_screen(tmp_path, 1, 2, 0)
    program = ("import os, signal, sys\n"
               # a shell starts what is in its background with Ctrl-C ignored
               "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
               "def hook(event, words):\n"
               f"    if event == 'import' and words[0] == {module!r}:\n"
               "        os.kill(os.getpid(), signal.SIGINT)\n"
               "sys.addaudithook(hook)\n"
               "from phenoscale.__main__ import main\n"
               f"main(['check', {str(path)!r}])\n")
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr.split()) == (130, "", ["interrupted"])


@pytest.mark.parametrize("number, status", [(signal.SIGINT, 130), (signal.SIGTERM, 75),
                                            (signal.SIGUSR1, 75)])
def test_a_signal_stops_at_once_with_a_checkpoint(tmp_path, number, status):
    """Acknowledged and over within half a second where the machine is idle; seen as the least of
    a few, since a busy one may be late."""
    path = screens.write_screen(tmp_path / "screen", 1, 8, 0, size=(512, 768))
    words = ["train", path, "--label", "Metadata_Class", "--network", "mcnn", "--epochs", "99",
             "--batch", "8", "--threads", "1"]
    said, over = [], []
    while len(over) < 4 and not (said and min(said) < 0.5 and min(over) < 5):
        out = tmp_path / f"run{len(over)}"
        process = subprocess.Popen([sys.executable, "-m", "phenoscale", *map(str, words), "--out",
                                    str(out)], text=True, stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE)
        for line in process.stderr:
            if line.startswith("epoch 1/"):
                break
        time.sleep(0.4)  # into a step
        begun = time.monotonic()
        process.send_signal(number)
        for line in process.stderr:
            if line.startswith("stopping: "):
                said.append(time.monotonic() - begun)
                break
        _, err = process.communicate(timeout=60)
        over.append(time.monotonic() - begun)
        assert process.returncode == status, err
        assert "go on with --resume" in err and "Traceback" not in err
        about, _ = newest(out, pytest.fail)
        assert about["step"] >= 1 and about["epoch"] >= 1
    assert min(said) < 0.5 and min(over) < 5, (said, over)


def test_a_second_signal_does_not_wait(tmp_path):
    """It ends the program while a checkpoint is being written, and the old one stays."""
    table = read_table(screens.write_screen(tmp_path / "screen", 2, 8, 1))
    program = f"""
import os, signal, sys, time
from phenoscale.training import checkpoint
real, calls = checkpoint.write_tensors, []
def slow(path, *rest):
    print("writing", flush=True)
    calls.append(path)
    if len(calls) == 2:
        time.sleep(30)
    real(path, *rest)
checkpoint.write_tensors = slow
from phenoscale.__main__ import main
main(["train", {table.source!r}, "--label", 'Metadata_Class', "--out", {str(tmp_path / 'run')!r},
      "--network", "mcnn-gap", "--epochs", "9", "--batch", "4", "--checkpoint-every", "0",
      "--quiet"])
"""
    process = subprocess.Popen([sys.executable, "-c", program], text=True, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE)
    assert process.stdout.readline() == "writing\n" and process.stdout.readline() == "writing\n"
    process.send_signal(signal.SIGINT)
    time.sleep(0.3)
    begun = time.monotonic()
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=20)
    assert time.monotonic() - begun < 5 and process.returncode == 130 and "Traceback" not in err
    (path,) = (tmp_path / "run").glob("checkpoint-*")
    assert path.name == "checkpoint-00000001.safetensors"


def test_a_stopper_notes_what_it_may_not_interrupt():
    with Stopper() as stopper:
        os.kill(os.getpid(), signal.SIGTERM)
        assert stopper.number == signal.SIGTERM  # not raised here
        with pytest.raises(Stopped), stopper.computing():
            pytest.fail("entered")
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(1)
    with Stopper() as stopper, pytest.raises(Stopped), stopper.computing():
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(1)
