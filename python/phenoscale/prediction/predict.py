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
from phenoscale.images.measures import Measurer, cells_in, find_nuclei
from phenoscale.images.quality import quality_of
from phenoscale.images.usable import usable
from phenoscale.machine import thread_count
from phenoscale.models.model import Model
from phenoscale.prediction.counts import Far, far_from, plates_of, tell_far
from phenoscale.prediction.inputs import check_fits, with_model_channels
from phenoscale.prediction.plates import Plates, find_plates
from phenoscale.prediction.turns import in_turn
from phenoscale.progress import Watch
from phenoscale.ranks.alone import Alone, even_ends, share
from phenoscale.ranks.crew import Crew
from phenoscale.tables.table import Table
from phenoscale.words import listed

__all__ = ["MEASURES", "Network", "Predictions", "measurer_of", "predict", "predict_table"]

#: which classic numbers go with the predictions; by default all where the model's head asks for
#: them, since they cost nothing more then, else none
MEASURES = ("none", "all")


@dataclass
class Predictions:
    """What a model says of n fields.

    Attributes
    ----------
    logits : ndarray of float32, (n, classes)
        Of the network; of several views, the logarithms of the mean of their probabilities.
    probabilities : ndarray of float32, (n, classes)
        Of the model: of its network, its measures or both, as its head has it.
    embeddings : ndarray of float32, (n, embedding)
        Input of the last dense layer, not normalised.
    levels : ndarray of float32, (n, channels * KINDS)
        What the counts of each channel are like, as `phenoscale.images.counts`; NaN where that was
        not asked.
    numbers : ndarray of float32, (n, measures)
        The classic numbers of each field, where they were asked for; else of no columns.
    skipped : dict of int to str
        Number of a field that could not be read, and why; its rows are NaN.
    measures : list of str
        What the numbers are.
    model : Model or None
        Whose answers they are; None: of a network alone.
    plates : Plates or None
        Of these fields, where the model makes them alike by plate.
    """

    logits: np.ndarray
    embeddings: np.ndarray
    levels: np.ndarray
    numbers: np.ndarray
    skipped: dict = field(default_factory=dict)
    measures: list = field(default_factory=list)
    model: Model | None = None
    plates: Plates | None = None

    TENSORS = ("logits", "embeddings", "levels", "numbers")

    @classmethod
    def blank(cls, n: int, classes: int, embedding: int, channels: int, measures=()
              ) -> Predictions:
        """Of n fields of which nothing is known yet: NaN."""
        widths = (classes, embedding, channels * len(KINDS), len(measures))
        return cls(*(np.full((n, width), np.nan, np.float32) for width in widths),
                   measures=measures)

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
            for part, row in zip(self._parts(), answer):
                part[i] = row

    def only(self, rows) -> Predictions:
        """Of some of the fields, all of which could be read."""
        return Predictions(*(part[rows] for part in self._parts()), measures=self.measures,
                           model=self.model, plates=self.plates and self.plates.select(rows))

    def spread(self, rows, n: int, left_out) -> Predictions:
        """As rows of n fields; the others, in `left_out` with their reasons, are NaN."""
        wide = Predictions(*(np.full((n, part.shape[1]), np.nan, np.float32)
                             for part in self._parts()), measures=self.measures,
                           model=self.model,
                           plates=self.plates and self.plates.spread_over(rows, n))
        for whole, part in zip(wide._parts(), self._parts()):
            whole[rows] = part
        wide.skipped = {**left_out, **{int(rows[i]): why for i, why in self.skipped.items()}}
        return wide

    @property
    def cells(self) -> np.ndarray | None:
        """Cells of each field, (n,) float32; None where they are not counted."""
        count = cells_in(self.measures)
        return None if count is None else self.numbers[:, count]

    @property
    def quality(self) -> list | None:
        """What is wrong with each field by itself, in the words of `phenoscale.images.quality`:
        whether it is blurred, its plate says; None where nothing is measured."""
        return quality_of(self.measures, self.numbers) if len(self.measures) else None

    @property
    def novelty(self) -> np.ndarray | None:
        """How unlike every class each field is, (n,) float64, see `Model.novelties`; None where the
        model does not say."""
        return (None if self.model is None or self.model.novelty is None or not len(self.measures)
                else self.model.novelties(self.numbers))

    @property
    def sets(self) -> dict:
        """"95" and "90" to the classes that hold the true one so often, (n, classes) bool, see
        `Model.sets`; {} where the model does not say."""
        return {} if self.model is None else self.model.sets(self.probabilities, self.numbers)

    def _parts(self) -> list:
        return [getattr(self, name) for name in self.TENSORS]

    @property
    def relative(self) -> np.ndarray:
        """The numbers as the head of the model takes them: by plate where that is its way."""
        return self.numbers if self.plates is None else self.plates.relative(self.numbers)

    @property
    def probabilities(self) -> np.ndarray:
        """See the class."""
        return (_core.softmax(self.logits) if self.model is None
                else self.model.probabilities(self.logits, self.relative))


