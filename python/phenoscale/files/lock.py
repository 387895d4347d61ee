# SPDX-License-Identifier: BSD-3-Clause
"""Locks: of two processes that would write the same file or folder the second is refused by name.

    FILE.lock, FOLDER/phenoscale.lock: who holds it, made where there is none (O_EXCL), which holds
    on network disks too; its holder touches it every ten seconds

A lock whose holder has ended without removing it is taken over with a word.  On the machine of the
holder its process says so, by number and time of start; seen from another machine, or where that
cannot be known, so does a minute without a touch.
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
import threading
import time
from contextlib import suppress

from phenoscale.errors import InputError
from phenoscale.files.atomic import real_file

__all__ = ["LOCK", "Lock", "lock_of_file", "lock_of_folder"]

LOCK = "phenoscale.lock"  # in a folder
_BEAT_S, _SILENCE_S, _LOOK_S = 10.0, 60.0, 0.5
_LIMIT = 4096  # bytes


def lock_of_folder(folder, warn=None) -> Lock:
    """That of a folder whose files belong together, as of a run."""
    folder = os.fspath(folder)
    return Lock(os.path.join(folder, LOCK), folder, warn)


def lock_of_file(path, warn=None) -> Lock:
    """That of a file that takes long to make; links to one file have one lock."""
    return Lock(f"{real_file(path)}.lock", os.fspath(path), warn)


class Lock:
    """A context manager; while it is entered nobody else is who enters the same.

    Parameters
    ----------
    path : str
        Of the lock file.
    what : str
        What it is for, as the user named it.
    warn : callable, optional
        Takes a sentence on a lock that is waited for or taken over.

    Raises
    ------
    InputError
        Entered: where a process holds it, which is named; or where it cannot be made.
    """

    def __init__(self, path: str, what: str, warn=None):
        self._path, self._what, self._warn = path, what, warn or (lambda words: None)
        self._mine, self._end = b"", threading.Event()

    def __enter__(self):
        self._mine = json.dumps({
            "process": os.getpid(), "started": _started(os.getpid()), "host": socket.gethostname(),
            "machine": _machine(), "since": time.strftime("%Y-%m-%d %H:%M:%S"),
            "moment": time.time_ns()}).encode()
        try:
            while not self._make():
                self._clear()
            self._end.clear()
            threading.Thread(target=self._beat, daemon=True).start()
        except BaseException:  # a signal, too, leaves none behind
            self.__exit__()
            raise
        return self

    def __exit__(self, *error) -> None:
        self._end.set()
        if _content(self._path) == self._mine:
            with suppress(OSError):
                os.remove(self._path)

    def is_lost(self) -> bool:
        """Whether another has taken it over, as it may after this process stood still; by now that
        one may have ended, and its lock be gone."""
        content = _content(self._path)
        return self._is_gone() if content is None else content != self._mine

    def _is_gone(self) -> bool:
        """Whether there is no lock; a disk that does not answer, or a folder that is not there for
        a moment, says nothing of it."""
        try:
            os.lstat(self._path)
        except FileNotFoundError:
            return os.path.isdir(os.path.dirname(self._path) or ".")
        except OSError:
            pass
        return False

    def check(self) -> None:
        """InputError where it is lost: what it is for is no longer this process's to write."""
        if self.is_lost():
            content = _content(self._path)
            why = "has lost its lock, and may have been taken over" if content is None \
                else f"was taken over by {_named(content)}"
            raise InputError(f"{self._what} {why}, after this process had stood still for a "
                             "minute: its work is left")

    def _make(self) -> bool:
        """Make the lock file; False where there is one."""
        try:
            with open(self._path, "xb") as file:
                try:
                    file.write(self._mine)
                    file.flush()
                except BaseException:
                    os.remove(self._path)
                    raise
        except FileExistsError:
            return False
        except OSError as error:
            raise InputError(f"{self._what} cannot be written: {error.strerror} "
                             f"({self._path})") from None
        return True

    def _beat(self) -> None:
        while not self._end.wait(_BEAT_S):
            if _content(self._path) == self._mine:
                with suppress(OSError):
                    os.utime(self._path)

    def _clear(self) -> None:
        """Remove the lock of a holder that is no more; InputError where it may be there."""
        content = _content(self._path)
        if content is None:
            self._refuse_unread()
            return
        is_gone = self._is_silent(content) if _is_elsewhere(content) else _is_dead(content)
        if _content(self._path) != content:
            return
        if not (is_gone and self._remove(content)):
            raise InputError(
                f"{self._what} is being written by {_named(content)}: choose another --out, or "
                f"wait for it; if there is no such process any more, remove {self._path}")

    def _refuse_unread(self) -> None:
        """InputError where what is there cannot be read, or is no lock."""
        if os.path.isfile(self._path):
            try:
                with open(self._path, "rb") as file:
                    file.read(_LIMIT)
            except FileNotFoundError:
                pass
            except OSError as error:
                raise InputError(
                    f"{self._path} cannot be read: {error.strerror}: somebody may be writing "
                    f"{self._what}: choose another --out, or wait") from None
        elif os.path.lexists(self._path):
            raise InputError(f"{self._path} is no lock of phenoscale: move it, it is in the way of "
                             f"one for {self._what}")

    def _remove(self, content: bytes) -> bool:
        """Remove a lock of that content; False where another is about to.  Of several who would,
        one does, and never the lock that the first has made since."""
        try:
            with open(self._path, "r+b") as file:  # NFS gives such a lock to a writer alone,
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                is_it = os.path.samestat(os.fstat(file.fileno()), os.stat(self._path))
                if is_it and file.read(_LIMIT) == content:  # and SMB lets its holder alone read
                    os.remove(self._path)
                    self._warn(f"{self._path} was left behind by {_named(content)}, which is no "
                               "more: it is taken over")
        except FileNotFoundError:
            pass
        except OSError:
            return False
        return True

    def _is_silent(self, content: bytes) -> bool:
        """Whether its holder, on another machine, shows no sign of life."""
        before, end = _touched(self._path), time.monotonic() + _SILENCE_S
        self._warn(f"{self._what} is locked by {_named(content)}: waiting up to {_SILENCE_S:.0f} s "
                   "for a sign of life")
        while time.monotonic() < end:
            time.sleep(_LOOK_S)
            if _content(self._path) != content or _touched(self._path) != before:
                return False
        return True


