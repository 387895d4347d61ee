# SPDX-License-Identifier: BSD-3-Clause
"""A table of fields to a file of predictions: in blocks, by one process or many ranks.

    table -> blocks of 64 rows -> each rank predicts every size-th of those that are not done
          -> blocks.py keeps them
          -> rank 0 writes the file, block by block in the order of the table

Blocks are of the table alone, so that any number of ranks and threads writes the same bytes.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass

import numpy as np

from phenoscale.errors import InputError, check_on_error
from phenoscale.files.csv import write_csv
from phenoscale.files.lock import lock_of_file
from phenoscale.files.names import PARQUET, check_name
from phenoscale.files.parquet import check_parquet, write_parquet
from phenoscale.images.usable import Usable, usable
from phenoscale.machine import environment
from phenoscale.models.model import Model
from phenoscale.prediction.blocks import Blocks, blocks_beside
from phenoscale.prediction.counts import far_from, plates_of, tell_far
from phenoscale.prediction.frame import prediction_frames
from phenoscale.prediction.inputs import check_fits, read_fields, with_model_channels
from phenoscale.prediction.predict import Network, Predictions
from phenoscale.ranks.crew import Crew
from phenoscale.tables.outputs import errors_beside, refuse_to_lose, write_errors
from phenoscale.tables.read import Reading
from phenoscale.tables.values import values_of

__all__ = ["BLOCK", "Writing", "predict_to_file"]

BLOCK = 64  # fields


@dataclass(frozen=True)
class Writing:
    """What a file of predictions shall be.

    Attributes
    ----------
    embedding : {"last", "none"}
        As for `phenoscale.prediction.frame.prediction_frame`.
    on_error, tower
        As for `phenoscale.predict`.
    resume : bool, optional
        Whether to go on from the blocks that a stopped prediction left beside the file; False:
        they are an error.  By default nothing is kept on disk, nor looked for.
    safe : bool
        Whether cells are safe for spreadsheets; see `phenoscale.files.csv.write_csv`.  Not with
        Parquet.
    keep : sequence of path
        More files that must not be written over, as that of the model.
    """

    embedding: str = "last"
    on_error: str = "skip"
    tower: str = "fused"
    resume: bool | None = None
    safe: bool = False
    keep: Sequence = ()

    def __post_init__(self):
        check_on_error(self.on_error)
        object.__setattr__(self, "keep", values_of(self.keep, "keep"))


def predict_to_file(model: Model, source, out, reading: Reading | None = None,
                    writing: Writing | None = None, crew: Crew | None = None
                    ) -> tuple[int, str | None]:
    """A table or folder of fields to a file of predictions, and a list of those that were skipped
    beside it.

    Meanwhile the file is locked, as `phenoscale.files.lock` has it.

    Parameters
    ----------
    model : Model
    source, reading
        As for `phenoscale.prediction.inputs.read_fields`.
    out : path
        The CSV to write, or with .parquet at the end of its name Parquet; none of the files that
        are read.
    writing : Writing, optional
    crew : Crew, optional
        Who does it; told of the stage "predict", of the table's notes, and of plates whose counts
        lie far from those of the training.

    Returns
    -------
    n : int
        Fields that were predicted.
    errors : str or None
        Path of the list of those that were skipped.
    """
    reading, writing, crew = reading or Reading(), writing or Writing(), crew or Crew()
    _check_out(out, writing)
    table = read_fields(model, source, reading)
    refuse_to_lose(out, inputs=[source, *reading.join, *writing.keep], table=table,
                   errors=errors_beside(out))
    with lock_of_file(out, crew.watch.warn) if crew.is_first else nullcontext() as lock:
        crew.watch.note(table.notes)
        crew.agree(lambda: {"table": table.digest(), "model": _model_key(model), **environment()})
        fields = _Fields(usable(with_model_channels(model, table), writing.on_error,
                                ranks=crew.ranks))
        crew.watch.note(fields.survey.notes)
        check_fits(model, fields.survey.shape, fields.survey.dtype)
        return _write(model, fields, table, out, writing, crew, lock)


def _check_out(out, writing: Writing) -> None:
    """InputError before any work for a file that would not be written."""
    check_name(out, "predictions")
    if _is_parquet(out):
        check_parquet(out)
        if writing.safe:
            raise InputError(f"{out} is Parquet, which no spreadsheet takes for formulas: leave "
                             "--safe-cells out, or give a name with .csv")


def _is_parquet(out) -> bool:
    return os.fspath(out).lower().endswith(PARQUET)


def _write(model: Model, fields: _Fields, table, out, writing: Writing, crew: Crew, lock):
    """Predict what is left to do, and write the file: what `predict_to_file` returns."""
    ranks = crew.ranks
    blocks, left = _blocks(model, fields, out, writing, crew)
    tell = _teller(fields, blocks, left, crew)
    for number, part in _predicted(model, fields, left[ranks.rank :: ranks.size], writing, crew,
                                   tell):
        if lock:
            lock.check()
        blocks[number] = part
    ranks.barrier()
    skipped, errors, levels = {}, None, []
    if crew.is_first:
        lock.check()
        parts = fields.parts(blocks, skipped, levels)
        frames = prediction_frames(model, table, parts, writing.embedding)
        if _is_parquet(out):
            write_parquet(frames, out)
        else:
            write_csv(frames, out, writing.safe)
        errors = write_errors(fields.table, skipped, errors_beside(out))
        blocks.clear()
        far = far_from(model.counts, model.channels, np.concatenate(levels), plates_of(table))
        tell_far(far, crew.watch)
    return tuple(ranks.spread([len(table) - len(skipped), errors]))


class _Fields:
    """The usable fields of a table in blocks of its rows."""

    def __init__(self, fields: Usable):
        self.usable, self.table, self.survey = fields, fields.whole, fields.survey
        self.n = -(-len(self.table) // BLOCK)
        self._planes = dict(zip(fields.rows.tolist(), fields.survey.planes))

    def block(self, number: int) -> range:
        """Rows of a block."""
        return range(number * BLOCK, min(len(self.table), (number + 1) * BLOCK))

    def rows(self, number: int) -> list[int]:
        """Those of them that can be used."""
        return [row for row in self.block(number) if row in self._planes]

    def key(self, number: int) -> str:
        """SHA-256 of which fields a block is of, and of the state of their files.

        Taken before they are read: a file that changes after that is noticed.
        """
        stamps, about = {}, [self.survey.shape, self.survey.dtype, self.table.z]
        for row in self.block(number):
            planes = [list(plane) for channel in self._planes.get(row, ()) for plane in channel]
            for path, *_ in planes:
                if path not in stamps:
                    stamps[path] = _stamp(path)
            ends = [len(channel) for channel in self._planes.get(row, ())]
            about.append([ends, planes])
        return hashlib.sha256(json.dumps([about, stamps]).encode()).hexdigest()

    def parts(self, blocks, skipped: dict, levels: list):
        """The blocks in order; `skipped` gets the rows that were, and why, `levels` what the counts
        of every field are like."""
        left_out = self.usable.left_out
        for number in range(self.n):
            part, first = blocks[number], number * BLOCK
            reasons = {first + i: self.table.place(first + i) + why
                       for i, why in part.skipped.items()}
            reasons.update({row: left_out[row] for row in self.block(number) if row in left_out})
            part.skipped = {row - first: why for row, why in reasons.items()}
            skipped.update(reasons)
            levels.append(part.by_channel())
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


def _blocks(model: Model, fields: _Fields, out, writing: Writing, crew: Crew):
    """Where the blocks are kept, on disk or in memory, and the numbers of those still to do."""
    ranks = crew.ranks
    if writing.resume is None or (fields.n == 1
                                  and not ranks.spread(os.path.isdir(blocks_beside(out)))):
        return {}, list(range(fields.n))
    blocks = Blocks(out, {"model": _model_key(model), "tower": writing.tower,
                          "on-error": writing.on_error}, crew.watch.warn)
    return blocks, blocks.to_do(fields.n, fields.key, writing.resume, ranks)


def _predicted(model: Model, fields: _Fields, numbers, writing: Writing, crew: Crew, tell):
    """Yields (number, Predictions) of each block; the fields of all of them go through the network
    in one stream."""
    mine = np.flatnonzero(np.isin(fields.usable.rows // BLOCK, numbers))
    answers, done = iter(()), 0
    if len(mine):
        source = fields.usable.select(mine).open(crew.threads, model.bin)
        network = Network.of(model, source.size, crew.threads, writing.tower)
        answers = network.each(source, np.arange(len(mine)), writing.on_error)
    for number in numbers:
        part = Predictions.blank(len(fields.block(number)), len(model.classes),
                                 model.embedding["size"], len(model.channels))
        for row in fields.rows(number):
            answer, done = next(answers), done + 1
            if isinstance(answer, str):  # kept without its place, which a new table may call else
                answer = answer.removeprefix(fields.table.place(row))
            part.put(row - number * BLOCK, answer)
            tell(done)
        yield number, part


def _teller(fields: _Fields, blocks, left, crew: Crew):
    """A callable that takes how many fields of this rank are done, and tells of those of all: the
    blocks of other ranks are counted on disk."""
    n, theirs = len(fields.usable.rows), set(left) - set(left[:: crew.ranks.size])
    counts = {number: len(fields.rows(number)) for number in left}
    before = n - sum(counts.values())

    def tell(done):
        if crew.is_first:
            there = theirs & blocks.numbers() if theirs else ()
            crew.watch.tell("predict", before + done + sum(map(counts.get, there)), n)

    return tell
