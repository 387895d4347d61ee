# SPDX-License-Identifier: BSD-3-Clause
"""What should be known of a table, its files and its pixels, and does not stop a run."""

from __future__ import annotations

import os
import re
from collections import Counter
from dataclasses import dataclass, field

import numpy as np

from phenoscale.checks.pixels import SATURATED, Pixels
from phenoscale.checks.plates import of_counts
from phenoscale.images.survey import Survey
from phenoscale.tables.columns import SKIP
from phenoscale.tables.labels import class_cells, label_words, single_homes
from phenoscale.tables.repeats import doubts
from phenoscale.tables.roles import absent_roles
from phenoscale.tables.table import Table
from phenoscale.words import count, listed, shares

__all__ = ["Finding", "findings"]


_MOST_NAMED, _LOOKED = 5, 50
_TIFF = re.compile(r"\.(tiff?|flex)$", re.IGNORECASE)


@dataclass
class Finding:
    """Something that does not stop a run but should be known; `rows` are the fields it is of."""

    kind: str
    sentence: str
    rows: list[int] = field(default_factory=list)


def findings(table: Table, found: Survey, pixels: Pixels, marked: dict, labels, label) -> list:
    """All that should be known, in the order of a look: marks, files, pixels, wells, classes.

    Parameters
    ----------
    table : Table
    found : Survey
    pixels : Pixels
    marked : dict of int to str
        Row to the reason, of the fields that the table itself marks.
    labels : Labels or None
    label : str or None
        Column of the classes.
    """
    return [*_of_roles(table), *_of_marks(table, marked), *_of_files(table, found),
            *_of_pixels(table, pixels, label),
            *(Finding(*words) for words in of_counts(table, found, pixels, label)),
            *_of_wells(table), *_of_labels(table, labels, label)]


def _of_roles(table: Table):
    """What looks like a plate, a well, ... but is not known to be; names that repeat."""
    for sentence in absent_roles(table):
        if "; " in sentence or "well" not in table.roles:
            yield Finding("roles", sentence)
    for sentence in doubts(table):
        yield Finding("wells", sentence)


def _of_marks(table: Table, marked):
    if marked:
        words = "; ".join(f"{table.place(row)}: {why}" for row, why in
                          list(marked.items())[:_MOST_NAMED])
        yield Finding("marked", f"{count(len(marked), 'field')} not to be used, says column "
                      f"{SKIP}: {words}", list(marked))


def _of_files(table: Table, found: Survey):
    for c, name in enumerate(table.channels):
        depths = Counter(len(row[c]) for row in found.planes if row[c])
        if len(depths) > 1:
            words = ", ".join(f"{count(depth, 'plane')} in {count(n, 'field')}"
                              for depth, n in depths.most_common(4))
            yield Finding("stacks", f"channel {name} has stacks of several depths: {words}")
    yield from (Finding("files", words) for words in found.notes)
    if found.white_zero:
        yield Finding("min-is-white", f"{count(found.white_zero, 'file')} with white stored as 0: "
                                      "counts are used as stored")
    for c in range(len(table.channels)):
        wrong = [p for p in found.problems if p.kind == "channels"
                 and p.file == table.paths[p.row][c] and not _TIFF.search(p.file)]
        others = [other for k, other in enumerate(table.channels) if k != c and all(
            _TIFF.search(row[k]) for row in table.paths[:_LOOKED])]
        if wrong and others:
            yield Finding("pictures", f"column {table.file_column(c)} has pictures of several "
                          f"colours ({os.path.basename(wrong[0].file)}) beside the TIFFs of "
                          f"{listed(others)}: saved overlays, no channel of the camera; leave it "
                          f"out with --channels {','.join(others)}")
    wide = {kind: n for kind, n in found.natives.items() if kind in ("uint32", "uint64", "int32",
                                                                     "int64", "float64")}
    if wide:
        yield Finding("rounded", f"{shares(wide)} are rounded to 24 bits, as float32 holds them")
    uses = Counter((plane, channel.plane) for row in table.planes
                   for channel, planes in zip(table.sources, row) for plane in planes)
    twice = [plane.path for (plane, _), n in uses.items() if n > 1 and plane.path]
    if twice:
        yield Finding("named twice", f"{count(len(twice), 'file')} named more than once in the "
                                     f"table: {listed(map(os.path.basename, twice), limit=3)}")


def _of_pixels(table: Table, pixels: Pixels, label):
    names = table.channels
    for (a, b), rows in pixels.same_channels().items():
        yield Finding("same channels", f"channels {names[a]} and {names[b]} have the same pixels "
                      f"in {count(len(rows), 'field')}: one file stands for both", rows)
    labels = None if label is None else class_cells(table, label)
    for rows in pixels.duplicates():
        words = "; ".join(table.place(row) for row in rows[:_MOST_NAMED])
        differ = labels is not None and len(set(labels[rows])) > 1
        yield Finding("duplicate", f"{count(len(rows), 'field')} with the same pixels"
                      + (", of different classes" if differ else "") + f": {words}", rows)
    plate = table.role("plate")
    unsharp = pixels.unsharp([""] * len(table) if plate is None else plate.tolist())
    for kind, flags, words in (
            ("saturated", pixels.saturated(),
             f"more than {SATURATED:.0%} of the pixels are at the top"),
            ("out of focus", unsharp, "far less fine detail than the others of their plate")):
        for c in np.flatnonzero(flags.any(axis=0)):
            rows = np.flatnonzero(flags[:, c]).tolist()
            wells = [table.well_name(row) or f"{table.unit} {table.lines[row]}" for row in rows]
            yield Finding(kind, f"channel {names[c]}, {count(len(rows), 'field')} with {words}: "
                          f"{listed(wells, limit=_MOST_NAMED)}", rows)


def _of_wells(table: Table):
    """Wells that have fewer fields than most."""
    if "well" not in table.roles:
        return
    fields = Counter(table.well_names())
    fields.pop("", None)
    usual = Counter(fields.values()).most_common(1)[0][0] if fields else 0
    short = [well for well, n in fields.items() if n < usual]
    if short:
        yield Finding("missing fields", f"{count(len(short), 'well')} with fewer than {usual}: "
                                        f"{listed(short, limit=_MOST_NAMED)}")


def _of_labels(table: Table, labels, label):
    if labels is None:
        return
    single = [name for name in labels.classes() if labels.fields[name] < 2]
    for name in single[:_MOST_NAMED]:
        yield Finding("class", f"{name} has one field: two or more are needed to train")
    if len(single) > _MOST_NAMED:
        yield Finding("class", f"{len(single) - _MOST_NAMED:,} more classes have one field")
    yield from (Finding("label", words) for words in label_words(table.column(label), label))
    names = class_cells(table, label)
    for role in ("plate", "batch"):
        groups = table.role(role)
        homes = {} if groups is None else single_homes(names, groups)
        alone = [name for name in labels.classes() if name in homes]
        for name in alone[:_MOST_NAMED]:
            yield Finding("confounded", f"class {name} lies on one {role} only ({homes[name]}): "
                          f"a network may learn the {role} instead")
        if len(alone) > _MOST_NAMED:
            yield Finding("confounded", f"{len(alone) - _MOST_NAMED:,} more classes lie on one "
                                        f"{role} only")
