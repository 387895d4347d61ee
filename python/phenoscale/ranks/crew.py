# SPDX-License-Identifier: BSD-3-Clause
"""Who does a work: the ranks that share it, their threads, who is told of it, and what ends it."""

from __future__ import annotations

from phenoscale.machine import thread_count
from phenoscale.progress import Watch
from phenoscale.ranks.alone import Alone
from phenoscale.ranks.roll_call import agree, roll_call
from phenoscale.signals import Stopper

__all__ = ["Crew"]


class Crew:
    """A context manager that handles signals (`phenoscale.signals.Stopper`) while it is entered.

    Parameters
    ----------
    ranks : Alone or phenoscale.ranks.mpi.Ranks, optional
        All of them make the same calls with the same arguments; rank 0 writes.
    threads : int, optional
        Of this rank; by default as `phenoscale.machine.thread_count` says.  Results do not depend
        on them.
    progress : callable, optional
        Takes events of `phenoscale.progress`; of rank 0 only.
    quiet : bool
        No word on stderr when a signal comes.

    Attributes
    ----------
    ranks, threads
    is_first : bool
        Whether this is rank 0, or alone.
    watch : Watch
    """

    def __init__(self, ranks: Alone | None = None, threads: int | None = None, progress=None,
                 quiet: bool = True):
        self.ranks, self.threads = ranks or Alone(), thread_count(threads)
        self.is_first = not self.ranks.rank
        self.watch, self._stopper = Watch(progress), Stopper(quiet)

    def __enter__(self):
        self._stopper.__enter__()
        return self

    def __exit__(self, *error) -> None:
        self._stopper.__exit__(*error)

    def computing(self):
        """A context within which a signal raises `phenoscale.signals.Stopped` at once."""
        return self._stopper.computing()

    def check(self) -> None:
        """Raise `phenoscale.signals.Stopped` if a signal came."""
        self._stopper.check()

    def agree(self, same) -> None:
        """InputError where ranks differ; see `phenoscale.ranks.roll_call.agree`."""
        agree(self.ranks, same)

    def roll_call(self, batch: int | None = None, warn=None) -> None:
        """Say where the ranks run; see `phenoscale.ranks.roll_call.roll_call`."""
        roll_call(self.ranks, self.threads, batch, self.watch, warn or self.watch.warn)
