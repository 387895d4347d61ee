# SPDX-License-Identifier: BSD-3-Clause
"""Scores of the classification of held-out fields or wells.

After profiles/aggregate.py; the numbers of the report and of the command line.
"""

from __future__ import annotations

import numpy as np

from phenoscale.errors import InputError
from phenoscale.words import listed

__all__ = ["classification", "confusion_scores"]


def classification(truth, predicted, classes) -> dict:
    """How often the predicted class is the true one.

    Parameters
    ----------
    truth, predicted : sequence of str, (n,)
    classes : list of str, (k,)

    Returns
    -------
    dict
        accuracy, balanced_accuracy and macro_f1 of `confusion_scores`; confusion, int64 (k, k),
        true class in rows; per_class, class to its recall, nan where it does not occur; n.

    Raises
    ------
    InputError
        For a class that is not among `classes`.
    """
    if len(truth) != len(predicted):
        raise ValueError(f"{len(truth)} true classes but {len(predicted)} predicted ones")
    classes = list(classes)
    number = {name: k for k, name in enumerate(classes)}
    confusion = np.zeros((len(classes), len(classes)), dtype=np.int64)
    for pair in zip(truth, predicted):
        for name in pair:
            if name not in number:
                raise InputError(f"unknown class {name}: the model knows {listed(classes)}")
        confusion[number[pair[0]], number[pair[1]]] += 1
    recall = _shares(confusion.diagonal(), confusion.sum(axis=1))
    return {**confusion_scores(confusion), "confusion": confusion,
            "per_class": dict(zip(classes, recall.tolist())), "n": int(confusion.sum())}


def confusion_scores(confusion) -> dict[str, float]:
    """What a confusion of k classes says.

    Parameters
    ----------
    confusion : array_like of int or float, (k, k)
        How many, or how much weight; true class in rows.

    Returns
    -------
    dict
        accuracy; balanced_accuracy, the mean of the recalls of the classes that occur; macro_f1,
        the mean of the F1 of the classes that occur or are called (as scikit-learn has it).  All
        nan for an empty confusion.
    """
    confusion = np.asarray(confusion, dtype=np.float64)
    right, of, called = confusion.diagonal(), confusion.sum(axis=1), confusion.sum(axis=0)
    total = of.sum()
    if not total:
        return {"accuracy": np.nan, "balanced_accuracy": np.nan, "macro_f1": np.nan}
    return {"accuracy": float(right.sum() / total),
            "balanced_accuracy": float(np.nanmean(_shares(right, of))),
            "macro_f1": float(np.nanmean(_shares(2 * right, of + called)))}


def _shares(part, whole) -> np.ndarray:
    """part / whole, nan for those of nothing."""
    shares = np.full(len(whole), np.nan)
    np.divide(part, whole, out=shares, where=whole > 0)
    return shares
