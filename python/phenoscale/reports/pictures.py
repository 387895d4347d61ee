# SPDX-License-Identifier: BSD-3-Clause
"""Pictures of a run: each function takes data and returns a matplotlib Figure.

The report and the notebooks draw with these same functions. They never touch pyplot's state, and
matplotlib is imported only when something is drawn. Names out of tables are treated as text: no
mathematics, no control characters, never longer than a label can bear.
"""

from __future__ import annotations

import math

import numpy as np

from phenoscale.errors import InputError
from phenoscale.tables.predictions import CLASS
from phenoscale.tables.wells import plate_layout, row_name, well_position

# Okabe and Ito's colours, then Tol's: told apart with any colour vision.
CLASS_COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442",
                 "#8C8C8C", "#332288", "#882255", "#999933", "#44AA99", "#661100", "#BBBBEE")
INK, FAINT, ALARM, UNSEEN = "#22313f", "#8a949d", "#b3261e", "#e3e6e9"


def class_colour(index):
    """Colour of class number `index` from 0; after 14 they begin again."""
    return CLASS_COLOURS[index % len(CLASS_COLOURS)]


def label_text(name, width=30):
    """A name from a table as a label: printable, short, and not read as mathematics."""
    text = "".join(c if c.isprintable() else "?" for c in str(name)).strip()
    if len(text) > width:
        text = text[:width - 1] + "…"
    return (" " + text if text.startswith("_") else text).replace("$", r"\$")


