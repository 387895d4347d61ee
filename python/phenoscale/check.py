# SPDX-License-Identifier: BSD-3-Clause
"""The audit of a table before a long run: what is in it, what is wrong, what it will take.

    table.py -> survey.py (headers) -> pixels.py (every plane) -> plan.py (memory, time)
             -> Check: text() for a terminal, check_page.py for a browser
"""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from phenoscale.errors import listed
from phenoscale.page import count
from phenoscale.pixels import SATURATED, Pixels, look
from phenoscale.plan import EPOCHS, plan
from phenoscale.progress import duration
from phenoscale.survey import Problem, Survey, size_words, survey
from phenoscale.table import Table

if TYPE_CHECKING:
    import pandas

__all__ = ["Check", "Finding", "check"]

_MOST_PROBLEMS = 20  # printed in full
_MOST_PLATES = 8  # with a column each in the table of classes
_MOST_NAMED = 5
_DEPTH_WORDS = {"uint8": "8-bit", "uint16": "16-bit", "float32": "32-bit float"}


@dataclass
class Finding:
    """Something that does not stop a run but should be known; `rows` are the fields it is of."""

    kind: str
    sentence: str
    rows: list[int] = field(default_factory=list)


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
    labels : pandas.DataFrame or None
        Class to `fields`, `wells` and the fields on each plate; label "" comes last.
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
    labels: pandas.DataFrame | None = None
    plan: list = field(default_factory=list)
    batch: int = 4

    @property
    def ok(self) -> bool:
        """True where every field can be used."""
        return not self.problems

    def bad(self) -> dict[int, str]:
        """Row to the reason, of the fields that a run should leave out; "unreadable: ..."."""
        reasons = {}
        for problem in self.problems:
            words = problem.sentence.removesuffix(", or leave the row out").partition(": ")[2]
            reasons.setdefault(problem.row, f"{problem.kind}: {words}")
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
        table = self.labels.rename(index={"": "(none)"})
        if len(table.columns) - 2 > _MOST_PLATES:
            spread = (table.iloc[:, 2:] > 0).sum(axis=1)
            table = table.iloc[:, :2].assign(plates=spread)
        cells = [[f"{self.label}", *map(str, table.columns)]]
        cells += [[str(name), *map(str, row)] for name, row in zip(table.index, table.to_numpy())]
        return _aligned(cells)

    def _plan_lines(self) -> list[str]:
        cells = [["to train with", "field", "parameters", "memory", f"{EPOCHS} epochs"]]
        for line in self.plan:
            name = f"{line.network} --bin {line.bin}" if line.bin > 1 else line.network
            memory = f"{line.memory_bytes / 1e9:.2f} GB" + ("" if line.fits else " (too much)")
            cells.append([name, size_words(*line.size), f"{line.parameters:,}", memory,
                          duration(line.seconds)])
        return _aligned(cells)

    def _problem_lines(self) -> list[str]:
        if self.ok:
            return ["no problems: every file can be used"]
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

    labels = _label_table(table, label) if label is not None else None
    found = survey(table, threads, tell("check"))
    pixels = look(table, found, threads, tell("look"))
    problems = sorted([*found.problems, *pixels.problems], key=lambda problem: problem.row)
    result = Check(table, found, pixels, problems, [], label, labels, batch=batch)
    result.findings = [*_of_files(table, found), *_of_pixels(table, found, pixels, label),
                       *_of_wells(table), *_of_labels(table, labels, label)]
    left = len(table) - len({problem.row for problem in problems})
    if left:
        classes = 2 if labels is None else max(2, len(labels.index.drop("", errors="ignore")))
        trained = left if labels is None else max(1, int(labels["fields"].drop(
            "", errors="ignore").sum()))
        try:
            result.plan = plan(found.shape, found.dtype, classes, trained, batch, threads,
                               tell("plan"))
        except (MemoryError, ValueError) as error:
            result.findings.append(Finding("plan", f"none: {error}"))
    return result


# ---- what should be known ------------------------------------------------------------------------


def _of_files(table: Table, found: Survey):
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
    classes = labels.drop(index="", errors="ignore")
    for name in classes.index[classes["fields"] < 2]:
        yield Finding("class", f"{name} has one field: two or more are needed to train")
    for role in ("plate", "batch"):
        groups = table.role(role)
        if groups is None or groups.nunique() < 2:
            continue
        homes = groups.groupby(table.column(label).to_numpy()).nunique()
        for name in classes.index:
            if homes[name] == 1:
                home = groups[(table.column(label) == name).to_numpy()].iloc[0]
                yield Finding("confounded", f"class {name} lies on one {role} only ({home}): a "
                                            f"network may learn the {role} instead")


def _label_table(table: Table, label: str) -> pandas.DataFrame:
    """Class to its fields, wells, and fields on each plate; the unlabelled last."""
    import pandas

    names = table.column(label)
    wells = [table.well_name(row) for row in range(len(table))]
    frame = pandas.DataFrame({"name": names, "well": wells})
    groups = frame.groupby("name", sort=True)
    counts = pandas.DataFrame({"fields": groups.size(), "wells": groups["well"].nunique()})
    if "plate" in table.roles:
        counts = counts.join(pandas.crosstab(names.to_numpy(), table.role("plate").to_numpy()))
    return counts.loc[sorted(counts.index, key=lambda name: (name == "", name))]


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

