# SPDX-License-Identifier: BSD-3-Clause
"""Who looks on while a network is trained: keeper.py on the first rank, follower.py on others."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from phenoscale.training.train import Trained

__all__ = ["Watcher"]


class Watcher:
    """Who is told of a training and may end it; each method does nothing here.

    Attributes
    ----------
    on_error : {"stop", "skip"}
        What to do about a field that cannot be read in the middle of the training.
    """

    on_error = "stop"

    def computing(self):
        """A context for work that may be left at any instant."""
        return nullcontext()

    def step_done(self, trained: Trained) -> None:
        """After each step, and at the end of each epoch."""

    def improved(self, trained: Trained) -> None:
        """After an epoch with the smallest validation loss so far."""

    def warn(self, words: str) -> None:
        """Something the user should read."""
