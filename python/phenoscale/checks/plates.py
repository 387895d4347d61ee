# SPDX-License-Identifier: BSD-3-Clause
"""Plates compared with one another, and fields of several sizes: findings of a check.

After pixels.py; prediction/counts.py says what lies far, with the limits of a prediction.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

import numpy as np

from phenoscale.checks.pixels import Pixels
from phenoscale.images.counts import KINDS
from phenoscale.images.survey import Survey
from phenoscale.prediction.counts import (
    OF_PLATES,
    Far,
    blank_in,
    counts_of,
    far_from,
    most_like_all,
    plates_of,
    sentences_of,
)
from phenoscale.tables.labels import class_cells
from phenoscale.tables.table import Table
from phenoscale.words import count, listed, size_words

__all__ = ["far_plates", "of_counts", "plate_levels"]

_MEAN, _FLOOR, _BITS = map(KINDS.index, ("mean", "floor", "bits"))
_ROUNDS = 4  # of plates that join the usual ones


def far_plates(table: Table, pixels: Pixels) -> list[Far]:
    """Plates whose counts lie far from those of the others, channel by channel.

    The plate that is most like all others is the first of those that are usual; whatever does not
    lie far from them joins them, until none does.
    """
    names, known = np.array(plates_of(table)), np.isfinite(pixels.mean[:, 0])
    names, levels = names[known].tolist(), pixels.levels[known]
    plates = list(dict.fromkeys(names))
    if len(plates) < 2:
        return []
    usual, far = {plates[most_like_all(levels, names)]}, []
    for _ in range(_ROUNDS):
        is_usual = np.array([name in usual for name in names])
        odd = [name for name, mine in zip(names, is_usual) if not mine]
        far = far_from(counts_of(levels[is_usual]), table.channels, levels[~is_usual], odd,
                       OF_PLATES)
        near = set(odd) - {one.plate for one in far}
        if not near:
            break
        usual |= near
    return far


def of_counts(table: Table, found: Survey, pixels: Pixels, label: str | None) -> Iterator[tuple]:
    """(kind, sentence, rows) of findings: sizes, plates apart, channels blank in a class."""
    yield from _of_sizes(table, found)
    yield from _of_plates(table, pixels)
    yield from _of_blank(table, pixels, label)


def plate_levels(table: Table, pixels: Pixels) -> list[tuple]:
    """(words, [(darkest, mean, "lowest-highest bit in use") of each channel], [largest count]) of
    each plate that has fields that can be read; darkest and mean are medians over fields."""
    names, known = np.array(plates_of(table)), np.isfinite(pixels.mean[:, 0])
    found = []
    for name in dict.fromkeys(names[known].tolist()):
        rows = np.flatnonzero(known & (names == name))
        levels, high = pixels.levels[rows], pixels.high[rows].max(axis=0)
        middles = np.median(levels[:, :, [_FLOOR, _MEAN]], axis=0).tolist()
        bits = np.bitwise_or.reduce(levels[:, :, _BITS].astype(np.uint64), axis=0).tolist()
        found.append((name or "all fields", [(*middle, _used(one)) for middle, one in
                                             zip(middles, bits)], high.tolist()))
    return found


def _used(bits: int) -> str:
    """ "0-11": the lowest and the highest bit set; "" of floats and of blank planes."""
    return f"{(bits & -bits).bit_length() - 1}-{bits.bit_length() - 1}" if bits else ""


def _of_plates(table: Table, pixels: Pixels):
    """Plates that lie far from the others."""
    found = far_plates(table, pixels)
    names, rows = plates_of(table), defaultdict(list)
    far = {one.plate for one in found}
    for row, name in enumerate(names):
        if name in far:
            rows[name].append(row)
    sentences = sentences_of(found)
    for k, sentence in enumerate(sentences):
        yield "counts", sentence, rows[found[k].plate]


def _of_blank(table: Table, pixels: Pixels, label: str | None):
    """Channels that are blank in some classes alone."""
    if label is not None:
        rows = np.flatnonzero(pixels.blank().any(axis=1)).tolist()
        classes = class_cells(table, label)
        for sentence in blank_in(pixels.levels, table.channels, classes):
            yield "confounded", sentence, rows


def _of_sizes(table: Table, found: Survey):
    """A table whose fields have several sizes."""
    sizes = found.rows_of_size
    if len(sizes) < 2:
        return
    names, words = plates_of(table), []
    for size, rows in sorted(sizes.items(), key=lambda item: -len(item[1])):
        plates = [name for name in dict.fromkeys(names[row] for row in rows) if name]
        where = f", {listed(plates, limit=4)}" if plates else ""
        lines = _spans([table.lines[row] for row in rows])
        words.append(f"{count(len(rows), 'field')} of {size_words(*size)} ({table.unit} "
                     f"{lines}{where})")
    yield ("sizes", f"{'; '.join(words)}: one table has one size; make a table of each, or crop "
           "all to one size (a model of mcnn-gap predicts each size apart)",
           [row for rows in list(sizes.values()) for row in rows])


def _spans(lines) -> str:
    """ "2-21, 40": lines in a few words."""
    if not all(isinstance(line, (int, np.integer)) for line in lines):
        return listed(lines, limit=4)
    spans = []
    for line in sorted(lines):
        if spans and line <= spans[-1][1] + 1:
            spans[-1][1] = line
        else:
            spans.append([line, line])
    return listed([f"{a}-{b}" if a < b else f"{a}" for a, b in spans], limit=4)
