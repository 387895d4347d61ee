# SPDX-License-Identifier: BSD-3-Clause
"""Pictures of doses: what a score does as they rise, compound by compound.

As in pictures.py: data in, a matplotlib Figure out.
"""

from __future__ import annotations

import math

import numpy as np

from phenoscale.reports.pictures import CLASS_COLOURS, FAINT, INK, label_text, new_figure, tidy
from phenoscale.scores.dose_fit import sigmoid

__all__ = ["dose_curves"]


def dose_curves(frame, compound, dose, score, reference=None, score_label=None, notes=None,
                fits=None):
    """Score against dose, one small plot a compound: a point per well, and the curve through them,
    or where there is none a line through the medians.

    Parameters
    ----------
    frame : DataFrame
        One row a well with the columns named by `compound`, `dose` (above zero) and `score`; where
        there is a column ``Mark``, wells with a mark (controls) are drawn as open diamonds.
    reference : dict, optional
        Compound to the scores of the negative control wells: dashed line at their median, band
        over their range.
    score_label : str, optional
    notes : dict, optional
        Compound to a short text under its name.
    fits : dict, optional
        Compound to its curve, of `phenoscale.scores.dose_fit.fit_doses`; drawn where fit_ok, with
        the EC50 and its interval.

    Returns
    -------
    matplotlib.figure.Figure
    """
    from matplotlib.ticker import FuncFormatter

    names = list(dict.fromkeys(frame[compound]))
    columns = min(3, len(names))
    rows = math.ceil(len(names) / columns)
    figure = new_figure(3.6 * columns, 2.7 * rows + 0.2)
    is_log, shared = frame[dose].max() >= 20 * frame[dose].min(), None
    for number, name in enumerate(names):
        axes = shared = figure.add_subplot(rows, columns, number + 1, sharex=shared, sharey=shared)
        group = frame[frame[compound] == name]
        level = (reference or {}).get(name, ())
        if len(level):
            axes.axhspan(np.min(level), np.max(level), color="#eceff1", zorder=0)
            axes.axhline(np.median(level), color=FAINT, linestyle="--", linewidth=1, zorder=1)
        marked = group["Mark"].astype(bool) if "Mark" in group else group[dose] < 0
        axes.plot(group[dose][~marked], group[score][~marked], "o", color=CLASS_COLOURS[0],
                  markersize=5, alpha=0.65, markeredgewidth=0)
        axes.plot(group[dose][marked], group[score][marked], "D", color=CLASS_COLOURS[5],
                  markersize=5, markerfacecolor="none")
        if not _draw_fit(axes, group[dose][group[dose] > 0], (fits or {}).get(name)):
            middle = group.groupby(dose)[score].median()
            axes.plot(middle.index, middle.to_numpy(), "-", color=INK, linewidth=1.6)
        is_last = number >= len(names) - columns
        tidy(axes, label_text(name, 32), label_text(dose) if is_last else "",
              label_text(score_label or score, 40) if number % columns == 0 else "", pad=18)
        if is_log:
            axes.set_xscale("log")
            axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.text(0, 1.03, label_text((notes or {}).get(name, ""), 48), color=INK, fontsize=8.5,
                  transform=axes.transAxes)
    return figure


def _draw_fit(axes, doses, fit) -> bool:
    """The curve over the doses, and a mark at its EC50; whether there is one."""
    if not fit or not fit["fit_ok"]:
        return False
    at = np.geomspace(doses.min(), doses.max(), 100)
    axes.plot(at, sigmoid(at, *(fit[key] for key in ("bottom", "top", "ec50", "hill"))), "-",
              color=INK, linewidth=1.6)
    middle = (fit["bottom"] + fit["top"]) / 2
    ends = [np.clip(fit[key], doses.min(), doses.max()) if np.isfinite(fit[key]) else fit["ec50"]
            for key in ("ec50_low", "ec50_high")]
    axes.plot(ends, [middle, middle], "-", color=FAINT, linewidth=3, alpha=0.6)
    axes.plot([fit["ec50"]], [middle], "|", color=INK, markersize=12)
    return True
