# SPDX-License-Identifier: BSD-3-Clause
"""Numbers, sizes, durations and lists as every message has them."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Iterable

__all__ = ["count", "duration", "listed", "number", "shares", "size_words", "visible"]


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


#: control characters, also the second set of them, and what turns the direction of writing
_CONTROL = re.compile("[\0-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")


def visible(text: str, keep: str = "") -> str:
    """A text for a terminal: control characters as numbers, all but those to keep.

    >>> print(visible("a" + chr(27) + "[2Jb"))
    a\\x1b[2Jb
    """
    return _CONTROL.sub(lambda match: match[0] if match[0] in keep else repr(match[0])[1:-1], text)


def duration(seconds: float) -> str:
    """ "40 s", "12 min", "3.5 h", "2.1 days"."""
    for limit, unit, word in ((100, 1, "s"), (5400, 60, "min"), (48 * 3600, 3600, "h")):
        if seconds < limit:
            return f"{seconds / unit:.0f} {word}" if unit < 3600 else f"{seconds / unit:.1f} {word}"
    return f"{seconds / 86400:.1f} days"


def number(value) -> str:
    """Two decimals, or "not defined"."""
    return f"{value:.2f}".replace("-", "−") if math.isfinite(value) else "not defined"


def count(n, noun) -> str:
    """ "1 field", "2,000 fields", "4 batches", "20 epochs"."""
    plural = "es" if noun.endswith("tch") else "s"
    return f"{n:,} {noun}" + ("" if n == 1 else plural)


def size_words(height: int, width: int) -> str:
    """A size as every message has it, "1024 x 1280"."""
    return f"{height} x {width}"


def shares(counts: dict) -> str:
    """ "uint16", or with several kinds "uint16 (96 files), uint8 (4 files)"."""
    if len(counts) == 1:
        return str(next(iter(counts)))
    largest_first = sorted(counts.items(), key=lambda item: -item[1])
    return listed((f"{name} ({count(n, 'file')})" for name, n in largest_first), limit=4)
