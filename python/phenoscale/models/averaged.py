# SPDX-License-Identifier: BSD-3-Clause
"""Several networks, or several views of a field, that answer as one: with their mean.

    field -> flips, of square ones also transposed --each network--> softmax --> mean
                                                                 '-> embedding --> mean of the views

The views of a square field are its eight flips and quarter turns, of another its four flips: what
a cell does says nothing of which way the plate lay.  One view of a block of fields is in memory at
a time.  The networks, members of one model, are of one description and were trained from other
random numbers; what they disagree in was chance.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

__all__ = ["MOST_MEMBERS", "VIEWS", "Averaged", "as_one", "cost_words", "joined", "stored",
           "view_count"]

MOST_MEMBERS = 8  # what is known of their embeddings has to fit in the text of a model file
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


def joined(model, others):
    """A model whose members are that of another `phenoscale.models.model.Model`, and more like it.

    others: sequence of ndarray of float32, (count,): their weights.
    """
    if not len(others):
        return model
    members, size = 1 + len(others), model.embedding["size"]
    return replace(model, parameters=np.concatenate([model.parameters, *others]), members=members,
                   embedding={**model.embedding, "size": members * size})


def stored(slices, members: int) -> list[tuple]:
    """(name, where it begins in the flat weights, shape) of each member's tensors in a model file;
    slices: those of one network, as of a `Model`."""
    count = sum(math.prod(shape) for _, _, shape, _ in slices)
    return [(f"member{k + 1}.{name}" if members > 1 else name, k * count + at, shape)
            for k in range(members) for name, at, shape, _ in slices]


def cost_words(model) -> list[str]:
    """A sentence on what the answers of a `Model` cost, where they are averaged."""
    counts = {"of {} networks": model.members,
              "over {} views of a field": view_count(model.views, *model.size)}
    means = " ".join(words.format(n) for words, n in counts.items() if n > 1)
    times = math.prod(counts.values())
    return [f"answers are means {means}: a prediction takes {times} times as long as that of one "
            f"network in one view, but for what it measures; the weights have "
            f"{model.parameters.nbytes / 1e6:.1f} MB"] if times > 1 else []


def _seen(field: np.ndarray, number: int) -> np.ndarray:
    """View of a number, 0 as it lies."""
    turned = field.swapaxes(1, 2) if number >= len(_FLIPS) else field
    return np.ascontiguousarray(np.flip(turned, _FLIPS[number % len(_FLIPS)]))


def _log_softmax(logits: np.ndarray) -> np.ndarray:
    return logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)
