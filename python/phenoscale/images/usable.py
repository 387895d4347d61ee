# SPDX-License-Identifier: BSD-3-Clause
"""The fields of a table that can be used: those that stay after a look at every header."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from phenoscale.errors import InputError
from phenoscale.images.fields import open_fields
from phenoscale.images.survey import KINDS, Problem, Survey, survey
from phenoscale.tables.columns import SKIP
from phenoscale.tables.table import Table
from phenoscale.words import count, listed, size_words

__all__ = ["Usable", "sentences", "usable"]

_MOST = 20  # offenders in one message


@dataclass
class Usable:
    """The fields of a table that can be used, and why the others cannot.

    Attributes
    ----------
    whole : Table
        All fields.
    rows : ndarray of int64
        Numbers in `whole` of those that can be used.
    survey : Survey
        Of those.
    left_out : dict of int to str
        Number in `whole` of each other field, and why.
    gone : dict of int to str
        Of a training that goes on: number in `table` of each field that it began with and that
        cannot be used any more, and why.
    """

    whole: Table
    rows: np.ndarray
    survey: Survey
    left_out: dict
    gone: dict = field(default_factory=dict)

    @cached_property
    def table(self) -> Table:
        """The table of those that can be used."""
        return self.whole.select(self.rows)

    def select(self, which) -> Usable:
        """Some of those that can be used, by their numbers in `table`."""
        return Usable(self.whole, self.rows[which], self.survey.select(which), self.left_out)

    def open(self, threads: int, bin: int = 1, workers: int = 2):
        """A source of their pixels; see `phenoscale.images.fields.open_fields`."""
        return open_fields(self.table, self.survey, threads, bin, workers)

    def leave_out(self, reasons: dict[int, str]) -> None:
        """Note why fields, by their numbers in `table`, turned out to be of no use."""
        self.left_out.update({int(self.rows[row]): why for row, why in reasons.items()})


def usable(table: Table, on_error: str = "stop", threads: int | None = None, progress=None,
           ranks=None, begun: dict[int, str] | None = None) -> Usable:
    """Look at the header of every file of a table.

    Parameters
    ----------
    table : Table
    on_error : {"stop", "skip"}
        What to do about a field whose files cannot be used.
    threads, progress, ranks : optional
        As for `survey`.
    begun : dict of int to str, optional
        For a training that goes on: the rows that it began without, and why.  All others stay
        fields of it, whatever became of their files.

    Returns
    -------
    Usable
        Left out are the fields that a check marked, and with "skip" those with a problem.

    Raises
    ------
    InputError
        With "stop" for files that are missing, unreadable, of several channels or planes where
        one is meant, of another size than most, or of another depth than most of their channel;
        with "skip" only where no field is left.
    """
    found = survey(table, threads, progress, ranks)
    left_out = {row: f"{table.place(row)}: {why} (marked in column {SKIP})"
                for row, why in table.skipped().items()}
    left_out = {**(begun or {}), **left_out}
    problems = [problem for problem in found.problems if problem.row not in left_out]
    bad = {problem.row for problem in problems}
    if problems and (on_error == "stop" or len(bad) + len(left_out) == len(table)):
        raise InputError(_one_sentence(table, found, problems))
    gone = {problem.row: problem.sentence for problem in reversed(problems)}
    if begun is None:
        left_out.update(gone)
    rows = np.array([row for row in range(len(table)) if row not in left_out], np.int64)
    if not len(rows):
        why = next(iter(left_out.values()), "the table has none")
        raise InputError(f"{table.source}: no field is left: {why}")
    return Usable(table, rows, found.select(rows), left_out,
                  {k: gone[row] for k, row in enumerate(rows.tolist()) if row in gone})


def _one_sentence(table: Table, found: Survey, problems) -> str:
    """The gravest kind of problem: its first file, or for sizes and depths the offenders."""
    kind = min((problem.kind for problem in problems), key=KINDS.index)
    same = [problem for problem in problems if problem.kind == kind]
    if len(same) > 1 and _missing_folder(same[0], {}):
        return f"{table.source}: " + sentences(same)[0]
    if kind not in ("size", "depth"):
        more = f" ({len(same) - 1} more files have the same fault)" if len(same) > 1 else ""
        return same[0].sentence + more
    if len(same) == 1:
        return same[0].sentence
    if kind == "size":
        spread = {"": Counter({size_words(*size): n for size, n in found.sizes.items()})}
        cure = "make a table of each size, or crop all to one (height x width)"
    else:
        spread = {f" in channel {c}": n for c, n in found.dtypes.items() if len(n) > 1}
        cure = "export all fields of a channel with one depth"
    counts = "; ".join(
        ", ".join(f"{name} ({n} files)" for name, n in kinds.most_common(4)) + where
        for where, kinds in spread.items()
    )
    places = listed([f"{table.place(p.row)} {os.path.basename(p.file)}" for p in same], None, _MOST)
    return (
        f"the {kind}s of the files differ, {counts}; not as most are: {places}; "
        f"{cure}, or leave these rows out"
    )


def sentences(problems: list[Problem]) -> list[str]:
    """What is wrong with files, a sentence each; one for all that lie in a folder that does not
    exist."""
    said, known, counts = {}, {}, Counter()
    for number, problem in enumerate(problems):
        folder = _missing_folder(problem, known)
        said.setdefault(folder or number, problem.sentence)
        counts[folder or number] += 1
    return [words if n == 1 else f"the folder {folder} does not exist: {count(n, 'file')} of it "
            "are missing: restore it, or correct the paths, or leave these rows out"
            for (folder, words), n in zip(said.items(), counts.values())]


def _missing_folder(problem: Problem, known: dict[str, str]) -> str:
    """The highest folder of a missing file that does not exist; "" where its own does.

    known: folders that were looked at.
    """
    folder, missing = os.path.dirname(problem.file), ""
    if problem.kind != "missing" or not folder:
        return ""
    if folder not in known:
        above = folder
        while above and not os.path.exists(above) and above != os.path.dirname(above):
            above, missing = os.path.dirname(above), above
        known[folder] = missing
    return known[folder]
