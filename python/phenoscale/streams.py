# SPDX-License-Identifier: BSD-3-Clause
"""The way out to a terminal: what a program of the command line writes on stdout and stderr.

Names come from files and tables of anyone: a control character in one is shown as its number, so
that none reaches a terminal.  A stream that cannot be written any more (a terminal that was closed,
a pipe that nobody reads) ends no work.
"""

from __future__ import annotations

import errno
import io
import os
import sys
from contextlib import contextmanager, suppress

from phenoscale.words import visible

__all__ = ["Outlet", "open_outlets", "outlets", "undecorated"]

_GONE = (errno.EPIPE, errno.EIO, errno.ENXIO)  # nobody is there to read


class Outlet(io.TextIOBase):
    """A stream of text to people, over another.

    Parameters
    ----------
    stream : text stream
    may_fail : bool
        Whether any failure is passed over (progress and words on stderr), or those alone that say
        that nobody reads any more (results on stdout).
    """

    def __init__(self, stream, may_fail: bool):
        self._stream, self._may_fail = stream, may_fail

    def write(self, text: str) -> int:
        """Write a text, control characters but line ends and tabs as numbers."""
        self.write_plain(visible(text, "\n\t"))
        return len(text)

    def write_plain(self, text: str) -> None:
        """Write a text as it is."""
        self._try(self._stream.write, text)

    def flush(self) -> None:
        """Write what was held back."""
        self._try(self._stream.flush)

    def _try(self, call, *arguments) -> None:
        try:
            call(*arguments)
        except OSError as error:
            if not self._may_fail or error.errno in _GONE:
                self._lead_nowhere()
            if not self._may_fail and error.errno not in _GONE:
                raise

    def end(self) -> None:
        """Write what was held back, or let it go, so that the end of Python does not fail by it."""
        try:
            self._stream.flush()
        except OSError:
            self._lead_nowhere()

    def _lead_nowhere(self) -> None:
        """What is held back goes nowhere, and what comes fails no more."""
        with suppress(OSError, ValueError):
            number = os.open(os.devnull, os.O_WRONLY)
            os.dup2(number, self._stream.fileno())
            os.close(number)

    def close(self) -> None:
        """Nothing: the other stream is not ours to close, nor to write to at the end of Python."""

    def fileno(self) -> int:
        """Of the other stream."""
        return self._stream.fileno()

    def isatty(self) -> bool:
        """Whether a terminal is at its end."""
        return self._stream.isatty()

    def writable(self) -> bool:
        """It is."""
        return True

    @property
    def encoding(self):
        """Of the other stream."""
        return self._stream.encoding

    @property
    def errors(self):
        """Of the other stream."""
        return self._stream.errors

    @property
    def buffer(self):
        """Of the other stream: bytes, for programs."""
        return self._stream.buffer


class _Undecorated:
    """An outlet for a bar, which moves the cursor itself."""

    def __init__(self, outlet: Outlet):
        self.write, self.flush, self._outlet = outlet.write_plain, outlet.flush, outlet

    def __getattr__(self, name):
        return getattr(self._outlet, name)


def undecorated(stream):
    """The same stream for what draws with control characters of its own."""
    return _Undecorated(stream) if isinstance(stream, Outlet) else stream


def open_outlets() -> None:
    """Before any file is opened: streams that are closed (`2>&-`) lead nowhere, where the next file
    would take their number and get what is written to them."""
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, mode, encoding="utf-8", errors="backslashreplace",
                                    closefd=False))


@contextmanager
def outlets():
    """While entered, stdout and stderr are an `Outlet`."""
    before = sys.stdout, sys.stderr
    if hasattr(sys.stdout, "reconfigure"):  # a name that a terminal cannot show is no error
        sys.stdout.reconfigure(errors="backslashreplace")
    sys.stdout, sys.stderr = Outlet(sys.stdout, False), Outlet(sys.stderr, True)
    words = sys.stderr
    try:
        yield
    finally:
        words.end()
        sys.stdout, sys.stderr = before
