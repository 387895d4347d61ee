# SPDX-License-Identifier: BSD-3-Clause
"""From fields to wells to treatments: what `predict` wrote, aggregated.

A predictions frame has one row a field, and the columns of `phenoscale.tables.predictions`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from phenoscale.errors import InputError
from phenoscale.tables.class_keys import keys_by_class
from phenoscale.tables.predictions import (
    CELLS,
    CLASS,
    FIELDS,
    is_feature,
    is_own,
    probability_columns,
)
from phenoscale.tables.values import values_of
from phenoscale.words import listed

if TYPE_CHECKING:
    import pandas

__all__ = ["EPSILON", "aggregate", "log_odds", "wells"]

EPSILON = 1e-12  # added to a probability before its logarithm


def aggregate(frame: pandas.DataFrame, by, classes) -> pandas.DataFrame:
    """One row for each group of fields.

    Parameters
    ----------
    frame : pandas.DataFrame
        Predictions, one row a field (or what this function gave).
    by : str or list of str
        Columns that make a group.
    classes : list of str, or dict of str to str
        In the order of the model; or its keys, by class.

    Returns
    -------
    pandas.DataFrame
        Groups in the order of appearance: the columns `by`; every other column that is constant
        within each group; `Phenoscale_Fields`, their number; the probabilities, median over the
        fields, renormalised (mean where all medians are 0); `Phenoscale_Class`, the likeliest;
        features and cells, mean over the fields.

    Raises
    ------
    InputError
        For a column that is not there.
    """
    import pandas

    by = values_of(by, "by")
    classes = classes if isinstance(classes, dict) else values_of(classes, "classes")
    for column in by:
        if column not in frame.columns:
            raise InputError(
                f"the predictions have no column {column} to group by: "
                f"they have {listed(frame.columns, near=column)}"
            )
    probabilities = probability_columns(frame, classes)
    features = [name for name in frame.columns if is_feature(name)
                or name == CELLS and pandas.api.types.is_numeric_dtype(frame[name])]
    groups = frame.groupby(by, sort=False, dropna=False)
    kept = [
        name
        for name in frame.columns
        if name not in by
        and not (is_own(name) or name in features)
        and (groups[name].nunique(dropna=False) == 1).all()
    ]
    median = groups[probabilities].median().to_numpy()
    mean = groups[probabilities].mean().to_numpy()
    scores = np.where(median.sum(axis=1, keepdims=True) > 0, median, mean)
    scores = scores / scores.sum(axis=1, keepdims=True)
    names = np.array(list(classes), dtype=object)
    is_aggregate = FIELDS in frame.columns
    fields = groups[FIELDS].sum() if is_aggregate else groups.size()
    parts = [
        frame.drop_duplicates(by)[by + kept].reset_index(drop=True),
        fields.to_frame(FIELDS).reset_index(drop=True),
        pandas.DataFrame({CLASS: names[scores.argmax(axis=1)]}),
        pandas.DataFrame(scores, columns=probabilities),
    ]
    if features:
        parts.append(groups[features].mean().reset_index(drop=True))
    return pandas.concat(parts, axis=1)


def wells(frame: pandas.DataFrame, roles, classes) -> pandas.DataFrame:
    """`aggregate` by batch, plate and well; `roles` (role to column) as in the table of fields."""
    if "well" not in roles:
        raise InputError("the predictions have no column for the role well: there are no wells")
    return aggregate(frame, [roles[role] for role in ("batch", "plate", "well")
                             if role in roles], classes)


def log_odds(frame: pandas.DataFrame, positive: str, negative: str, keys=None) -> np.ndarray:
    """Score of each row, float64 (rows,): log of p(positive) against p(negative), + EPSILON.

    keys: of the model, by class, where its classes are more than these two.
    """
    keys = keys or keys_by_class([positive, negative])
    columns = probability_columns(frame, {name: keys.get(name, name)
                                          for name in (positive, negative)})
    up, down = (frame[column].to_numpy(dtype=np.float64) for column in columns)
    return np.log(up + EPSILON) - np.log(down + EPSILON)
