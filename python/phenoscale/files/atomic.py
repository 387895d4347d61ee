# SPDX-License-Identifier: BSD-3-Clause
"""Files that are whole or not there: the one way in which the package writes."""

from __future__ import annotations

import os
import re
from contextlib import contextmanager, suppress

from phenoscale.errors import InputError

__all__ = ["made_folder", "real_file", "remove_leftovers", "whole_file", "write_atomically"]

_DESCRIPTORS = re.compile(r"/proc/\d+(?:/task/\d+)?/fd")  # where /dev/stdout leads
_LINKS = 40  # in a row, at most, as for the system


def made_folder(path) -> str:
    """The path of a folder, made where it is not there.

    Raises
    ------
    InputError
        Where it cannot be made.
    """
    path = os.fspath(path)
    try:
        os.makedirs(path, exist_ok=True)
    except OSError as error:
        raise InputError(f"{path} cannot be made: {error.strerror}: give another folder") from None
    return path


def write_atomically(path, parts) -> None:
    """Write a file so that its name holds either the old content or all of the new.

    A link stays, and the file that it leads to is written.

    parts: bytes or other buffers, written one by one as they come.
    """
    with whole_file(path) as temporary, open(temporary, "wb") as file:
        for part in parts:
            file.write(part)


@contextmanager
def whole_file(path):
    """Gives the name of a file to be written, which takes the place of another once it is whole.

    For libraries that write files themselves; else `write_atomically`.  Nothing of it stays where
    the block raises.
    """
    path = os.fspath(path)
    real = real_file(path)
    temporary = f"{real}.tmp.{os.getpid()}"
    try:
        yield temporary
        with open(temporary, "rb") as file:
            os.fsync(file.fileno())
        os.replace(temporary, real)
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror or error}") from error
    finally:
        if os.path.exists(temporary):
            os.remove(temporary)
    _keep_name(os.path.dirname(real))


def real_file(path) -> str:
    """The file that a name stands for, behind any links, there or to be made.

    Raises
    ------
    InputError
        Where that is none that another can take the place of: a folder, a device, a pipe, a
        stream of the process as /dev/stdout, or links that lead in a circle.
    """
    path = os.fspath(path)
    try:
        real = os.path.realpath(path)
    except ValueError:
        real = ""
    if not real or "\0" in real:  # which Python before 3.10 finds out later
        raise InputError(f"{path!r} is no path of a file")
    if os.path.islink(real):
        raise InputError(f"{path} cannot be written: its links lead in a circle")
    if _is_descriptor(path) or (os.path.exists(real) and not os.path.isfile(real)):
        raise InputError(f"{path} cannot be written: it is a folder or a device, a pipe or a "
                         "stream, and not a file: give the name of a file")
    return real


def _is_descriptor(path: str) -> bool:
    """Whether a name leads to what a process has open, be that a file: to take its place would
    cut off whoever reads it."""
    for _ in range(_LINKS):
        folder = os.path.realpath(os.path.dirname(path))
        if _DESCRIPTORS.fullmatch(folder):
            return True
        path = os.path.join(folder, os.path.basename(path))
        if not os.path.islink(path):
            return False
        path = os.path.join(folder, os.readlink(path))
    return False


def remove_leftovers(folder, name: str) -> None:
    """Remove what killed processes left half-written of the files of a folder.

    name: a regular expression of the names of the files.  Nobody else may be writing them: see
    `phenoscale.files.lock`.
    """
    half = re.compile(rf"(?:{name})\.tmp\.(?P<process>\d+)")
    with suppress(OSError):
        for found in os.listdir(folder):
            match = half.fullmatch(found)
            if match and int(match["process"]) != os.getpid():
                with suppress(OSError):
                    os.remove(os.path.join(folder, found))


def _keep_name(folder: str) -> None:
    """The new name survives a power cut too, on file systems that can promise it."""
    with suppress(OSError):
        number = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(number)
        finally:
            os.close(number)
