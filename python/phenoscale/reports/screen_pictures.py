# SPDX-License-Identifier: BSD-3-Clause
"""Pictures of a screen: how its controls drift from plate to plate, and how far its treatments lie
from them.

As in pictures.py: data in, a matplotlib Figure out.
"""

from __future__ import annotations

import numpy as np

from phenoscale.reports.pictures import (
    ALARM,
    CLASS_COLOURS,
    FAINT,
    INK,
    label_text,
    new_figure,
    tidy,
)

__all__ = ["HIT_COLOURS", "drift", "volcano"]

#: answer of hits.csv -> its colour, and what it means
HIT_COLOURS = {"yes": (CLASS_COLOURS[5], "hit, q < 0.05"), "no": ("#9CC3DD", "no hit"),
               "cannot say": (CLASS_COLOURS[6], "cannot say")}
_SMALLEST = 1e-300  # a q, before its logarithm
_LABELLED, _MOST_NAMES = 10, 24
_LONG = 40  # SD, up to which the effects are on a plain scale


def drift(plates, panels):
    """The control wells of every plate, one panel a measure: a point a well, a line through the
    medians of the negative ones.

    Parameters
    ----------
    plates : list of str
        In the order that they are drawn in.
    panels : list of (str, list of ndarray, list of ndarray)
        Name of the measure, and of each plate its negative and its positive control wells.

    Returns
    -------
    matplotlib.figure.Figure
    """
    columns = min(2, len(panels))
    rows = -(-len(panels) // columns)
    figure = new_figure(5.2 * columns, 2.1 * rows + 0.4)
    step = max(1, len(plates) // _MOST_NAMES)
    for number, (name, negative, positive) in enumerate(panels):
        axes = figure.add_subplot(rows, columns, number + 1)
        for of, colour, mark, aside in ((negative, CLASS_COLOURS[0], "o", -0.12),
                                        (positive, CLASS_COLOURS[5], "^", 0.12)):
            for at, values in enumerate(of):
                axes.plot(np.full(len(values), at + aside), values, mark, color=colour,
                          markersize=4, alpha=0.6, markeredgewidth=0)
        middles = [np.median(v) if len(v) else np.nan for v in negative]
        axes.plot(np.arange(len(plates)) - 0.12, middles, "-", color=INK, linewidth=1.4)
        tidy(axes, label_text(name, 48), "", "")
        is_last = number >= len(panels) - columns
        axes.set_xticks(range(0, len(plates), step), [label_text(p, 16) if is_last else ""
                                                      for p in plates[::step]],
                        rotation=40 if len(plates) > 4 else 0,
                        ha="right" if len(plates) > 4 else "center", rotation_mode="anchor")
        axes.set_xlim(-0.6, len(plates) - 0.4)
    return figure


def volcano(hits):
    """Effect against q of every treatment, the surest named.

    Parameters
    ----------
    hits : pandas.DataFrame
        Treatment, Effect, q (NaN: not drawn), Hit, Control, the surest first.

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure = new_figure(7.2, 4.2)
    axes = figure.add_subplot()
    known = hits[np.isfinite(hits["Effect"]) & np.isfinite(hits["q"])]
    up = -np.log10(np.maximum(known["q"].to_numpy(float), _SMALLEST))
    for answer, (colour, words) in HIT_COLOURS.items():
        mine = (known["Hit"] == answer).to_numpy()
        if mine.any():
            axes.plot(known["Effect"].to_numpy(float)[mine], up[mine], "o", color=colour,
                      markeredgecolor=INK, markeredgewidth=0.4, markersize=6, label=words)
    is_control = (known["Control"] != "").to_numpy() if "Control" in known else up < 0
    if is_control.any():
        axes.plot(known["Effect"].to_numpy(float)[is_control], up[is_control], "o", color="none",
                  markeredgecolor=INK, markersize=10, label="positive control")
    axes.axhline(-np.log10(0.05), color=ALARM, linestyle="--", linewidth=1)
    axes.text(0.995, -np.log10(0.05), "q = 0.05", color=ALARM, fontsize=8, ha="right", va="bottom",
              transform=axes.get_yaxis_transform())
    tidy(axes, "", "effect: distance from the controls, SD of what control wells give",
         "−log10 q")
    taken = []
    for name, x, y in list(zip(known["Treatment"], known["Effect"], up))[:_LABELLED]:
        if all(abs(y - b) > 0.045 * np.ptp(up) for b in taken):  # others are in the table
            axes.annotate(label_text(name, 22), (x, y), (0, 6), textcoords="offset points",
                          fontsize=8, color=INK, ha="center", va="bottom")
            taken.append(y)
    axes.margins(x=0.12, y=0.1)
    if known["Effect"].max() > _LONG:  # a few that lie very far would push the others together
        axes.set_xscale("symlog", linthresh=_LONG / 4)
        axes.xaxis.set_major_formatter("{x:g}")
    axes.spines["left"].set_color(FAINT)
    axes.legend(fontsize=8, frameon=False, loc="upper left")
    return figure
