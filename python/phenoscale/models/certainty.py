# SPDX-License-Identifier: BSD-3-Clause
"""How certain a model's answers are: a temperature, sets of classes, and whether a field is unlike
every class.

    probabilities --temperature--> calibrated --limits of each class--> a set that holds the true
                                                                        class in 90, 95 % of fields
    measures --centres of the classes, spread around them--> how far from the nearest class
             --how far fields are that folds held out------> beyond which no class is in a set

`phenoscale.evaluation.cross_validation` and `phenoscale.training.head` find it; numpy applies it,
the same in every host.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from phenoscale.scores.calibration import at_temperature, class_sets

__all__ = ["COVERAGES", "NONE", "Certainty", "is_certainty", "set_words"]

#: per cent of fields whose true class a set holds
COVERAGES = ("90", "95")
#: what stands for a set without a class: of a field that is unlike every class, or whose answer is
#: less clear than those of nearly all fields of the class
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
    reach : float
        Of how many limits of the novelty nearly all fields of the classes stay within: its limit
        is of the training's own wells, from which new plates and compounds lie further off.
    """

    temperature: float | None = None
    sets: dict = field(default_factory=dict)
    why: str = ""
    reach: float = 1.0

    def calibrated(self, probabilities: np.ndarray) -> np.ndarray:
        """Probabilities (n, classes) float32 at the temperature; NaN stays."""
        if self.temperature is None:
            return probabilities
        found = np.full(probabilities.shape, np.nan, np.float32)
        there = ~np.isnan(probabilities).any(axis=1)
        found[there] = at_temperature(probabilities[there], self.temperature)
        return found

    def of_fields(self, probabilities: np.ndarray, coverage: str, novelty) -> np.ndarray:
        """Which classes are in the set of each field, (n, classes) bool; none of a field whose
        novelty (n,) is above 1."""
        is_known = ~(np.asarray(novelty) > 1)
        return class_sets(probabilities, np.array(self.sets[coverage])) & is_known[:, None]


def set_words(keys, sets: np.ndarray) -> list[str]:
    """Sets (n, classes) bool as tables have them: keys with blanks between, or `NONE`."""
    return [" ".join(key for key, is_in in zip(keys, one) if is_in) or NONE for one in sets]


def is_certainty(value, classes: int) -> bool:
    """Whether what a file says of it makes sense, for so many classes."""
    if value is None:
        return True
    if not isinstance(value, dict) or set(value) != {
            "temperature", "sets", "why", "reach"}:
        return False
    t, sets = value["temperature"], value["sets"]
    return ((t is None or type(t) in (int, float) and 0.01 <= t <= 100)
            and type(value["reach"]) in (int, float) and 0 < value["reach"] < 1e30
            and isinstance(value["why"], str) and isinstance(sets, dict) and set(sets) <= set(
                COVERAGES)
            and all(isinstance(limits, list) and len(limits) == classes
                    and all(type(n) in (int, float) and 0 <= n <= 1 for n in limits)
                    for limits in sets.values()))
