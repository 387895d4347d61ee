# SPDX-License-Identifier: BSD-3-Clause
"""Files that are whole or not there: the one way in which the package writes."""

from __future__ import annotations

import os
from contextlib import suppress

from phenoscale.errors import InputError

__all__ = ["write_atomically"]


def write_atomically(path, parts) -> None:
    """Write a file so that its name holds either the old content or all of the new.

    parts: bytes or other buffers, written one by one as they come.
    """
    path = os.fspath(path)
    if os.path.exists(path) and not os.path.isfile(path):
        raise InputError(f"{path} cannot be written: it is a folder or a device")
    temporary = f"{path}.tmp.{os.getpid()}"
    try:
        with open(temporary, "wb") as file:
            for part in parts:
                file.write(part)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror}") from error
    finally:
        if os.path.exists(temporary):
            os.remove(temporary)
    _keep_name(os.path.dirname(path) or ".")


def _keep_name(folder: str) -> None:
    """The new name survives a power cut too, on file systems that can promise it."""
    with suppress(OSError):
        number = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(number)
        finally:
            os.close(number)
