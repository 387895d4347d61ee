# SPDX-License-Identifier: BSD-3-Clause
"""Files of pictures, read as csrc/file.c reads TIFFs: a disk or a share that fails for a moment is
asked again, and one that goes on failing is named, never taken for damage of the file."""

from __future__ import annotations

import errno
import io
import os
import time

__all__ = ["PatientFile", "of_disk", "patiently", "stamp_of"]

#: errors that may pass; Python itself goes on after EINTR
_DISK = frozenset({errno.EIO, errno.ESTALE, errno.EAGAIN, errno.ETIMEDOUT})
_PAUSES = (0.01, 0.04, 0.16)  # seconds


class PatientFile(io.FileIO):
    """A file to read, opened without waiting for what is none."""

    def __init__(self, path):
        patiently(lambda: super(PatientFile, self).__init__(path, opener=_open))

    def readinto(self, buffer):
        """As `io.FileIO.readinto`."""
        return self._again(super().readinto, buffer)

    def readall(self):
        """As `io.FileIO.readall`."""
        return self._again(super().readall)

    def read(self, size=-1):
        """As `io.FileIO.read`."""
        return self.readall() if size is None or size < 0 else self._again(super().read, size)

    def _again(self, act, *words):
        at = self.tell()

        def from_there():
            self.seek(at)
            return act(*words)

        return patiently(from_there)


def of_disk(path: str, error: OSError) -> OSError:
    """The error of a file that its disk does not give, with the number of the system's."""
    found = OSError(f"{path}: cannot be read from its disk: {error.strerror}; the file may be "
                    "whole: see to the disk or the share, then try again")
    found.errno = error.errno
    return found


def patiently(act):
    """What a function returns, called again where a disk or a share fails for a moment."""
    for pause in _PAUSES:
        try:
            return act()
        except OSError as error:
            if error.errno not in _DISK:
                raise
        time.sleep(pause)
    return act()


def _open(path, flags):
    return os.open(path, flags | os.O_NONBLOCK | getattr(os, "O_NOCTTY", 0))


def stamp_of(path: str) -> list[int] | None:
    """Size and time of change in ns of a file, None where it is gone."""
    try:
        about = os.stat(path)
    except OSError:
        return None
    return [about.st_size, about.st_mtime_ns]
