# SPDX-License-Identifier: BSD-3-Clause
"""What this process may use of the machine: processors and memory."""

import builtins
import io
import os
import subprocess
import sys

import numpy as np
import pytest

import phenoscale
import screens
from phenoscale import InputError, machine
from phenoscale.hosts.tasks import execute
from phenoscale.machine import thread_count
from phenoscale.models import model as models
from phenoscale.models import networks
from phenoscale.training import train


def test_threads_are_those_that_this_process_may_use(monkeypatch):
    """Affinity and the quota of a control group, whichever is less."""
    code = "from phenoscale.machine import thread_count; print(thread_count())"
    one = subprocess.run(["taskset", "-c", "0", sys.executable, "-c", code], text=True,
                         capture_output=True, check=True)
    assert one.stdout.strip() == "1"
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: range(64))
    for quota, expected in ((1024, 64), (3, 3), (1, 1)):
        monkeypatch.setattr(machine, "_quota", lambda quota=quota: quota)
        assert thread_count() == expected and thread_count(7) == 7


def test_the_quota_of_a_control_group(monkeypatch):
    real = builtins.open
    for text, expected in (("max 100000\n", 1024), ("150000 100000\n", 2), ("50000 100000\n", 1),
                           ("nonsense", 1024)):
        monkeypatch.setattr(builtins, "open", lambda path, *a, text=text, **k: io.StringIO(text)
                            if str(path).startswith("/sys/fs/cgroup") else real(path, *a, **k))
        assert machine._quota() == expected


@pytest.mark.parametrize("text, most", [("max\n", 1 << 62), ("3000000000\n", 3 * 10**9)])
def test_memory_is_that_of_the_control_group(monkeypatch, text, most):
    real = builtins.open
    monkeypatch.setattr(builtins, "open", lambda path, *a, **k: io.StringIO(text)
                        if str(path).startswith("/sys/fs/cgroup") else real(path, *a, **k))
    whole = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    assert machine.memory() == min(whole, most)


def test_free_memory_is_less_than_all():
    assert 0 < machine.free_memory() < machine.memory()


def test_a_training_in_a_container_plans_for_the_container(monkeypatch):
    """Not for the machine that it is on: a quarter of the memory is for the network."""
    description = networks.describe("mcnn-gap", 1, 256, 256, 2)
    images = [net.images for net in (train.make_net(description, 8, 1), )]
    alone = train.make_net(description, 1, 1).memory
    real = builtins.open
    monkeypatch.setattr(train, "free_memory", lambda: 1 << 40)
    monkeypatch.setattr(builtins, "open", lambda path, *a, **k: io.StringIO(f"{int(4.1 * alone)}")
                        if str(path).startswith("/sys/fs/cgroup") else real(path, *a, **k))
    images.append(train.make_net(description, 8, 1).images)
    assert images[0] > 1 == images[1]


def test_a_small_file_that_wants_much_memory_is_refused_with_the_figure(tmp_path, monkeypatch):
    """When it is loaded, used, explained and trained: before anything large is made."""
    path, made = tmp_path / "m", screens.make_model(channels=["DNA"])
    small, made.size = made.description, [8192, 8192]
    made.description = networks.resize(small, 8192, 8192)
    made.save(path)
    assert os.path.getsize(path) < 4e6
    words = r"need \d+\.\d\d GB of memory, of which 0.01 GB may be used"
    monkeypatch.setattr(models, "free_memory", lambda: 10**7)
    with pytest.raises(InputError, match=f"m: its network cannot be built: .* {words}"):
        phenoscale.load(path)
    monkeypatch.undo()
    model = phenoscale.load(path)
    monkeypatch.setattr(models, "free_memory", lambda: 10**7)
    for task, inputs in ((model.net, {}), (model.net, {"training": True})):
        with pytest.raises(InputError, match=f"m: no network for fields of 8192 x 8192.* {words}"):
            task(8192, 8192, 1, **inputs)
    with pytest.raises(InputError, match=words):
        execute("predict", {"model": str(path), "fields": [[np.zeros((8192, 8192), np.uint16)]]})
    monkeypatch.setattr(train, "free_memory", lambda: 10**7)
    with pytest.raises(MemoryError, match=words):
        train.make_net(model.description, 1, 1)
