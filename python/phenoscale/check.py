# SPDX-License-Identifier: BSD-3-Clause
"""The audit of a table before a long run: what is in it, what is wrong, what it will take.

After table.py and survey.py; the command line prints `Check.text()`.
"""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from phenoscale.errors import listed
from phenoscale.survey import Problem, field_shape, size_words, survey
from phenoscale.table import Table

if TYPE_CHECKING:
    import pandas

__all__ = ["Check", "check", "field_shape"]

_MOST_PROBLEMS = 20  # printed in full
_MOST_PLATES = 8  # with a column each in the table of classes
_DEPTH_WORDS = {"uint8": "8-bit", "uint16": "16-bit", "float32": "32-bit float"}


@dataclass
class Check:
    """What `check` found.

    Attributes
    ----------
    source : str
    fields, plates, wells : int
        Plates and wells are 0 where the table has no such column.
    channels : list of str
    sizes : Counter of (h, w)
        Files of each size.
    dtypes : dict of str to Counter
        Channel to the number of its files of each depth.
    problems : list of Problem
        One for each file that stops its field.
    labels : pandas.DataFrame or None
        Class to `fields`, `wells` and the fields on each plate; label "" comes last.
    label : str or None
        The column of the classes.
    memory : dict or None
        network, batch, size (padded h, w), parameters, network_bytes, optimizer_bytes; None where
        no file can be read, or a note says why not.
    notes : list of str
        What does not stop a run but should be known.
    """

    source: str
    fields: int
    plates: int
    wells: int
    channels: list[str]
    sizes: Counter
    dtypes: dict[str, Counter]
    problems: list[Problem]
    label: str | None = None
    labels: pandas.DataFrame | None = None
    memory: dict | None = None
    notes: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """True where every field can be used."""
        return not self.problems

    @property
    def bad_rows(self) -> list[int]:
        """Rows of the table (from 0) that a run would have to leave out."""
        return sorted({problem.row for problem in self.problems})

    def text(self) -> str:
        """The summary for a terminal."""
        lines = [self.source]
        lines += [f"  {name:<9} {value}" for name, value in self._facts()]
        if self.labels is not None:
            lines += ["", *self._label_lines()]
        if self.notes:
            lines += ["", *(f"note: {note}" for note in self.notes)]
        lines += ["", *self._problem_lines()]
        return "\n".join(lines)

    def _facts(self):
        wells = f" in {_count(self.wells, 'well')}" if self.wells else ""
        plates = f" on {_count(self.plates, 'plate')}" if self.plates else ""
        yield "fields", f"{self.fields:,}{wells}{plates}"
        yield "channels", f"{len(self.channels)}: {', '.join(self.channels)}"
        if self.sizes:
            yield "size", _shares({size_words(*size): n for size, n in self.sizes.items()})
        depths = Counter()
        for counts in self.dtypes.values():
            depths.update({_DEPTH_WORDS[depth]: n for depth, n in counts.items()})
        if depths:
            yield "depth", _shares(depths)
        if self.memory:
            plan = self.memory
            total = plan["network_bytes"] + plan["optimizer_bytes"]
            name, padded = plan["network"], size_words(*plan["size"])
            yield "network", f"{name}, {plan['parameters']:,} parameters, fields padded to {padded}"
            momentum = f"{_gigabytes(plan['optimizer_bytes'])} of it for the momentum"
            yield "memory", f"{_gigabytes(total)} to train with batch {plan['batch']} ({momentum})"

    def _label_lines(self) -> list[str]:
        table = self.labels.rename(index={"": "(none)"})
        if self.plates > _MOST_PLATES:
            spread = (table.iloc[:, 2:] > 0).sum(axis=1)
            table = table.iloc[:, :2].assign(plates=spread)
        cells = [[f"{self.label}", *map(str, table.columns)]]
        cells += [[str(name), *map(str, row)] for name, row in zip(table.index, table.to_numpy())]
        widths = [max(map(len, column)) for column in zip(*cells)]
        return [
            f"  {row[0]:<{widths[0]}}"
            + "".join(f"  {cell:>{width}}" for cell, width in zip(row[1:], widths[1:]))
            for row in cells
        ]

    def _problem_lines(self) -> list[str]:
        if self.ok:
            return ["no problems: every file can be used"]
        kinds = Counter(problem.kind for problem in self.problems)
        counts = ", ".join(f"{n} {kind}" for kind, n in kinds.most_common())
        lines = [
            f"{_count(len(self.problems), 'problem')} in {len(self.bad_rows)} of "
            f"{_count(self.fields, 'field')} ({counts}):"
        ]
        lines += [f"  {problem.sentence}" for problem in self.problems[:_MOST_PROBLEMS]]
        rest = len(self.problems) - _MOST_PROBLEMS
        return [*lines, f"  and {rest} more"] if rest > 0 else lines


