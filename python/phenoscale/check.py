# SPDX-License-Identifier: BSD-3-Clause
"""The audit of a table before a long run: what is in it, what is wrong, what it will take.

    table.py -> survey.py (headers) -> pixels.py (every plane) -> plan.py (memory, time)
             -> Check: text() for a terminal, check_page.py for a browser
"""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass, field

import numpy as np

from phenoscale.columns import MARK, SKIP
from phenoscale.errors import listed
from phenoscale.page import count
from phenoscale.pixels import SATURATED, Pixels, look
from phenoscale.plan import EPOCHS, plan
from phenoscale.survey import Problem, Survey, size_words, survey
from phenoscale.table import Table

__all__ = ["Check", "Finding", "Labels", "check"]

_MOST_PROBLEMS = 20  # printed in full
_MOST_PLATES = 8  # with a column each in the table of classes
_MOST_CLASSES = 40  # with a row each
_MOST_NAMED = 5
_DEPTH_WORDS = {"uint8": "8-bit", "uint16": "16-bit", "float32": "32-bit float"}


@dataclass
class Finding:
    """Something that does not stop a run but should be known; `rows` are the fields it is of."""

    kind: str
    sentence: str
    rows: list[int] = field(default_factory=list)


class Labels:
    """The classes of a table, sorted, the unlabelled ("") last.

    Attributes
    ----------
    fields, wells : dict of str to int
        Class to how many it has.
    plates : dict of str to Counter of str
        Class to its fields on each plate; empty counters where the table has no plates.
    """

    def __init__(self, table: Table, label: str):
        names, plate = table.column(label).tolist(), table.role("plate")
        order = sorted(set(names), key=lambda name: (name == "", name))
        wells = {name: set() for name in order}
        self.fields, self.plates = Counter(names), {name: Counter() for name in order}
        self.fields = {name: self.fields[name] for name in order}
        for row, name in enumerate(names):
            wells[name].add(table.well_name(row))
            if plate is not None:
                self.plates[name][plate.iloc[row]] += 1
        self.wells = {name: len(of - {""}) for name, of in wells.items()}

    def classes(self) -> list[str]:
        """Names of those that are labelled."""
        return [name for name in self.fields if name]

    def cells(self, most_plates: int, most_classes: int) -> list[list[str]]:
        """Rows of text, a header first: fields, wells, and fields on each plate, or how many
        plates."""
        plates = sorted(set().union(*self.plates.values()))
        is_wide = len(plates) > most_plates
        rows = [["fields", "wells", *(["plates"] if is_wide else plates)]]
        rows[0].insert(0, "")
        for name in list(self.fields)[:most_classes]:
            mine = self.plates[name]
            spread = [len(mine)] if is_wide else [mine[plate] for plate in plates]
            rows.append([name or "(none)", *map(str, (self.fields[name], self.wells[name],
                                                      *spread))])
        return rows


