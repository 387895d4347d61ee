# SPDX-License-Identifier: BSD-3-Clause
"""The validation fields after an epoch: their loss and scores, for a row of the log."""

from __future__ import annotations

import numpy as np

from phenoscale import _core
from phenoscale.errors import InputError
from phenoscale.prediction.predict import Network
from phenoscale.ranks.alone import Alone
from phenoscale.scores.classification import classification
from phenoscale.training.lost import Reader

__all__ = ["validate"]


def validate(network: Network, source: Reader, labels, val, ranks: Alone) -> dict:
    """Columns of the log.

    Parameters
    ----------
    network : Network
    source : Reader
    labels : ndarray of int64, (n,)
    val : ndarray of int64
        Numbers of the validation fields; those that are lost are left out.
    ranks : Alone or phenoscale.ranks.mpi.Ranks

    Raises
    ------
    InputError
        For a field that cannot be read, or where none can be.
    """
    val = source.left(val)
    found = network.run(source.source, val, source.on_error, ranks=ranks)
    source.lose({int(val[i]): why for i, why in found.skipped.items()})
    there = np.array([i not in found.skipped for i in range(len(val))], bool)
    if not there.any():
        raise InputError("no validation field can be read any more: are the files there?")
    logits, truth = found.logits[there], labels[val[there]]
    loss = np.mean([_core.loss("softmax", row, int(label))[0] for row, label in zip(logits, truth)])
    scores = classification(truth, logits.argmax(axis=1), list(range(network.net.classes)))
    return {"val_loss": float(loss), "val_accuracy": scores["accuracy"],
            "val_balanced_accuracy": scores["balanced_accuracy"]}
