# SPDX-License-Identifier: BSD-3-Clause
"""Like what: wells as points, near where their profiles are alike, and the nearest treatments."""

from __future__ import annotations

import numpy as np

from phenoscale.reports.pictures import CLASS_COLOURS, UNSEEN
from phenoscale.reports.screen import Screen
from phenoscale.reports.screen_pictures import HIT_COLOURS
from phenoscale.reports.sections.plates import treatment_of
from phenoscale.screening.profiled import FEATURE
from phenoscale.tables.controls import NEGATIVE, POSITIVE

__all__ = ["section"]

_SIDE = (640, 420)  # units of the drawing
_EDGE = 12
_MOST_NEIGHBOURS = 1500  # wells that t-SNE places within seconds
_LEAST = 10  # wells of a map
_MOST_KEY = 14


def section(screen: Screen) -> dict:
    """Places of the wells, what colours them, and the neighbours of the hits."""
    if screen.profile is None:
        return {"why": "Not known without a profile (phenoscale profile).", "neighbours": []}
    wells, values = _profiles(screen)
    if len(wells) < _LEAST or not values.shape[1]:
        return {"why": f"A map takes {_LEAST} wells with a profile.",
                "neighbours": _neighbours(screen)}
    places, share = _places(values)
    colours = _colours(screen, wells)
    first = colours[next(iter(colours))]
    points = [{"x": x, "y": y, "fill": first["palette"][code],
               "title": f"{plate} {well} {treatment_of(row)}".strip()}
              for (x, y), code, plate, well, (_, row) in zip(
                  places["PCA"], first["codes"], wells["Plate"], wells["Well"], wells.iterrows())]
    return {"points": points, "size": _SIDE, "colours": list(colours), "places": list(places),
            "key": first["key"], "share": share, "neighbours": _neighbours(screen),
            "data": {"colours": colours, "places": places}}


def _profiles(screen: Screen):
    """Wells that have a profile, and its numbers."""
    mine = screen.profile.wells
    columns = [c for c in mine if c.startswith(FEATURE)] or [
        c for c in mine if c.startswith("Image_") and mine[c].dtype == float]
    keep = mine[columns].notna().all(axis=1).to_numpy() if columns else np.zeros(len(mine), bool)
    known = mine[keep].drop_duplicates(["Metadata_Plate", "Metadata_Well"]
                                       if "Metadata_Plate" in mine else ["Metadata_Well"])
    known = known.assign(Plate=known.get("Metadata_Plate", ""), Well=known["Metadata_Well"])
    wells = screen.wells.merge(known[["Plate", "Well", *columns]], on=["Plate", "Well"])
    return wells, wells[columns].to_numpy(float)


def _places(values):
    """Places of the wells on a page, by method, and the share of the variance that the plane of
    PCA has."""
    from sklearn.decomposition import PCA

    pca = PCA(2, random_state=0)
    places = {"PCA": _on_page(pca.fit_transform(values))}
    if 3 * _LEAST <= len(values) <= _MOST_NEIGHBOURS:
        from sklearn.manifold import TSNE

        near = TSNE(2, perplexity=min(30, len(values) / 4), init="pca", random_state=0,
                    n_jobs=1)
        places["t-SNE"] = _on_page(near.fit_transform(values))
    return places, float(pca.explained_variance_ratio_.sum())


def _on_page(at) -> list[list[float]]:
    low, span = at.min(axis=0), np.maximum(np.ptp(at, axis=0), 1e-9)
    room = np.array(_SIDE) - 2 * _EDGE
    return np.round(_EDGE + (at - low) / span * room, 1).tolist()


def _colours(screen: Screen, wells) -> dict:
    """What colours the points: a palette, each point's number in it, the key."""
    found = {}
    if "Class" in wells and wells["Class"].notna().any():
        names = [name for name in screen.run.classes if (wells["Class"] == name).any()]
        found["class"] = _named(wells["Class"].fillna(""), names, [
            CLASS_COLOURS[screen.run.classes.index(n) % len(CLASS_COLOURS)] for n in names],
            "trained on or not predicted")
    if "Hit" in wells:
        found["hit"] = _named(wells["Hit"], list(HIT_COLOURS),
                              [colour for colour, _ in HIT_COLOURS.values()], "no treatment",
                              [words for _, words in HIT_COLOURS.values()])
    found["control"] = _named(wells["Mark"], [NEGATIVE, POSITIVE],
                              [CLASS_COLOURS[0], CLASS_COLOURS[5]], "none",
                              ["negative control", "positive control"])
    for name in ("Plate", "Batch"):
        if name in wells and wells[name].nunique() > 1:
            groups = sorted(set(wells[name]))
            found[name.lower()] = _named(wells[name], groups, [
                CLASS_COLOURS[k % len(CLASS_COLOURS)] for k in range(len(groups))], "unknown")
    return found


def _named(words, names: list, colours: list, other: str, meant=None) -> dict:
    place = {name: k for k, name in enumerate(names)}
    codes = [place.get(word, len(names)) for word in words]
    key = [(colour, word) for k, (colour, word) in enumerate(zip(colours, meant or names))
           if k in set(codes)][:_MOST_KEY]
    return {"palette": [*colours, UNSEEN], "codes": codes,
            "key": key + [(UNSEEN, other)] * (len(names) in codes)}


def _neighbours(screen: Screen) -> list:
    """Of each of the first hits the treatments that are most like it."""
    hits, rows = screen.profile.hits, []
    if "Nearest1" not in hits:
        return []
    chosen = hits[hits["Hit"] == "yes"]
    for row in (chosen if len(chosen) else hits)[:40].to_dict("records"):
        near = []
        for k in (1, 2, 3):
            name, like = row.get(f"Nearest{k}", ""), row.get(f"Nearest{k}_Similarity", np.nan)
            if name:
                near.append((name, f"{like:.2f}".replace("-", "−") if like == like else "",
                             row.get(f"Nearest{k}_Hit", "")))
        rows.append((row["Treatment"], near))
    return rows
