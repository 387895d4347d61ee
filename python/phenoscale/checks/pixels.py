# SPDX-License-Identifier: BSD-3-Clause
"""What the pixels of a table's fields are like: decoded once, measured, compared.

After images/survey.py; `check` asks here what no header tells.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from dataclasses import dataclass

import numpy as np

from phenoscale import _core
from phenoscale.errors import InputError
from phenoscale.images.counts import (
    KINDS,
    PILE,
    levels_of,
    pile_of,
    sample_of,
    sharpness_of,
)
from phenoscale.images.fields import open_fields
from phenoscale.images.survey import Problem, Survey
from phenoscale.machine import thread_count
from phenoscale.progress import Watch
from phenoscale.tables.table import Table

__all__ = ["Pixels", "look"]

SATURATED = PILE  # of the pixels at the top, from which on it is said
_GROUP = 8  # fields that make a spread
#: So many interquartile ranges, and at least a factor of two, below the lower quartile: out of
#: focus.  A texture that a quarter of the fields have is a phenotype, and widens the range.
_FAR, _LEAST = 3.0, 1.0


@dataclass
class Pixels:
    """Measures of every plane; rows of fields that could not be read are NaN.

    Attributes
    ----------
    low, high, mean : ndarray, (fields, channels)
        Least, largest and mean count.
    at_high : ndarray, (fields, channels)
        Share of the pixels that have the largest count.
    sharpness : ndarray, (fields, channels)
        log2 of fine over coarse detail; falls out of focus.
    bits : ndarray of uint64, (channels,)
        All bits set in any pixel of a channel; 0 for floats.
    levels : ndarray of float32, (fields, channels, KINDS)
        What the counts are like (`phenoscale.images.counts`).
    pile : ndarray, (fields, channels)
        The count that holds a pile of pixels at the top; NaN where none does.
    digests : list of list of bytes, or None
        Of each plane's pixels; None where the field could not be read.
    problems : list of Problem
        Fields whose pixels cannot be decoded ("unreadable") or do not vary ("blank").
    """

    low: np.ndarray
    high: np.ndarray
    mean: np.ndarray
    at_high: np.ndarray
    sharpness: np.ndarray
    bits: np.ndarray
    levels: np.ndarray
    pile: np.ndarray
    digests: list
    problems: list

    def saturated(self) -> np.ndarray:
        """Where more than `SATURATED` of the pixels pile up at the top: in the most frequent such
        count of their channel, in the largest of a field, or at the top of the bits in use."""
        tops = [2.0 ** max(8, int(bits).bit_length()) - 1 if bits else np.inf
                for bits in self.bits]
        found = (self.high >= tops) & (self.at_high > SATURATED)
        for c, top in enumerate(self.tops()):
            found[:, c] |= np.isfinite(self.pile[:, c]) & (self.pile[:, c] >= top)
        return found

    def tops(self) -> list[float]:
        """The count of each channel that most often holds a pile, the larger of two; NaN."""
        return [_most_frequent(values[np.isfinite(values)]) for values in self.pile.T]

    def blank(self) -> np.ndarray:
        """Where all pixels of a plane are one count."""
        return self.low == self.high

    def unsharp(self, groups) -> np.ndarray:
        """Where a plane has far less fine detail than its channel has in its group (plate).

        groups: a key for each field; small groups are judged with all fields.
        """
        found = np.zeros(self.sharpness.shape, bool)
        rows_of = defaultdict(list)
        for row, key in enumerate(groups):
            rows_of[key].append(row)
        for rows in rows_of.values():
            for c in range(self.sharpness.shape[1]):
                values, mine = self.sharpness[rows, c], self.sharpness[rows, c]
                if np.isfinite(mine).sum() < _GROUP:
                    mine = self.sharpness[:, c]
                mine = mine[np.isfinite(mine)]
                if len(mine) < _GROUP:
                    continue
                low, high = np.percentile(mine, (25, 75))
                found[rows, c] = values < low - max(_FAR * (high - low), _LEAST)
        return found

    def duplicates(self) -> list[list[int]]:
        """Groups of fields whose pixels are the same in every channel."""
        groups = defaultdict(list)
        for row, digests in enumerate(self.digests):
            if digests is not None:
                groups[tuple(digests)].append(row)
        return [rows for rows in groups.values() if len(rows) > 1]

    def same_channels(self) -> dict[tuple[int, int], list[int]]:
        """Pairs of channels to the fields where both have the same pixels, which vary."""
        found = defaultdict(list)
        for row, digests in enumerate(self.digests):
            for b in range(1, len(digests or ())):
                for a in range(b):
                    if digests[a] == digests[b] and self.low[row, a] < self.high[row, a]:
                        found[a, b].append(row)
        return dict(found)


def look(table: Table, found: Survey, threads: int | None = None, progress=None) -> Pixels:
    """Decode and measure every field that the survey found no fault with.

    Parameters
    ----------
    table : Table
    found : Survey
        Of that table.
    threads : int, optional
        That decode, by default all processors.
    progress : callable, optional
        Takes events of `phenoscale.progress`, of the stage "look".
    """
    n, c, watch = len(table), len(table.channels), Watch(progress)
    bad = {problem.row for problem in found.problems}
    low, high, mean, at_high, sharpness, pile = (np.full((n, c), np.nan) for _ in range(6))
    levels = np.full((n, c, len(KINDS)), np.nan, np.float32)
    bits, digests, problems = np.zeros(c, np.uint64), [None] * n, []
    order = np.array([row for row in range(n) if row not in bad], np.int64)
    if len(order):
        threads = thread_count(threads)
        source = open_fields(table, found, threads, workers=threads)
        source.start(order)
    for done, row in enumerate(order.tolist()):
        try:
            field = source.next()
            digests[row] = [hashlib.blake2b(plane, digest_size=16).digest() for plane in field]
            for k, plane in enumerate(field):
                about = _core.measure(plane)
                low[row, k], high[row, k], mean[row, k] = about["min"], about["max"], about["mean"]
                at_high[row, k] = about["at_max"] / plane.size
                bits[k] |= np.uint64(about["bits"])
                sharpness[row, k] = sharpness_of(about)
                sample = sample_of(plane)
                levels[row, k] = levels_of(plane, about, sample)
                pile[row, k] = pile_of(sample)
            flat = [f"channel {name} is blank, all pixels are {low[row, k]:g}"
                    for k, name in enumerate(table.channels) if low[row, k] == high[row, k]]
            if flat:
                problems.append(_problem(table, row, "blank", "; ".join(flat)))
        except InputError as error:
            problems.append(_problem(table, row, "unreadable", str(error)))
        source.release(1)
        watch.tell("look", done + 1, len(order))
    return Pixels(low, high, mean, at_high, sharpness, bits, levels, pile, digests, problems)


def _most_frequent(values) -> float:
    if not len(values):
        return np.nan
    counts, numbers = np.unique(values, return_counts=True)
    return counts[len(numbers) - 1 - numbers[::-1].argmax()]


def _problem(table: Table, row: int, kind: str, words: str) -> Problem:
    place = table.place(row)
    sentence = words if words.startswith(place) else f"{place}: {words}"
    return Problem(kind, row, table.lines[row], table.well_name(row), table.paths[row][0], sentence)
