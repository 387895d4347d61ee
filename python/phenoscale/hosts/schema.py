# SPDX-License-Identifier: BSD-3-Clause
"""Kinds of values that JSON can say, and tables of named ones: what task_schema.py is written in.

A kind has `words` for what it takes and `check(value, where)`, which raises InputError with the
place of a value that it does not take: ``fields[0][1].page``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from phenoscale.errors import InputError
from phenoscale.words import listed

__all__ = ["Entry", "Flag", "Items", "Named", "Number", "Object", "OneOf", "Text", "Whole"]

_SHOWN = 50  # characters of a value in a message
_MOST = (1 << 63) - 1


def _refuse(value, where: str, words: str):
    text = repr(value) if isinstance(value, str) else str(value)
    text = text if len(text) <= _SHOWN else text[:_SHOWN] + "..."
    raise InputError(f"the input '{where}' is {text}, of the wrong kind: give {words}")


@dataclass(frozen=True)
class Text:
    """Text that is a path or a name; `of`: one of some words."""

    words: str = "text"
    of: tuple = ()
    most: int = 10000  # characters

    def check(self, value, where: str) -> None:
        """InputError for anything else."""
        if not isinstance(value, str) or self.of and value not in self.of:
            _refuse(value, where, self.words)
        if len(value) > self.most:
            raise InputError(f"the input '{where}' has {len(value):,} characters: give at most "
                             f"{self.most:,}")
        try:
            is_path = "\0" not in value and value.encode("utf-8", "surrogateescape")
        except UnicodeEncodeError:
            is_path = False
        if is_path is False:
            raise InputError(f"the input '{where}' is {ascii(value[:_SHOWN])}: it has characters "
                             "that no path and no name can have")


@dataclass(frozen=True)
class Whole:
    """A whole number within bounds."""

    low: int = -_MOST
    high: int = _MOST

    @property
    def words(self) -> str:
        """What it takes."""
        bounds = f" from {self.low:,}" if self.low > -_MOST else ""
        return f"a whole number{bounds}" + (f" to {self.high:,}" if self.high < _MOST else "")

    def check(self, value, where: str) -> None:
        """InputError for anything else."""
        if type(value) is not int or not self.low <= value <= self.high:
            _refuse(value, where, self.words)


@dataclass(frozen=True)
class Number:
    """A number; `may_lack`: also one that is not finite, or null."""

    may_lack: bool = False

    @property
    def words(self) -> str:
        """What it takes."""
        return "a number or null" if self.may_lack else "a number"

    def check(self, value, where: str) -> None:
        """InputError for anything else."""
        if self.may_lack and value is None:
            return
        is_number = isinstance(value, float) or type(value) is int
        if not is_number or not self.may_lack and not abs(value) < math.inf:
            _refuse(value, where, self.words)


@dataclass(frozen=True)
class Flag:
    """True or false."""

    words: str = "true or false"

    def check(self, value, where: str) -> None:
        """InputError for anything else."""
        if not isinstance(value, bool):
            _refuse(value, where, self.words)


@dataclass(frozen=True)
class Items:
    """A list of one kind; `may_lack`: some of it may be null."""

    of: object
    words: str
    may_lack: bool = False

    def check(self, value, where: str) -> None:
        """InputError for anything else."""
        if not isinstance(value, (list, tuple)):
            _refuse(value, where, self.words)
        for number, one in enumerate(value):
            if not (self.may_lack and one is None):
                self.of.check(one, f"{where}[{number}]")


@dataclass(frozen=True)
class Named:
    """An object of names that the caller chooses, to values of one kind."""

    of: object
    words: str

    def check(self, value, where: str) -> None:
        """InputError for anything else."""
        if not isinstance(value, dict):
            _refuse(value, where, self.words)
        for name, one in value.items():
            Text().check(name, where)
            self.of.check(one, f"{where}.{name}")


@dataclass(frozen=True)
class OneOf:
    """One of several kinds, by the type of the value in Python."""

    kinds: tuple  # of (type, kind)
    words: str

    def check(self, value, where: str) -> None:
        """InputError for anything else."""
        for type_, kind in self.kinds:
            if isinstance(value, type_):
                return kind.check(value, where) if kind else None
        return _refuse(value, where, self.words)


@dataclass(frozen=True)
class Entry:
    """A named value of an object.

    Attributes
    ----------
    name : str
    kind : object
        Any of this file.
    meaning : str
        For the manual, behind what the kind says.
    is_needed : bool
        Else it may be left out, or null.
    """

    name: str
    kind: object
    meaning: str = ""
    is_needed: bool = True


@dataclass(frozen=True)
class Object:
    """An object of known names."""

    entries: tuple
    words: str = "an object of names and values"

    def check(self, value, where: str = "") -> None:
        """InputError for a name that is not known, with the nearest, for one that is missing, and
        for a value that its kind does not take."""
        if not isinstance(value, dict):
            _refuse(value, where, self.words)
        known = {entry.name: entry for entry in self.entries}
        place, at = (f" of '{where}'", f"{where}.") if where else ("", "")
        for name in value:
            if name not in known:
                raise InputError(f"there is no input {ascii(str(name)[:_SHOWN])}{place}: "
                                 f"{listed(known, near=str(name)[:_SHOWN])}")
        for name, entry in known.items():
            if entry.is_needed and name not in value:
                raise InputError(f"the input '{name}'{place} is missing")
            if entry.is_needed or value.get(name) is not None:
                entry.kind.check(value[name], at + name)
