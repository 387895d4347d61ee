# SPDX-License-Identifier: BSD-3-Clause
"""A table of fields to a file of what some work says of each: in blocks, by one process or many
ranks.

    table -> blocks of 64 rows -> each rank does every size-th of those that are not done
          -> blocks.py keeps them
          -> rank 0 looks at all of them, then writes the file, block by block in the order of the
             table

Blocks are of the table alone, so that any number of ranks and threads writes the same bytes.  The
work is `phenoscale.prediction.file`'s, a network, or `phenoscale.prediction.measure`'s.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass

import numpy as np

import phenoscale
from phenoscale.errors import InputError, check_on_error
from phenoscale.files.csv import write_csv
from phenoscale.files.lock import lock_of_file
from phenoscale.files.names import PARQUET, check_name
from phenoscale.files.parquet import check_parquet, write_parquet
from phenoscale.images.disk import stamp_of
from phenoscale.images.usable import Usable, usable
from phenoscale.machine import environment
from phenoscale.prediction.blocks import Blocks, blocks_beside
from phenoscale.ranks.crew import Crew
from phenoscale.tables.outputs import errors_beside, refuse_to_lose, write_errors
from phenoscale.tables.table import Table
from phenoscale.tables.values import values_of

__all__ = ["BLOCK", "Writing", "check_out", "write_file"]

BLOCK = 64  # fields


@dataclass(frozen=True)
class Writing:
    """How a file of what is said of fields is written.

    Attributes
    ----------
    on_error : {"stop", "skip"}
        What to do about a field that cannot be read.
    resume : bool, optional
        Whether to go on from the blocks that a stopped run left beside the file; False: they are an
        error.  By default nothing is kept on disk, nor looked for.
    safe : bool
        Whether cells are safe for spreadsheets; see `phenoscale.files.csv.write_csv`.  Not with
        Parquet.
    keep : sequence of path
        More files that must not be written over, as that of the model.
    """

    on_error: str = "skip"
    resume: bool | None = None
    safe: bool = False
    keep: Sequence = ()

    def __post_init__(self):
        check_on_error(self.on_error)
        object.__setattr__(self, "keep", values_of(self.keep, "keep"))


def check_out(out, writing: Writing) -> None:
    """InputError before any work for a file that would not be written."""
    check_name(out, "predictions")
    if _is_parquet(out):
        check_parquet(out)
        if writing.safe:
            raise InputError(f"{out} is Parquet, which no spreadsheet takes for formulas: leave "
                             "--safe-cells out, or give a name with .csv")


def _is_parquet(out) -> bool:
    return os.fspath(out).lower().endswith(PARQUET)


def write_file(work, table: Table, inputs, out, writing: Writing, crew: Crew):
    """What some work says of every field of a table, to a file; meanwhile it is locked.

    Parameters
    ----------
    work : object
        What is done of each field: `stage`, its word; `kind`, of what it finds, as
        `phenoscale.prediction.blocks` has it; `same`, what all blocks depend on, by the names of
        options; `about`, where its numbers come from; `bin`; `fields(table)`, the table as it wants
        it; `check(survey)`, InputError where the fields do not fit; `prepare(fields, crew)`, a pass
        before all others, and the digest of what it found, "" for nothing; `blank(n)`, of n fields
        nothing yet; `each(source, order, rows)`, which yields what is put, rows being those of the
        table; `look(table, parts)`, before `frames(table, parts)`; `end(table, crew)`.
    table : Table
    inputs : sequence of path
        What was read, beside the images.
    out : path
    writing : Writing
    crew : Crew
        Who does it.

    Returns
    -------
    n : int
        Fields that could be read.
    errors : str or None
        Path of the list of the others.
    """
    refuse_to_lose(out, inputs=[*inputs, *writing.keep], table=table, errors=errors_beside(out))
    with lock_of_file(out, crew.watch.warn) if crew.is_first else nullcontext() as lock:
        crew.watch.note(table.notes)
        crew.agree(lambda: {"table": table.digest(), **work.same, **environment()})
        fields = _Fields(usable(work.fields(table), writing.on_error, ranks=crew.ranks))
        crew.watch.note(fields.survey.notes)
        work.check(fields.survey)
        fields.basis = work.prepare(fields.usable, crew)
        return _write(work, fields, table, out, writing, crew, lock)


def _write(work, fields: _Fields, table: Table, out, writing: Writing, crew: Crew, lock):
    """Do what is left to do, and write the file."""
    ranks = crew.ranks
    blocks, left = _blocks(work, fields, out, writing, crew)
    tell = _teller(work, fields, blocks, left, crew)
    for number, part in _answered(work, fields, left[ranks.rank :: ranks.size], crew, tell):
        if lock:
            lock.check()
        blocks[number] = part
    ranks.barrier()
    skipped, errors = {}, None
    if crew.is_first:
        lock.check()
        work.look(table, (blocks[number] for number in range(fields.n)))
        frames = work.frames(table, fields.parts(blocks, skipped))
        if _is_parquet(out):
            write_parquet(frames, out, {"phenoscale": phenoscale.__version__, **work.about})
        else:
            write_csv(frames, out, writing.safe)
        errors = write_errors(fields.table, skipped, errors_beside(out))
        blocks.clear()
        work.end(table, crew)
    return tuple(ranks.spread([len(table) - len(skipped), errors]))


class _Fields:
    """The usable fields of a table in blocks of its rows."""

    def __init__(self, fields: Usable):
        self.usable, self.table, self.survey = fields, fields.whole, fields.survey
        self.n, self.basis = -(-len(self.table) // BLOCK), ""
        self._planes = dict(zip(fields.rows.tolist(), fields.survey.planes))

    def block(self, number: int) -> range:
        """Rows of a block."""
        return range(number * BLOCK, min(len(self.table), (number + 1) * BLOCK))

    def rows(self, number: int) -> list[int]:
        """Those of them that can be used."""
        return [row for row in self.block(number) if row in self._planes]

    def key(self, number: int) -> str:
        """SHA-256 of which fields a block is of, of the state of their files, and of what a pass
        before found.

        Taken before they are read: a file that changes after that is noticed.
        """
        stamps, about = {}, [self.survey.shape, self.survey.dtype, self.table.z]
        for row in self.block(number):
            planes = [list(plane) for channel in self._planes.get(row, ()) for plane in channel]
            for path, *_ in planes:
                if path not in stamps:
                    stamps[path] = stamp_of(path)
            ends = [len(channel) for channel in self._planes.get(row, ())]
            about.append([ends, planes])
        basis = [self.basis] * bool(self.basis)
        return hashlib.sha256(json.dumps([about, stamps, *basis]).encode()).hexdigest()

    def parts(self, blocks, skipped: dict):
        """The blocks in order; `skipped` gets the rows that were, and why."""
        left_out = self.usable.left_out
        for number in range(self.n):
            part, first = blocks[number], number * BLOCK
            reasons = {first + i: self.table.place(first + i) + why
                       for i, why in part.skipped.items()}
            reasons.update({row: left_out[row] for row in self.block(number) if row in left_out})
            part.skipped = {row - first: why for row, why in reasons.items()}
            skipped.update(reasons)
            yield part


def _blocks(work, fields: _Fields, out, writing: Writing, crew: Crew):
    """Where the blocks are kept, on disk or in memory, and the numbers of those still to do."""
    ranks = crew.ranks
    if writing.resume is None or (fields.n == 1
                                  and not ranks.spread(os.path.isdir(blocks_beside(out)))):
        return {}, list(range(fields.n))
    blocks = Blocks(out, work.kind, {**work.same, "on-error": writing.on_error}, crew.watch.warn)
    return blocks, blocks.to_do(fields.n, fields.key, writing.resume, ranks)


def _answered(work, fields: _Fields, numbers, crew: Crew, tell):
    """Yields (number, what was found) of each block; the fields of all of them go through the work
    in one stream."""
    mine = np.flatnonzero(np.isin(fields.usable.rows // BLOCK, numbers))
    answers, done = iter(()), 0
    if len(mine):
        source = fields.usable.select(mine).open(crew.threads, work.bin)
        answers = work.each(source, np.arange(len(mine)), fields.usable.rows[mine])
    for number in numbers:
        part = work.blank(len(fields.block(number)))
        for row in fields.rows(number):
            answer, done = next(answers), done + 1
            if isinstance(answer, str):  # kept without its place, which a new table may call else
                answer = answer.removeprefix(fields.table.place(row))
            part.put(row - number * BLOCK, answer)
            tell(done)
        yield number, part


def _teller(work, fields: _Fields, blocks, left, crew: Crew):
    """A callable that takes how many fields of this rank are done, and tells of those of all: the
    blocks of other ranks are counted on disk."""
    n, theirs = len(fields.usable.rows), set(left) - set(left[:: crew.ranks.size])
    counts = {number: len(fields.rows(number)) for number in left}
    before = n - sum(counts.values())

    def tell(done):
        if crew.is_first:
            there = theirs & blocks.numbers() if theirs else ()
            crew.watch.tell(work.stage, before + done + sum(map(counts.get, there)), n)

    return tell
