# SPDX-License-Identifier: BSD-3-Clause
"""What the last bits of a result depend on beside files and options: processor and libraries."""

from __future__ import annotations

import os
from contextlib import suppress

import numpy as np

import phenoscale
from phenoscale import _core
from phenoscale.errors import InputError

__all__ = ["environment", "free_memory", "memory", "thread_count"]

_MOST = _core.limits()["threads"]


def environment() -> dict:
    """The instruction set in use, and versions."""
    return {"isa": _core.isa(), "versions": {"phenoscale": phenoscale.__version__,
                                             "numpy": np.__version__, **_core.versions()}}


def thread_count(threads: int | None = None) -> int:
    """The threads to use: as asked, else the processors this process may run on."""
    if threads is not None:
        if not 1 <= threads <= _MOST:
            raise InputError(f"threads={threads}: give a number from 1 to {_MOST}")
        return threads
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return max(1, min(allowed or 1, _quota()))


def _quota() -> int:
    """Processors that the control group of this process lets it use, rounded up."""
    try:
        with open("/sys/fs/cgroup/cpu.max", encoding="ascii") as file:
            quota, period = file.read().split()
        return _MOST if quota == "max" else -(-int(quota) // int(period))
    except (OSError, ValueError):
        return _MOST


def memory() -> int:
    """Bytes that this process may use: of the machine, or of its control group."""
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for path in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        try:
            with open(path, encoding="ascii") as file:
                text = file.read().strip()
        except OSError:
            continue
        if text.isdecimal():
            total = min(total, int(text))
    return total


def free_memory() -> int:
    """Bytes of `memory` that are free: neither this process nor, where the system says so, others
    have them."""
    free = memory()
    with suppress(OSError, ValueError, IndexError):
        with open("/proc/self/statm", encoding="ascii") as file:
            free -= os.sysconf("SC_PAGE_SIZE") * int(file.read().split()[1])
        with open("/proc/meminfo", encoding="ascii") as file:
            free = min(free, *(1024 * int(line.split()[1]) for line in file
                               if line.startswith("MemAvailable:")))
    return max(1, free)
