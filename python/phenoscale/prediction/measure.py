# SPDX-License-Identifier: BSD-3-Clause
"""A table of fields to a file of their classic numbers (stream.py): no model, no training."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from phenoscale.images.measures import Measurer, find_nuclei
from phenoscale.prediction.frame import about_cells, beside, blurred_fields, measured_cells
from phenoscale.prediction.stream import Writing, check_out, write_file
from phenoscale.prediction.turns import in_turn
from phenoscale.ranks.alone import even_ends, share
from phenoscale.ranks.crew import Crew
from phenoscale.tables.read import Reading, read_table

__all__ = ["Measures", "measure_fields", "measure_to_file"]


@dataclass
class Measures:
    """The classic numbers of n fields.

    Attributes
    ----------
    numbers : ndarray of float32, (n, names)
    skipped : dict of int to str
        Number of a field that could not be read, and why; its row is NaN.
    """

    numbers: np.ndarray
    skipped: dict = field(default_factory=dict)

    TENSORS = ("numbers",)

    @classmethod
    def blank(cls, n: int, measurer: Measurer) -> Measures:
        """Of n fields of which nothing is known yet: NaN."""
        return cls(np.full((n, len(measurer.names)), np.nan, np.float32))

    def put(self, i: int, answer) -> None:
        """What was found of field i: numbers, or words why it was skipped."""
        if isinstance(answer, str):
            self.skipped[i] = answer
        else:
            self.numbers[i] = answer


def _each(source, order, measurer: Measurer, threads: int, on_error: str):
    return in_turn(source, order, threads, on_error, lambda block, rows: measurer(block))


def measure_fields(source, order, measurer: Measurer, on_error: str, crew: Crew) -> Measures:
    """The classic numbers of the fields `order` of a source, (len(order), names).

    Each rank of the crew in the same call: they have parts of the fields, and all get all.
    """
    n, ranks, found = len(order), crew.ranks, Measures.blank(len(order), measurer)
    ends = even_ends(n, ranks.size)
    first, end = share(ends, ranks.rank)
    answers = _each(source, order[first:end], measurer, crew.threads, on_error)
    for i, answer in enumerate(answers, first):
        found.put(i, answer)
        crew.watch.tell("measure", min(n, (i + 1 - first) * ranks.size), n)
    ranks.rows(found.numbers, ends)
    for theirs in ranks.everyone(list(found.skipped.items())):
        found.skipped.update(dict(theirs))
    return found


def measure_to_file(source, out, reading: Reading | None = None, nuclei: str | None = None,
                    writing: Writing | None = None, crew: Crew | None = None
                    ) -> tuple[int, str | None]:
    """A table or folder of fields to a file of their classic numbers, and a list of those that
    were skipped beside it.

    Parameters
    ----------
    source, reading
        As for `phenoscale.tables.read.read_table`.
    out : path
        The CSV to write, or with .parquet at the end of its name Parquet.
    nuclei : str, optional
        The channel whose cells are counted, or "none"; see
        `phenoscale.images.measures.find_nuclei`.
    writing : Writing, optional
    crew : Crew, optional
        Who does it; told of the stage "measure" and of notes.

    Returns
    -------
    n, errors
        As of `phenoscale.predict_to_file`.
    """
    reading, writing, crew = reading or Reading(), writing or Writing(), crew or Crew()
    check_out(out, writing)
    table = read_table(source, reading)
    number, words = find_nuclei(table.channels, nuclei)
    crew.watch.note([words] * bool(words))
    work = _Measuring(Measurer(table.channels, number, crew.threads), crew.threads, writing)
    return write_file(work, table, [source, *reading.join], out, writing, crew)


class _Measuring:
    """The work of stream.py."""

    stage, kind, bin = "measure", Measures, 1
    about = {"normalisation": "none: counts as in the files"}

    def __init__(self, measurer: Measurer, threads: int, writing: Writing):
        self._measurer, self._threads, self._writing = measurer, threads, writing
        self.same = {"nuclei": str(measurer.nuclei), "channels": ",".join(measurer.names)}

    def fields(self, table):
        return table

    def check(self, survey) -> None:
        """Fields of every size and depth have them."""

    def prepare(self, fields, crew: Crew) -> str:
        """They are of each field by itself."""
        return ""

    def look(self, table, parts) -> None:
        """Before any is written, at all."""
        self._is_blurred = blurred_fields(table, self._measurer.names, parts)

    def blank(self, n: int) -> Measures:
        return Measures.blank(n, self._measurer)

    def each(self, source, order, rows):
        return _each(source, order, self._measurer, self._threads, self._writing.on_error)

    def frames(self, table, parts):
        """The file in several frames, one for each part."""
        import pandas

        names = self._measurer.names
        for part, kept, rows, columns in beside(about_cells(table, "", table.keys), parts):
            numbers = part.numbers[kept]
            columns |= measured_cells(names, numbers, self._is_blurred[rows])
            columns.update(zip(names, numbers.T))
            yield pandas.DataFrame(columns)

    def end(self, table, crew: Crew) -> None:
        """Nothing is left to say."""
