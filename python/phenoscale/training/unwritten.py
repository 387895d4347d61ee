# SPDX-License-Identifier: BSD-3-Clause
"""What could not be written when it should have been, until it is: a full disk for a moment."""

from __future__ import annotations

from phenoscale.errors import InputError

__all__ = ["Unwritten"]


class Unwritten:
    """Files by name, and how each is written.

    Parameters
    ----------
    warn : callable
        Takes a sentence, the first time that a file could not be written, and when it was.
    """

    def __init__(self, warn):
        self._warn, self._left = warn, {}

    def write(self, name: str, write, later=None) -> bool:
        """Write a file in place of what was to be written to it, now or at `again`; whether it
        is.

        Parameters
        ----------
        name : str
        write : callable
            Raises InputError where that cannot be done.
        later : callable, optional
            Gives what `again` is to call, where that is not `write`: its numbers will be others by
            then.
        """
        try:
            write()
        except InputError as error:
            if name not in self._left:
                self._warn(f"{error}; it is tried again")
            self._left[name] = later() if later else write
            return False
        if self._left.pop(name, None):
            self._warn(f"{name} has been written now")
        return True

    def again(self) -> bool:
        """Try to write what is left; whether nothing is."""
        return all([self.write(*one) for one in list(self._left.items())])

    def end(self, cure: str = "go on with --resume") -> None:
        """The last time: InputError names what cannot be written, and says what to do then."""
        if not self.again():
            raise InputError(f"{' and '.join(self._left)} cannot be written, which belongs to the "
                             f"run: make room, and {cure}")