def _content(path: str) -> bytes | None:
    """What a lock file holds, None where there is none."""
    try:
        if not os.path.isfile(path):
            return None
        with open(path, "rb") as file:
            return file.read(_LIMIT)
    except OSError:
        return None


def _touched(path: str):
    """When, by the clock of the disk; the file is opened, as network disks ask only then."""
    try:
        with open(path, "rb") as file:
            return os.fstat(file.fileno()).st_mtime_ns
    except OSError:
        return None


def _said(content: bytes | None) -> dict:
    """What a lock file says of its holder; nothing where that is not what `Lock` writes."""
    try:
        found = json.loads(content or b"")
        is_sound = 0 < found["process"] < 1 << 31 and all(
            isinstance(found[name], str) for name in ("started", "host", "machine", "since"))
        return found if is_sound else {}
    except (ValueError, KeyError, TypeError, RecursionError):
        return {}


def _named(content: bytes | None) -> str:
    """Words for the holder of a lock."""
    found = _said(content)
    if not found:
        return "an unknown process"
    return f"process {found['process']} on {found['host']} since {found['since']}"


def _is_elsewhere(content: bytes) -> bool:
    """Whether its holder cannot be looked for here: of another machine, or another container."""
    return not _machine() or _said(content).get("machine") != _machine()


def _is_dead(content: bytes) -> bool:
    """Whether its holder, of this machine, has ended; another may have its number by now."""
    found = _said(content)
    try:
        os.kill(found["process"], 0)
    except ProcessLookupError:
        return True
    except OSError:
        pass  # of another user
    started = _started(found["process"])
    return started is not None and started != found["started"]


def _started(process: int) -> str | None:
    """When a process started, in ticks of its machine; "" for one that has ended and is not yet
    let go of, None where that is not to be seen."""
    try:
        with open(f"/proc/{process}/stat", encoding="ascii", errors="replace") as file:
            state, *more = file.read().rpartition(")")[2].split()
    except (OSError, ValueError):
        return None
    return "" if state in "ZX" else more[18]


def _machine() -> str:
    """What tells machines, their starts, and containers apart by the numbers of processes."""
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            return f"{file.read().strip()} {os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return ""
