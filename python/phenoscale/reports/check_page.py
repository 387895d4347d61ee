# SPDX-License-Identifier: BSD-3-Clause
"""The check as a page: what the terminal says, with plates and suspicious fields to look at."""

from __future__ import annotations

import numpy as np

from phenoscale.checks.check import Check
from phenoscale.checks.plan import EPOCHS
from phenoscale.checks.plates import far_plates, plate_levels
from phenoscale.errors import InputError
from phenoscale.images.fields import open_fields
from phenoscale.reports import check_pictures as check_figures
from phenoscale.reports import gallery
from phenoscale.reports.drawing import drawing
from phenoscale.reports.page import encode, write_page

__all__ = ["write_check_page"]

_MOST_PROBLEMS, _EXAMPLES, _MOST_PLATES, _MOST_CLASSES = 200, 6, 12, 200


@drawing()
def write_check_page(found: Check, path) -> None:
    """Write one HTML page that needs no other.

    Raises
    ------
    InputError
        No room for the page.
    """
    lines = [[line.network, line.bin, *line.cells()] for line in found.plan]
    write_page(path, "check.html.j2", found=found, facts=list(found.facts()), plan=lines,
               epochs=EPOCHS, most=_MOST_PROBLEMS, classes=_classes(found), **_pictures(found))


def _classes(found: Check):
    """Header and rows of the table of classes and plates."""
    if found.labels is None:
        return None
    header, *rows = found.labels.cells(_MOST_PLATES, _MOST_CLASSES)
    return {"header": header[1:], "rows": [(row[0], row[1:]) for row in rows],
            "more": len(found.labels.fields) - len(rows)}


def _pictures(found: Check) -> dict:
    pixels, table = found.pixels, found.table
    if not np.isfinite(pixels.mean).any():
        return {"spread": None, "counts": None, "maps": [], "examples": None}
    plate = table.role("plate")
    groups = [""] * len(table) if plate is None else plate.tolist()
    saturated = pixels.saturated()
    unsharp = pixels.unsharp(groups)
    flagged = {row for finding in found.findings for row in finding.rows} | set(found.bad())
    spread = check_figures.measures(groups, [
        ("mean count", pixels.mean, saturated),
        ("sharpness: fine over coarse detail, log2", pixels.sharpness, unsharp)], table.channels)
    return {"spread": encode(spread, "svg+xml"), "counts": _counts(found),
            "maps": _maps(found, groups, flagged), "examples": _examples(found, sorted(flagged))}


def _counts(found: Check) -> str:
    """Plate by plate, darkest pixels, mean, largest count and bits in use."""
    table, pixels = found.table, found.pixels
    plates = plate_levels(table, pixels)
    flagged = {(one.plate, one.channel) for one in far_plates(table, pixels)}
    figure = check_figures.counts([name for name, *_ in plates], [mine for _, mine, _ in plates],
                                  np.array([high for *_, high in plates]), flagged, table.channels)
    return encode(figure, "svg+xml")


def _maps(found: Check, groups, flagged) -> list[str]:
    well = found.table.role("well")
    if well is None:
        return []
    wells = list(zip(groups, well))
    marks = np.array([row in flagged for row in range(len(wells))])
    maps = [check_figures.plates(wells, found.pixels.mean[:, c], marks, f"{channel}: mean count")
            for c, channel in enumerate(found.table.channels)]
    return [encode(figure, "png", 110) for figure in maps if figure is not None]


def _examples(found: Check, flagged) -> str | None:
    """Suspicious fields as pictures, by what is said of them, beside some that nothing is said
    of."""
    kinds, known = {}, set(flagged)
    for finding in found.findings:
        kinds.setdefault(finding.kind, []).extend(finding.rows)
    for problem in found.pixels.problems:
        kinds.setdefault(problem.kind, []).append(problem.row)
    plain = [row for row in range(len(found.table)) if row not in known]
    chosen = {"nothing found": plain[:: max(1, len(plain) // _EXAMPLES)]}
    chosen.update({kind: sorted(set(rows)) for kind, rows in kinds.items()})
    readable = {row for row, digests in enumerate(found.pixels.digests) if digests is not None}
    wanted = {kind: [row for row in rows if row in readable][:_EXAMPLES]
              for kind, rows in chosen.items()}
    order = sorted({row for rows in wanted.values() for row in rows})
    if not order:
        return None
    source, pictures = open_fields(found.table, found.survey, 1), {}
    source.start(order)
    for row in order:
        try:
            pictures[row] = gallery.thumbnail(source.next(), 192)
        except InputError:  # gone since it was looked at
            pass
        source.release(1)
    rows = [(kind, [(pictures[row], found.table.well_name(row) or
                     f"{found.table.unit} {found.table.lines[row]}", kind != "nothing found")
                    for row in rows if row in pictures]) for kind, rows in wanted.items()]
    rows = [row for row in rows if row[1]]
    return encode(gallery.gallery(rows), "jpeg", 120) if rows else None
