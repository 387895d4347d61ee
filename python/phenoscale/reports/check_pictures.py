# SPDX-License-Identifier: BSD-3-Clause
"""Pictures of a check: plates as they lie on the bench, and the spread of every measure.

As in pictures.py: data in, a matplotlib Figure out.
"""

from __future__ import annotations

import math

import numpy as np

from phenoscale.reports.gallery import channel_colours
from phenoscale.reports.pictures import ALARM, FAINT, INK, label_text, new_figure, tidy
from phenoscale.tables.wells import plate_layout, row_name, well_position

__all__ = ["counts", "measures", "plates"]

_MOST = 12  # plates in one picture


def plates(wells, values, flagged, title):
    """A small heat map of each plate, the first dozen.

    Parameters
    ----------
    wells : list of (str, str)
        Plate and well of each field.
    values : ndarray, (fields,)
        What the colour shows, its mean over the fields of a well; NaN: nothing known.
    flagged : ndarray of bool, (fields,)
        Fields to mark with a cross.
    title : str

    Returns
    -------
    matplotlib.figure.Figure or None
        None where wells have no names like A01.
    """
    layout = plate_layout([well for _, well in wells])
    names = list(dict.fromkeys(plate for plate, _ in wells))
    if layout is None:
        return None
    shown, columns = names[:_MOST], min(4, len(names))
    rows = math.ceil(len(shown) / columns)
    figure = new_figure(2.5 * columns + 0.8, 1.95 * rows + 0.5)
    known = values[np.isfinite(values)]
    low, high = np.percentile(known, (2, 98)) if len(known) else (0, 1)
    picture = None
    for number, name in enumerate(shown):
        axes = figure.add_subplot(rows, columns, number + 1)
        sums, counts = np.zeros(layout), np.zeros(layout)
        for (plate, well), value, is_flagged in zip(wells, values, flagged):
            place = well_position(well) if plate == name else None
            if place is None:
                continue
            if math.isfinite(value):
                sums[place] += value
                counts[place] += 1
            if is_flagged:
                axes.plot(place[1], place[0], "x", color=ALARM, markersize=4.5,
                          markeredgewidth=1.4)
        grid = np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)
        picture = axes.imshow(grid, cmap="cividis", vmin=low, vmax=max(high, low + 1e-9))
        axes.set_facecolor("#eceff1")
        axes.set(xticks=[0, layout[1] - 1], yticks=[0, layout[0] - 1])
        axes.set_xticklabels([1, layout[1]], fontsize=7)
        axes.set_yticklabels(["A", row_name(layout[0] - 1)], fontsize=7)
        axes.tick_params(length=0, pad=1, labelcolor=INK)
        axes.spines[:].set_color(FAINT)
        axes.set_title(label_text(name or "plate", 24), fontsize=8.5, color=INK, pad=3)
    figure.suptitle(label_text(title, 70), x=0.01, ha="left", fontsize=11, fontweight="bold",
                    color=INK)
    bar = figure.colorbar(picture, ax=figure.axes, fraction=0.025, pad=0.01)
    bar.outline.set_visible(False)
    bar.ax.tick_params(labelsize=8, labelcolor=INK)
    return figure


def counts(names, levels, high, flagged, channels):
    """The counts of every plate, one row a channel: a line from the darkest pixels to the largest
    count, a point at the mean, the bits in use above it.

    Parameters
    ----------
    names : list of str
        Of the plates.
    levels : list of list of (float, float, str)
        For each plate and channel: medians of the darkest pixels and of the mean, and the bits.
    high : ndarray, (plates, channels)
        Largest count.
    flagged : set of (str, int)
        Plates and channels that lie far from the others.
    channels : list of str

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure = new_figure(max(5.4, min(16, 0.32 * len(names) + 2)), 1.7 * len(channels) + 0.6)
    step, is_few = max(1, len(names) // 40), len(names) <= 24
    for c, channel in enumerate(channels):
        axes = figure.add_subplot(len(channels), 1, c + 1)
        for k, name in enumerate(names):
            dark, mean, bits = levels[k][c]
            if not math.isfinite(mean):
                continue
            colour = ALARM if (name, c) in flagged else INK
            axes.plot([k, k], [dark, high[k, c]], "-", color=colour, linewidth=1.4)
            axes.plot([k], [mean], "o", color=colour, markersize=4)
            if is_few and bits:
                axes.annotate(f"bits {bits}", (k, high[k, c]), (0, 3), fontsize=6.5, color=colour,
                              textcoords="offset points", ha="center")
        axes.set_yscale("symlog", linthresh=1)
        axes.margins(y=0.2)
        tidy(axes, "counts: darkest 1 %, mean, largest" if c == 0 else "", "",
             label_text(channel, 18))
        is_last = c == len(channels) - 1
        axes.set_xticks(range(0, len(names), step),
                        [label_text(n, 18) if is_last else "" for n in names[::step]],
                        rotation=30 if len(names) > 4 else 0, fontsize=8)
        axes.set_xlim(-0.7, len(names) - 0.3)
    return figure


def measures(groups, panels, channels):
    """Every field as a point, plate beside plate, one panel a measure and row a channel.

    Parameters
    ----------
    groups : list of str
        Plate of each field.
    panels : list of (str, ndarray (fields, channels), ndarray of bool (fields, channels))
        Name of the measure, its values, and which of them are flagged.
    channels : list of str

    Returns
    -------
    matplotlib.figure.Figure
    """
    names = list(dict.fromkeys(groups))
    number = {name: k for k, name in enumerate(names)}
    index = np.array([number[name] for name in groups])
    # a fixed spread within a plate, so that the same table gives the same picture
    jitter = (np.arange(len(groups)) * 0.6180339887) % 1 - 0.5
    figure = new_figure(5.4 * len(panels), 1.7 * len(channels) + 0.6)
    colours = channel_colours(len(channels))
    for c, channel in enumerate(channels):
        for p, (title, values, flags) in enumerate(panels):
            axes = figure.add_subplot(len(channels), len(panels), c * len(panels) + p + 1)
            mine, marked = values[:, c], flags[:, c]
            colour = INK if colours[c] == "#FFFFFF" else colours[c]
            axes.plot((index + 0.8 * jitter)[~marked], mine[~marked], ".", color=colour,
                      markersize=4, markeredgecolor=INK, markeredgewidth=0.25)
            axes.plot((index + 0.8 * jitter)[marked], mine[marked], "x", color=ALARM, markersize=6,
                      markeredgewidth=1.6)
            tidy(axes, title if c == 0 else "", "", label_text(channel, 18) if p == 0 else "")
            step = max(1, len(names) // 12)
            is_last = c == len(channels) - 1
            axes.set_xticks(range(0, len(names), step),
                            [label_text(n, 14) if is_last else "" for n in names[::step]],
                            rotation=30 if len(names) > 4 else 0, fontsize=8)
            axes.set_xlim(-0.7, len(names) - 0.3)
    return figure
