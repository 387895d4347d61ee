# SPDX-License-Identifier: BSD-3-Clause
"""Predictions as a frame: one row a field, the columns of `phenoscale.tables.predictions`."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from phenoscale.images.measures import cells_in
from phenoscale.images.quality import blurred, focus_in, quality_of
from phenoscale.models.certainty import set_words
from phenoscale.models.head import HEADS
from phenoscale.models.model import Model
from phenoscale.prediction.counts import plates_of
from phenoscale.prediction.inputs import with_model_channels
from phenoscale.prediction.predict import Predictions
from phenoscale.tables.keys import KEY
from phenoscale.tables.predictions import (
    CELLS,
    CLASS,
    DISTANCE,
    MODEL,
    NOVELTY,
    QUALITY,
    SETS,
    about_columns,
    embedding_column,
    opinion_column,
    probability_column,
)
from phenoscale.tables.table import Table, file_cells

if TYPE_CHECKING:
    import pandas

__all__ = ["about_cells", "beside", "blurred_fields", "measured_cells", "prediction_frame",
           "prediction_frames"]


def about_cells(table: Table, label: str, keys) -> dict:
    """Column to the cells of what a table says of its fields, their files, and their keys."""
    import pandas

    about = {name: table.frame[name] for name in about_columns(table, label)}
    about |= file_cells(table) | {KEY: keys}
    return {name: pandas.Series(cells).to_numpy() for name, cells in about.items()}


def beside(about: dict, parts):
    """Yields (part, kept, rows, columns): of what was found of some fields those that could be
    read, their rows in the table, and their cells of `about_cells`."""
    begin = 0
    for part in parts:
        n = len(getattr(part, part.TENSORS[0]))
        kept = np.array([i for i in range(n) if i not in part.skipped], np.int64)
        rows = begin + kept
        yield part, kept, rows, {name: cells[rows] for name, cells in about.items()}
        begin += n


def _opinions(model: Model, logits: np.ndarray, numbers: np.ndarray) -> dict:
    """Columns of what network and measures say each, of a model that asks both."""
    columns = {}
    for kind in HEADS[:2] if model.head is not None and numbers.shape[1] else ():
        chances = replace(model.head, kind=kind).probabilities(logits, numbers)
        columns.update({opinion_column(kind, key): chances[:, k]
                        for k, key in enumerate(model.keys)})
    return columns


def _certainty(model: Model, probabilities: np.ndarray, numbers: np.ndarray) -> dict:
    """Columns of the sets of classes, and of how unlike them all a field is."""
    columns = {}
    if model.novelty is not None and numbers.shape[1]:
        columns[NOVELTY] = model.novelties(numbers)
    for coverage, sets in model.sets(probabilities, numbers).items():
        columns[SETS[coverage]] = np.array(set_words(model.keys, sets), object)
    return columns


def blurred_fields(table: Table, names, parts) -> np.ndarray:
    """Which fields are blurred beside the others of their plate, bool (fields of the table,).

    names: of the measures.
    parts: iterable of what was found of all fields, in the order of the table.
    """
    focus = focus_in(names)
    return blurred(np.concatenate([part.numbers[:, focus] for part in parts]), plates_of(table))


def measured_cells(names, numbers, is_blurred) -> dict:
    """Column to the cells of what the measures of fields say in short; none of no measures."""
    count = cells_in(names)
    cells = {} if count is None else {CELLS: numbers[:, count]}
    quality = {QUALITY: np.array(quality_of(names, numbers, is_blurred), object)} if names else {}
    return cells | quality


def prediction_frame(model: Model, table: Table, found: Predictions, embedding: str = "last",
                     measures: str | None = None) -> pandas.DataFrame:
    """The predictions file: one row a field that could be read, in the order of the table.

    Parameters
    ----------
    model : Model
    table : Table
    found : Predictions
        Of all fields of the table.
    embedding : {"last", "none"}
        "none": without the columns of the embedding.
    measures : {"none", "all"}, optional
        "none": without those of the measures, and of the cells.
    """
    names = [] if measures == "none" else found.measures
    is_blurred = blurred_fields(table, names, [found])
    return next(prediction_frames(model, table, [found], embedding, names, is_blurred))


def prediction_frames(model: Model, table: Table, parts, embedding: str = "last",
                      names=(), is_blurred=None):
    """The predictions file in several frames, one for each part.

    parts: iterable of Predictions, of all fields in the order of the table.
    names: of the measures that are written.
    is_blurred: of `blurred_fields`.
    """
    import pandas

    digest = model.digest()[:16]
    about = about_cells(table, model.label, with_model_channels(model, table).keys)
    for part, kept, rows, columns in beside(about, parts):
        probabilities, numbers = part.probabilities[kept], part.numbers[kept]
        relative = part.relative[kept]
        if names:
            columns |= measured_cells(names, numbers, is_blurred[rows])
        columns[CLASS] = np.array(model.classes, dtype=object)[probabilities.argmax(axis=1)]
        for k, key in enumerate(model.keys):
            columns[probability_column(key)] = probabilities[:, k]
        columns.update(_opinions(model, part.logits[kept], relative))
        columns.update(_certainty(model, probabilities, relative))
        if model.controls is not None:
            columns[DISTANCE] = model.distances(part.embeddings[kept])
        columns[MODEL] = np.full(len(kept), digest, dtype=object)
        if embedding == "last":
            embeddings = part.embeddings[kept]
            columns.update({embedding_column(k): embeddings[:, k]
                            for k in range(embeddings.shape[1])})
        columns.update(zip(names, numbers.T))
        yield pandas.DataFrame(columns)
