# SPDX-License-Identifier: BSD-3-Clause
"""The error of everything a user can get wrong, and the words its sentences share."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

#: of the command line, beside 0, 1 and 2: done with fields skipped; ranks that are no job; stopped,
#: to be resumed; a rank that does not answer; interrupted
SKIPPED, MISMATCH, STOPPED, HUNG, INTERRUPTED = 3, 64, 75, 76, 130

__all__ = ["HUNG", "INTERRUPTED", "MISMATCH", "SKIPPED", "STOPPED", "InputError",
           "LaunchError", "NoChannel", "listed"]


class InputError(ValueError):
    """A mistake in the user's files, tables or words.

    Its message is one sentence that names the file, the line of the table, the column and the
    well as far as there are any, and the cure.  The command line ends with its `status`.
    """

    status = 1


class LaunchError(InputError):
    """A job of several processes that cannot start, or did not start as one."""

    status = MISMATCH


class NoChannel(InputError):
    """A table that has no column for a channel."""


def listed(names: Iterable[str], near: str | None = None, limit: int = 20) -> str:
    """Words for a sentence: "A, B, C", those most like `near` first, at most `limit`.

    >>> listed(["Metadata_Plate", "moa", "Metadata_Well"], near="Metadata_Wel", limit=2)
    'Metadata_Well, Metadata_Plate and 1 more'
    """
    names = [str(name) for name in names]
    if near is not None:
        wanted = near.lower()
        names.sort(key=lambda name: -difflib.SequenceMatcher(None, wanted, name.lower()).ratio())
    more = f" and {len(names) - limit} more" if len(names) > limit else ""
    return (", ".join(names[:limit]) or "none") + more
