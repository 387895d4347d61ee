# SPDX-License-Identifier: BSD-3-Clause
"""Ranks as threads of one process: what `phenoscale.ranks.alone` promises, without MPI."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor


class ThreadRank:
    """One of several; what is said goes through JSON, as it would over a network."""

    def __init__(self, rank, size, barrier, said):
        self.rank, self.size, self._barrier, self._said = rank, size, barrier, said
        self.names = [f"rank {number}" for number in range(size)]

    def barrier(self):
        self._barrier.wait(60)

    def everyone(self, value):
        self._said[self.rank] = json.dumps(value)
        self.barrier()
        found = [json.loads(text) for text in self._said]
        self.barrier()
        return found

    def spread(self, value):
        return self.everyone(value)[0]

    def rows(self, array, ends):
        starts = [0, *ends[:-1]]
        mine = array[starts[self.rank] : ends[self.rank]].tolist()
        for first, end, theirs in zip(starts, ends, self.everyone(mine)):
            if end > first:
                array[first:end] = theirs


def run_ranks(size, function):
    """[function(ranks)] of each rank; where one raises, the others end too, as in a job of MPI, and
    its error is raised."""
    barrier, said = threading.Barrier(size), [None] * size

    def one(rank):
        try:
            return function(ThreadRank(rank, size, barrier, said))
        except BaseException:
            barrier.abort()
            raise

    with ThreadPoolExecutor(size) as pool:
        jobs = [pool.submit(one, rank) for rank in range(size)]
    errors = [error for job in jobs if (error := job.exception())]
    errors.sort(key=lambda error: isinstance(error, threading.BrokenBarrierError))
    if errors:
        raise errors[0]
    return [job.result() for job in jobs]
