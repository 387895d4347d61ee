# SPDX-License-Identifier: BSD-3-Clause
"""Several networks, or several views of a field, that answer as one: with their mean.

    field -> flips, of square ones also transposed --each network--> softmax --> mean
                                                                 '-> embedding --> mean of the views

The views of a square field are its eight flips and quarter turns, of another its four flips: what
a cell does says nothing of which way the plate lay.  One view of a block of fields is in memory at
a time.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = ["VIEWS", "Averaged", "as_one", "view_count"]

#: which views of a field are asked: as it lies, or every way that it could lie
VIEWS = ("one", "all")
_FLIPS = ((), (1,), (2,), (1, 2))  # axes of (channels, height, width)


def view_count(views: str, height: int, width: int) -> int:
    """How many views of a field there are.

    views: one of `VIEWS`.
    """
    return 1 if views == VIEWS[0] else len(_FLIPS) * (2 if height == width else 1)


@dataclass
class Averaged:
    """Networks of the same kind as one, with the words of `phenoscale._core.Net` for predictions.

    Attributes
    ----------
    nets : list of phenoscale._core.Net
    views : str
        One of `VIEWS`.
    """

    nets: list
    views: str = VIEWS[0]

    @property
    def classes(self) -> int:
        """Classes of each."""
        return self.nets[0].classes

    @property
    def embedding(self) -> int:
        """Numbers of their embeddings, one after the other."""
        return sum(net.embedding for net in self.nets)

    def predict(self, fields, scale, offset) -> tuple[np.ndarray, np.ndarray]:
        """What they say of fields (c, h, w) of one size.

        Returns
        -------
        logits : ndarray of float32, (n, classes)
            Logarithms of the mean of the probabilities of all networks and views.
        embeddings : ndarray of float32, (n, embedding)
            Each network's mean over the views, the networks side by side: numbers of two networks
            mean different things.

        Raises
        ------
        OverflowError
            As of the networks.
        """
        logits, embeddings = -np.inf, 0.0
        count = view_count(self.views, *fields[0].shape[1:])
        for number in range(count):
            view = [_seen(field, number) for field in fields]
            answers = [net.predict(view, scale, offset) for net in self.nets]
            for said, _ in answers:
                logits = np.logaddexp(logits, _log_softmax(said.astype(np.float64)))
            embeddings = embeddings + np.hstack([found for _, found in answers]).astype(np.float64)
        return ((logits - np.log(count * len(self.nets))).astype(np.float32),
                (embeddings / count).astype(np.float32))


def as_one(nets, views: str = VIEWS[0]):
    """Networks that answer with their mean over views; itself where that is one of one view."""
    return nets[0] if len(nets) == 1 and views == VIEWS[0] else Averaged(nets, views)


def _seen(field: np.ndarray, number: int) -> np.ndarray:
    """View of a number, 0 as it lies."""
    turned = field.swapaxes(1, 2) if number >= len(_FLIPS) else field
    return np.ascontiguousarray(np.flip(turned, _FLIPS[number % len(_FLIPS)]))


def _log_softmax(logits: np.ndarray) -> np.ndarray:
    return logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)