def check(table: Table, network="mcnn", batch=4, threads=None, progress=None, label=None) -> Check:
    """Audit a table: read every header, count, compare, plan the memory.

    Parameters
    ----------
    table : Table
    network : str
        Architecture of the memory plan.
    batch : int
        Images a step, for the memory plan.
    threads : int, optional
        Of the training to plan for, and files read at a time; by default all processors.
    progress : callable, optional
        Called with (fields done, fields in all).
    label : str, optional
        Column of the classes, for the table of classes and plates.

    Returns
    -------
    Check

    Raises
    ------
    InputError
        For an unknown label column.
    """
    labels = _label_table(table, label) if label is not None else None
    found = survey(table, threads, progress)
    plate, wells = table.role("plate"), {table.well_name(row) for row in range(len(table))}
    result = Check(
        source=table.source,
        fields=len(table),
        plates=0 if plate is None else plate.nunique(),
        wells=len(wells - {""}),
        channels=table.channels,
        sizes=found.sizes,
        dtypes=found.dtypes,
        problems=found.problems,
        label=label,
        labels=labels,
        notes=[*table.notes, *_notes(table, found, labels)],
    )
    if found.shape is not None:
        classes = 2 if labels is None else max(2, len(labels.index.drop("", errors="ignore")))
        try:
            result.memory = _plan_memory(found.shape, network, classes, batch, threads)
        except (MemoryError, ValueError) as error:
            result.notes.append(f"no memory plan for {network} with batch {batch}: {error}")
    return result


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


def _notes(table: Table, found, labels) -> list[str]:
    notes = []
    if found.several_pages:
        files = _count(found.several_pages, "file")
        notes.append(f"{files} with several pages: the first page is used")
    if found.white_zero:
        files = _count(found.white_zero, "file")
        notes.append(f"{files} with white stored as 0: counts are used as stored")
    uses = Counter(path for paths in table.paths for path in paths)
    twice = [path for path, n in uses.items() if n > 1]
    if twice:
        notes.append(
            f"{_count(len(twice), 'file')} named more than once in the table: "
            f"{listed(map(os.path.basename, twice), limit=3)}"
        )
    if labels is not None:
        classes = labels.drop(index="", errors="ignore")
        for name in classes.index[classes["fields"] < 2]:
            notes.append(f"class {name} has one field: two or more are needed to train")
        plates = classes.iloc[:, 2:]
        if plates.shape[1] > 1:
            for name in plates.index[(plates > 0).sum(axis=1) == 1]:
                notes.append(
                    f"class {name} lies on one plate only: a network may learn the plate instead"
                )
    return notes


def _plan_memory(shape, network: str, classes: int, batch: int, threads) -> dict:
    """Build the network as `train` would, and ask it what it holds."""
    from phenoscale import models
    from phenoscale.fields import thread_count
    from phenoscale.train import make_net

    c, h, w = shape
    net = make_net(models.describe(network, c, h, w, classes), batch, thread_count(threads))
    count = len(net.parameters)
    return {
        "network": network,
        "batch": batch,
        "size": tuple(-(-side // models.PAD) * models.PAD for side in (h, w)),
        "parameters": count,
        "network_bytes": net.memory,
        "optimizer_bytes": 4 * count,
    }


def _count(n: int, noun: str) -> str:
    return f"{n:,} {noun}" + ("" if n == 1 else "s")


def _shares(counts: dict) -> str:
    """ "uint16", or with several kinds "uint16 (96 files), uint8 (4 files)"."""
    if len(counts) == 1:
        return next(iter(counts))
    largest_first = sorted(counts.items(), key=lambda item: -item[1])
    return listed((f"{name} ({_count(n, 'file')})" for name, n in largest_first), limit=4)


def _gigabytes(n: int) -> str:
    return f"{n / 1e9:.2f} GB"