def measurer_of(model: Model, threads: int, measures: str | None = None) -> Measurer | None:
    """What measures the fields of a model beside its network; None where nothing is asked for.

    measures: one of `MEASURES`.
    """
    if measures not in (None, *MEASURES):
        raise InputError(f"measures={measures!r}: give {listed(MEASURES)}, or leave it out")
    head = model.head
    asked = head is not None and head.asks_measures()
    if not asked and measures != "all":
        return None
    if head is None:
        return Measurer(model.channels, find_nuclei(model.channels)[0], threads)
    nuclei = -1 if head.nuclei is None else model.channels.index(head.nuclei)
    return Measurer(model.channels, nuclei, threads, head.names)


@dataclass
class Network:
    """A network, and what the counts of a field become before it: counts * scale + offset.

    Attributes
    ----------
    net : phenoscale._core.Net or phenoscale.models.averaged.Averaged
    scale, offset : list of float
        By channel.
    threads : int
        Fields at a time.
    asks_levels : bool
        Whether it says what the counts of a field are like, too.
    name : str
        What sentences call its model.
    measurer : Measurer, optional
        What measures the same fields.
    model : Model, optional
        That it is of.
    plates : Plates, optional
        What scale and offset are of each field of the source, instead.
    """

    net: object
    scale: list
    offset: list
    threads: int
    asks_levels: bool = False
    name: str = "the model"
    measurer: Measurer | None = None
    model: Model | None = None
    plates: Plates | None = None

    @classmethod
    def of(cls, model: Model, size, threads: int | None = None, tower: str = "fused",
           measures: str | None = None, plates=None) -> Network:
        """That of a model, for fields of one size (h, w) in their files.

        measures: one of `MEASURES`, or None for what the head asks for.
        plates: of the fields, for a model by plate; InputError without them.
        """
        model.check_alone(plates)
        threads = thread_count(threads)
        return cls(model.asked(*size, threads, tower), model.scale, model.offset, threads,
                   model.counts is not None, model.name, measurer_of(model, threads, measures),
                   model, plates)

    @property
    def channels(self) -> int:
        """Of a field."""
        return len(self.scale) if self.plates is None else self.plates.scale.shape[1]

    def blank(self, n: int) -> Predictions:
        """What is found of n fields, of which nothing is known yet."""
        found = Predictions.blank(n, self.net.classes, self.net.embedding, self.channels,
                                  self.measurer.names if self.measurer else ())
        found.model = self.model
        return found

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
        found = self.blank(n)
        found.plates = self.plates and self.plates.select(order)
        ends = even_ends(n, ranks.size)
        first, end = share(ends, ranks.rank)
        for i, answer in enumerate(self.each(source, order[first:end], on_error), first):
            found.put(i, answer)
            watch.tell("predict", min(n, (i + 1 - first) * ranks.size), n)
        for name in found.TENSORS:
            ranks.rows(getattr(found, name), ends)
        for theirs in ranks.everyone(list(found.skipped.items())):
            found.skipped.update(dict(theirs))
        return found

    def each(self, source, order, on_error: str = "stop"):
        """What it says of fields one by one: yields (logits, embedding, levels, numbers), or words
        why a field was skipped."""
        return in_turn(source, order, self.threads, on_error,
                       lambda *block: self._answers(*block, source.place, on_error))

    def _answers(self, block: list, rows: list, place, on_error: str) -> list:
        """What it says of some fields: (logits, embedding, levels, numbers), or words; place: of a
        row."""
        try:
            fed = (self.scale, self.offset) if self.plates is None else self.plates.of(rows)
            answers = self.net.predict(block, *fed)
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
        numbers = self.measurer(block) if self.measurer else [()] * len(block)
        return list(zip(*answers, levels, numbers))


def predict(model: Model, source, threads: int | None = None, on_error: str = "stop",
            progress=None, tower: str = "fused", measures: str | None = None) -> Predictions:
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
    measures : {"none", "all"}, optional
        Whether the classic numbers of each field are wanted, too; by default where the model's head
        needs them.

    Raises
    ------
    InputError
        For fields of other channels, size or depth than the model's.
    """
    if not hasattr(source, "release"):
        source = FieldArrays(source, model.bin)
    check_fits(model, (source.shape[0], *source.size), source.dtype)
    network = Network.of(model, source.size, threads, tower, measures)
    found = network.run(source, np.arange(source.n), on_error, progress)
    tell_far(found.far(model, [""] * source.n), progress)
    return found


def predict_table(model: Model, table: Table, threads: int | None = None, on_error: str = "stop",
                  progress=None, tower: str = "fused", measures: str | None = None
                  ) -> Predictions:
    """Classify the fields of a table; see `predict`.

    The channels are those of the model, by name.  Fields that a check marked are left out.
    Counts are judged plate by plate.
    """
    fields = usable(with_model_channels(model, table), on_error)
    check_fits(model, fields.survey.shape, fields.survey.dtype)
    crew = Crew(threads=threads, progress=progress)
    source, plates = fields.open(crew.threads, model.bin), None
    if model.feeding:
        measurer = measurer_of(model, crew.threads, measures)
        plates = find_plates(source, fields.table, model.feeding, crew, measurer)
        crew.watch.note(plates.notes)
    network = Network.of(model, source.size, threads, tower, measures, plates)
    part = network.run(source, np.arange(source.n), on_error, progress)
    tell_far(part.far(model, plates_of(fields.table)), progress)
    return part.spread(fields.rows, len(table), fields.left_out)
