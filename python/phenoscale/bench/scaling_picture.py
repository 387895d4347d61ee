# SPDX-License-Identifier: BSD-3-Clause
"""The result of `phenoscale bench --scaling` as a picture."""

from __future__ import annotations

import io

from phenoscale.bench.figures import PUBLISHED_CORES, PUBLISHED_PER_S
from phenoscale.files.atomic import write_atomically
from phenoscale.reports.pictures import FAINT, INK, class_colour, new_figure, tidy


def _cells(axes, cells):
    """Efficiency of the cells, measured, and the model's beside it."""
    names = []
    for place, cell in enumerate(cells):
        axes.bar(place, 100 * cell["efficiency"], width=0.62,
                 color=class_colour(cell["exchange"] == "matrix"))
        axes.plot([place - 0.38, place + 0.38], 2 * [100 * cell["model_efficiency"]], color=INK,
                  linewidth=2, label="model" if place == 0 else None)
        names.append(f"{cell['exchange']}\n{cell['images']} image{'s' * (cell['images'] > 1)}\n"
                     f"{cell['cores']} core{'s' * (cell['cores'] > 1)}")
    axes.set_xticks(range(len(cells)), names)
    axes.set_ylim(0, 122)
    axes.axhline(95, color=FAINT, linestyle=":", label="95 %")
    axes.legend(fontsize=8, frameon=False, loc="upper right", ncols=2)
    tidy(axes, f"{cells[0]['nodes']} emulated nodes", "", "% of computing alone")
    axes.tick_params(axis="x", labelsize=7.5)


def _rates(axes, rows, network, cores):
    """Images/s of the model over the cores of all ranks, by link."""
    mine = [row for row in rows if (row["network"], row["cores"]) == (network, cores)]
    for index, link in enumerate(dict.fromkeys(row["link"] for row in mine)):
        line = [row for row in mine if row["link"] == link]
        axes.plot([cores * row["ranks"] for row in line], [row["images_per_s"] for row in line],
                  "o-", color=class_colour(index), markersize=3.5, linewidth=1.8, label=link)
    alone = mine[0]["images_per_s"] / mine[0]["efficiency"] / mine[0]["ranks"]
    ends = [cores * min(row["ranks"] for row in mine), cores * max(row["ranks"] for row in mine)]
    axes.plot(ends, [alone * end / cores for end in ends], color=FAINT, linestyle="--",
              linewidth=1, label="computing alone")
    axes.plot([PUBLISHED_CORES], [PUBLISHED_PER_S], "D", color=class_colour(5), markersize=6,
              linestyle="none", label="published")
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.legend(fontsize=8, frameon=False, loc="upper left")
    tidy(axes, f"Model: {network}, {cores} cores a rank", "cores", "images/s")


def scaling(result):
    """The cells of the first emulated cluster, if there is one, and the model's images/s.

    Parameters
    ----------
    result : dict
        Of `phenoscale.bench.scaling.run_scaling`.

    Returns
    -------
    matplotlib.figure.Figure
    """
    clusters, networks = result["clusters"], ("mcnn", "mcnn-gap")
    panels = len(networks) + bool(clusters)
    figure = new_figure(4.2 * panels, 3.4)
    if clusters:
        _cells(figure.add_subplot(1, panels, 1), clusters[0]["cells"])
    shared = None
    for number, network in enumerate(networks, panels - len(networks) + 1):
        shared = figure.add_subplot(1, panels, number, sharey=shared)
        _rates(shared, result["beyond"], network, max(row["cores"] for row in result["beyond"]))
    return figure


def write_scaling(result, path) -> None:
    """The same as a PNG."""
    content = io.BytesIO()
    scaling(result).savefig(content, format="png", dpi=150)
    write_atomically(path, [content.getvalue()])