def new_figure(width, height):
    """An empty white figure, sizes in inches."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained", facecolor="white")


def tidy(axes, title, x_label, y_label, pad=6):
    """Title at the left, light grid, no box."""
    axes.set_title(title, fontsize=11, color=INK, loc="left", fontweight="bold", pad=pad)
    axes.set_xlabel(x_label, fontsize=9, color=INK)
    axes.set_ylabel(y_label, fontsize=9, color=INK)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(FAINT)
    axes.tick_params(which="both", color=FAINT, labelcolor=INK, labelsize=9)
    axes.grid(axis="y", color="#e6e9ec", linewidth=0.8)
    axes.set_axisbelow(True)


def ink_on(colour):
    """Black or white, whichever is read on a colour."""
    from matplotlib.colors import to_rgb

    red, green, blue = to_rgb(colour)
    return "white" if 0.299 * red + 0.587 * green + 0.114 * blue < 0.55 else INK


def curves(log, chance=None):
    """Loss, validation accuracy and learning rate over the epochs.

    Parameters
    ----------
    log : DataFrame
        Columns ``epoch``, ``loss`` and, where there are, ``val_loss``, ``val_accuracy``,
        ``val_balanced_accuracy``, ``rate``; one row an epoch.
    chance : float, optional
        Accuracy of guessing, drawn as a dashed line.

    Returns
    -------
    matplotlib.figure.Figure
    """
    from matplotlib.ticker import MaxNLocator

    panels = (("Loss", "cross-entropy", {"loss": "training", "val_loss": "validation"}),
              ("Validation fields", "share right",
               {"val_balanced_accuracy": "balanced accuracy", "val_accuracy": "accuracy"}),
              ("Learning rate", "rate", {"rate": "rate"}))
    known = {column for column in log if log[column].notna().any()}
    panels = [panel for panel in panels if known & set(panel[2])]
    figure = new_figure(3.6 * max(len(panels), 1), 2.9)
    for number, (title, unit, lines) in enumerate(panels):
        axes = figure.add_subplot(1, len(panels), number + 1)
        for index, (column, name) in enumerate(lines.items()):
            if column in known:
                rows = log[log[column].notna()]
                axes.plot(rows["epoch"], rows[column], ("-", "--")[index], label=name,
                          color=class_colour(index), linewidth=1.8, markersize=3.5,
                          marker="o" if len(rows) < 25 else None)
        axes.set_ylim(bottom=0)
        if unit == "share right":
            axes.set_ylim(-0.03, 1.03)
            if chance:
                axes.axhline(chance, color=FAINT, linestyle=":", label="guessing")
        tidy(axes, title, "epoch", unit)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        if len(axes.lines) > 1:
            axes.legend(fontsize=8, frameon=False)
    return figure


def confusion(matrix, classes):
    """Counts of true class (rows) against predicted class (columns) with the percent of each row.

    Parameters
    ----------
    matrix : array of int, (k, k)
    classes : list of str

    Returns
    -------
    matplotlib.figure.Figure
    """
    matrix, count = np.asarray(matrix), len(classes)
    rows = matrix.sum(axis=1)
    share = matrix / np.maximum(rows, 1)[:, None]
    side, size = min(0.72 * count, 12.0), 10 if count <= 12 else 6
    figure = new_figure(side + 2.8, side + 1.4)
    axes = figure.add_subplot()
    axes.imshow(share, cmap="Blues", vmin=0, vmax=1.25)
    for i, j in np.ndindex(count, count):
        if matrix[i, j]:
            axes.text(j, i, f"{matrix[i, j]}\n{100 * share[i, j]:.0f} %", ha="center", va="center",
                      fontsize=size, color="white" if share[i, j] > 0.55 else INK,
                      fontweight="bold" if i == j else "normal")
    names = [label_text(name, 22) for name in classes]
    axes.set_xticks(range(count), names, rotation=35, ha="right", rotation_mode="anchor",
                    fontsize=size)
    axes.set_yticks(range(count), [f"{name} ({n})" for name, n in zip(names, rows)], fontsize=size)
    axes.set_xticks(np.arange(count + 1) - 0.5, minor=True)
    axes.set_yticks(np.arange(count + 1) - 0.5, minor=True)
    axes.grid(which="minor", color="white", linewidth=2)
    axes.tick_params(which="both", length=0, labelcolor=INK)
    axes.set_xlabel("predicted", fontsize=10, color=INK)
    axes.set_ylabel("true (number)", fontsize=10, color=INK)
    axes.spines[:].set_visible(False)
    return figure


def heads(rows, opinions, unit):
    """Share right by head: the opinions a model may have, and in grey what these have to beat.

    Parameters
    ----------
    rows : list of dict
        ``name``, ``share`` from 0 to 1, ``low`` and ``high`` of its interval, ``is_chosen``.
    opinions : int
        How many of the rows, the first, are opinions of the model.
    unit : str
        What the shares are of: "well" or "field".

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure = new_figure(5.2, 3.2)
    axes = figure.add_subplot()
    places = [k + 0.5 * (k >= opinions) for k in range(len(rows))]
    for k, (at, row) in enumerate(zip(places, rows)):
        axes.bar(at, row["share"], 0.72, color=class_colour(k) if k < opinions else UNSEEN,
                 edgecolor=INK, linewidth=2.2 if row["is_chosen"] else 0)
        axes.errorbar(at, row["share"], [[row["share"] - row["low"]], [row["high"] - row["share"]]],
                      color=INK, linewidth=1.2, capsize=4)
        axes.text(at, row["high"] + 0.02, f"{100 * row['share']:.1f} %", ha="center", va="bottom",
                  fontsize=9, color=INK, fontweight="bold" if row["is_chosen"] else "normal")
    tidy(axes, "", "", f"share of {unit}s right")
    axes.set_xticks(places, ["\n".join(label_text(row["name"]).rsplit(" ", 1)
                                   + ["(chosen)"] * row["is_chosen"]) for row in rows])
    axes.set(ylim=(0, 1.12), yticks=np.linspace(0, 1, 6))
    axes.tick_params(axis="x", length=0)
    return figure


