# SPDX-License-Identifier: BSD-3-Clause
"""What a training will take on this machine: memory and time, network by network, bin by bin.

Part of `check`: each network is built as `train` would build it and makes one step, so the times
are of this machine as busy as it is now.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass

import numpy as np

from phenoscale import _core, models
from phenoscale.fields import thread_count
from phenoscale.train import PART, make_net

__all__ = ["EPOCHS", "Line", "plan"]

BINS = (1, 2, 4)
EPOCHS = 20  # of the times, as of train
_PROGRAM = 150e6  # bytes of Python and its libraries
_SHARE = 0.8  # of the memory that may be used


@dataclass
class Line:
    """One network at one bin.

    Attributes
    ----------
    network : str
    bin : int
    size : (int, int)
        (height, width) that the network sees, before padding.
    parameters : int
    memory_bytes : int
        Of the whole training.
    seconds : float
        Of `EPOCHS` epochs; NaN where memory does not suffice.
    fits : bool
        Whether the memory of this machine suffices.
    """

    network: str
    bin: int
    size: tuple[int, int]
    parameters: int
    memory_bytes: int
    seconds: float
    fits: bool


def plan(shape, dtype: str, classes: int, fields: int, batch: int = 4, threads=None,
         progress=None) -> list[Line]:
    """Lines for every network and bin that the size of the fields allows.

    Parameters
    ----------
    shape : (int, int, int)
        (c, h, w) of a field in its files.
    dtype : str
        "uint8", "uint16" or "float32".
    classes, fields : int
        Of the training.
    batch : int
    threads : int, optional
        By default every processor this process may use.
    progress : callable, optional
        Called with (lines done, lines in all).
    """
    threads, (c, h, w) = thread_count(threads), shape
    wanted = [(network, bin) for network in models.NETWORKS for bin in BINS
              if bin == 1 or min(h, w) // bin >= models.PAD]
    lines = []
    for network, bin in wanted:
        size = h // bin, w // bin
        net = make_net(models.describe(network, c, *size, classes), min(batch, fields), threads)
        ring = (2 * max(threads, PART) + 2) * c * size[0] * size[1]
        count = len(net.parameters)
        memory = net.memory + 4 * count + ring * np.dtype(dtype).itemsize + _PROGRAM
        fits = memory < _SHARE * _memory()
        seconds = _seconds(net, (c, *size), dtype, min(batch, fields)) if fits else np.nan
        lines.append(Line(network, bin, size, count, int(memory), EPOCHS * fields * seconds, fits))
        del net
        if progress is not None:
            progress(len(lines), len(wanted))
    return lines


def _memory() -> int:
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


def _seconds(net, shape, dtype: str, batch: int) -> float:
    """Of one image, with its share of an update; noise is as much work as cells."""
    rng = np.random.default_rng(0)
    fields, n = [rng.integers(0, 200, shape).astype(dtype)] * net.images, net.images
    optimizer, images, update = _core.Optimizer("nesterov", net), np.inf, np.inf
    net.initialise(0)
    for _ in range(2):  # the first also touches the memory
        begun = time.perf_counter()
        net.begin()
        net.forward(fields, [0.01] * shape[0], [-1.0] * shape[0])
        net.backward(np.zeros(n, np.int64), np.full(n, 1 / n))
        done = time.perf_counter()
        net.gradient()
        optimizer.update(net, 0.0)
        images = min(images, (done - begun) / n)
        update = min(update, time.perf_counter() - done)
    return images + update / batch
