# SPDX-License-Identifier: BSD-3-Clause
"""Checkpoints of a training: all that is needed to go on as if nothing had been.

One file a checkpoint, `checkpoint-STEP.safetensors`: the weights and the optimizer's states as
tensors, the rest as JSON, a checksum of each tensor beside it.  A file is whole or not there; the
last two are kept, and a damaged one falls back to the one before.
"""

from __future__ import annotations

import os
import re
import time
from contextlib import suppress

from phenoscale.errors import InputError
from phenoscale.files.atomic import remove_leftovers
from phenoscale.files.tensors import Stored, checksums, read_header, write_tensors

__all__ = ["EVERY_S", "Checkpoints", "checkpoints_in", "newest"]

EVERY_S = 60.0
_KEPT = 2
_SHARE = 0.02  # of the time, at most, that goes into writing
_PROGRAM, _WHAT = "phenoscale checkpoint", "a checkpoint of 'phenoscale train'"
_LIMIT = 1 << 26  # bytes of header: the log of every epoch is in it
_NAME = re.compile(r"checkpoint-(\d{8,})\.safetensors")


class Checkpoints:
    """Writes checkpoints into a run folder now and then.

    Parameters
    ----------
    folder : path
    every_s : float
        Seconds between two; more where writing them would take over 2 % of the time.
    warn : callable, optional
        Takes a sentence where one could not be written; training goes on.
    """

    def __init__(self, folder, every_s: float = EVERY_S, warn=None):
        self.folder, self._every = os.fspath(folder), every_s
        self._warn = warn or (lambda words: None)
        self._last, self._took = time.monotonic(), 0.0
        remove_leftovers(self.folder, _NAME.pattern)

    def is_due(self) -> bool:
        """Whether it is time for another."""
        return time.monotonic() - self._last >= max(self._every, self._took / _SHARE)

    def put_off(self, begun: float) -> None:
        """None is written now, after what came before it had been tried since `begun`."""
        self._last, self._took = time.monotonic(), time.monotonic() - begun

    def save(self, step: int, about: dict, tensors) -> bool:
        """Write the checkpoint of a step; False, after a warning, where that cannot be done.

        about: what JSON can hold; tensors: list of (name, ndarray of float32, flat).
        """
        begun = time.monotonic()
        path = os.path.join(self.folder, f"checkpoint-{step:08d}.safetensors")
        try:
            write_tensors(path, _PROGRAM, {**about, "step": step, "crc32": checksums(tensors)},
                          [(name, (len(numbers),), numbers) for name, numbers in tensors])
        except InputError as error:
            self._warn(f"no checkpoint of step {step}: {error}; the one before stays")
            return False
        finally:
            self.put_off(begun)
        found = checkpoints_in(self.folder)  # of a later step is one that could not be gone on from
        kept = [one for one in found if _step(one) <= step][:_KEPT]
        for old in set(found).difference(kept):
            with suppress(OSError):
                os.remove(old)
        return True


def newest(folder, warn=None, before: int | None = None):
    """The newest checkpoint that is whole: (about, Stored), or None where there is none.

    warn: takes a sentence on every damaged one that was passed over.
    before: of an earlier step than that, if there is one.
    """
    paths = checkpoints_in(folder)
    if before is not None:
        paths.sort(key=lambda path: _step(path) >= before)
    for path in paths:
        try:
            about, places = read_header(path, _PROGRAM, _WHAT, _LIMIT)
            tensors = Stored(path, places)
            tensors.check(about.get("crc32"))
            if type(about.get("step")) is not int:
                raise InputError(f"{path} is damaged: it does not name its step")
            return about, tensors
        except InputError as error:
            if warn is not None:
                warn(f"{error}; the checkpoint before it is used, if there is one")
    return None


def _step(path: str) -> int:
    return int(_NAME.fullmatch(os.path.basename(path))[1])


def checkpoints_in(folder) -> list[str]:
    """Paths of the checkpoints of a folder, newest first."""
    try:
        names = [name for name in os.listdir(folder) if _NAME.fullmatch(name)]
    except OSError:
        return []
    return sorted((os.path.join(folder, name) for name in names), key=_step, reverse=True)
