# SPDX-License-Identifier: BSD-3-Clause
"""The surest field of each predicted class, and what in it speaks for the class."""

from __future__ import annotations

from phenoscale.errors import InputError
from phenoscale.evaluation.run import Run
from phenoscale.prediction.evidence import Explainer
from phenoscale.reports import gallery
from phenoscale.reports.fields import not_shown, stored_fields
from phenoscale.reports.page import encode
from phenoscale.tables.predictions import CLASS

__all__ = ["section"]

_MOST_CLASSES = 12


def section(run: Run) -> dict:
    """Pictures, each beside its evidence."""
    if run.scored is None:
        return {"why": "There are no predictions of fields that were not trained on."}
    try:
        model = run.folder.model()
    except InputError as error:
        return {"why": f"There is no model to ask: {error}."}
    chosen = []
    for name in [c for c in run.classes if c in model.classes][:_MOST_CLASSES]:
        fields = run.scored[run.scored[CLASS] == name]
        fields = fields.sort_values(run.column(name), ascending=False, kind="stable")
        chosen += [(name, row) for _, row in fields[:1].iterrows()]
    rows, missing, coarse, explainer = [], [], False, None
    for (name, row), pixels in zip(chosen, stored_fields(run, [row for _, row in chosen])):
        if isinstance(pixels, str):
            missing.append(pixels)
            continue
        try:
            explainer = explainer or Explainer(model, pixels.shape[1:])
            found = explainer.explain(pixels, name)
        except InputError as error:  # files of another size or depth than they had
            missing.append(str(error))
            continue
        coarse |= found.is_coarse
        where = " ".join(row[c] for c in ("Metadata_Plate", "Metadata_Well") if c in row)
        rows.append((gallery.thumbnail(pixels), gallery.thumbnail(found.heat()[None])[0], name,
                     f"{where}, p {row[run.column(name)]:.2f}"))
    if not rows:
        return not_shown(missing)
    return {"image": encode(gallery.evidence(rows), "jpeg", 130), "coarse": coarse,
            "colours": (gallery.FOR, gallery.AGAINST)}
