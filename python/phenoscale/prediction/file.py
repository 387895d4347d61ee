# SPDX-License-Identifier: BSD-3-Clause
"""A table of fields through a network, to a file of predictions (stream.py)."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass

import numpy as np

from phenoscale.models.model import Model
from phenoscale.prediction import stream
from phenoscale.prediction.counts import far_from, plates_of, tell_far
from phenoscale.prediction.frame import blurred_fields, prediction_frames
from phenoscale.prediction.inputs import check_fits, read_fields, with_model_channels
from phenoscale.prediction.plates import find_plates
from phenoscale.prediction.predict import Network, Predictions, measurer_of
from phenoscale.ranks.crew import Crew
from phenoscale.tables.read import Reading

__all__ = ["Writing", "predict_to_file"]


@dataclass(frozen=True)
class Writing(stream.Writing):
    """What a file of predictions shall be; see `phenoscale.prediction.stream.Writing`.

    Attributes
    ----------
    embedding : {"last", "none"}
        As for `phenoscale.prediction.frame.prediction_frame`.
    tower, measures
        As for `phenoscale.predict`.
    """

    embedding: str = "last"
    tower: str = "fused"
    measures: str | None = None


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
    stream.check_out(out, writing)
    table = read_fields(model, source, reading)
    return stream.write_file(_Predicting(model, writing, crew), table, [source, *reading.join], out,
                             writing, crew)


class _Predicting:
    """A network, as the work of stream.py."""

    stage, kind = "predict", Predictions

    def __init__(self, model: Model, writing: Writing, crew: Crew):
        self.model, self.bin, self._writing, self._threads = model, model.bin, writing, crew.threads
        measurer, self._levels = measurer_of(model, 1, writing.measures), []
        self._measures = measurer.names if measurer else []
        self._written = [] if writing.measures == "none" else self._measures
        self._is_blurred = self._plates = None
        self.about = {"model": model.digest(), "normalisation": model.normalisation}
        self.same = {"model": _model_key(model), "tower": writing.tower,
                     "measures": "all" if self._measures else "none"}

    def fields(self, table):
        return with_model_channels(self.model, table)

    def check(self, survey) -> None:
        check_fits(self.model, survey.shape, survey.dtype)

    def prepare(self, fields, crew: Crew) -> str:
        """The numbers of the plates, where the model is by plate."""
        model = self.model
        if not model.feeding:
            return ""
        measurer = measurer_of(model, crew.threads, self._writing.measures)
        plates = find_plates(fields.open(crew.threads, model.bin), fields.table, model.feeding,
                             crew, measurer)
        crew.watch.note(plates.notes)
        self._plates = plates.spread_over(fields.rows, len(fields.whole))
        return plates.digest()

    def blank(self, n: int) -> Predictions:
        model = self.model
        return Predictions.blank(n, len(model.classes), model.embedding["size"],
                                 len(model.channels), self._measures)

    def each(self, source, order, rows):
        network = Network.of(self.model, source.size, self._threads, self._writing.tower,
                             self._writing.measures, self._plates and self._plates.select(rows))
        return network.each(source, order, self._writing.on_error)

    def look(self, table, parts) -> None:
        """Before any is written, at all."""
        if self._written:
            self._is_blurred = blurred_fields(table, self._written, parts)

    def frames(self, table, parts):
        def noted():
            first = 0
            for part in parts:
                self._levels.append(part.by_channel())
                part.model, part.measures = self.model, self._measures  # not kept on disk
                end = first + len(part.logits)
                part.plates, first = self._plates and self._plates.select(slice(first, end)), end
                yield part

        return prediction_frames(self.model, table, noted(), self._writing.embedding,
                                 self._written, self._is_blurred)

    def end(self, table, crew: Crew) -> None:
        model = self.model
        far = far_from(model.counts, model.channels, np.concatenate(self._levels),
                       plates_of(table))
        tell_far(far, crew.watch)


def _model_key(model: Model) -> str:
    """SHA-256 of what logits and embeddings depend on in a model."""
    about = [model.digest(), model.description, model.scale, model.offset, model.bin, model.z]
    return hashlib.sha256(json.dumps(about).encode()).hexdigest()
