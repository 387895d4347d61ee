# SPDX-License-Identifier: BSD-3-Clause
"""What the parts of a training step need on one core: the `Work` of cost_model.py, measured.

scaling.py runs this file as a process of its own.
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import asdict

import numpy as np

from phenoscale import _core
from phenoscale.bench.cost_model import Work
from phenoscale.bench.ours import CLASSES
from phenoscale.models import networks

IMAGES = (1, 4)  # of a rank and step; no forward call has more
ROWS = (1, 4, 16, 64, 256)  # of a step: images of all ranks
PIXELS = 4000  # the fields are noise below it
RATE, MOMENTUM, DECAY = 1e-3, 0.9, 5e-5
REPEATS = 3
GROUPS = 2  # of steps that the scatter is looked for in; other work on the machine meets a few


class Real:
    """A network for training, and fields that are noise; one thread.

    Parameters
    ----------
    network : str
    size : (int, int)
        Height and width of a field in pixels.
    batch : int
        Images of a step of all ranks.
    exchange : {"factors", "matrix"}
        What of the dense layers travels.
    """

    def __init__(self, network, size, batch, exchange):
        self.net = _core.Net(
            networks.describe(network, 3, *size, CLASSES), training=True,
            images=min(max(IMAGES), batch), batch=batch, forms_dense=exchange == "matrix")
        self.net.initialise(0)
        self._optimizer = _core.Optimizer("nesterov", self.net)
        self._fields = np.random.default_rng(0).integers(
            0, PIXELS, (max(IMAGES), 3, *size), dtype=np.uint16)

    def forward(self, n):
        """Of n images."""
        self.net.forward(self._fields[:n], [3 / PIXELS] * 3, [-1.5] * 3)

    def update(self):
        """With the gradient of the step that has ended."""
        self._optimizer.update(self.net, RATE, momentum=MOMENTUM, decay=DECAY, scale=1.0)


def seconds_of(*calls):
    """Seconds that calls in a row take together."""
    begun = time.perf_counter()
    for call in calls:
        call()
    return time.perf_counter() - begun


def one_step(real, images):
    """Seconds of the parts of a step of one process, by name."""
    net, labels, weights = real.net, np.zeros(images, np.int64), np.full(images, 1 / images)
    found = {"ahead": seconds_of(net.begin, lambda: real.forward(images),
                                 lambda: net.backward_head(labels, weights))}
    if len(net.sums[1]):
        found["form"] = seconds_of(net.form)
    found["fields"] = seconds_of(net.backward_fields, net.sum)
    found["squares"] = seconds_of(lambda: net.end(images, net.squares(images)))
    found["update"] = seconds_of(real.update)
    return found


def least_seconds(steps):
    """The least seconds of each part over some steps."""
    return {part: min(step[part] for step in steps) for part in steps[0]}


def scatter(seconds):
    """Standard deviation as a share of the median, from the quartiles, as of a normal distribution.

    >>> round(scatter([95.0, 98.0, 100.0, 102.0, 105.0]), 3)
    0.03
    """
    low, middle, high = np.percentile(seconds, (25, 50, 75))
    return float(high - low) / 1.349 / float(middle)


def row_seconds(real, n):
    """(seconds of the squares, of the update) of a step with n images, which are of other ranks."""
    net, rng = real.net, np.random.default_rng(n)
    net.begin()  # a step of one image, which the rows of the others are added to
    real.forward(1)
    net.backward_head(np.zeros(1, np.int64), np.ones(1))
    net.backward_fields()
    net.sum()
    for factor in net.factors:
        factor[:n] = rng.random((n, factor.shape[1]), np.float32) / n
    repeats = range(REPEATS if n < 100 else 1)
    squares = min(seconds_of(lambda: net.squares(n)) for _ in repeats)
    net.end(n, net.squares(n))
    return [squares, min(seconds_of(real.update) for _ in repeats)]


def measure_needs(network, size):
    """What a network needs.

    Returns
    -------
    dict
        "work", a `Work` as a dict; "sums" and "factors", lengths of the arrays that travel;
        "jitter", the `scatter` of steps with one image.
    """
    real, curves = Real(network, size, max(ROWS), "factors"), {}
    for images in IMAGES:
        one_step(real, images)
        steps = [one_step(real, images) for _ in range(REPEATS)]
        for part, seconds in least_seconds(steps).items():
            curves.setdefault(part, {})[images] = seconds
    jitter = min(scatter([sum(one_step(real, 1).values()) for _ in range(4 * REPEATS)])
                 for _ in range(GROUPS))
    rows = {n: row_seconds(real, n) for n in ROWS}
    columns = [factor.shape[1] for factor in real.net.factors]
    del real
    real = Real(network, size, max(IMAGES), "matrix")
    matrix = {images: least_seconds([one_step(real, images) for _ in range(REPEATS)])
              for images in IMAGES}
    sums = [len(part) for part in real.net.sums]
    work = Work(ahead=curves["ahead"], fields=curves["fields"],
                form={images: part["form"] for images, part in matrix.items()},
                squares={n: seconds[0] for n, seconds in rows.items()},
                update={n: seconds[1] for n, seconds in rows.items()},
                matrix_squares=matrix[1]["squares"], matrix_update=matrix[1]["update"],
                factor_bytes=4 * sum(columns), field_bytes=4 * sums[0], matrix_bytes=4 * sums[1],
                factors=len(columns))
    return {"work": asdict(work), "sums": sums, "factors": columns, "jitter": jitter}


if __name__ == "__main__":
    job = json.loads(sys.argv[1])
    print(json.dumps(measure_needs(job["network"], job["size"])))
