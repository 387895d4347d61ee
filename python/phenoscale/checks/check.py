# SPDX-License-Identifier: BSD-3-Clause
"""The audit of a table before a long run: what is in it, what is wrong, what it will take.

    tables/table.py -> images/survey.py (headers) -> pixels.py (every plane)
             -> plan.py (memory, time)
             -> Check: text() for a terminal, reports/check_page.py for a browser
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from phenoscale.checks.findings import Finding, findings
from phenoscale.checks.pixels import Pixels, look
from phenoscale.checks.plan import EPOCHS, plan
from phenoscale.images.survey import Problem, Survey, survey
from phenoscale.tables.columns import MARK
from phenoscale.tables.labels import Labels
from phenoscale.tables.roles import missing_roles
from phenoscale.tables.table import Table
from phenoscale.words import count, shares, size_words

__all__ = ["Check", "check"]

_MOST_PROBLEMS = 20  # printed in full
_MOST_PLATES = 8  # with a column each in the table of classes
_MOST_CLASSES = 40  # with a row each
_DEPTH_WORDS = {"uint8": "8-bit", "uint16": "16-bit", "float32": "32-bit float"}


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
    plan : list of phenoscale.checks.plan.Line
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
        wells = set(self.table.well_names()) - {""}
        words = f"{len(self.table):,}" + (f" in {count(len(wells), 'well')}" if wells else "")
        words += f" on {count(plate.nunique(), 'plate')}" if plate is not None else ""
        yield "fields", words
        if missing_roles(self.table):
            yield "roles", self._roles()
        channels = self.table.channels
        yield "channels", f"{len(channels)}: {', '.join(channels)}"
        if self.survey.kinds:
            yield "files", shares(self.survey.kinds)
            yield "size", shares({size_words(*s): n for s, n in self.survey.sizes.items()})
            depths = Counter()
            for counts in self.survey.dtypes.values():
                depths.update({_DEPTH_WORDS[depth]: n for depth, n in counts.items()})
            yield "depth", shares(depths) + self._bits_in_use()

    def _roles(self) -> str:
        """Which columns are the plate, the well, ..., and which are not to be found."""
        table = self.table
        found = [f"{role} {table.own(column)}" for role, column in table.roles.items()]
        return "; ".join(filter(None, (
            ", ".join(found), f"not found: {', '.join(missing_roles(table))}")))

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
        if not more:
            return _aligned(cells)
        alone = self.labels.fields.get("", 0)  # the last row, which is not among those shown
        return [*_aligned(cells), f"  and {more - bool(alone):,} more classes",
                *([f"  and {count(alone, 'field')} without a class"] if alone else [])]

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
        Takes events of `phenoscale.progress`, of the stages "check", "look" and "plan".
    label : str, optional
        Column of the classes, for the table of classes and plates.

    Raises
    ------
    InputError
        For an unknown label column.
    """
    label = None if label is None else table.known(label)
    labels = Labels(table, label) if label is not None else None
    found = survey(table, threads, progress)
    pixels = look(table, found, threads, progress)
    problems = sorted([*found.problems, *pixels.problems], key=lambda problem: problem.row)
    result = Check(table, found, pixels, problems, [], label, labels, batch=batch)
    result.findings = findings(table, found, pixels, result.marked(), labels, label)
    left = len(table) - len(result.bad())
    if left:
        classes = 2 if labels is None else max(2, len(labels.classes()))
        trained = left if labels is None else max(1, left - labels.fields.get("", 0))
        try:
            result.plan = plan(found.shape, found.dtype, classes, trained, batch, threads,
                               progress)
        except (MemoryError, ValueError) as error:
            result.findings.append(Finding("plan", f"none: {error}"))
    return result


# ---- words ---------------------------------------------------------------------------------------


def _aligned(cells) -> list[str]:
    """Rows of cells in columns, the first to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(*cells)]
    return [
        f"  {row[0]:<{widths[0]}}"
        + "".join(f"  {cell:>{width}}" for cell, width in zip(row[1:], widths[1:]))
        for row in cells
    ]
