# SPDX-License-Identifier: BSD-3-Clause
"""How a run is gone about: what changes no weight."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Real

from phenoscale.errors import InputError, check_on_error
from phenoscale.models.certainty import Certainty
from phenoscale.training.checkpoint import EVERY_S

__all__ = ["DATA_CHANGED", "Running"]

#: what may be done about files that changed since a run began
DATA_CHANGED = ("refuse", "accept")


@dataclass(frozen=True)
class Running:
    """How a run is gone about.

    Attributes
    ----------
    on_error : {"stop", "skip"}
        What to do about fields whose files cannot be used, known before the first epoch; those
        left out, and those that a check marked, are listed in errors.csv.
    resume : bool
        Go on from the newest checkpoint in the folder, with the same options, to the same bits;
        begin where there is none.
    checkpoint_s : float
        Seconds between checkpoints.
    tensorboard : bool
        Event files in the folder "tensorboard" of the run.
    data_changed : {"refuse", "accept"}
        What to do, in a run that goes on, about files whose pixels are not those that it began
        with.
    certainty : phenoscale.models.certainty.Certainty, optional
        What is known of the answers of models like this one, from folds; the model is told.
    """

    on_error: str = "stop"
    resume: bool = False
    checkpoint_s: float = EVERY_S
    tensorboard: bool = False
    data_changed: str = "refuse"
    certainty: Certainty | None = None

    def __post_init__(self):
        check_on_error(self.on_error)
        if self.data_changed not in DATA_CHANGED:
            raise InputError(f"data_changed={self.data_changed}: give {' or '.join(DATA_CHANGED)}")
        for name in ("resume", "tensorboard"):
            if not isinstance(getattr(self, name), bool):
                raise InputError(f"{name}={getattr(self, name)!r}: give True or False")
        if not isinstance(self.checkpoint_s, Real) or not self.checkpoint_s >= 0:
            raise InputError(f"checkpoint_s={self.checkpoint_s!r}: give a number of seconds")
