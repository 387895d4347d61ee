# SPDX-License-Identifier: BSD-3-Clause
"""The folder of a training run: the names of its files, each with its reader.

    model.safetensors         the trained network, written last: with it the run has ended
    best.safetensors          of the smallest validation loss
    last_good.safetensors     of a training that diverged: the weights before it did
    checkpoint-N.safetensors  to go on from (checkpoint.py)
    config.json               every option as resolved
    log.csv                   a row an epoch
    split.csv                 the side of each field
    files.json                the files that it began with (begun.py)
    predictions.csv           every field that was not trained on
    heads.csv                 how well network, measures and both do on these
    errors.csv                the fields that were left out
    report.html               made from the others
    phenoscale.lock           while a training writes here (files/lock.py)
"""

from __future__ import annotations

import json
import os
import stat
import sys

from phenoscale.errors import InputError
from phenoscale.files.atomic import write_atomically
from phenoscale.machine import free_memory
from phenoscale.models.model import Model, load
from phenoscale.tables.predictions import is_feature, text_frame
from phenoscale.training.checkpoint import checkpoints_in
from phenoscale.training.run_config import LIMIT_BYTES, config_of

__all__ = ["RunFolder"]

_LIMIT_LOG = 1 << 26  # bytes of log.csv
_LIMIT_HEADER = 1 << 20  # characters of the names of a table's columns
_CELLS = 8  # bytes of memory for a byte of a table


class RunFolder:
    """The files of a run.

    Parameters
    ----------
    path : path
        Need not be there yet.
    """

    MODEL, BEST, LAST_GOOD = "model.safetensors", "best.safetensors", "last_good.safetensors"
    CONFIG, LOG, SPLIT, FILES = "config.json", "log.csv", "split.csv", "files.json"
    PREDICTIONS, ERRORS, REPORT = "predictions.csv", "errors.csv", "report.html"
    HEADS = "heads.csv"
    #: what a training writes; a report comes after it
    WRITTEN = (CONFIG, LOG, SPLIT, FILES, PREDICTIONS, HEADS, ERRORS, MODEL, BEST, LAST_GOOD)

    def __init__(self, path):
        self.path = os.fspath(path)

    def file(self, name: str) -> str:
        """The path of a file in it."""
        return os.path.join(self.path, name)

    def has(self, name: str) -> bool:
        """Whether a file is there."""
        return os.path.exists(self.file(name))

    def has_checkpoint(self) -> bool:
        """Whether a run that was stopped can go on from here."""
        return bool(checkpoints_in(self.path))

    def lying(self) -> list[str]:
        """Paths of the files that are there under names that a run writes."""
        return [self.file(name) for name in (*self.WRITTEN, self.REPORT)
                if os.path.lexists(self.file(name))]

    def is_begun(self) -> bool:
        """Whether a run has begun here: its checkpoint or its config.json is there."""
        if self.has_checkpoint():
            return True
        try:
            with open(self._regular(self.CONFIG, LIMIT_BYTES), "rb") as file:
                content = file.read(LIMIT_BYTES)
            return content == _config_bytes({}) or bool(config_of(content))
        except (OSError, ValueError, InputError):
            return False

    def model(self, name: str = MODEL) -> Model:
        """A model of the run; see `phenoscale.load`."""
        return load(self.file(name))

    def write_config(self, config: dict) -> None:
        """Write config.json."""
        write_atomically(self.file(self.CONFIG), [_config_bytes(config)])

    def config(self) -> dict:
        """What config.json says; InputError unless it is that of a training."""
        path = self._regular(self.CONFIG, LIMIT_BYTES)
        try:
            with open(path, "rb") as file:
                return config_of(file.read(LIMIT_BYTES))
        except FileNotFoundError:
            why = "it is not there"
        except (OSError, ValueError) as error:
            why = getattr(error, "strerror", None) or str(error)
        raise InputError(f"{path} is missing or damaged ({why}): give a folder that train wrote")

    def unscored(self) -> str:
        """Why the run has no score, in a sentence; "" where it has one."""
        return self.config().get("unscored") or ""

    def cells(self, name: str):
        """A table of the run as text, or None; see `phenoscale.tables.predictions.text_frame`."""
        most = (_LIMIT_LOG if name == self.LOG
                else int(free_memory() // _CELLS * self._unread(name)))
        return text_frame(self._regular(name, most))

    def _unread(self, name: str) -> float:
        """How many times a table is what is read of it: its embeddings are not."""
        try:
            with open(self._regular(name, sys.maxsize), encoding="utf-8", errors="replace") as file:
                columns = file.readline(_LIMIT_HEADER).split(",")
        except FileNotFoundError:
            return 1.0
        return len(columns) / max(1, sum(not is_feature(one.strip(' "\n')) for one in columns))

    def _regular(self, name: str, most: int) -> str:
        """The path of a file, InputError where it is none of at most so many bytes: a folder may
        come from anywhere.  A file that is not there is for who reads it."""
        path = self.file(name)
        try:
            about = os.stat(path)
        except FileNotFoundError:
            return path
        except OSError as error:
            raise InputError(f"{path} cannot be read: {error.strerror}") from None
        if not stat.S_ISREG(about.st_mode):
            raise InputError(f"{path} is no file: give a folder that train wrote")
        if about.st_size > most:
            raise InputError(f"{path} has {about.st_size:,} bytes, more than the {most:,} that can "
                             "be read here: give a folder that train wrote")
        return path


def _config_bytes(config: dict) -> bytes:
    return (json.dumps(config, indent=1) + "\n").encode()
