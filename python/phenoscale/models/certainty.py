# SPDX-License-Identifier: BSD-3-Clause
"""How certain a model's answers are: a temperature, sets of classes, and whether a field is unlike
every class.

    probabilities --temperature--> calibrated --limits of each class--> a set that holds the true
                                                                        class in 90, 95 % of fields
    measures --centres of the classes, spread around them--> how far from the nearest class

`phenoscale.evaluation.cross_validation` and `phenoscale.training.head` find it; numpy applies it,
the same in every host.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from phenoscale.scores.calibration import at_temperature, class_sets

__all__ = ["COVERAGES", "NONE", "Certainty", "is_certainty"]

#: per cent of fields whose true class a set holds
COVERAGES = ("90", "95")
#: what stands for the set of a field that is unlike every class
NONE = "(none of these)"


@dataclass
class Certainty:
    """What is known of a model's answers.

    Attributes
    ----------
    temperature : float or None
        None: the probabilities are as they are.
    sets : dict of str to list of float
        One of `COVERAGES` to the limit of each class; {} where none are known.
    why : str
        A sentence on what fields it was found on.
    """

    temperature: float | None = None
    sets: dict = field(default_factory=dict)
    why: str = ""

    def calibrated(self, probabilities: np.ndarray) -> np.ndarray:
        """Probabilities (n, classes) float32 at the temperature; NaN stays."""
        if self.temperature is None:
            return probabilities
        found = np.full(probabilities.shape, np.nan, np.float32)
        there = ~np.isnan(probabilities).any(axis=1)
        found[there] = at_temperature(probabilities[there], self.temperature)
        return found

    def of_fields(self, probabilities: np.ndarray, coverage: str) -> np.ndarray:
        """Which classes are in the set of each field, (n, classes) bool."""
        return class_sets(probabilities, np.array(self.sets[coverage]))


def is_certainty(value, classes: int) -> bool:
    """Whether what a file says of it makes sense, for so many classes."""
    if value is None:
        return True
    if not isinstance(value, dict) or set(value) != {"temperature", "sets", "why"}:
        return False
    t, sets = value["temperature"], value["sets"]
    return ((t is None or type(t) in (int, float) and 0.01 <= t <= 100)
            and isinstance(value["why"], str) and isinstance(sets, dict) and set(sets) <= set(
                COVERAGES)
            and all(isinstance(limits, list) and len(limits) == classes
                    and all(type(n) in (int, float) and 0 <= n <= 1 for n in limits)
                    for limits in sets.values()))
