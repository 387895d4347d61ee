# SPDX-License-Identifier: BSD-3-Clause
"""Whether a field is unlike every class that a model knows.

    measures --standardise--> --whiten--> distance to the nearest centre of a class / its limit

The Mahalanobis distance with one covariance for all classes (Lee 2018, NeurIPS), of measures, which
unlike the embedding of a network were not trained to forget what does not tell the classes apart.
`phenoscale.training.novelty` finds it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from phenoscale.models.head import Head, standardised

__all__ = ["Novelty", "is_novelty"]


def _empty():
    return np.empty((0, 0), np.float32)


@dataclass
class Novelty:
    """What is known of the classes' fields.

    Attributes
    ----------
    limit : float
        Distance that few fields of the classes pass.
    why : str
        A sentence on how it was found.
    whiten : ndarray of float32, (measures, measures)
        Standardised measures times this have one variance in every direction.
    centres : ndarray of float32, (classes, measures)
        Of the classes, whitened.
    """

    limit: float
    why: str
    whiten: np.ndarray = field(default_factory=_empty)
    centres: np.ndarray = field(default_factory=_empty)

    TENSORS = ("whiten", "centres")

    def of(self, head: Head, numbers: np.ndarray) -> np.ndarray:
        """How far fields of such numbers (n, measures) are from the nearest class, (n,) float64, as
        shares of the limit: above 1 a field is unlike every class.  NaN without numbers."""
        there = ~np.isnan(numbers).all(axis=1) if numbers.shape[1] else np.zeros(
            len(numbers), bool)
        found = np.full(len(numbers), np.nan)
        if there.any():
            found[there] = nearest(standardised(numbers[there], head.mean, head.scale),
                                   self.whiten, self.centres) / self.limit
        return found

    def about(self) -> dict:
        """All but its arrays, as JSON has it."""
        return {"limit": self.limit, "why": self.why}

    @staticmethod
    def shapes(head: Head, classes: int) -> list[tuple]:
        """(name, shape) of its tensors in the file of a model."""
        n = len(head.names)
        return [("novelty.whiten", (n, n)), ("novelty.centres", (classes, n))]

    def tensors(self) -> list[tuple]:
        """(name, shape, flat array) of the same."""
        return [(f"novelty.{name}", getattr(self, name).shape, getattr(self, name).ravel())
                for name in self.TENSORS]

    def take(self, flat: np.ndarray, head: Head, classes: int) -> None:
        """Take its tensors, one after the other in an array, as `shapes` says."""
        at = 0
        for name, (_, shape) in zip(self.TENSORS, self.shapes(head, classes)):
            n = int(np.prod(shape))
            setattr(self, name, flat[at : at + n].reshape(shape))
            at += n


def nearest(values: np.ndarray, whiten, centres) -> np.ndarray:
    """Distance (n,) of standardised values (n, measures) to the nearest centre."""
    white = values @ np.asarray(whiten, np.float64)
    squares = [((white - centre) ** 2).sum(axis=1) for centre in np.asarray(centres, np.float64)]
    return np.sqrt(np.min(squares, axis=0))


def is_novelty(value) -> bool:
    """Whether what a file says of it makes sense."""
    return value is None or (
        isinstance(value, dict) and set(value) == {"limit", "why"} and isinstance(value["why"], str)
        and type(value["limit"]) in (int, float) and 0 < value["limit"] < 1e30)
