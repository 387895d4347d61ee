# SPDX-License-Identifier: BSD-3-Clause
"""The sections of the report that show fields: examples of each class, and the evidence in them.

Part of report.py, which gives the run as its files have it.
"""

from __future__ import annotations

import os

import numpy as np

from phenoscale import gallery
from phenoscale.errors import InputError
from phenoscale.evidence import Explainer
from phenoscale.fields import open_fields
from phenoscale.model_file import class_key, load
from phenoscale.page import count, encode
from phenoscale.survey import usable
from phenoscale.table import read_table

__all__ = ["evidence_section", "gallery_section"]

_MOST_CLASSES, _EXAMPLES = 12, 6


def gallery_section(run) -> dict:
    """Example fields of each predicted class, from the surest call to the least sure."""
    if run.scored is None:
        return {"why": "There are no predictions of fields that were not trained on."}
    channels, rows, missing = run.config.get("channels") or [], [], 0
    counts = run.scored["Phenoscale_Class"].value_counts()
    where = ["Metadata_Plate", "Metadata_Well"] if "Metadata_Well" in run.scored else []
    for name in [c for c in run.classes if c in counts.index[:_MOST_CLASSES]]:
        score, cells = "Phenoscale_Prob_" + class_key(name), []
        fields = run.scored[run.scored["Phenoscale_Class"] == name]
        fields = fields.sort_values(score, ascending=False, kind="stable")
        fields = fields.drop_duplicates(where) if where else fields
        places = np.linspace(0, len(fields) - 1, min(_EXAMPLES, len(fields))).round().astype(int)
        for _, row in fields.iloc[places].iterrows():
            is_wrong = row["Truth"] in run.classes and row["Truth"] != name
            truth = f", is {row['Truth']}" if is_wrong else ", right" if row["Truth"] else ""
            try:
                caption = " ".join(row[where]) + f"\np {row[score]:.2f}{truth}"
                picture = gallery.thumbnail(_field(run, row, run.config.get("bin") or 1))
                cells.append((picture, caption, is_wrong))
            except (OSError, ValueError, KeyError):
                missing += 1
        if cells:
            rows.append((f"{name} ({count(int(counts[name]), 'field')})", cells))
    if not rows:
        return {"why": "The images of the predicted fields are no longer where they were."}
    return {"image": encode(gallery.gallery(rows), "jpeg", 130), "missing": missing,
            "channels": list(zip(channels, gallery.channel_colours(len(channels))))}


def evidence_section(run) -> dict:
    """The surest field of each predicted class, and what in it speaks for the class."""
    if run.scored is None:
        return {"why": "There are no predictions of fields that were not trained on."}
    try:
        model = load(os.path.join(run.folder, "model.safetensors"))
    except InputError as error:
        return {"why": f"There is no model to ask: {error}."}
    rows, coarse, explainer = [], False, None
    for name in [c for c in run.classes if c in model.classes][:_MOST_CLASSES]:
        score = "Phenoscale_Prob_" + class_key(name)
        fields = run.scored[run.scored["Phenoscale_Class"] == name]
        for _, row in fields.sort_values(score, ascending=False, kind="stable")[:1].iterrows():
            try:
                pixels = _field(run, row, 1)
                if explainer is None or explainer.size != pixels.shape[1:]:
                    explainer = Explainer(model, pixels.shape[1:])
                found = explainer.explain(pixels, name)
            except (OSError, ValueError, KeyError):
                continue
            coarse |= found.is_coarse
            where = " ".join(row[c] for c in ("Metadata_Plate", "Metadata_Well") if c in row)
            rows.append((gallery.thumbnail(pixels), gallery.thumbnail(found.heat()[None])[0], name,
                         f"{where}, p {row[score]:.2f}"))
    if not rows:
        return {"why": "The images of the predicted fields are no longer where they were."}
    return {"image": encode(gallery.evidence(rows), "jpeg", 130), "coarse": coarse,
            "colours": (gallery.FOR, gallery.AGAINST)}


def _field(run, row, bin: int):
    """Counts (c, h, w) of one field, binned."""
    import pandas

    channels, config = run.config.get("channels") or [], run.config
    cells = {f"Image_{name}": row[name] for name in row.index if name.startswith(
        ("FileName_", "PathName_", "Frame_", "Sample_"))}
    for channel in channels:  # a relative path begins at the run
        name = f"Image_PathName_{channel}"
        cells[name] = os.path.join(run.folder, cells.get(name, ""))
    table = read_table(pandas.DataFrame([cells]), channels, z=config.get("z"))
    _, found, _ = usable(table)
    source = open_fields(table, found, 1, bin, workers=1)
    source.start([0])
    return source.next()
