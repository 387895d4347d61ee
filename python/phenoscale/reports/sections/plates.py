# SPDX-License-Identifier: BSD-3-Clause
"""Did the plate work: one plate at a time, a colour or a picture for each well, and its figures."""

from __future__ import annotations

import numpy as np

from phenoscale.reports.layers import NONE, layers_of, short
from phenoscale.reports.pictures import UNSEEN
from phenoscale.reports.screen import Screen
from phenoscale.reports.thumbnails import Sheets, sheets
from phenoscale.tables.controls import NEGATIVE, POSITIVE
from phenoscale.tables.wells import plate_layout, row_name, well_position

__all__ = ["section"]

_PITCH = 20  # units of the drawing from well to well
_SIGNS = {NEGATIVE: "negative control", POSITIVE: "positive control", "c": "control", "": ""}


def section(screen: Screen) -> dict:
    """The plates, the held-out ones first, each with its wells; what the script needs of them."""
    wells = screen.wells
    layout = None if wells is None else plate_layout(wells["Well"])
    if layout is None or not wells["Read"].any():
        return {"why": "No predictions of wells, named A01 to AF48."}
    wells, layers = screen.wells, layers_of(screen)
    small = sheets(screen, layout)
    screen.limits = small.limits
    tall = round(_PITCH * small.shape[0] / small.shape[1]) if small.images else _PITCH
    plates = _order(screen)
    drawn = [_plate(screen, name, layers, layout, tall) for name in plates]
    for plate, name in zip(drawn, plates):
        plate["sheet"] = small.images.get(name)
    names = [row_name(row) for row in range(layout[0])]
    return {"plates": drawn, "layers": layers, "layout": layout, "pitch": (_PITCH, tall),
            "rows": names, "table": [_figures(screen, name, layout) for name in plates],
            "has_cells": "Cells" in wells, "has_quality": "Flagged" in wells,
            "first": layers[0], "has_sheets": bool(small.images), "unseen": UNSEEN,
            "missing": small.missing, "data": _data(screen, drawn, layers, plates, small)}


def _order(screen: Screen) -> list:
    wells = screen.wells
    fields = screen.run.fields
    held = set() if fields is None else set(fields.loc[fields["Side"] == "test", "Metadata_Plate"])
    return sorted(dict.fromkeys(wells["Plate"]), key=lambda plate: plate not in held)


def _plate(screen: Screen, name: str, layers, layout, tall: int) -> dict:
    """Places of the wells in the drawing, and how the first layer colours them."""
    wells, first, places = screen.wells, layers[0], []
    mine = np.flatnonzero((wells["Plate"] == name).to_numpy())
    rows = [k for k in mine if _is_on(wells["Well"].iloc[k], layout)]
    for k in rows:
        row, column = well_position(wells["Well"].iloc[k])
        code = first.codes[k]
        places.append({
            "x": (column + 1) * _PITCH, "y": (row + 1) * tall, "number": k,
            "fill": UNSEEN if code == NONE else first.palette[int(code, 36)],
            "mark": wells["Mark"].iloc[k], "sign": first.signs[k] if first.signs else "",
            "title": _title(wells.iloc[k], first.texts[k])})
    return {"name": name or "plate", "wells": places, "rows": rows,
            "size": ((layout[1] + 2.2) * _PITCH, (layout[0] + 2.2) * tall)}


def _is_on(well: str, layout) -> bool:
    place = well_position(well)
    return place is not None and place[0] < layout[0] and place[1] < layout[1]


def _title(well, text: str) -> str:
    said = [well["Well"], treatment_of(well), _SIGNS.get(well["Mark"], ""), text]
    return ": ".join(said[:1] + [", ".join(filter(None, said[1:]))] * any(said[1:]))


def treatment_of(well) -> str:
    """What was done to a well, in words."""
    if well.get("Treatment"):
        return well["Treatment"]
    dose = well.get("Concentration", "")
    compound = well.get("Compound", "")
    return f"{compound} {dose}".strip() if compound and dose not in ("", "0") else compound


def _figures(screen: Screen, name: str, layout) -> dict:
    """A row of the table of plates."""
    wells = screen.wells[screen.wells["Plate"] == name]
    read = wells[wells["Read"] > 0]
    row = {"name": name or "plate", "wells": len(wells), "fields": int(wells["Fields"].sum()),
           "missing": int((wells["Read"] == 0).sum()), "cells": "", "edge": "", "flagged": ""}
    if "Cells" in wells and read["Cells"].notna().any():
        row["cells"] = short(read["Cells"].median())
        row["edge"] = _edge(read, layout)
    if "Flagged" in wells:
        words = " ".join(read["Quality"]).split()
        counted = {word: words.count(word) for word in dict.fromkeys(words)}
        row["flagged"] = ", ".join(f"{n} {word}" for word, n in counted.items()) or "none"
    return row


def _edge(wells, layout) -> str:
    """Cells at the edge of the plate over those within it, where both are there."""
    places = [well_position(well) for well in wells["Well"]]
    is_edge = np.array([p is not None and (p[0] in (0, layout[0] - 1)
                                           or p[1] in (0, layout[1] - 1)) for p in places])
    cells = wells["Cells"].to_numpy(float)
    edge, inner = cells[is_edge], cells[~is_edge]
    edge, inner = edge[np.isfinite(edge)], inner[np.isfinite(inner)]
    if min(len(edge), len(inner)) < 4 or np.median(inner) <= 0:
        return ""
    return f"{100 * (np.median(edge) / np.median(inner) - 1):+.0f} %".replace("-", "−")


def _data(screen: Screen, drawn, layers, plates, small: Sheets) -> dict:
    """What the script colours wells by, and says of one that is chosen."""
    wells = screen.wells
    told = [("control", [_SIGNS.get(mark, "") for mark in wells["Mark"]])]
    if "Rank" in wells:
        told.append(("rank of the hit", ["" if rank != rank else f"{rank:.0f}"
                                         for rank in wells["Rank"]]))
    told += [(layer.name, layer.texts) for layer in layers]
    words = [screen.words.get(f"{plate} {well}".strip(), "")
             for plate, well in zip(wells["Plate"], wells["Well"])]
    if any(words):
        told.append(("what changed", words))
    treatments = [treatment_of(well) for _, well in wells.iterrows()]
    return {
        "unseen": UNSEEN, "pictures": bool(small.images),
        "layers": [{"name": one.name, "palette": one.palette, "key": one.key, "said": one.said,
                    "scale": one.is_scale} for one in layers],
        "facts": [name for name, _ in told],
        "plates": [{
            "name": plate["name"], "wells": [wells["Well"].iloc[k] for k in plate["rows"]],
            "treatments": [treatments[k] for k in plate["rows"]],
            "controls": [at for at, k in enumerate(plate["rows"])
                         if wells["Mark"].iloc[k] == NEGATIVE],
            "codes": ["".join(one.codes[k] for k in plate["rows"]) for one in layers],
            "facts": [[texts[k] for k in plate["rows"]] for _, texts in told]}
            for plate in drawn]}