def plate_map(frame, classes, score=None, score_label=None, limits=None, title="",
              well="Metadata_Well", layout=None):
    """One plate as it lies on the bench: predicted class and, beside it, a score per well.

    Parameters
    ----------
    frame : DataFrame
        One row a well, columns `well` and ``Phenoscale_Class`` (empty: not scored, drawn grey);
        where there are, ``Mark`` ("+" or "-" controls, "c" other controls) and ``Wrong`` (bool).
    classes : list of str
        All classes, in the order of the model.
    score, score_label : str, optional
        Numeric column for the second map, and its name in words.
    limits : (float, float), optional
        Ends of the score's colours; with a negative lower end they diverge from zero.
    title : str
    well : str
    layout : (int, int), optional
        Rows and columns; by default the smallest of 96, 384 and 1536 wells.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    InputError
        Two rows for one well, or no well name of the form A01.
    """
    from matplotlib import colormaps
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize
    from matplotlib.figure import Figure

    layout = layout or plate_layout(frame[well])
    twice = list(frame[well][frame[well].duplicated()])
    if layout is None or twice:
        raise InputError(f"column {well} holds no well names like A01" if not twice else
                         f"well {twice[0]} has several rows: aggregate the fields to wells first")
    panels, present = 1 + bool(score), frame[CLASS].isin(classes)
    lines = math.ceil((frame[CLASS][present].nunique() + 4) / 3)
    foot, head = 0.3 + 0.18 * lines, 0.75  # inches below and above a plate
    plate_height = 5.4 * layout[0] / layout[1]
    height = plate_height + foot + head
    figure = Figure(figsize=(5.6 * panels, height), facecolor="white")
    figure.text(0.05 / panels, 1 - 0.1 / height, label_text(title, 60), va="top", fontsize=12,
                fontweight="bold", color=INK)

    def place(panel, bottom, size, left=0.15):
        return figure.add_axes(((5.6 * panel + left) / (5.6 * panels), bottom / height,
                                (5.6 - 2 * left) / (5.6 * panels), size / height))

    index = {name: i for i, name in enumerate(classes)}
    numbers = [index.get(name) for name in frame[CLASS]]
    axes = place(0, foot, plate_height)
    _draw_plate(axes, frame, well, layout, "predicted class",
                [None if i is None else class_colour(i) for i in numbers],
                ["" if i is None else str(i + 1) for i in numbers])
    _plate_key(axes, frame, classes)
    if score:
        values = frame[score].to_numpy(float)
        known = values[np.isfinite(values)]
        low, high = limits or ((known.min(), known.max()) if len(known) else (0, 1))
        scale = ScalarMappable(Normalize(low, max(high, low + 1e-9)),
                               colormaps["RdBu_r" if low < 0 else "cividis"])
        _draw_plate(place(1, foot, plate_height), frame, well, layout,
                    label_text(score_label or score, 60),
                    [scale.to_rgba(v) if math.isfinite(v) else None for v in values],
                    [""] * len(values))
        bar = figure.colorbar(scale, cax=place(1, foot - 0.3, 0.1, 1.2), orientation="horizontal")
        bar.outline.set_visible(False)
        bar.ax.tick_params(labelsize=8, labelcolor=INK)
    return figure