@dataclass
class Check:
    """What `check` found.

    Attributes
    ----------
    table : Table
    survey : Survey
        Of the headers.
    pixels : Pixels
        Of all planes that can be read.
    problems : list of Problem
        One for each file that stops its field, in the order of the table.
    findings : list of Finding
    label : str or None
        The column of the classes.
    labels : Labels or None
    plan : list of phenoscale.plan.Line
        Empty where no field can be read.
    batch : int
        Of the plan.
    """

    table: Table
    survey: Survey
    pixels: Pixels
    problems: list[Problem]
    findings: list[Finding]
    label: str | None = None
    labels: Labels | None = None
    plan: list = field(default_factory=list)
    batch: int = 4

    @property
    def ok(self) -> bool:
        """True where every field can be used."""
        return not self.problems

    def marked(self) -> dict[int, str]:
        """Row to the reason, of the fields that the table itself marks, other than by a check."""
        return {row: why for row, why in self.table.skipped().items() if not why.startswith(MARK)}

    def bad(self) -> dict[int, str]:
        """Row to the reason, of the fields that a run should leave out."""
        reasons = self.marked()
        for problem in self.problems:
            words = problem.sentence.removesuffix(", or leave the row out").partition(": ")[2]
            reasons.setdefault(problem.row, f"{MARK}{problem.kind}: {words}")
        return reasons

    def facts(self):
        """(name, value) of what the table and its files are."""
        plate = self.table.role("plate")
        wells = {self.table.well_name(row) for row in range(len(self.table))} - {""}
        words = f"{len(self.table):,}" + (f" in {count(len(wells), 'well')}" if wells else "")
        words += f" on {count(plate.nunique(), 'plate')}" if plate is not None else ""
        yield "fields", words
        channels = self.table.channels
        yield "channels", f"{len(channels)}: {', '.join(channels)}"
        if self.survey.kinds:
            yield "files", _shares(self.survey.kinds)
            yield "size", _shares({size_words(*s): n for s, n in self.survey.sizes.items()})
            depths = Counter()
            for counts in self.survey.dtypes.values():
                depths.update({_DEPTH_WORDS[depth]: n for depth, n in counts.items()})
            yield "depth", _shares(depths) + self._bits_in_use()

    def _bits_in_use(self) -> str:
        """How many of the bits any pixel has set, where that is fewer than the file's."""
        used = [int(bits) for bits in self.pixels.bits]
        whole = {"uint8": 8, "uint16": 16}.get(self.survey.dtype)
        if whole is None or not any(used):
            return ""
        highest = max(bits.bit_length() for bits in used)
        lowest = min((bits & -bits).bit_length() - 1 for bits in used if bits)
        if lowest > 0 and highest - lowest > 4:
            return f", of which {highest - lowest} are used (counts are multiples of {1 << lowest})"
        return f", of which {highest} are used" if highest < whole else ""

    def text(self) -> str:
        """The summary for a terminal."""
        lines = [self.table.source, *(f"  {name:<9} {value}" for name, value in self.facts())]
        if self.labels is not None:
            lines += ["", *self._label_lines()]
        if self.plan:
            lines += ["", *self._plan_lines()]
        if self.table.notes:
            lines += ["", *(f"note: {note}" for note in self.table.notes)]
        if self.findings:
            lines += ["", *(f"{finding.kind}: {finding.sentence}" for finding in self.findings)]
        return "\n".join([*lines, "", *self._problem_lines()])

    def _label_lines(self) -> list[str]:
        cells = self.labels.cells(_MOST_PLATES, _MOST_CLASSES)
        cells[0][0], more = self.label, len(self.labels.fields) - len(cells) + 1
        return [*_aligned(cells), *([f"  and {more:,} more classes"] if more else [])]

    def _plan_lines(self) -> list[str]:
        cells = [["to train with", "field", "parameters", "memory", f"{EPOCHS} epochs"]]
        for line in self.plan:
            name = f"{line.network} --bin {line.bin}" if line.bin > 1 else line.network
            cells.append([name, *line.cells()])
        return _aligned(cells)

    def _problem_lines(self) -> list[str]:
        if self.ok:
            which = "every other file" if self.marked() else "every file"
            return [f"no problems: {which} can be used"]
        kinds = Counter(problem.kind for problem in self.problems)
        counts = ", ".join(f"{n} {kind}" for kind, n in kinds.most_common())
        rows = {problem.row for problem in self.problems}
        lines = [
            f"{count(len(self.problems), 'problem')} in {len(rows)} of "
            f"{count(len(self.table), 'field')} ({counts}):"
        ]
        lines += [f"  {problem.sentence}" for problem in self.problems[:_MOST_PROBLEMS]]
        rest = len(self.problems) - _MOST_PROBLEMS
        return [*lines, f"  and {rest} more"] if rest > 0 else lines


