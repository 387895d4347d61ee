# SPDX-License-Identifier: BSD-3-Clause
"""Checkpoints as files: whole or not there, whatever fails; damaged ones are passed over."""

import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
from safetensors import safe_open

from phenoscale.training.checkpoint import Checkpoints, newest


def arrays(seed=0, n=1000):
    rng = np.random.default_rng(seed)
    return [("parameters", rng.normal(size=n).astype(np.float32)),
            ("state0", rng.normal(size=n).astype(np.float32))]


def holds(tensors, expected):
    """Whether a checkpoint's tensors are these."""
    found = {name: np.empty(n, np.float32) for name, n in tensors.lengths.items()}
    for name, out in found.items():
        tensors.read(name, out)
    return set(found) == {name for name, _ in expected} and all(
        np.array_equal(found[name], numbers) for name, numbers in expected)


def test_the_safetensors_package_reads_a_checkpoint(tmp_path):
    tensors = arrays()
    Checkpoints(tmp_path).save(7, {"epoch": 1, "log": [{"loss": 0.25}]}, tensors)
    with safe_open(tmp_path / "checkpoint-00000007.safetensors", framework="np") as file:
        for name, numbers in tensors:
            assert np.array_equal(file.get_tensor(name), numbers)
        about = json.loads(file.metadata()["phenoscale checkpoint"])
    assert (about["step"], about["log"]) == (7, [{"loss": 0.25}])
    found, read = newest(tmp_path)
    assert found == about and holds(read, tensors)


def test_two_are_kept(tmp_path):
    keeper = Checkpoints(tmp_path)
    for step in (9, 10, 99, 100, 123456789):
        assert keeper.save(step, {}, arrays())
    assert sorted(os.listdir(tmp_path)) == ["checkpoint-00000100.safetensors",
                                     "checkpoint-123456789.safetensors"]
    assert newest(tmp_path)[0]["step"] == 123456789
    assert newest(tmp_path, before=123456789)[0]["step"] == 100
    assert newest(tmp_path, before=5)[0]["step"] == 123456789  # rather that than none


def test_those_that_could_not_be_gone_on_from_do_not_push_out_the_new_ones(tmp_path):
    """Of later steps, as where a run began again since all were damaged."""
    for step in (90, 100):
        (tmp_path / f"checkpoint-{step:08d}.safetensors").write_bytes(b"damaged")
    keeper = Checkpoints(tmp_path)
    for step in (5, 6):
        keeper.save(step, {}, arrays())
        assert newest(tmp_path)[0]["step"] == step
    assert len(os.listdir(tmp_path)) == 2


@pytest.mark.soak
def test_a_damaged_checkpoint_falls_back_to_the_one_before(tmp_path, amount):
    """A byte changed anywhere, or the end missing: never another state, never another error."""
    rng = np.random.default_rng(0)
    keeper = Checkpoints(tmp_path)
    keeper.save(1, {"mark": 1}, arrays(1))
    keeper.save(2, {"mark": 2}, arrays(2))
    path = tmp_path / "checkpoint-00000002.safetensors"
    content, fell_back = path.read_bytes(), 0
    for turn in range(amount(600, 100_000)):
        mutant = bytearray(content)
        if turn % 10 == 0:
            mutant = mutant[: rng.integers(len(mutant))]
        else:
            mutant[rng.integers(len(mutant) if turn % 2 else 700)] ^= 1 << rng.integers(8)
        path.write_bytes(mutant)
        words = []
        about, tensors = newest(tmp_path, words.append)
        assert about["step"] not in (1, 2) or holds(tensors, arrays(about["step"]))
        if about["step"] == 1 and about.get("mark") == 1:
            fell_back += 1
            assert len(words) == 1 and str(path) in words[0]
    assert fell_back > 0.8 * turn
    path.write_bytes(content[:100])
    (tmp_path / "checkpoint-00000001.safetensors").write_bytes(b"")
    assert newest(tmp_path) is None


def test_leftovers_of_killed_processes_are_removed(tmp_path):
    for name in ("checkpoint-00000005.safetensors.tmp.4194304",
                 "checkpoint-00000005.safetensors.tmp.1",
                 f"checkpoint-00000006.safetensors.tmp.{os.getpid()}", "notes.tmp.4194304"):
        (tmp_path / name).touch()
    Checkpoints(tmp_path)
    assert sorted(os.listdir(tmp_path)) == [
        f"checkpoint-00000006.safetensors.tmp.{os.getpid()}", "notes.tmp.4194304"]


# ---- writing fails -------------------------------------------------------------------------------


FAIL_IO = r"""
import sys
import numpy as np
from phenoscale.training.checkpoint import Checkpoints, newest
from test_checkpoint import arrays, holds
words = []
keeper = Checkpoints(sys.argv[1], warn=words.append)
is_saved = keeper.save(2, {"mark": 2}, arrays(2))
found, tensors = newest(sys.argv[1], words.append)
assert holds(tensors, arrays(found["step"])), found["step"]
assert is_saved or found["step"] == 1 and words, (is_saved, found, words)
print(found["step"], is_saved, file=sys.stderr)
"""


@pytest.fixture(scope="module")
def fail_io(tmp_path_factory):
    """A library that lets the n-th write, fsync or rename of a checkpoint fail."""
    if not shutil.which("gcc"):
        pytest.skip("needs gcc")
    target = tmp_path_factory.mktemp("io") / "fail_io.so"
    source = os.path.join(os.path.dirname(__file__), "..", "c", "fail_io.c")
    subprocess.run(["gcc", "-shared", "-fPIC", "-O1", source, "-o", target, "-ldl"], check=True)
    return target


@pytest.mark.parametrize("how", ["28", "5", "exit"])  # ENOSPC, EIO, the process dies
def test_every_write_fsync_and_rename_fails_once(fail_io, tmp_path, how):
    """Whichever it is: the old or the new checkpoint is there, whole, and a failure is said."""
    seen, n = set(), 1
    while True:
        folder = tmp_path / f"{how}-{n}"
        folder.mkdir()
        Checkpoints(folder).save(1, {"mark": 1}, arrays(1))
        environment = {**os.environ, "LD_PRELOAD": str(fail_io), "FAIL_AT": str(n), "FAIL_HOW": how,
                       "PYTHONPATH": os.path.dirname(__file__)}
        done = subprocess.run([sys.executable, "-c", FAIL_IO, folder], env=environment,
                              capture_output=True, text=True)
        found, tensors = newest(folder)
        assert holds(tensors, arrays(found["step"]))
        if "FAILED" not in done.stderr:  # there were fewer calls
            assert done.returncode == 0 and found["step"] == 2, done.stderr
            break
        assert done.returncode == (9 if how == "exit" else 0), done.stderr
        assert not [x for x in os.listdir(folder) if ".tmp." in x] or how == "exit"
        seen.add((found["step"], done.stderr.split("FAILED ")[1].split()[0]))
        n += 1
    assert n > 6 and {1, 2} == {step for step, _ in seen}
    assert {"write", "fsync", "rename"} == {name for _, name in seen}
