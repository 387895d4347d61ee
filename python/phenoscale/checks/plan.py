# SPDX-License-Identifier: BSD-3-Clause
"""What a training will take on this machine: memory and time, network by network, bin by bin.

Part of `check`: each network is built as `train` would build it and makes one step, so the times
are of this machine as busy as it is now.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

import numpy as np

from phenoscale import _core
from phenoscale.errors import InputError
from phenoscale.machine import memory, thread_count
from phenoscale.models import networks
from phenoscale.progress import Watch
from phenoscale.training.train import PART, make_net
from phenoscale.words import duration, size_words

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
    parameters, memory_bytes : int or None
        Of the whole training; None where the network cannot even be built.
    seconds : float
        Of `EPOCHS` epochs; NaN where memory does not suffice.
    fits : bool
        Whether the memory of this machine suffices.
    """

    network: str
    bin: int
    size: tuple[int, int]
    parameters: int | None
    memory_bytes: int | None
    seconds: float
    fits: bool

    def cells(self) -> list[str]:
        """Words for size, parameters, memory and time."""
        if self.parameters is None:
            return [size_words(*self.size), "-", "(too much)", "-"]
        return [size_words(*self.size), f"{self.parameters:,}",
                f"{self.memory_bytes / 1e9:.2f} GB" + ("" if self.fits else " (too much)"),
                duration(self.seconds) if self.fits else "-"]


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
        Takes events of `phenoscale.progress`, of the stage "plan".
    """
    threads, watch, (c, h, w) = thread_count(threads), Watch(progress), shape
    wanted = [(network, bin) for network in networks.NETWORKS for bin in BINS
              if bin == 1 or min(h, w) // bin >= networks.PAD]
    lines = []
    for network, bin in wanted:
        size = h // bin, w // bin
        try:
            lines.append(_line(network, bin, (c, *size), dtype, classes, fields, batch, threads))
        except (MemoryError, InputError):  # not even to be built
            lines.append(Line(network, bin, size, None, None, np.nan, False))
        watch.tell("plan", len(lines), len(wanted))
    return lines


def _line(network, bin, shape, dtype, classes, fields, batch, threads) -> Line:
    net = make_net(networks.describe(network, *shape, classes), min(batch, fields), threads)
    ring = (2 * max(threads, PART) + 2) * math.prod(shape)
    count = len(net.parameters)
    needed = int(net.memory + 4 * count + ring * np.dtype(dtype).itemsize + _PROGRAM)
    fits = needed < _SHARE * memory()
    seconds = _seconds(net, shape, dtype, min(batch, fields)) if fits else np.nan
    return Line(network, bin, shape[1:], count, needed, EPOCHS * fields * seconds, fits)


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
