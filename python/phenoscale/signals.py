# SPDX-License-Identifier: BSD-3-Clause
"""Signals while a training runs: stop at once where that loses nothing, else as soon as it does."""

from __future__ import annotations

import os
import signal
import threading
from contextlib import contextmanager, suppress

__all__ = ["REPEATED", "SIGNALS", "Stopped", "Stopper", "heard"]

SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGUSR1",
                                                              "SIGHUP") if hasattr(signal, name))
#: those that come more than once without anybody's haste: a launcher gives SIGUSR1 to every rank,
#: and a rank to the first; of a terminal that closes both the kernel and the shell tell
REPEATED = tuple(getattr(signal, name) for name in ("SIGUSR1", "SIGHUP") if hasattr(signal, name))
_WORDS = (b"\nstopping: saving the checkpoint of the last finished step; a second signal stops at "
          b"once\n")


def heard() -> list[int]:
    """The signals to handle: a SIGHUP that is ignored, as under nohup, stays so."""
    hangup = getattr(signal, "SIGHUP", None)
    return [number for number in SIGNALS
            if number != hangup or signal.getsignal(number) != signal.SIG_IGN]


class Stopped(KeyboardInterrupt):
    """A signal ended the training; `number` says which."""

    def __init__(self, number: int):
        super().__init__(f"stopped by {signal.Signals(number).name}")
        self.number = number


class Stopper:
    """Handles Ctrl-C, SIGTERM, SIGUSR1 and SIGHUP while it is entered, on the main thread.

    Within `computing`, where nothing that is kept changes, a signal raises `Stopped` at once; the C
    library looks for one every few milliseconds. Elsewhere it is noted, and the next `computing`
    raises it. A second signal raises KeyboardInterrupt wherever it comes; but not one of
    `REPEATED`.
    """

    def __init__(self, quiet: bool = True):
        self.number, self._inside, self._before, self._quiet = None, False, {}, quiet

    def __enter__(self):
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._handle) for number in heard()}
        return self

    def __exit__(self, *error) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}

    def _handle(self, number, frame) -> None:
        if self.number is not None:
            if number in REPEATED:
                return
            raise KeyboardInterrupt
        self.number = number
        if not self._quiet:
            with suppress(OSError):  # a terminal that is gone
                os.write(2, _WORDS)  # not print: it may be what was interrupted
        if self._inside:
            raise Stopped(number)

    @contextmanager
    def computing(self):
        """Work that may be left at any instant."""
        try:
            self._inside = True
            self.check()
            yield
        finally:
            self._inside = False

    def check(self) -> None:
        """Raise `Stopped` if a signal came."""
        if self.number is not None:
            raise Stopped(self.number)
