# SPDX-License-Identifier: BSD-3-Clause
"""The numbers of a training as TensorBoard's event files.

tensorboardX makes the events and frames them; they are written here, since what its own writer
cannot write is lost, and stops it.
"""

from __future__ import annotations

import os
import socket
import struct
import time

from phenoscale.errors import InputError
from phenoscale.training.train import Trained

__all__ = ["Board"]

_OF_STEPS = ("loss", "rate", "gradient_norm", "images_per_s")
_OF_EPOCHS = ("val_loss", "val_accuracy", "val_balanced_accuracy")


class Board:
    """Events in the folder "tensorboard" of a run; InputError without tensorboardX.

    Parameters
    ----------
    folder : str
        Of the run.
    """

    def __init__(self, folder: str):
        try:
            from tensorboardX import record_writer
            from tensorboardX.proto.event_pb2 import Event
        except ModuleNotFoundError:
            raise InputError("event files for TensorBoard need tensorboardX: pip install "
                             "tensorboardX, or leave --tensorboard out") from None
        self._event, self._crc = Event, record_writer.masked_crc32c
        self._folder, self._left, self._written = os.path.join(folder, "tensorboard"), [], 0
        self._path = os.path.join(self._folder, f"events.out.tfevents.{time.time():.0f}."
                                                f"{socket.gethostname()}")
        self._put(Event(wall_time=time.time(), file_version="brain.Event:2"))

    def add(self, trained: Trained) -> None:
        """The numbers of a step, or after an epoch those of the validation."""
        row, group, names = (trained.row, "train", _OF_STEPS) if trained.row else (
            trained.log[-1], "validation", _OF_EPOCHS)
        event = self._event(wall_time=time.time(), step=trained.step)
        for name in names:
            if name in row:
                event.summary.value.add(tag=f"{group}/{name.removeprefix('val_')}",
                                        simple_value=row[name])
        if event.summary.value:
            self._put(event)

    def flush(self) -> None:
        """Write what was added; InputError where that cannot be done, and all of it stays for the
        next time."""
        try:
            os.makedirs(self._folder, exist_ok=True)
            with open(self._path, "ab") as file:
                file.truncate(self._written)  # half an event would hide those behind it
                content = b"".join(self._left)
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise InputError(f"{self._path} cannot be written: {error.strerror}") from None
        self._written, self._left = self._written + len(content), []

    def _put(self, event) -> None:
        """An event as TensorFlow frames it."""
        content = event.SerializeToString()
        length = struct.pack("<Q", len(content))
        self._left.append(length + struct.pack("<I", self._crc(length)) + content
                          + struct.pack("<I", self._crc(content)))
