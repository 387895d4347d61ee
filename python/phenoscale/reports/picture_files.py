# SPDX-License-Identifier: BSD-3-Clause
"""The pictures of a report as files, each beside the table behind it; and what MultiQC takes.

After the sections.  NAME.svg and NAME.png are one figure, NAME.csv its numbers.
"""

from __future__ import annotations

import os

from phenoscale.errors import InputError
from phenoscale.files.csv import write_csv
from phenoscale.reports import pictures
from phenoscale.reports.page import Picture, save_figure, write_page
from phenoscale.reports.screen import Screen
from phenoscale.tables.predictions import CLASS
from phenoscale.tables.wells import plate_layout

__all__ = ["MULTIQC", "write_pictures"]

MULTIQC = "phenoscale_mqc.html"  # the ending by which MultiQC knows it
_KINDS = {"svg": 100, "png": 200}  # dots an inch
_MOST_PLATES = 24


def write_pictures(folder, screen: Screen, made: dict, summary: dict) -> list[str]:
    """Write the pictures of a report.

    Parameters
    ----------
    folder : str or path
        Made where it is not there; files of other names stay.
    screen : Screen
    made : dict of str to dict
        What the sections gave, by name.
    summary : dict
        Of the section of that name.

    Returns
    -------
    list of str
        The paths.

    Raises
    ------
    InputError
        For a folder or file that cannot be written.
    """
    folder, paths = os.fspath(folder), []
    try:
        os.makedirs(folder, exist_ok=True)
        for name, figure, table in _figures(screen, made):
            for kind, dpi in _KINDS.items() if figure is not None else ():
                paths.append(os.path.join(folder, f"{name}.{kind}"))
                save_figure(figure, paths[-1], kind, dpi)
            if table is not None:
                paths.append(os.path.join(folder, f"{name}.csv"))
                write_csv(table, paths[-1], safe=True)
    except OSError as error:
        raise InputError(f"{folder} cannot be written: {error.strerror}: give another folder"
                         ) from None
    paths.append(os.path.join(folder, MULTIQC))
    write_page(paths[-1], "multiqc.html.j2", summary=summary, run=screen.run, **made)
    return paths


def _figures(screen: Screen, made: dict):
    """Name, figure or None, table or None of each picture."""
    for name, section in made.items():
        for key, value in section.items():
            if isinstance(value, Picture):
                yield name if key == "image" else f"{name}_{key}", value.figure, value.table
    wells = screen.wells
    if wells is None:
        return
    yield "wells", None, wells
    if "Class" not in wells or plate_layout(wells["Well"]) is None:
        return
    frame = wells.rename(columns={"Class": CLASS}).fillna({CLASS: ""})
    for number, (plate, mine) in enumerate(frame.groupby("Plate", sort=False)):
        if number < _MOST_PLATES:
            yield f"plate_{number + 1}", pictures.plate_map(
                mine, screen.run.classes, "Score", screen.score[0], title=plate, well="Well",
                layout=plate_layout(wells["Well"])), None