def check(table: Table, batch=4, threads=None, progress=None, label=None) -> Check:
    """Audit a table: read every header and every pixel, count, compare, plan.

    Parameters
    ----------
    table : Table
    batch : int
        Images a step, for the plan.
    threads : int, optional
        Of the training to plan for, and files read at a time; by default all processors.
    progress : callable, optional
        Called with a dict: ``stage`` ("check", "look" or "plan"), ``done``, ``of``.
    label : str, optional
        Column of the classes, for the table of classes and plates.

    Raises
    ------
    InputError
        For an unknown label column.
    """

    def tell(stage):
        return progress and (lambda done, of: progress({"stage": stage, "done": done, "of": of}))

    labels = Labels(table, label) if label is not None else None
    found = survey(table, threads, tell("check"))
    pixels = look(table, found, threads, tell("look"))
    problems = sorted([*found.problems, *pixels.problems], key=lambda problem: problem.row)
    result = Check(table, found, pixels, problems, [], label, labels, batch=batch)
    result.findings = [*_of_marks(table, result.marked()), *_of_files(table, found),
                       *_of_pixels(table, found, pixels, label), *_of_wells(table),
                       *_of_labels(table, labels, label)]
    left = len(table) - len(result.bad())
    if left:
        classes = 2 if labels is None else max(2, len(labels.classes()))
        trained = left if labels is None else max(1, left - labels.fields.get("", 0))
        try:
            result.plan = plan(found.shape, found.dtype, classes, trained, batch, threads,
                               tell("plan"))
        except (MemoryError, ValueError) as error:
            result.findings.append(Finding("plan", f"none: {error}"))
    return result


# ---- what should be known ------------------------------------------------------------------------


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
    if found.white_zero:
        yield Finding("min-is-white", f"{count(found.white_zero, 'file')} with white stored as 0: "
                                      "counts are used as stored")
    wide = {kind: n for kind, n in found.natives.items() if kind in ("uint32", "uint64", "int32",
                                                                     "int64", "float64")}
    if wide:
        yield Finding("rounded", f"{_shares(wide)} are rounded to 24 bits, as float32 holds them")
    uses = Counter((plane, channel.plane) for row in table.planes
                   for channel, planes in zip(table.sources, row) for plane in planes)
    twice = [plane.path for (plane, _), n in uses.items() if n > 1 and plane.path]
    if twice:
        yield Finding("named twice", f"{count(len(twice), 'file')} named more than once in the "
                                     f"table: {listed(map(os.path.basename, twice), limit=3)}")


def _of_pixels(table: Table, found: Survey, pixels: Pixels, label):
    names = table.channels
    for (a, b), rows in pixels.same_channels().items():
        yield Finding("same channels", f"channels {names[a]} and {names[b]} have the same pixels "
                      f"in {count(len(rows), 'field')}: one file stands for both", rows)
    labels = None if label is None else table.column(label)
    for rows in pixels.duplicates():
        words = "; ".join(table.place(row) for row in rows[:_MOST_NAMED])
        differ = labels is not None and labels.iloc[rows].nunique() > 1
        yield Finding("duplicate", f"{count(len(rows), 'field')} with the same pixels"
                      + (", of different classes" if differ else "") + f": {words}", rows)
    plate = table.role("plate")
    unsharp = pixels.unsharp([""] * len(table) if plate is None else plate.tolist())
    for kind, flags, words in (
            ("saturated", pixels.saturated(found.dtype or "float32"),
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
    fields = Counter(table.well_name(row) for row in range(len(table)))
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
    names = table.column(label).to_numpy()
    for role in ("plate", "batch"):
        groups = table.role(role)
        if groups is None or groups.nunique() < 2:
            continue
        homes = groups.groupby(names).agg(["nunique", "first"])
        alone = [name for name in labels.classes() if homes["nunique"][name] == 1]
        for name in alone[:_MOST_NAMED]:
            yield Finding("confounded", f"class {name} lies on one {role} only "
                          f"({homes['first'][name]}): a network may learn the {role} instead")
        if len(alone) > _MOST_NAMED:
            yield Finding("confounded", f"{len(alone) - _MOST_NAMED:,} more classes lie on one "
                                        f"{role} only")


# ---- words ---------------------------------------------------------------------------------------


def _aligned(cells) -> list[str]:
    """Rows of cells in columns, the first to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(*cells)]
    return [
        f"  {row[0]:<{widths[0]}}"
        + "".join(f"  {cell:>{width}}" for cell, width in zip(row[1:], widths[1:]))
        for row in cells
    ]


def _shares(counts: dict) -> str:
    """ "uint16", or with several kinds "uint16 (96 files), uint8 (4 files)"."""
    if len(counts) == 1:
        return str(next(iter(counts)))
    largest_first = sorted(counts.items(), key=lambda item: -item[1])
    return listed((f"{name} ({count(n, 'file')})" for name, n in largest_first), limit=4)
