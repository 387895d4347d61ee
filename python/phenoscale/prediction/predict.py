# SPDX-License-Identifier: BSD-3-Clause
"""Model and fields in, probabilities and embeddings out: the one way for every host.

file.py makes files of it, of many fields over many processes.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from phenoscale import _core
from phenoscale.errors import InputError
from phenoscale.images.counts import KINDS, looks_at
from phenoscale.images.fields import FieldArrays
from phenoscale.images.usable import usable
from phenoscale.machine import thread_count
from phenoscale.models.model import Model
from phenoscale.prediction.counts import Far, far_from, plates_of, tell_far
from phenoscale.prediction.inputs import check_fits, with_model_channels
from phenoscale.progress import Watch
from phenoscale.ranks.alone import Alone, even_ends, share
from phenoscale.tables.table import Table

__all__ = ["Network", "Predictions", "in_turn", "predict", "predict_table"]


@dataclass
class Predictions:
    """What the network says of n fields.

    Attributes
    ----------
    logits, probabilities : ndarray of float32, (n, classes)
    embeddings : ndarray of float32, (n, embedding)
        Input of the last dense layer, not normalised.
    levels : ndarray of float32, (n, channels * KINDS)
        What the counts of each channel are like, as `phenoscale.images.counts`; NaN where that was
        not asked.
    skipped : dict of int to str
        Number of a field that could not be read, and why; its rows are NaN.
    """

    logits: np.ndarray
    embeddings: np.ndarray
    levels: np.ndarray
    skipped: dict = field(default_factory=dict)

    TENSORS = ("logits", "embeddings", "levels")

    @classmethod
    def blank(cls, n: int, classes: int, embedding: int, channels: int) -> Predictions:
        """Of n fields of which nothing is known yet: NaN."""
        return cls(*(np.full((n, width), np.nan, np.float32)
                     for width in (classes, embedding, channels * len(KINDS))))

    def far(self, model: Model, plates: list[str]) -> list[Far]:
        """Plates, by the words for that of each field, whose counts the model does not know."""
        return far_from(model.counts, model.channels, self.by_channel(), plates)

    def by_channel(self) -> np.ndarray:
        """The levels as (n, channels, KINDS)."""
        n, width = self.levels.shape
        return self.levels.reshape(n, width // len(KINDS), len(KINDS))

    def put(self, i: int, answer) -> None:
        """What `Network.each` says of field i."""
        if isinstance(answer, str):
            self.skipped[i] = answer
        else:
            self.logits[i], self.embeddings[i], self.levels[i] = answer

    def spread(self, rows, n: int, left_out) -> Predictions:
        """As rows of n fields; the others, in `left_out` with their reasons, are NaN."""
        wide = Predictions(*(np.full((n, part.shape[1]), np.nan, np.float32)
                             for part in self._parts()))
        for whole, part in zip(wide._parts(), self._parts()):
            whole[rows] = part
        wide.skipped = {**left_out, **{int(rows[i]): why for i, why in self.skipped.items()}}
        return wide

    def _parts(self) -> list:
        return [getattr(self, name) for name in self.TENSORS]

    @property
    def probabilities(self) -> np.ndarray:
        """Softmax of the logits, (n, classes) float32."""
        return _core.softmax(self.logits)


def in_turn(source, order, threads: int, on_error: str, answers_of):
    """What is said of fields one by one, so many at a time: yields answers, or words why a field
    was skipped.

    answers_of: callable that takes fields (c, h, w) and their numbers in the source, and gives an
    answer for each.
    """
    n = len(order)
    source.start(np.asarray(order, np.int64))
    for at in range(0, n, threads):
        faults, block, answers = [], [], iter(())
        count = min(threads, n - at)
        for _ in range(count):
            try:
                block.append(source.next())
                faults.append(None)
            except InputError as error:
                if on_error != "skip":
                    raise
                faults.append(str(error))
        if block:
            rows = [order[at + k] for k, fault in enumerate(faults) if not fault]
            answers = iter(answers_of(block, rows))
        source.release(count)
        yield from (fault or next(answers) for fault in faults)


@dataclass
class Network:
    """A network, and what the counts of a field become before it: counts * scale + offset.

    Attributes
    ----------
    net : phenoscale._core.Net
    scale, offset : list of float
        By channel.
    threads : int
        Fields at a time.
    asks_levels : bool
        Whether it says what the counts of a field are like, too.
    name : str
        What sentences call its model.
    """

    net: object
    scale: list
    offset: list
    threads: int
    asks_levels: bool = False
    name: str = "the model"

    @classmethod
    def of(cls, model: Model, size, threads: int | None = None, tower: str = "fused") -> Network:
        """That of a model, for fields of one size (h, w) in their files."""
        threads = thread_count(threads)
        return cls(model.net(*size, threads, tower), model.scale, model.offset, threads,
                   model.counts is not None, model.name)

    def run(self, source, order, on_error: str = "stop", progress=None,
            ranks: Alone | None = None) -> Predictions:
        """What it says of the fields `order` of a source.

        Parameters
        ----------
        source : FieldFiles, FieldPictures or FieldArrays
        order : sequence of int
        on_error, progress
            As for `predict`.
        ranks : Alone or phenoscale.ranks.mpi.Ranks, optional
            Each in the same call: they have parts of the fields, and all get all.
        """
        n, ranks, watch = len(order), ranks or Alone(), Watch(progress)
        found = Predictions.blank(n, self.net.classes, self.net.embedding, len(self.scale))
        ends = even_ends(n, ranks.size)
        first, end = share(ends, ranks.rank)
        for i, answer in enumerate(self.each(source, order[first:end], on_error), first):
            found.put(i, answer)
            watch.tell("predict", min(n, (i + 1 - first) * ranks.size), n)
        for rows in (found.logits, found.embeddings, found.levels):
            ranks.rows(rows, ends)
        for theirs in ranks.everyone(list(found.skipped.items())):
            found.skipped.update(dict(theirs))
        return found

    def each(self, source, order, on_error: str = "stop"):
        """What it says of fields one by one: yields (logits, embedding, levels), or words why a
        field was skipped."""
        return in_turn(source, order, self.threads, on_error,
                       lambda *block: self._answers(*block, source.place, on_error))

    def _answers(self, block: list, rows: list, place, on_error: str) -> list:
        """What it says of some fields: (logits, embedding, levels), or words; place: of a row."""
        try:
            answers = self.net.predict(block, self.scale, self.offset)
        except OverflowError as error:
            if len(block) > 1:  # which of them it is
                return [answer for one, row in zip(block, rows)
                        for answer in self._answers([one], [row], place, on_error)]
            words = f"{place(int(rows[0]))}: {self.name}: {error}"
            if on_error != "skip" or block[0].dtype != np.float32:  # whole numbers are no cause
                raise InputError(words) from None
            return [words]
        levels = ([np.ravel(looks_at(one)) for one in block] if self.asks_levels
                  else [np.nan] * len(block))
        return list(zip(*answers, levels))


def predict(model: Model, source, threads: int | None = None, on_error: str = "stop",
            progress=None, tower: str = "fused") -> Predictions:
    """Classify fields.

    Fields whose counts lie far from those of the training are warned of: in an event of the stage
    "warning" where `progress` takes events, else by Python's `warnings`.

    Parameters
    ----------
    model : Model
        From `phenoscale.load`.
    source : FieldFiles, FieldPictures, or array (n, channels, height, width)
        Counts as in the files, of the depth the model was trained on; arrays not yet binned.
    threads : int, optional
        By default as OMP_NUM_THREADS says, else every processor this process may use; the numbers
        do not depend on it.
    on_error : {"stop", "skip"}
        What to do with a file that cannot be read.
    progress : callable, optional
        Takes events of `phenoscale.progress`, of the stage "predict".
    tower : {"fused", "plain"}
        How towers are run (`phenoscale.models.networks.TOWERS`); the same up to rounding.

    Raises
    ------
    InputError
        For fields of other channels, size or depth than the model's.
    """
    if not hasattr(source, "release"):
        source = FieldArrays(source, model.bin)
    check_fits(model, (source.shape[0], *source.size), source.dtype)
    found = _of_all(model, source, threads, on_error, progress, tower)
    tell_far(found.far(model, [""] * source.n), progress)
    return found


def _of_all(model: Model, source, threads, on_error, progress, tower) -> Predictions:
    network = Network.of(model, source.size, threads, tower)
    return network.run(source, np.arange(source.n), on_error, progress)


def predict_table(model: Model, table: Table, threads: int | None = None, on_error: str = "stop",
                  progress=None, tower: str = "fused") -> Predictions:
    """Classify the fields of a table; see `predict`.

    The channels are those of the model, by name.  Fields that a check marked are left out.
    Counts are judged plate by plate.
    """
    fields = usable(with_model_channels(model, table), on_error)
    check_fits(model, fields.survey.shape, fields.survey.dtype)
    source = fields.open(thread_count(threads), model.bin)
    part = _of_all(model, source, threads, on_error, progress, tower)
    tell_far(part.far(model, plates_of(fields.table)), progress)
    return part.spread(fields.rows, len(table), fields.left_out)
