# SPDX-License-Identifier: BSD-3-Clause
"""The first hits as pictures: their fields above those of the controls of the same plates, the
evidence for their class over them where the model can say it, and what changed, in words."""

from __future__ import annotations

import numpy as np

from phenoscale.errors import InputError
from phenoscale.evaluation.predicted import PLATE, WELL
from phenoscale.prediction.evidence import Explainer
from phenoscale.reports import gallery
from phenoscale.reports.fields import stored_fields
from phenoscale.reports.screen import Screen
from phenoscale.reports.thumbnails import jpeg
from phenoscale.tables.controls import NEGATIVE

__all__ = ["section"]

_MOST_HITS, _EXPLAINED = 12, 6
_ACROSS, _SIDE, _GAP = 6, 160, 4  # fields of a row, pixels of one, between them


def section(screen: Screen) -> dict:
    """One entry a hit, the surest first."""
    wells = screen.wells
    if screen.profile is None or wells is None or "Treatment" not in wells:
        return {"why": "Without a profile no hits are known."}
    if screen.limits is None:
        return {"why": "No field can be read."}
    hits = screen.profile.hits
    hits = hits[hits["Hit"] == "yes"] if (hits["Hit"] == "yes").any() else hits
    explain, found = _explainer(screen), []
    for at, hit in enumerate(hits[:_MOST_HITS].to_dict("records")):
        mine = wells[wells["Treatment"] == hit["Treatment"]]
        entry = _entry(screen, hit, mine, explain if at < _EXPLAINED else None)
        if entry is not None:
            found.append(entry)
    return {"hits": found, "colours": (gallery.FOR, gallery.AGAINST)} if found else {
        "why": "No field of the hits can be read."}


def _entry(screen: Screen, hit: dict, mine, explain) -> dict | None:
    plates = set(mine["Plate"])
    controls = screen.wells[(screen.wells["Mark"] == NEGATIVE)
                            & screen.wells["Plate"].isin(plates)]
    fields, others = _fields(screen, mine), _fields(screen, controls)
    plain, over, where = [], [], []
    for row, pixels in zip(fields, stored_fields(screen.run, fields)):
        if isinstance(pixels, str):
            continue
        small = gallery.thumbnail(pixels, _SIDE)
        plain.append(gallery.composite(small, screen.limits))
        where.append(f"{row[PLATE]} {row[WELL]}".strip())
        if explain:
            over.append(explain(pixels, small))
    below = [gallery.composite(gallery.thumbnail(pixels, _SIDE), screen.limits)
             for pixels in stored_fields(screen.run, others) if not isinstance(pixels, str)]
    if not plain:
        return None
    over = [one for one in over if one is not None]
    words = [(f"{plate} {well}".strip(), screen.words[f"{plate} {well}".strip()])
             for plate, well in zip(mine["Plate"], mine["Well"])
             if f"{plate} {well}".strip() in screen.words]
    return {"id": f"hit-{hit['Rank']:.0f}", "rank": f"{hit['Rank']:.0f}",
            "name": hit["Treatment"], "where": where, "words": words[:4],
            "class": hit.get("Class", ""), "image": jpeg(_strip(plain)),
            "controls": jpeg(_strip(below)) if below else None, "n_controls": len(below),
            "evidence": jpeg(_strip(over)) if len(over) == len(plain) else None}


def _fields(screen: Screen, wells) -> list:
    """Fields of some wells, one of each well in turn, as many as a row holds."""
    frame = screen.fields[screen.fields["Predicted"]]
    keys = set(zip(wells["Plate"], wells["Well"]))
    frame = frame[[key in keys for key in zip(frame[PLATE], frame[WELL])]]
    turn = frame.groupby([PLATE, WELL]).cumcount()
    order = turn.sort_values(kind="stable").index[:_ACROSS]
    return [row for _, row in frame.loc[order].sort_values([PLATE, WELL], kind="stable").iterrows()]


def _strip(tiles: list):
    """Pictures beside one another, white between them."""
    height, width = (max(tile.shape[axis] for tile in tiles) for axis in (0, 1))
    strip = np.ones((height, _ACROSS * (width + _GAP) - _GAP, 3))
    for k, tile in enumerate(tiles):
        x = k * (width + _GAP)
        strip[:tile.shape[0], x: x + tile.shape[1]] = tile
    return strip


def _explainer(screen: Screen):
    """A function of the pixels of a field and their small copy: that under the evidence for the
    class it is called, or None; None where there is no model to ask."""
    try:
        model = screen.run.folder.model()
    except InputError:
        return None
    made = {}

    def explain(pixels, small):
        try:
            size = pixels.shape[1:]
            if size not in made:
                made[size] = Explainer(model, size)
            heat = made[size].explain(pixels).heat()
        except InputError:  # files of another size or depth than they had
            return None
        return gallery.overlay(small, screen.limits, gallery.thumbnail(heat[None], _SIDE)[0])

    return explain
