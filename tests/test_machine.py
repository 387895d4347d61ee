# SPDX-License-Identifier: BSD-3-Clause
"""What this process may use of the machine: processors and memory."""

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


@pytest.fixture
def made_up(monkeypatch, tmp_path):
    """A function that makes the files of a system: of control groups, by their paths."""
    def make(groups: dict, mine: str, mounts: str = "0 0 0:1 / /sys/fs/cgroup rw - cgroup2 c rw"):
        monkeypatch.setattr(machine, "_ROOT", str(tmp_path))
        for path, text in {"proc/self/cgroup": mine, "proc/self/mountinfo": mounts,
                           **{f"sys/fs/cgroup/{path}": text for path, text in groups.items()}
                           }.items():
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / path).write_text(f"{text}\n")
    return make


def test_threads_are_those_that_this_process_may_use(monkeypatch):
    """Affinity and the quota of a control group, whichever is less."""
    code = "from phenoscale.machine import thread_count; print(thread_count())"
    environ = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    one = subprocess.run(["taskset", "-c", "0", sys.executable, "-c", code], text=True,
                         capture_output=True, check=True, env=environ)
    assert one.stdout.strip() == "1"
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(machine, "processors", lambda: 3)
    assert thread_count() == 3 and thread_count(7) == 7


@pytest.mark.parametrize("words, expected", [
    ("5", 5), ("1", 1), (" 4 ,2", 4), ("0", 3), ("", 3), ("four", 3), ("4,x", 3), ("-2", 3),
    ("9999999", 1024)])
def test_threads_are_as_openmp_is_told(monkeypatch, words, expected):
    """As NumPy's libraries and torch take it: above the processors too; --threads is stronger."""
    monkeypatch.setattr(machine, "processors", lambda: 3)
    monkeypatch.setenv("OMP_NUM_THREADS", words)
    assert thread_count() == expected and thread_count(2) == 2


UNLIMITED, VERSION_1 = 1 << 62, """1 0 0:2 / /sys/fs/cgroup rw - tmpfs tmpfs rw
2 1 0:3 {root} /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct
3 1 0:4 {root} /sys/fs/cgroup/memory rw shared:7 - cgroup cgroup rw,memory
4 1 0:5 {root} /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw
5 1 0:6 / /nameless rw - tmpfs  rw"""


@pytest.mark.parametrize("quotas, expected", [
    ({"": "max 100000"}, 64), ({"": "150000 100000"}, 2), ({"": "50000 100000"}, 1),
    ({"": "nonsense"}, 64), ({"a/b": "300000 100000"}, 3), ({"a": "200000 100000",
                                                          "a/b": "300000 100000"}, 2),
    ({"elsewhere": "100000 100000"}, 64)])
def test_the_quotas_of_control_groups(monkeypatch, made_up, quotas, expected):
    """Of the group of this process and of those around it, not of others."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: range(64))
    made_up({f"{path}/cpu.max": text for path, text in quotas.items()}, "0::/a/b")
    assert machine.processors() == expected
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: range(1))
    assert machine.processors() == 1


def test_the_quota_of_a_group_of_the_first_version(monkeypatch, made_up):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: range(64))
    here = "cpu,cpuacct/slurm/job_7"
    files = {f"{here}/cpu.cfs_quota_us": "250000", f"{here}/cpu.cfs_period_us": "100000",
             "cpu,cpuacct/cpu.cfs_quota_us": "-1", "cpu,cpuacct/cpu.cfs_period_us": "100000"}
    made_up(files, "4:cpu,cpuacct:/slurm/job_7\n0::/", VERSION_1.format(root="/"))
    assert machine.processors() == 3


@pytest.mark.parametrize("files, mine, mounts, most", [
    ({"memory.max": "max"}, "0::/", None, UNLIMITED),
    ({"memory.max": "3000000000"}, "0::/", None, 3 * 10**9),
    # a scope of systemd; a step of Slurm below a job that has less
    ({"user.slice/run-7.scope/memory.max": "2000000000"}, "0::/user.slice/run-7.scope", None,
     2 * 10**9),
    ({"slurm/job_7/memory.max": "1000000000", "slurm/job_7/step_0/memory.max": "max"},
     "0::/slurm/job_7/step_0", None, 10**9),
    ({"a/memory.high": "1500000000", "a/memory.max": "2000000000"}, "0::/a", None, 15 * 10**8),
    # the first version: of the machine, and of a container that sees its own group as the root
    ({"memory/slurm/job_7/memory.limit_in_bytes": "1000000000",
      "memory/memory.limit_in_bytes": str((1 << 63) - 4096)}, "9:memory:/slurm/job_7\n0::/",
     VERSION_1.format(root="/"), 10**9),
    ({"memory/memory.limit_in_bytes": "1200000000"}, "9:memory:/docker/3f2a\n0::/",
     VERSION_1.format(root="/docker/3f2a"), 12 * 10**8),
    ({"memory.max": "1300000000"}, "0::/../beside", None, 13 * 10**8),
    # a group of somebody else's bounds nobody here
    ({"other/memory.max": "1000"}, "0::/mine", None, UNLIMITED)])
def test_memory_is_that_of_the_control_groups(made_up, files, mine, mounts, most):
    made_up(files, mine, *[mounts] * (mounts is not None))
    whole = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    assert machine.memory() == min(whole, most)


def test_free_memory_is_less_than_all():
    assert 0 < machine.free_memory() < machine.memory()


@pytest.mark.parametrize("variable", ["OMP_STACKSIZE", "GOMP_STACKSIZE"])
def test_stacks_that_are_too_small_are_a_sentence(variable):
    """With 16 KB a step ends in a crash."""
    code = ("from phenoscale.models import networks; from phenoscale.training import train; "
            "train.make_net(networks.describe('mcnn-gap', 1, 128, 128, 2), 2, threads=2)")
    done = subprocess.run([sys.executable, "-c", code], text=True, capture_output=True,
                          env={**os.environ, variable: "16k"}, check=False)
    assert done.returncode == 1 and "have stacks of 16 KB, and need 256: set OMP_STACKSIZE" in (
        done.stderr)


def test_a_training_in_a_container_plans_for_the_container(monkeypatch, made_up):
    """Not for the machine that it is on: a quarter of the memory is for the network."""
    description = networks.describe("mcnn-gap", 1, 256, 256, 2)
    images = [net.images for net in (train.make_net(description, 8, 1), )]
    alone = train.make_net(description, 1, 1).memory
    monkeypatch.setattr(train, "free_memory", lambda: 1 << 40)
    made_up({"memory.max": f"{int(4.1 * alone)}"}, "0::/")
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
