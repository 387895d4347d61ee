# SPDX-License-Identifier: BSD-3-Clause
"""What the ranks of `phenoscale bench --scaling` do: the jobs that scaling.py sends, one by
one; rank 0 prints one line of JSON, the results.

A step is driven by the same lines whether the network is a real one or a `StandIn`, whose methods
sleep for as long as the real ones were measured to need, times a stretch.  Ranks that share cores
then do not slow one another down, and what is left to be measured is the exchange: the real one,
with arrays of the real sizes.
"""

from __future__ import annotations

import json
import sys
import time

import numpy as np

from phenoscale.bench.cost_model import Parts
from phenoscale.bench.work import REPEATS, Real, seconds_of
from phenoscale.ranks.exchange import Exchange
from phenoscale.ranks.job import join, leave

PINGS = {1: 200, 1 << 20: 12, 1 << 24: 5}  # bytes of a message -> round trips


class StandIn:
    """`Real`, and its network as `Exchange` sees it: arrays of the real sizes, methods that sleep.

    Parameters
    ----------
    sums : (int, int)
        Numbers of the field layers' gradient, and of the dense layers' where the matrix travels.
    factors : list of int
        Columns of each.
    batch : int
        Images of a step of all ranks.
    computed : phenoscale.bench.cost_model.Parts
        Seconds of a step.
    """

    def __init__(self, sums, factors, batch, computed):
        self.net, self._computed = self, computed
        self.sums = tuple(np.zeros(n, np.float32) for n in sums)
        self.factors = [np.zeros((batch, n), np.float32) for n in factors]

    def forward(self, n):
        """All up to the head's backward, with the product where the matrix travels."""
        time.sleep(self._computed.ahead)

    def backward_fields(self):
        """The field layers' backward, and their sum."""
        time.sleep(self._computed.fields)

    def squares(self, n, part, parts):
        """A rank's part of what the norm is summed from."""
        time.sleep(self._computed.squares)
        return np.zeros(1 if len(self.sums[1]) else 1 + n * len(self.factors) // 2)

    def update(self):
        """With the product where factors travel."""
        time.sleep(self._computed.update)

    def backward_head(self, labels, *_):
        """Done within `forward`, as is `form`."""
        return np.zeros(len(labels)), None

    def begin(self, first):
        """Takes no time."""

    def form(self):
        """See `backward_head`."""

    def sum(self):
        """Done within `backward_fields`."""

    def end(self, n, squares):
        """Takes no time."""
        return 0.0


def drive(ranks, network, images, steps):
    """Seconds of each step, with that many images of each rank; the first, which warms up, not."""
    exchange = Exchange(network.net, ranks)
    times, labels = [], np.zeros(images, np.int64)
    for _ in range(steps + 1):
        first, _ = exchange.begin(images * ranks.size)
        network.forward(images)
        exchange.head(first, labels, 0.0)
        exchange.send()
        network.net.backward_fields()
        exchange.finish()
        network.update()
        times.append(time.perf_counter())
    return np.diff(times).tolist()


# ---- jobs ----------------------------------------------------------------------------------------


def real(ranks, network, size, images, steps):
    """Seconds of each step of a real network."""
    return drive(ranks, Real(network, size, images * ranks.size, ranks.exchange), images, steps)


def stand_in(ranks, sums, factors, exchange, images, computed, steps):
    """Seconds of each step of a stand-in."""
    ranks.exchange = exchange
    sums = sums if exchange == "matrix" else (sums[0], 0)
    network = StandIn(sums, factors, images * ranks.size, Parts(**computed))
    return drive(ranks, network, images, steps)


def ping(ranks):
    """[[bytes, seconds one way]] between ranks 0 and 1, by the thread that the exchange uses: the
    median of the round trips."""
    found = []
    for n, turns in PINGS.items():
        buffer, times = np.zeros(n, np.uint8), []

        def steps(comm, buffer=buffer, times=times, turns=turns):
            for _ in range(turns + 1):
                times.append(time.perf_counter())
                for sender in (0, 1):
                    if ranks.rank < 2:
                        yield [comm.Isend(buffer, 1 - sender) if ranks.rank == sender
                               else comm.Irecv(buffer, sender)]

        ranks.barrier()
        ranks.line.submit("main", steps).wait()
        found.append([n, float(np.median(np.diff(times))) / 2])
    return found


def collectives(ranks, sizes):
    """[[bytes, seconds of a sum, of a gathering]] over all ranks, the least of several."""
    found = []
    for n in sizes:
        array = np.zeros((ranks.size, n // 4 // ranks.size), np.float32)
        ends = list(range(1, ranks.size + 1))
        calls = (lambda array=array: ranks.tree(array.reshape(-1), ranks.size),
                 lambda array=array, ends=ends: ranks.rows(array, ends))
        row = [array.nbytes]
        for call in calls:
            times = []
            for _ in range(REPEATS):
                ranks.barrier()
                times.append(seconds_of(call))
            row.append(min(times))
        found.append(row)
    return found


JOBS = {"real": real, "stand_in": stand_in, "ping": ping, "collectives": collectives}


def main(jobs):
    """Do [{"do": name of a job, its arguments}]."""
    status = 1
    try:
        ranks = join()
        found = [JOBS[job.pop("do")](ranks, **job) for job in jobs]
        if ranks.rank == 0:
            print(json.dumps(found), flush=True)
        status = 0
    finally:
        leave(status)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
