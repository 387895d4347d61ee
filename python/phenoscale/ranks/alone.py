# SPDX-License-Identifier: BSD-3-Clause
"""The processes that share a training or a prediction, seen from one of them.

`Alone` is what a process is that nobody started beside others; mpi.py has the ranks of an MPI job,
with the same words.  Where an image's gradient goes is exchange.py's business.
"""

from __future__ import annotations

import numpy as np

__all__ = ["EXCHANGES", "Alone", "branches", "even_ends", "own_places", "share"]

#: what of the dense head's gradient can travel (exchange.py); "matrix": bits that depend on the
#: number of ranks
EXCHANGES = ("factors", "matrix")


def branches(n: int, size: int) -> list[int]:
    """Where the shares of a step end: rank r has images [ends[r - 1], ends[r]).

    Each share but the last that has any is the same power of two, a whole branch of the tree that
    sums the step (csrc/gradient.c): so the bits do not depend on the number of ranks.  The ranks
    behind have none.
    """
    branch = 1
    while branch * size < n:
        branch *= 2
    return [min(n, branch * (rank + 1)) for rank in range(size)]


def even_ends(n: int, size: int) -> list[int]:
    """Where even parts of n things end that need no sum."""
    return [n * (rank + 1) // size for rank in range(size)]


def share(ends: list[int], rank: int) -> tuple[int, int]:
    """Where a rank's share begins and ends, of those that `branches` or `even_ends` gives."""
    return (ends[rank - 1] if rank else 0), ends[rank]


class Alone:
    """One process: all is its own share.

    Attributes
    ----------
    rank, size : int
    exchange : str
        What of the dense head's gradient travels between them: one of `EXCHANGES`.
    """

    rank, size, exchange = 0, 1, "factors"

    def everyone(self, value) -> list:
        """What each rank says, by rank; JSON can hold it."""
        return [value]

    def spread(self, value):
        """What rank 0 says; JSON can hold it."""
        return value

    def barrier(self) -> None:
        """Wait until all ranks are here."""

    def copy(self, array) -> None:
        """Make an array what it is at rank 0."""

    def add(self, array) -> None:
        """Sum an array of float64 over the ranks, in place; to be exact, each number is 0 in all
        but one."""

    def rows(self, array, ends, wait: bool = True) -> None:
        """Bring together the rows of an array, in place: rank r has rows [ends[r - 1], ends[r]).

        Without `wait` it goes on by itself, in the order of such calls; `settle` waits for it.
        """

    def tree(self, array, n: int, wait: bool = True) -> None:
        """Sum a flat array over the first n ranks, in place, in pairs, pairs of pairs and so on.

        wait: as for `rows`.
        """

    def settle(self) -> None:
        """Wait for what was begun without waiting."""


def own_places(position: int, n: int, batch: int, ranks: Alone) -> np.ndarray:
    """Places in an epoch's order of n fields that are this rank's, from `position` on."""
    own = []
    for at in range(position, n, batch):
        first, end = share(branches(min(batch, n - at), ranks.size), ranks.rank)
        own.append(np.arange(at + first, at + end))
    return np.concatenate(own) if own else np.zeros(0, np.int64)
