# SPDX-License-Identifier: BSD-3-Clause
"""A table of fields to a file of predictions: in blocks, by one process or many ranks.

    table -> blocks of 64 rows -> each rank predicts every size-th of those that are not done
          -> parts.py keeps them -> rank 0 writes the file, block by block in the order of the table

Blocks are of the table alone, so that any number of ranks and threads writes the same bytes.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass

import numpy as np

from phenoscale.environment import environment
from phenoscale.fields import open_fields, thread_count
from phenoscale.model_file import Model
from phenoscale.parts import Parts, parts_beside
from phenoscale.predict import (
    Predictions,
    check_fits,
    choose_channels,
    each,
    prediction_frames,
    read_fields,
)
from phenoscale.ranks import Alone
from phenoscale.roll_call import agree
from phenoscale.survey import Survey, usable
from phenoscale.table import Table

__all__ = ["BLOCK", "predict_source"]

BLOCK = 64  # fields


def predict_source(model: Model, source, out, threads: int | None = None, on_error: str = "skip",
                   progress=None, embedding: str = "last", tower: str = "fused", tell_notes=None,
                   inputs=(), resume: bool | None = None, warn=None, ranks=None,
                   **options) -> tuple[int, str | None]:
    """A table or folder of fields to a file of predictions, and errors.csv beside it.

    Parameters
    ----------
    model, threads, on_error, progress, tower
        As for `predict`.
    source, options
        As for `read_fields`.
    out : path
        The CSV to write; none of the files that are read.
    embedding
        As for `prediction_frame`.
    tell_notes : callable, optional
        Called with the notes of the table (a list of str) before the work.
    inputs : sequence of path
        More files that `out` must not be, as that of the model.
    resume : bool, optional
        Whether to go on from the blocks that a stopped prediction left beside `out`; False: they
        are an error.  By default nothing is kept on disk, nor looked for.
    warn : callable, optional
        Takes a sentence.
    ranks : object, optional
        Processes that share the work, as `phenoscale.ranks.Alone`; all call this with the same,
        and `resume` says whether.

    Returns
    -------
    n : int
        Fields that were predicted.
    errors : str or None
        Path of the list of those that were skipped.
    """
    from phenoscale.csv_file import write_csv
    from phenoscale.outputs import errors_beside, refuse_to_lose, write_errors

    ranks = ranks or Alone()
    table = read_fields(model, source, **options)
    refuse_to_lose(out, inputs=[source, *(options.get("join") or ()), *inputs],
                   table=table, errors=errors_beside(out))
    if tell_notes is not None:
        tell_notes(table.notes)
    agree(ranks, lambda: {"table": table.digest(), "model": _model_key(model), **environment()})
    chosen = choose_channels(model, table)
    fields = _Fields(chosen, *usable(chosen, on_error, ranks=ranks))
    check_fits(model, fields.found.shape, fields.found.dtype)
    n = -(-len(table) // BLOCK)
    blocks, left = {}, list(range(n))
    if resume is not None and (n > 1 or ranks.spread(os.path.isdir(parts_beside(out)))):
        blocks = Parts(out, {"model": _model_key(model), "tower": tower, "on-error": on_error},
                       warn)
        left = blocks.to_do(n, fields.key, resume, ranks)
    tell = _teller(fields, blocks, left, ranks, progress)
    for number, part in _predicted(model, fields, left[ranks.rank :: ranks.size],
                                   thread_count(threads), on_error, tower, tell):
        blocks[number] = part
    ranks.barrier()
    skipped, errors = {}, None
    if ranks.rank == 0:
        write_csv(prediction_frames(model, table, fields.parts(blocks, n, skipped), embedding), out)
        errors = write_errors(table, skipped, out)
        blocks.clear()
    return tuple(ranks.spread([len(table) - len(skipped), errors]))


@dataclass
class _Fields:
    """The fields of a table, those that can be used (`rows`), and why the others cannot."""

    table: Table
    rows: np.ndarray
    found: Survey
    left_out: dict

    def __post_init__(self):
        self._planes = dict(zip(self.rows.tolist(), self.found.planes))

    def block(self, number: int) -> range:
        """Rows of a block."""
        return range(number * BLOCK, min(len(self.table), (number + 1) * BLOCK))

    def usable(self, number: int) -> list[int]:
        """Those of them that can be used."""
        return [row for row in self.block(number) if row in self._planes]

    def key(self, number: int) -> str:
        """SHA-256 of which fields a block is of, and of the state of their files.

        Taken before they are read: a file that changes after that is noticed.
        """
        stamps, about = {}, [self.found.shape, self.found.dtype, self.table.z]
        for row in self.block(number):
            planes = [list(plane) for channel in self._planes.get(row, ()) for plane in channel]
            for path, *_ in planes:
                if path not in stamps:
                    stamps[path] = _stamp(path)
            ends = [len(channel) for channel in self._planes.get(row, ())]
            about.append([ends, planes])
        return hashlib.sha256(json.dumps([about, stamps]).encode()).hexdigest()

    def parts(self, blocks, n: int, skipped: dict):
        """The blocks in order; `skipped` gets the rows that were, and why."""
        for number in range(n):
            part, first = blocks[number], number * BLOCK
            reasons = {first + i: self.table.place(first + i) + why
                       for i, why in part.skipped.items()}
            reasons.update({row: self.left_out[row] for row in self.block(number)
                            if row in self.left_out})
            part.skipped = {row - first: why for row, why in reasons.items()}
            skipped.update(reasons)
            yield part


def _stamp(path: str):
    """Size and time of a file, None where it is gone."""
    try:
        about = os.stat(path)
    except OSError:
        return None
    return about.st_size, about.st_mtime_ns


def _model_key(model: Model) -> str:
    """SHA-256 of what logits and embeddings depend on in a model."""
    about = [model.digest(), model.description, model.scale, model.offset, model.bin, model.z]
    return hashlib.sha256(json.dumps(about).encode()).hexdigest()


def _predicted(model: Model, fields: _Fields, numbers, threads: int, on_error: str, tower: str,
               tell):
    """Yields (number, Predictions) of each block; the fields of all of them go through the network
    in one stream."""
    mine = np.flatnonzero(np.isin(fields.rows // BLOCK, numbers))
    answers = iter(())
    if len(mine):
        source = open_fields(fields.table.select(fields.rows[mine]), fields.found.select(mine),
                             threads, model.bin)
        net = model.net(*source.size, threads, tower)
        answers = each(net, source, np.arange(len(mine)), model.scale, model.offset, threads,
                       on_error, tell)
    for number in numbers:
        part = Predictions.blank(len(fields.block(number)), len(model.classes),
                                 model.embedding["size"])
        for row in fields.usable(number):
            answer = next(answers)
            if isinstance(answer, str):  # kept without its place, which a new table may call else
                answer = answer.removeprefix(fields.table.place(row))
            part.put(row - number * BLOCK, answer)
        yield number, part


def _teller(fields: _Fields, blocks, left, ranks, progress):
    """A callable (done, of) of the fields of this rank, that tells `progress` of those of all: the
    blocks of other ranks are counted on disk."""
    if progress is None or ranks.rank:
        return None
    theirs = set(left) - set(left[:: ranks.size])
    counts = {number: len(fields.usable(number)) for number in left}
    before = len(fields.rows) - sum(counts.values())

    def tell(done, _):
        there = theirs & blocks.numbers() if theirs else ()
        progress(before + done + sum(map(counts.get, there)), len(fields.rows))

    return tell
