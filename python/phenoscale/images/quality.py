# SPDX-License-Identifier: BSD-3-Clause
"""What is wrong with a field, told from its measures: words that go with its row.

    empty      no cells are counted, or a channel is the same everywhere
    crowded    the nearest nucleus lies nearer than 3 radii of a nucleus: the count is no longer
               what docs/measures.md says of it
    saturated  more than 1 % of a channel's pixels have its largest value, and that is more than
               three levels of eight bits above the least, as no blank plane's is
    blurred    in the channel of the nuclei, or without one in every channel, the slope of the power
               spectrum lies further below the other fields of the plate than 5 of their robust
               deviations; a plate of less than 8 fields tells nothing

Words are given where they are sure rather than wherever they may hold: docs/measures.md has the
figures.  A number that is not defined gives none.
"""

from __future__ import annotations

import numpy as np

__all__ = ["BLURRED", "blurred", "focus_in", "quality_of"]

BLURRED = "blurred"
_NEAR = 3.0  # radii
_CLIPPED = 1.0  # percent of the pixels
_LEVELS = 3 / 255  # of what the type can hold
_FAR = 5.0  # robust deviations
_LEAST = 8  # fields of a plate
#: falls as the focus is lost; other measures of it rise with the camera's noise, or hardly move
_FOCUS = "ImageQuality_PowerLogLogSlope"


def _places(names, family: str) -> list[int]:
    """Which of the names are of a family, in the order of the channels."""
    return [k for k, name in enumerate(names) if name.startswith(f"Image_{family}_")]


def _is_empty(of) -> np.ndarray:
    return (of("Cells_Count") == 0).any(axis=1) | (of("Intensity_StdIntensity") == 0).any(axis=1)


def _is_crowded(of) -> np.ndarray:
    return (of("Cells_Spacing") < _NEAR * of("Cells_Radius")).any(axis=1)


def _is_saturated(of) -> np.ndarray:
    span = of("Intensity_MaxIntensity") - of("Intensity_MinIntensity")
    return ((of("Intensity_PercentMaximal") > _CLIPPED) & (span > _LEVELS)).any(axis=1)


#: word -> function of a function that has the numbers (n, channels) of a family: whether it holds
_RULES = {"empty": _is_empty, "crowded": _is_crowded, "saturated": _is_saturated}


def quality_of(names, numbers, is_blurred=None) -> list[str]:
    """The words of each field, joined by a space; "" where nothing is wrong.

    Parameters
    ----------
    names : list of str
        Of the measures, as `phenoscale.images.measures.measure_names` has them.
    numbers : ndarray of float, (n, names)
    is_blurred : sequence of bool, (n,), optional
        Of `blurred`; without it fields are not said to be.
    """
    def of(family):
        return numbers[:, _places(names, family)].astype(np.float64)

    found = {word: holds(of) for word, holds in _RULES.items()}
    if is_blurred is not None:
        found[BLURRED] = is_blurred
    return [" ".join(word for word in found if found[word][i]) for i in range(len(numbers))]


def focus_in(names) -> list[int]:
    """Which of the measures `blurred` looks at: that of the channel of the nuclei, where cells are
    counted, else those of all channels."""
    nuclei = [names[k].removeprefix("Image_Cells_Count_") for k in _places(names, "Cells_Count")]
    return [k for k in _places(names, _FOCUS)
            if not nuclei or names[k] == f"Image_{_FOCUS}_{nuclei[0]}"]


def blurred(focus, plates) -> np.ndarray:
    """Whether each field is out of focus beside the others of its plate, bool (n,).

    Parameters
    ----------
    focus : ndarray of float, (n, k)
        The numbers that `focus_in` names; NaN of fields that could not be read.
    plates : sequence of str, (n,)

    Notes
    -----
    A robust deviation is the median distance from the median, times 1.4826.
    """
    found, plates = np.zeros(len(focus), bool), np.asarray(plates)
    focus = np.asarray(focus, np.float64)
    for plate in np.unique(plates):
        rows = np.flatnonzero((plates == plate) & np.isfinite(focus).all(axis=1))
        if len(rows) >= _LEAST and focus.shape[1]:
            away = focus[rows] - np.median(focus[rows], axis=0)
            spread = 1.4826 * np.median(np.abs(away), axis=0)
            found[rows] = (away < -_FAR * spread).all(axis=1)
    return found
