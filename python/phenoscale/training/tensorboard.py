# SPDX-License-Identifier: BSD-3-Clause
"""The numbers of a training as TensorBoard's event files."""

from __future__ import annotations

import os

from phenoscale.errors import InputError
from phenoscale.training.train import Trained

__all__ = ["open_board", "to_board"]


def open_board(folder: str):
    """A writer of event files in the folder "tensorboard" of a run; InputError without
    tensorboardX."""
    try:
        from tensorboardX import SummaryWriter
    except ModuleNotFoundError:
        raise InputError("event files for TensorBoard need tensorboardX: pip install "
                         "tensorboardX, or leave --tensorboard out") from None
    return SummaryWriter(os.path.join(folder, "tensorboard"))


def to_board(board, trained: Trained) -> None:
    """The numbers of a step, or after an epoch those of the validation."""
    if trained.row:
        for name in ("loss", "rate", "gradient_norm", "images_per_s"):
            if name in trained.row:
                board.add_scalar(f"train/{name}", trained.row[name], trained.step)
        return
    for name in ("val_loss", "val_accuracy", "val_balanced_accuracy"):
        if name in trained.log[-1]:
            board.add_scalar(name.replace("val_", "validation/"), trained.log[-1][name],
                             trained.step)
    board.flush()
