# SPDX-License-Identifier: BSD-3-Clause
"""What a training will take on this machine: memory and time, network by network, bin by bin.

Part of `check`: each network is built as `train` would build it and makes one step, so the times
are of this machine as busy as it is now.  Of large fields a part makes the step, and the time is
multiplied: what a check takes does not grow with them.
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
EPOCHS = 40  # of the times, as of train
_PROGRAM = 150e6  # bytes of Python and its libraries
_SHARE = 0.8  # of the memory that may be used
_TRIAL = 1 << 22  # numbers of a padded field (c * h * w) that makes a step whole: 2048 x 2048


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
    is_reckoned : bool
        Whether the time is that of a part of a field, multiplied.
    """

    network: str
    bin: int
    size: tuple[int, int]
    parameters: int | None
    memory_bytes: int | None
    seconds: float
    fits: bool
    is_reckoned: bool = False

    def cells(self) -> list[str]:
        """Words for size, parameters, memory and time."""
        if self.parameters is None:
            return [size_words(*self.size), "-", "(too much)", "-"]
        return [size_words(*self.size), f"{self.parameters:,}",
                f"{self.memory_bytes / 1e9:.2f} GB" + ("" if self.fits else " (too much)"),
                "about " * self.is_reckoned + duration(self.seconds) if self.fits else "-"]


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
        By default as OMP_NUM_THREADS says, else every processor this process may use.
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
    batch = min(batch, fields)
    net = make_net(networks.describe(network, *shape, classes), batch, threads)
    ring = (2 * max(threads, PART) + 2) * math.prod(shape)
    count = len(net.parameters)
    needed = int(net.memory + 4 * count + ring * np.dtype(dtype).itemsize + _PROGRAM)
    fits, part, seconds = needed < _SHARE * memory(), _part(shape), np.nan
    if fits and part != shape:
        del net  # the memory of the whole is not needed beside that of the part
        net = make_net(networks.describe(network, *part, classes), batch, threads)
    if fits:
        image, update = _seconds(net, part, dtype)
        seconds = image * _area(shape) / _area(part) + update * count / len(net.parameters) / batch
    return Line(network, bin, shape[1:], count, needed, EPOCHS * fields * seconds, fits,
                part != shape)


def _part(shape):
    """(c, h, w) of the part of a field that makes a step: all of one that is not large."""
    c, h, w = shape
    shrink = math.sqrt(_TRIAL / (c * _area(shape)))  # a thin field is padded to a wide one
    if shrink >= 1:
        return shape
    pad = networks.PAD
    return c, *(max(1, int(side * shrink) // pad) * pad for side in (h, w))


def _area(shape) -> int:
    """Pixels of a field once it is padded."""
    return math.prod(-(-side // networks.PAD) * networks.PAD for side in shape[1:])


def _seconds(net, shape, dtype: str) -> tuple[float, float]:
    """Of one image, and of an update; noise is as much work as cells."""
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
    return images, update
