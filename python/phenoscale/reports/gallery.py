# SPDX-License-Identifier: BSD-3-Clause
"""Fields as pictures: channels in colour, small copies, rows of examples, evidence over them.

As in pictures.py: data in, a matplotlib Figure or an array out.
"""

from __future__ import annotations

import numpy as np

from phenoscale.reports.pictures import ALARM, FAINT, INK, label_text, new_figure

__all__ = ["channel_colours", "composite", "evidence", "gallery", "levels", "overlay", "thumbnail"]

FOR, AGAINST = "#FF3A20", "#2E86FF"  # evidence for a class, and against it
# Additive colours of the channels, by how many there are; as for 4 where there are more.
CHANNEL_COLOURS = {1: ("#FFFFFF",), 2: ("#00FF5A", "#FF00FF"), 3: ("#3C78FF", "#FFB400", "#FF3C96"),
                   4: ("#3C78FF", "#00DC78", "#FFB400", "#FF3C96", "#00D2FF", "#FF6400", "#B464FF")}


def channel_colours(count):
    """Colours of `count` channels in a composite picture, in channel order."""
    colours = CHANNEL_COLOURS[min(count, 4)]
    return colours[:count] + ("#C8C8C8",) * (count - len(colours))


def composite(image, limits):
    """Channels (c, h, w) as one colour picture (h, w, 3) of floats from 0 to 1.

    `limits` holds the black and the white level of each channel, (c, 2).
    """
    from matplotlib.colors import to_rgb

    picture = np.zeros(image.shape[1:] + (3,))
    for plane, (low, high), colour in zip(image, limits, channel_colours(len(image))):
        level = np.clip((plane - low) / max(high - low, 1e-9), 0, 1)
        picture += level[..., None] * np.asarray(to_rgb(colour))
    return np.clip(picture, 0, 1)


def levels(images):
    """Black and white level a channel, (c, 2): 1st and 99.8th percentile over images (c, h, w)."""
    return [np.percentile(np.concatenate([image[c].ravel() for image in images]), (1, 99.8))
            for c in range(len(images[0]))]


def overlay(image, limits, heat):
    """Channels (c, h, w) in grey under the evidence (h, w): for the class in red, against it in
    blue, as strong as the evidence is; (h, w, 3) of floats from 0 to 1."""
    from matplotlib.colors import to_rgb

    grey = 0.7 * composite(image, limits).mean(axis=2, keepdims=True)
    strength = np.clip(np.abs(heat), 0, 1)[..., None]
    colour = np.where(heat[..., None] > 0, to_rgb(FOR), to_rgb(AGAINST))
    return np.clip(grey * (1 - 0.7 * strength) + colour * 0.7 * strength, 0, 1)


def thumbnail(field, side=256):
    """A field (c, h, w) as float32, reduced by means to at most `side` pixels on a side."""
    n = -(-max(field.shape[1:]) // side)
    down, across = (min(n, length) for length in field.shape[1:])  # a side may be short of n
    h, w = field.shape[1] // down, field.shape[2] // across
    blocks = field[:, : h * down, : w * across].reshape(len(field), h, down, w, across)
    return blocks.mean((2, 4), np.float32)


def gallery(rows, limits=None):
    """Example fields in rows, one row a predicted class, from the surest call to the least sure.

    Parameters
    ----------
    rows : list of (str, list of (array (c, h, w), str, bool))
        Name of the row and its pictures: pixels, caption, and whether to frame it as an error.
    limits : (c, 2) array, optional
        Black and white level a channel; by default the 1st and 99.8th percentile over all pictures,
        so that brightness can be compared between them.

    Returns
    -------
    matplotlib.figure.Figure
    """
    if limits is None:
        limits = levels([image for _, cells in rows for image, _, _ in cells])
    columns, (height, width) = max(len(cells) for _, cells in rows), rows[0][1][0][0].shape[1:]
    figure = new_figure(2.0 * columns, (2.0 * height / width + 0.75) * len(rows))
    for r, (name, cells) in enumerate(rows):
        for c, (image, caption, is_wrong) in enumerate(cells):
            axes = figure.add_subplot(len(rows), columns, r * columns + c + 1)
            axes.imshow(np.uint8(255 * composite(image, limits) + 0.5), interpolation="antialiased")
            axes.set(xticks=[], yticks=[])
            axes.set_xlabel("\n".join(label_text(line, 28) for line in caption.split("\n")),
                            fontsize=9, color=ALARM if is_wrong else INK, labelpad=3)
            _frame(axes, ALARM if is_wrong else FAINT, 3 if is_wrong else 0.5)
            if c == 0:
                axes.set_title(label_text(name, 40), fontsize=11, loc="left", fontweight="bold",
                               color=INK)
    return figure


def evidence(rows):
    """Fields beside the evidence for a class in them, two fields a line.

    Parameters
    ----------
    rows : list of (array (c, h, w), array (h, w), str, str)
        Pixels, evidence from -1 to 1, title, caption.

    Returns
    -------
    matplotlib.figure.Figure
    """
    limits = levels([image for image, *_ in rows])
    across, (height, width) = min(2, len(rows)), rows[0][0].shape[1:]
    down = -(-len(rows) // across)
    figure = new_figure(5.2 * across, (2.6 * height / width + 0.65) * down)
    for k, (image, heat, title, caption) in enumerate(rows):
        pictures = composite(image, limits), overlay(image, limits, heat)
        for side, picture in enumerate(pictures):
            axes = figure.add_subplot(down, 2 * across, 2 * k + side + 1)
            axes.imshow(np.uint8(255 * picture + 0.5), interpolation="antialiased")
            axes.set(xticks=[], yticks=[])
            _frame(axes, FAINT, 0.5)
            if side == 0:
                axes.set_title(label_text(title, 40), fontsize=11, loc="left", fontweight="bold",
                               color=INK)
                axes.set_xlabel(label_text(caption, 40), fontsize=9, color=INK, labelpad=3)
    return figure


def _frame(axes, color, width: float) -> None:
    axes.spines[:].set_color(color)
    axes.spines[:].set_linewidth(width)
