# SPDX-License-Identifier: BSD-3-Clause
"""What the last bits of a result depend on beside files and options: processor and libraries."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping

import numpy as np

import phenoscale
from phenoscale import _core
from phenoscale.errors import InputError

__all__ = ["environment", "free_memory", "memory", "omp_threads", "processors", "thread_count"]

_MOST = _core.limits()["threads"]
_ROOT = ""  # of the files of the system


def environment() -> dict:
    """The instruction set in use, and versions."""
    return {"isa": _core.isa(), "versions": {"phenoscale": phenoscale.__version__,
                                             "numpy": np.__version__, **_core.versions()}}


def thread_count(threads: int | None = None) -> int:
    """The threads to use: as asked, else as OMP_NUM_THREADS says, else one a processor."""
    if threads is not None:
        if not 1 <= threads <= _MOST:
            raise InputError(f"threads={threads}: give a number from 1 to {_MOST}")
        return threads
    return omp_threads(os.environ) or processors()


def omp_threads(environ: Mapping[str, str]) -> int | None:
    """What OMP_NUM_THREADS says, of a list the first; None for what OpenMP ignores as well, after
    a word of its own."""
    match = re.fullmatch(r"\s*(\d+)\s*(,\s*\d+\s*)*", environ.get("OMP_NUM_THREADS", ""), re.ASCII)
    return min(int(match[1]), _MOST) or None if match else None


def processors() -> int:
    """Processors that this process may use: by its affinity, and the quotas of its control
    groups, rounded up."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    least = allowed or 1
    for folder in _control_groups("cpu"):
        quota, period = (*_words(f"{folder}/cpu.max"), "", "")[:2]
        if not quota:  # version 1
            quota, period = (" ".join(_words(f"{folder}/cpu.cfs_{what}_us"))
                             for what in ("quota", "period"))
        if quota.isdecimal() and period.isdecimal() and int(period):
            least = min(least, -(-int(quota) // int(period)))
    return max(1, least)


def memory() -> int:
    """Bytes that this process may use: of the machine, or of its control groups."""
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for folder in _control_groups("memory"):
        for name in ("memory.max", "memory.high", "memory.limit_in_bytes"):
            total = min([total, *(int(word) for word in _words(f"{folder}/{name}")
                                  if word.isdecimal())])
    return total


def free_memory() -> int:
    """Bytes of `memory` that are free: neither this process nor, where the system says so, others
    have them."""
    free, held = memory(), _words("/proc/self/statm")[1:2]
    free -= os.sysconf("SC_PAGE_SIZE") * sum(map(int, held))
    there = [int(line.split()[1]) for line in _lines("/proc/meminfo")
             if line.startswith("MemAvailable:")]
    return max(1, min([free, *(1024 * kilobytes for kilobytes in there)]))


# ---- control groups ------------------------------------------------------------------------------


def _control_groups(controller: str) -> list[str]:
    """Folders of the groups that bound this process, its own (of Slurm, of systemd) and all that
    it lies in, of both versions: "cpu" or "memory" of the first."""
    mine, found = {}, []
    for line in _lines("/proc/self/cgroup"):
        _, names, path = line.split(":", 2)
        mine.update(dict.fromkeys(names.split(","), path))  # "" is the second version
    for line in _lines("/proc/self/mountinfo"):
        place, _, system = line.partition(" - ")
        (root, mount), (kind, *_, options) = place.split()[3:5], system.split()  # or no source
        name = {"cgroup2": "", "cgroup": controller}.get(kind)
        if name not in mine or name not in ("", *options.split(",")):
            continue
        inside = os.path.relpath(mine[name], root).split("/")
        inside = [] if inside[0] in (".", "..") else inside  # a container sees its own as the root
        found += ["/".join([mount, *inside[:depth]]) for depth in range(len(inside), -1, -1)]
    return found


def _lines(path: str) -> list[str]:
    """Of a file of the system; none where it cannot be read."""
    try:
        with open(_ROOT + path, encoding="utf-8", errors="replace") as file:
            return file.read().splitlines()
    except OSError:
        return []


def _words(path: str) -> list[str]:
    """Of its first line."""
    return next(iter(_lines(path)), "").split()
