# SPDX-License-Identifier: BSD-3-Clause
"""Ctrl-C: one word, status 130 and nothing left over, whenever it comes."""

import signal
import subprocess
import sys
import time

import pytest

pytest.importorskip("pandas"), pytest.importorskip("click"), pytest.importorskip("tqdm")
pytest.importorskip("scipy"), pytest.importorskip("tifffile")
import screens


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


def test_in_training(tmp_path):
    path = screens.write_screen(tmp_path / "screen", 1, 8, 0, size=(512, 768))
    before, seconds = sorted(tmp_path.rglob("*")), []
    words = ["train", path, "--label", "Metadata_Class", "--out", tmp_path / "run", "--network",
             "mcnn", "--epochs", "99", "--batch", "8", "--threads", "1"]
    while len(seconds) < 3 and not any(s < 1 for s in seconds):  # a busy machine may be late
        process = subprocess.Popen([sys.executable, "-m", "phenoscale", *map(str, words)],
                                   text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        late, err = interrupt(process, "training")
        assert process.returncode == 130 and err.split()[-1] == "interrupted", err
        assert "Traceback" not in err
        assert sorted(tmp_path.rglob("*")) == before
        seconds.append(late)
    assert min(seconds) < 1, seconds


@pytest.mark.parametrize("module", ["click", "numpy", "phenoscale._core", "phenoscale.models",
                                    "phenoscale.table", "pandas"])
def test_while_a_module_is_imported(module, tmp_path):
    path = screens.write_screen(tmp_path, 1, 2, 0)
    program = ("import os, signal, sys\n"
               "def hook(event, words):\n"
               f"    if event == 'import' and words[0] == {module!r}:\n"
               "        os.kill(os.getpid(), signal.SIGINT)\n"
               "sys.addaudithook(hook)\n"
               "from phenoscale.__main__ import main\n"
               f"main(['check', {str(path)!r}])\n")
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr.split()) == (130, "", ["interrupted"])
