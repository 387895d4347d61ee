# SPDX-License-Identifier: BSD-3-Clause
"""Scores of the classification of held-out fields or wells.

After profiles/aggregate.py; the numbers of the report and of the command line.
"""

from __future__ import annotations

import numpy as np

from phenoscale.errors import InputError
from phenoscale.words import listed

__all__ = ["classification"]


def classification(truth, predicted, classes) -> dict:
    """How often the predicted class is the true one.

    Parameters
    ----------
    truth, predicted : sequence of str, (n,)
    classes : list of str, (k,)

    Returns
    -------
    dict
        accuracy; balanced_accuracy, the mean of the recalls of the classes that occur in `truth`;
        confusion, int64 (k, k), true class in rows; per_class, class to its recall, nan where it
        does not occur; n.  Both accuracies are nan for n = 0.

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
    counts, right = confusion.sum(axis=1), confusion.diagonal()
    recall = np.full(len(classes), np.nan)
    np.divide(right, counts, out=recall, where=counts > 0)
    n = int(counts.sum())
    return {
        "accuracy": float(right.sum() / n) if n else np.nan,
        "balanced_accuracy": float(np.nanmean(recall)) if n else np.nan,
        "confusion": confusion,
        "per_class": dict(zip(classes, recall.tolist())),
        "n": n,
    }


