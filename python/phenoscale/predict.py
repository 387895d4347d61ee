# SPDX-License-Identifier: BSD-3-Clause
"""Model and fields in, probabilities and embeddings out: the one way for every host.

predict_file.py makes files of it, of many fields over many processes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from phenoscale import _core
from phenoscale.errors import InputError, NoChannel
from phenoscale.fields import FieldArrays, open_fields, thread_count
from phenoscale.model_file import Model, class_key
from phenoscale.ranks import Alone, parts, share

if TYPE_CHECKING:
    import pandas

    from phenoscale.table import Table

__all__ = ["Predictions", "check_fits", "choose_channels", "each", "predict", "predict_table",
           "prediction_frame", "prediction_frames", "read_fields"]


@dataclass
class Predictions:
    """What the network says of n fields.

    Attributes
    ----------
    logits, probabilities : ndarray of float32, (n, classes)
    embeddings : ndarray of float32, (n, embedding)
        Input of the last dense layer, not normalised.
    skipped : dict of int to str
        Number of a field that could not be read, and why; its rows are NaN.
    """

    logits: np.ndarray
    embeddings: np.ndarray
    skipped: dict = field(default_factory=dict)

    @classmethod
    def blank(cls, n: int, classes: int, embedding: int) -> Predictions:
        """Of n fields of which nothing is known yet: NaN."""
        return cls(*(np.full((n, width), np.nan, np.float32) for width in (classes, embedding)))

    def put(self, i: int, answer) -> None:
        """What `each` says of field i."""
        if isinstance(answer, str):
            self.skipped[i] = answer
        else:
            self.logits[i], self.embeddings[i] = answer

    def spread(self, rows, n: int, left_out) -> Predictions:
        """The same as rows of n fields; the others, in `left_out` with their reasons, are NaN."""
        wide = Predictions.blank(n, self.logits.shape[1], self.embeddings.shape[1])
        wide.logits[rows], wide.embeddings[rows] = self.logits, self.embeddings
        wide.skipped = {**left_out, **{int(rows[i]): why for i, why in self.skipped.items()}}
        return wide

    @property
    def probabilities(self) -> np.ndarray:
        """Softmax of the logits, (n, classes) float32."""
        return _core.softmax(self.logits)


def predict(model: Model, source, threads: int | None = None, on_error: str = "stop",
            progress=None, tower: str = "fused") -> Predictions:
    """Classify fields.

    Parameters
    ----------
    model : Model
        From `phenoscale.load`.
    source : FieldFiles, FieldPictures, or array (n, channels, height, width)
        Counts as in the files, of the depth the model was trained on; arrays not yet binned.
    threads : int, optional
        By default every processor this process may use; the numbers do not depend on it.
    on_error : {"stop", "skip"}
        What to do with a file that cannot be read.
    progress : callable, optional
        Called with (fields done, fields in all).
    tower : {"fused", "plain"}
        How towers are run (`phenoscale.models.TOWERS`); the same up to rounding.

    Raises
    ------
    InputError
        For fields of other channels, size or depth than the model's.
    """
    if not hasattr(source, "release"):
        source = FieldArrays(source, model.bin)
    check_fits(model, (source.shape[0], *source.size), source.dtype)
    threads = thread_count(threads)
    net = model.net(*source.size, threads, tower)
    return run(net, source, np.arange(source.n), model.scale, model.offset, threads, on_error,
               progress)


def run(net, source, order, scale, offset, threads: int, on_error: str = "stop",
        progress=None, ranks: Alone | None = None) -> Predictions:
    """Fields `order` of a source through a network, `threads` at a time; ranks, each in the same
    call, have parts of them and all get all."""
    n, ranks = len(order), ranks or Alone()
    found = Predictions.blank(n, net.classes, net.embedding)
    ends = parts(n, ranks.size)
    first, end = share(ends, ranks.rank)
    tell = progress and (lambda done, _: progress(min(n, done * ranks.size), n))
    for i, answer in enumerate(each(net, source, order[first:end], scale, offset, threads, on_error,
                                    tell), first):
        found.put(i, answer)
    for rows in (found.logits, found.embeddings):
        ranks.rows(rows, ends)
    for theirs in ranks.everyone(list(found.skipped.items())):
        found.skipped.update(dict(theirs))
    return found


def each(net, source, order, scale, offset, threads: int, on_error: str = "stop", progress=None):
    """The same one by one: yields (logits, embedding) of a field, or words why it was skipped."""
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
            answers = zip(*net.predict(block, scale, offset))
        source.release(count)
        if progress is not None:
            progress(at + count, n)
        yield from (fault or next(answers) for fault in faults)


def check_fits(model: Model, shape, dtype: str) -> None:
    """InputError unless files of this shape and depth are what the model was trained on."""
    c, h, w = shape
    if c != len(model.channels):
        raise InputError(
            f"the fields have {c} channels, the model needs {len(model.channels)}: "
            f"{', '.join(model.channels)}; choose them by --channels")
    if [h, w] != list(model.size) and not model.takes_any_size():
        raise InputError(
            f"the fields are {h} x {w} pixels, the {model.network} model was trained on "
            f"{model.size[0]} x {model.size[1]} and takes no other size: use fields of that size, "
            "or train with --network mcnn-gap, which takes any")
    if dtype != model.dtype:
        raise InputError(
            f"the fields are {dtype}, the model was trained on {model.dtype}: its scale would be "
            "wrong; export the images as they were for training")


def read_fields(model: Model, source, channels=None, **options) -> Table:
    """A table as a model wants it: its channels, and stacks as in training.

    Parameters
    ----------
    source, options
        As for `phenoscale.presets.read_source`.
    channels : list of str, optional
        By default those of the model, from the columns that they were in in the training table
        where this has them, else by name.
    """
    from phenoscale.columns import Channel
    from phenoscale.presets import read_source

    if channels is None:
        channels = [Channel.parse(f"{name}={where}")
                    for name, where in zip(model.channels, model.sources)] or model.channels
        try:
            return read_source(source, channels=channels, z=model.z, **options)
        except NoChannel:
            channels = model.channels
    return read_source(source, channels=channels, z=model.z, **options)


def choose_channels(model: Model, table: Table) -> Table:
    """The channels of the model, by name where the table has them all, else in order."""
    if set(model.channels) <= set(table.channels):
        return table.with_channels(model.channels)
    return table


def predict_table(model: Model, table: Table, threads: int | None = None, on_error: str = "stop",
                  progress=None, tower: str = "fused") -> Predictions:
    """Classify the fields of a table; see `predict`.

    The channels are those of the model, by name where the table has them all, else in order.
    Fields that a check marked are left out.
    """
    from phenoscale.survey import usable

    table = choose_channels(model, table)
    rows, found, left_out = usable(table, on_error)
    check_fits(model, found.shape, found.dtype)
    threads = thread_count(threads)
    source = open_fields(table.select(rows), found, threads, model.bin)
    part = predict(model, source, threads, on_error, progress, tower)
    return part.spread(rows, len(table), left_out)


def prediction_frame(model: Model, table: Table, found: Predictions,
                     embedding: str = "last") -> pandas.DataFrame:
    """The predictions file: one row a field that could be read, in the order of the table.

    `Metadata_*` and the label column, file names, `Phenoscale_Class`, `Phenoscale_Prob_<Key>`,
    `Phenoscale_ControlDistance` where the model knows its controls, `Phenoscale_Model`, and unless
    `embedding` is "none" `Image_Phenoscale_Emb0000` and on, which are the only features.
    """
    return next(prediction_frames(model, table, [found], embedding))


def prediction_frames(model: Model, table: Table, parts, embedding: str = "last"):
    """The same in several frames, one for each part.

    parts: iterable of Predictions, of all fields in the order of the table.
    """
    import pandas

    from phenoscale.table import file_cells

    frame, digest, begin = table.frame, model.digest()[:16], 0
    about = {c: frame[c] for c in frame.columns if c.startswith("Metadata_") or c == model.label}
    files = file_cells(table, [[planes[0] for planes in row] for row in table.planes])
    about = {name: pandas.Series(cells).to_numpy() for name, cells in {**about, **files}.items()}
    for part in parts:
        kept = np.array([i for i in range(len(part.logits)) if i not in part.skipped], np.int64)
        columns = {name: cells[begin + kept] for name, cells in about.items()}
        begin += len(part.logits)
        probabilities = part.probabilities[kept]
        columns["Phenoscale_Class"] = np.array(model.classes, dtype=object)[
            probabilities.argmax(axis=1)]
        for k, name in enumerate(model.classes):
            columns[f"Phenoscale_Prob_{class_key(name)}"] = probabilities[:, k]
        if model.controls is not None:
            columns["Phenoscale_ControlDistance"] = model.distances(part.embeddings[kept])
        columns["Phenoscale_Model"] = [digest] * len(kept)
        if embedding == "last":
            embeddings = part.embeddings[kept]
            columns.update({f"Image_Phenoscale_Emb{k:04d}": embeddings[:, k]
                            for k in range(embeddings.shape[1])})
        yield pandas.DataFrame(columns)