def _draw_plate(axes, frame, well, layout, title, colours, letters):
    """Wells as discs (squares on large plates), row letters, column numbers, marks."""
    rows, columns = layout
    size = {8: 7, 16: 4.5}.get(rows, 2)
    unit = 72 * axes.get_position().width * axes.figure.get_figwidth() / (columns + 0.4)
    style = {"s": (0.84 * unit) ** 2, "marker": "o" if rows == 8 else "s"}
    axes.scatter(*np.indices((columns, rows)).reshape(2, -1), facecolors="none",
                 edgecolors="#d5dade", linewidths=0.5, **style)
    places = [well_position(name) or (np.nan, np.nan) for name in frame[well]]
    marks = frame["Mark"] if "Mark" in frame else [""] * len(frame)
    wrong = frame["Wrong"] if "Wrong" in frame else [False] * len(frame)
    colours = [colour or UNSEEN for colour in colours]
    axes.scatter([x for _, x in places], [y for y, _ in places], c=colours,
                 edgecolors=["black" if mark else "white" for mark in marks],
                 linewidths=[unit / 16 if mark else 0.4 for mark in marks], **style)
    for (y, x), colour, letter, mark, is_wrong in zip(places, colours, letters, marks, wrong):
        if rows < 32 and x >= 0:
            is_sign = mark in ("+", "-")
            axes.text(x, y, mark.replace("-", "−") if is_sign else letter, ha="center",
                      va="center_baseline", fontsize=size + 3 * is_sign, color=ink_on(colour),
                      fontweight="bold" if mark else "normal", clip_on=True)
        if is_wrong:
            axes.plot(x + 0.36, y - 0.36, "X", color=ALARM, markersize=size,
                      markeredgecolor="white", markeredgewidth=0.6)
    axes.set_yticks(range(rows), map(row_name, range(rows)), fontsize=size + 1)
    axes.set_xticks(range(columns), range(1, columns + 1), fontsize=size + 1)
    axes.set(xlim=(-0.7, columns - 0.3), ylim=(rows - 0.3, -0.7), aspect="equal")
    axes.xaxis.tick_top()
    axes.tick_params(length=0, pad=1, labelcolor=INK)
    axes.set_title(title, fontsize=10, color=INK, pad=8)
    axes.spines[:].set_visible(False)


def _plate_key(axes, frame, classes):
    """Legend under a plate map: the classes on this plate by number and colour, and the marks."""
    from matplotlib.lines import Line2D

    def disc(face, edge, text, mark="o", width=0.5):
        return Line2D([], [], linestyle="", marker=mark, markersize=8, markerfacecolor=face,
                      markeredgecolor=edge, markeredgewidth=width, label=text)

    present = set(frame[CLASS])
    marks = set(frame["Mark"]) if "Mark" in frame else set()
    keys = [disc(class_colour(i), "white", f"{i + 1} {label_text(name, 20)}")
            for i, name in enumerate(classes) if name in present]
    keys += [disc("white", "black", text, width=1.6) for mark, text in
             (("-", "− negative control"), ("+", "+ positive control"), ("c", "control"))
             if mark in marks]
    if not present <= set(classes):
        keys.append(disc(UNSEEN, "white", "trained on, not scored"))
    if "Wrong" in frame and frame["Wrong"].any():
        keys.append(disc(ALARM, "white", "labelled, called wrong", "X"))
    axes.legend(handles=keys, loc="upper center", bbox_to_anchor=(0.5, -0.01), ncols=3, fontsize=8,
                frameon=False, handletextpad=0.2, columnspacing=1.2)


def effect_bars(changes):
    """What changed in each class: bars of effects in deviations of the controls, the words beside.

    Parameters
    ----------
    changes : dict of str to list of (str, float)
        Class to words and effect of its measures, the largest first; at least one in all.

    Returns
    -------
    matplotlib.figure.Figure
    """
    heights = [max(len(rows), 1) + 1.6 for rows in changes.values()]
    figure = new_figure(9.0, 0.27 * sum(heights) + 0.3)
    panels = figure.subplots(len(changes), 1, sharex=True, squeeze=False, height_ratios=heights)
    for axes, (name, rows) in zip(panels[:, 0], changes.items()):
        effects = [effect for _, effect in rows]
        axes.barh(range(len(rows)), effects, height=0.7,
                  color=[CLASS_COLOURS[5 if effect > 0 else 0] for effect in effects])
        tidy(axes, label_text(name, 60), "", "")
        axes.set_yticks(range(len(rows)), [label_text(words, 70) for words, _ in rows])
        axes.set_ylim(max(len(rows), 1) - 0.4, -0.6)
        axes.axvline(0, color=INK, linewidth=0.8)
        axes.grid(axis="x", color="#e6e9ec", linewidth=0.8)
        if not rows:
            axes.text(0.01, 0.5, "like the controls", transform=axes.transAxes, va="center",
                      fontsize=9, color=FAINT)
    axes.set_xlabel("effect, deviations of the control wells", fontsize=9, color=INK)
    return figure
