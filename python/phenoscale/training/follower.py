# SPDX-License-Identifier: BSD-3-Clause
"""What a rank has that is not the first, in place of the keeper of the run folder."""

from __future__ import annotations

from phenoscale.ranks.crew import Crew
from phenoscale.signals import Stopped
from phenoscale.training.train import Trained
from phenoscale.training.watcher import Watcher

__all__ = ["Follower"]


class Follower(Watcher):
    """Keeps nothing, and tells the first rank of signals; the words of `Keeper`.

    Parameters
    ----------
    crew : Crew
        Its signals are handled meanwhile.
    on_error : {"stop", "skip"}
        As of the keeper's `Running`.
    """

    def __init__(self, crew: Crew, on_error: str):
        self._crew, self.on_error, self.notes = crew, on_error, []

    def __enter__(self):
        self._crew.__enter__()
        return self

    def __exit__(self, kind, error, traceback) -> None:
        if isinstance(error, Stopped):
            self._crew.ranks.stop_all()
        self._crew.__exit__(kind, error, traceback)

    def computing(self):
        """Signals within raise `Stopped` at once."""
        return self._crew.computing()

    def step_done(self, trained: Trained) -> None:
        """Look for a signal."""
        self._crew.check()

    def begun(self) -> None:
        """Nothing: the first rank says what the run began with."""

    def check_same(self, same: dict) -> None:
        """Nothing: the first rank compares, after all agreed."""

    def take(self, trained: Trained, make_model) -> None:
        """Nothing: the first rank says where the training stands."""

    def write_begun(self, about: dict) -> None:
        """Nothing: the first rank writes."""

    def ended(self) -> None:
        """Nothing: there is no checkpoint to wait for."""

    def has_best(self) -> bool:
        """Nothing: the first rank says it."""
        return False

    def save_best(self, model) -> None:
        """Nothing: the first rank writes."""

    def swap_best(self, parameters) -> None:
        """Nothing: the weights come from the first rank."""

    def put_back(self, parameters, last) -> None:
        """Nothing: the weights come from the first rank."""
