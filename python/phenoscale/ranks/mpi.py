# SPDX-License-Identifier: BSD-3-Clause
"""The ranks of an MPI job, through mpi4py: what they say and send to one another is done by the
line of each (line.py).

A rank that fails ends the job for all (MPI_Abort, with its status): the others would wait for it.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import time
from contextlib import suppress

import numpy as np

from phenoscale.errors import InputError
from phenoscale.ranks.alone import Alone, even_ends
from phenoscale.ranks.line import Line, forget_segments
from phenoscale.signals import SIGNALS

__all__ = ["Ranks"]

_STOP_S = 60.0  # rank 0 saves, and ends all


class Ranks(Alone):
    """The ranks of a job; every method but those of attributes is called by all of them, in one
    order.

    Attributes
    ----------
    rank, size : int
    names : list of str
        "rank 1 on node7 (process 1234)", of each.
    """

    def __init__(self, mpi, limit: float):
        world = mpi.COMM_WORLD
        self.rank, self.size, self._mpi, self._open = world.rank, world.size, mpi, []
        mine = f"rank {self.rank} on {socket.gethostname()} (process {os.getpid()})".encode()
        names = bytearray(256 * self.size)
        world.Allgather(mine[:256].ljust(256), names)
        self.names = [bytes(names[256 * r : 256 * r + 256]).decode().strip()
                      for r in range(self.size)]
        world.Alltoall(bytearray(self.size), bytearray(self.size))  # all have met
        self._segments = forget_segments()
        self.line = Line(mpi, world, self.names, limit)
        self.line.start()

    def _do(self, steps, wait: bool = True) -> None:
        job = self.line.submit("main" if wait else "dense", steps)
        if wait:
            self.line.hurry()
            job.wait()
        else:
            self._open.append(job)

    def stop_all(self) -> None:
        """Tell rank 0 of a signal that came here; it saves and ends all, this rank waits for it."""
        self.line.stop_first()
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)  # launchers send more, to end it
        time.sleep(_STOP_S)
        raise InputError(f"rank 0 was told of the signal and did not end within {_STOP_S:.0f} s")

    def settle(self) -> None:
        """As `Alone.settle`."""
        self.line.hurry()
        while self._open:
            self._open.pop(0).wait()

    def finalize(self) -> None:
        """End MPI, when all ranks have come to it."""
        for name in self._segments:  # Open MPI 4 complains where it cannot remove them itself
            with suppress(OSError):
                open(name, "xb").close()
        if not self._mpi.Is_finalized():
            self._mpi.Finalize()
        for name in self._segments:
            with suppress(OSError):
                os.remove(name)

    def barrier(self) -> None:
        """As `Alone.barrier`."""
        def steps(comm):
            yield [comm.Ibarrier()]

        self._do(steps)

    def copy(self, array) -> None:
        """As `Alone.copy`."""
        def steps(comm):
            for part in _pieces(array):
                yield [comm.Ibcast(part)]

        self._do(steps)

    def add(self, array) -> None:
        """As `Alone.add`."""
        def steps(comm):
            yield [comm.Iallreduce(self._mpi.IN_PLACE, array)]

        self._do(steps)

    def everyone(self, value) -> list:
        """As `Alone.everyone`."""
        mine, ends = np.frombuffer(json.dumps(value).encode(), np.uint8), np.zeros(self.size)
        ends[self.rank] = len(mine)
        self.add(ends)
        ends = np.cumsum(ends).astype(int).tolist()
        words = np.zeros(ends[-1], np.uint8)
        words[ends[self.rank] - len(mine) : ends[self.rank]] = mine
        self.rows(words, ends)
        return [json.loads(part.tobytes()) for part in np.split(words, ends[:-1])]

    def spread(self, value):
        """As `Alone.spread`."""
        words = np.frombuffer(json.dumps(value if not self.rank else None).encode(), np.uint8)
        length = np.array([len(words)], np.int64)
        self.copy(length)
        words = words.copy() if not self.rank else np.zeros(int(length[0]), np.uint8)
        self.copy(words)
        return json.loads(words.tobytes())

    def rows(self, array, ends, wait: bool = True) -> None:
        """As `Alone.rows`."""
        starts = [0, *ends[:-1]]

        def steps(comm):
            for low, high in _bands(array):  # a count of MPI has 31 bits
                cut = [(min(max(a, low), high), min(max(b, low), high))
                       for a, b in zip(starts, ends)]
                width = array[:1].nbytes
                counts = [(b - a) * width for a, b in cut]
                places = [(a - low) * width for a, _ in cut]
                yield [comm.Iallgatherv(self._mpi.IN_PLACE, [
                    array[low:high], counts, places, self._mpi.BYTE])]

        self._do(steps, wait)

    def tree(self, array, n: int, wait: bool = True) -> None:
        """As `Alone.tree`."""
        def steps(comm):
            for part in _pieces(array):
                yield from self._tree(comm, part, n)

        self._do(steps, wait)

    def _tree(self, comm, array, n: int):
        """Each rank sums a slice, of the first n ranks; then all get all slices."""
        ends, width = even_ends(len(array), self.size), array.itemsize
        starts = [0, *ends[:-1]]
        counts = [(b - a) * width for a, b in zip(starts, ends)]
        places = [a * width for a in starts]
        mine = ends[self.rank] - starts[self.rank]
        branches = np.empty((self.size, mine), array.dtype)
        yield [comm.Ialltoallv([array, counts, places, self._mpi.BYTE], [
            branches, [mine * width] * self.size,
            [r * mine * width for r in range(self.size)], self._mpi.BYTE])]
        step = 1
        while step < n:
            for rank in range(0, n - step, 2 * step):
                branches[rank] += branches[rank + step]
            step *= 2
        array[starts[self.rank] : ends[self.rank]] = branches[0]
        yield [comm.Iallgatherv(self._mpi.IN_PLACE, [array, counts, places, self._mpi.BYTE])]


_MOST = 1 << 27  # numbers of one call: counts of MPI, here of bytes, have 31 bits


def _pieces(array):
    """Flat views of at most _MOST numbers."""
    flat = array.reshape(-1)
    return [flat[at : at + _MOST] for at in range(0, len(flat), _MOST)]


def _bands(array):
    """(low, high) of rows, of at most _MOST numbers or one row."""
    n, width = len(array), max(1, array[:1].size)
    step = max(1, _MOST // width)
    return [(at, min(n, at + step)) for at in range(0, n, step)]
