# SPDX-License-Identifier: BSD-3-Clause
"""How fields are made alike before a model sees them, as its file has it.

    fields      counts over the mean and deviation of the training fields: one scale for all
    plate       counts over the mean and deviation of the control fields of their own plate
    percentile  counts between the 1st and the 99.9th percentile of those, as 0 to 1

By plate the measures are taken as deviations from those of the controls, too.  What a plate's
numbers are, `phenoscale.prediction.plates` finds from its fields; a model by plate has none of its
own, so that a host that knows no plate cannot apply it by mistake.
"""

from __future__ import annotations

from dataclasses import dataclass, field

__all__ = ["NORMALISERS", "Feeding", "is_feeding"]

#: by what the counts are made alike
NORMALISERS = ("fields", "plate", "percentile")
_LIMIT = 1000  # columns, or values in one, that mark controls


@dataclass(frozen=True)
class Feeding:
    """How fields are made alike.

    Attributes
    ----------
    normalise : str
        One of `NORMALISERS`.
    controls : dict of str to list of str
        Column to the values that mark negative controls; {}: what a column of controls says
        (`phenoscale.tables.controls`).
    """

    normalise: str = NORMALISERS[0]
    controls: dict = field(default_factory=dict)

    @property
    def is_by_plate(self) -> bool:
        """Whether a field has to be seen among those of its plate."""
        return self.normalise != NORMALISERS[0]

    def refusal(self, name: str) -> str:
        """What is said where a model by plate is asked of fields without one; name: of the
        model."""
        return (f"{name} normalises by {self.normalise}: it measures fields by the controls of "
                "their own plate, which fields by themselves do not have; predict tables of whole "
                "plates (phenoscale predict, in Python predict_table), or train with --normalise "
                f"{NORMALISERS[0]}")


def is_feeding(value) -> bool:
    """Whether what a file says of it makes sense."""
    return value is None or (
        isinstance(value, dict) and set(value) == {"normalise", "controls"}
        and value["normalise"] in NORMALISERS and isinstance(value["controls"], dict)
        and len(value["controls"]) <= _LIMIT
        and all(isinstance(cells, list) and 0 < len(cells) <= _LIMIT
                and all(isinstance(cell, str) for cell in cells)
                for cells in value["controls"].values()))
