# SPDX-License-Identifier: BSD-3-Clause
"""The error of everything a user can get wrong, and the words its sentences share."""

from __future__ import annotations

#: of the command line, beside 0, 1 and 2: done with fields skipped; ranks that are no job; stopped,
#: to be resumed; a rank that does not answer; interrupted
SKIPPED, MISMATCH, STOPPED, HUNG, INTERRUPTED = 3, 64, 75, 76, 130

__all__ = ["HUNG", "INTERRUPTED", "MISMATCH", "SKIPPED", "STOPPED", "InputError", "LaunchError",
           "NoChannel", "check_on_error", "cure_of", "sentence_of"]


class InputError(ValueError):
    """A mistake in the user's files, tables or words.

    Its message is one sentence that names the file, the line of the table, the column and the
    well as far as there are any, and the cure.  The command line ends with its `status`.
    """

    status = 1


def sentence_of(error: Exception) -> str:
    """What a user is told of a mistake, an error of the system or a lack of memory."""
    if isinstance(error, OSError) and error.filename:
        return f"{error.filename}: {error.strerror}"
    return str(error) or "out of memory"


def cure_of(error: ModuleNotFoundError) -> str:
    """What installs the package of a module that is missing."""
    module = (error.name or "").split(".")[0]
    return f"pip install {'pillow' if module == 'PIL' else module}"


def check_on_error(word: str) -> None:
    """InputError unless a word says what to do about a field that cannot be used."""
    if word not in ("stop", "skip"):
        raise InputError(f"on_error={word}: give stop or skip")


class LaunchError(InputError):
    """A job of several processes that cannot start, or did not start as one."""

    status = MISMATCH


class NoChannel(InputError):
    """A table that has no column for a channel."""


