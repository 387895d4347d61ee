# SPDX-License-Identifier: BSD-3-Clause
"""Predictions as a frame: one row a field, the columns of `phenoscale.tables.predictions`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from phenoscale.models.model import Model
from phenoscale.prediction.inputs import with_model_channels
from phenoscale.prediction.predict import Predictions
from phenoscale.tables.keys import KEY
from phenoscale.tables.predictions import (
    CLASS,
    DISTANCE,
    MODEL,
    about_columns,
    embedding_column,
    probability_column,
)
from phenoscale.tables.table import Table, file_cells

if TYPE_CHECKING:
    import pandas

__all__ = ["prediction_frame", "prediction_frames"]


def prediction_frame(model: Model, table: Table, found: Predictions,
                     embedding: str = "last") -> pandas.DataFrame:
    """The predictions file: one row a field that could be read, in the order of the table.

    Parameters
    ----------
    model : Model
    table : Table
    found : Predictions
        Of all fields of the table.
    embedding : {"last", "none"}
        "none": without the columns of the embedding.
    """
    return next(prediction_frames(model, table, [found], embedding))


def prediction_frames(model: Model, table: Table, parts, embedding: str = "last"):
    """The predictions file in several frames, one for each part.

    parts: iterable of Predictions, of all fields in the order of the table.
    """
    import pandas

    frame, digest, begin = table.frame, model.digest()[:16], 0
    about = {c: frame[c] for c in about_columns(table, model.label)}
    files = file_cells(table)
    about |= files | {KEY: with_model_channels(model, table).keys}
    about = {name: pandas.Series(cells).to_numpy() for name, cells in about.items()}
    for part in parts:
        kept = np.array([i for i in range(len(part.logits)) if i not in part.skipped], np.int64)
        columns = {name: cells[begin + kept] for name, cells in about.items()}
        begin += len(part.logits)
        probabilities = part.probabilities[kept]
        columns[CLASS] = np.array(model.classes, dtype=object)[probabilities.argmax(axis=1)]
        for k, key in enumerate(model.keys):
            columns[probability_column(key)] = probabilities[:, k]
        if model.controls is not None:
            columns[DISTANCE] = model.distances(part.embeddings[kept])
        columns[MODEL] = np.full(len(kept), digest, dtype=object)
        if embedding == "last":
            embeddings = part.embeddings[kept]
            columns.update({embedding_column(k): embeddings[:, k]
                            for k in range(embeddings.shape[1])})
        yield pandas.DataFrame(columns)
