# SPDX-License-Identifier: BSD-3-Clause
"""The layers of the plate viewer: what the colour of a well says, one scale for all plates.

After screen.py.  A layer gives each well a colour by its number in a palette, and a text; the page
has the numbers, one character a well, so that twenty plates of a dozen layers stay small.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from phenoscale.reports.pictures import CLASS_COLOURS, UNSEEN
from phenoscale.reports.screen import Screen

__all__ = ["NONE", "Layer", "layers_of", "short"]

NONE = "."  # no colour; a colour is a digit to the base of 36
_STEPS = 32  # colours of a scale
_DIGITS = [np.base_repr(k, 36).lower() for k in range(_STEPS)]
_MEANT = {"focus": "The slope of the power spectrum: it falls as the focus is lost."}
_ENDS = 2, 98  # percentiles of the wells


@dataclass
class Layer:
    """What a colour says.

    Attributes
    ----------
    name : str
        Of its button.
    palette : list of str
        Colours.
    codes : str
        Of each well its colour's digit, or `NONE`.
    texts : list of str
        Of each well, "" where nothing is known.
    key : list of (str, str)
        Colour and meaning; of a scale its ends and middle.
    values : ndarray or None
        What a scale's colours stand for.
    is_scale : bool
    said : str
        A sentence about it.
    """

    name: str
    palette: list
    codes: str
    texts: list
    key: list
    values: object = None
    is_scale: bool = False
    said: str = ""
    signs: list = field(default_factory=list)


def layers_of(screen: Screen) -> list[Layer]:
    """The layers that the wells have, the first one to be seen first."""
    wells = screen.wells
    found = [_classes(screen)] if "Class" in wells and wells["Class"].notna().any() else []
    if "Hit" in wells:
        found.append(_named("hits", wells["Hit"], {
            "yes": ("#D55E00", "hit, q < 0.05"), "no": ("#9CC3DD", "no hit"),
            "cannot say": ("#F0E442", "cannot say")}, "Of the treatment of the well."))
    for name, column, said in _scales(screen):
        if column in wells and wells[column].notna().any():
            found.append(_scale(name, wells[column].to_numpy(float), said))
    if "Quality" in wells:
        words = sorted(set(wells["Quality"]) - {""})[:len(CLASS_COLOURS)]
        meant = {"": ("#cfe3d4", "nothing found")} | {
            word: (CLASS_COLOURS[(k + 5) % len(CLASS_COLOURS)], word)
            for k, word in enumerate(words)}
        found.append(_named("quality", wells["Quality"].where(wells["Read"] > 0), meant,
                            "What is wrong with any of its fields."))
    found.append(_named("missing", _state(wells), {
        "predicted": ("#cfe3d4", "predicted, not trained on"),
        "trained on": ("#9CC3DD", "trained on: no class is shown"),
        "in part": ("#E69F00", "some fields without a prediction"),
        "missing": ("#b3261e", "no field with a prediction")}, "Where nothing is: no such well."))
    return found


def _scales(screen: Screen):
    """Name, column and sentence of each layer of numbers."""
    score = screen.score[0] if screen.score else "score"
    yield "distance", "Distance", "From the negative controls of the plate; 1 is what a control " \
                                  "well typically has."
    yield "score", "Score", f"{score[:1].upper()}{score[1:]}."
    yield "cells", "Cells", "Cells a field, mean of the well."
    yield "cells : controls", "CellRatio", "Cells, over the median of the plate's negative " \
                                           "controls."
    yield "novelty", "Novelty", "Above 1 a field is unlike every class of the training."
    for name in screen.measures:
        yield name, name, _MEANT.get(name.partition(",")[0], "Mean over the fields of the well.")
    yield "fields flagged", "Flagged", "Share of the fields that something is wrong with."


def _state(wells):
    state = np.where(wells["Read"] == 0, "missing",
                     np.where(wells["Read"] < wells["Fields"], "in part", "predicted"))
    return np.where(wells["Trained"], "trained on", state)


def _classes(screen: Screen) -> Layer:
    wells, classes = screen.wells, screen.run.classes
    place = {name: k for k, name in enumerate(classes)}
    numbers = [place.get(name, -1) for name in wells["Class"]]
    chosen = [CLASS_COLOURS[k % len(CLASS_COLOURS)] for k in range(len(classes))]
    texts = ["" if k < 0 else f"{classes[k]}, p {p:.2f}" for k, p in zip(numbers, wells["Prob"])]
    shown = [k for k in range(len(classes)) if k in set(numbers)]
    return Layer("class", chosen[:len(CLASS_COLOURS)],
                 "".join(NONE if k < 0 else _DIGITS[k % len(CLASS_COLOURS)] for k in numbers),
                 texts, [(chosen[k], f"{k + 1} {classes[k]}") for k in shown]
                 + [(UNSEEN, "trained on or not predicted")] * (-1 in numbers),
                 said="The predicted class; of wells that were trained on it is not shown.",
                 signs=["" if k < 0 else str(k + 1) for k in numbers])


def _named(name: str, words, meant: dict, said: str) -> Layer:
    """A layer of a few words, each with its colour and meaning."""
    place = {word: k for k, word in enumerate(meant)}
    words = ["?" if word is None or word != word else word for word in words]
    present = [word for word in meant if word in set(words)]
    return Layer(name, [colour for colour, _ in meant.values()],
                 "".join(_DIGITS[place[word]] if word in place else NONE for word in words),
                 ["" if word == "?" else word for word in words],
                 [meant[word] for word in present], said=said)


def _scale(name: str, values, said: str) -> Layer:
    """A layer of numbers; both signs diverge from zero."""
    from matplotlib import colormaps
    from matplotlib.colors import to_hex

    known = values[np.isfinite(values)]
    low, high = np.percentile(known, _ENDS)
    kind = "cividis"
    if low < 0 < high and known.min() < -0.2 * known.max():
        low, high, kind = -max(-low, high), max(-low, high), "RdBu_r"
    high = max(high, low + 1e-9)
    palette = [to_hex(colormaps[kind](k / (_STEPS - 1))) for k in range(_STEPS)]
    steps = [NONE if not math.isfinite(v) else _DIGITS[int(np.clip(
        (v - low) / (high - low) * _STEPS, 0, _STEPS - 1))] for v in values]
    ends = [(palette[0], short(low)), (palette[_STEPS // 2], short((low + high) / 2)),
            (palette[-1], short(high))]
    return Layer(name, palette, "".join(steps),
                 [short(v) if math.isfinite(v) else "" for v in values], ends, values, True, said)


def short(value: float) -> str:
    """Three digits of a number."""
    text = f"{value:.3g}" if abs(value) < 1000 else f"{value:,.0f}"
    return text.replace("-", "−")
