# SPDX-License-Identifier: BSD-3-Clause
"""The head of a model beside its network: classes from the classic numbers of a field, and what
becomes of two opinions.

    logits of the network   --softmax--------------------------------.
    numbers of the measures --standardise--> linear --softmax--------+--> probabilities

`phenoscale.training.head` fits it.  It is a few arrays in the model file, and numpy alone applies
it: the same numbers in every host.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from phenoscale import _core
from phenoscale.scores.calibration import softmax

__all__ = ["BOTH", "HEADS", "Head", "is_head", "standardised"]

#: whose opinion is the model's; that of both is the mean of their probabilities
HEADS = ("network", "measures", "both")
BOTH = HEADS[2]
_FURTHEST = 10.0  # deviations from the training fields: a number beyond counts as this far
_LIMIT_NAMES = 4096


@dataclass
class Head:
    """How classes come from measures.

    Attributes
    ----------
    kind : str
        One of `HEADS`.
    names : list of str
        The measures, as `phenoscale.images.measures.measure_names` has them.
    nuclei : str or None
        The channel whose cells are counted.
    strength : float
        Inverse of the penalty on the weights, C of scikit-learn.
    why : str
        A sentence on how kind and strength were found.
    mean, scale : ndarray of float32, (measures,)
        A number becomes (number - mean) * scale; scale 0: it says nothing.
    weights : ndarray of float32, (measures + 1, classes)
        Of the standardised numbers; the last row is the bias.
    """

    kind: str
    names: list
    nuclei: str | None
    strength: float
    why: str
    mean: np.ndarray = field(default_factory=lambda: np.empty(0, np.float32))
    scale: np.ndarray = field(default_factory=lambda: np.empty(0, np.float32))
    weights: np.ndarray = field(default_factory=lambda: np.empty((0, 0), np.float32))

    TENSORS = ("mean", "scale", "weights")

    def asks_measures(self) -> bool:
        """Whether fields have to be measured before they are classified."""
        return self.kind != "network"

    def of_measures(self, numbers: np.ndarray) -> np.ndarray:
        """Logits (n, classes) float64 of the measures alone, from numbers (n, measures)."""
        return standardised(numbers, self.mean, self.scale) @ self.weights[:-1].astype(
            np.float64) + self.weights[-1]

    def probabilities(self, logits: np.ndarray, numbers: np.ndarray) -> np.ndarray:
        """Of each class, (n, classes) float32.

        Parameters
        ----------
        logits : ndarray of float32, (n, classes)
            Of the network; NaN where a field could not be read.
        numbers : ndarray of float32, (n, measures)
        """
        network = _core.softmax(logits)
        if self.kind == "network":
            return network
        measures = softmax(self.of_measures(numbers))
        both = measures if self.kind == "measures" else (network + measures) / 2
        return np.where(np.isnan(network), np.nan, both).astype(np.float32)

    # ---- in the model file -------------------------------------------------------------------

    def about(self) -> dict:
        """All but its arrays, as JSON has it."""
        return {"kind": self.kind, "names": self.names, "nuclei": self.nuclei,
                "strength": self.strength, "why": self.why}

    def shapes(self, classes: int) -> list[tuple]:
        """(name, shape) of its tensors in the file of a model of so many classes."""
        n = len(self.names)
        return list(zip(self._stored(), ((n,), (n,), (n + 1, classes))))

    def tensors(self) -> list[tuple]:
        """(name, shape, flat array) of the same."""
        arrays = [getattr(self, name) for name in self.TENSORS]
        return [(name, array.shape, array.ravel()) for name, array in zip(self._stored(), arrays)]

    def take(self, flat: np.ndarray, classes: int) -> None:
        """Take its tensors, one after the other in an array, as `shapes` says."""
        at = 0
        for name, (_, shape) in zip(self.TENSORS, self.shapes(classes)):
            n = int(np.prod(shape))
            setattr(self, name, flat[at : at + n].reshape(shape))
            at += n

    def _stored(self) -> list[str]:
        return [f"head.{name}" for name in self.TENSORS]


def standardised(numbers: np.ndarray, mean, scale) -> np.ndarray:
    """Numbers (n, measures) as deviations from their means, float64: 0 where they are undefined or
    say nothing, at most so far that one odd field cannot outweigh all else."""
    away = (numbers.astype(np.float64) - mean) * scale
    return np.clip(np.nan_to_num(away, nan=0.0), -_FURTHEST, _FURTHEST)


def is_head(value, channels) -> bool:
    """Whether what a file says of a head makes sense."""
    return value is None or (
        isinstance(value, dict) and set(value) == {"kind", "names", "nuclei", "strength", "why"}
        and value["kind"] in HEADS and isinstance(value["why"], str)
        and type(value["strength"]) in (int, float)
        and isinstance(value["names"], list) and 0 < len(value["names"]) <= _LIMIT_NAMES
        and all(isinstance(name, str) for name in value["names"])
        and (value["nuclei"] is None or value["nuclei"] in channels))
