# SPDX-License-Identifier: BSD-3-Clause
"""Example fields of each predicted class, from the surest call to the least sure."""

from __future__ import annotations

import numpy as np

from phenoscale.evaluation.run import Run
from phenoscale.reports import gallery
from phenoscale.reports.fields import not_shown, stored_fields
from phenoscale.reports.page import encode
from phenoscale.tables.predictions import CLASS
from phenoscale.words import count

__all__ = ["section"]

_MOST_CLASSES, _EXAMPLES = 12, 6


def section(run: Run) -> dict:
    """Rows of pictures, one a class."""
    if run.scored is None:
        return {"why": "There are no predictions of fields that were not trained on."}
    counts = run.scored[CLASS].value_counts()
    chosen = [(name, row) for name in run.classes if name in counts.index[:_MOST_CLASSES]
              for row in _spread(run, name)]
    shown, missing = {}, []
    pixels = stored_fields(run, [row for _, row in chosen], run.config.get("bin") or 1)
    for (name, row), field in zip(chosen, pixels):
        if isinstance(field, str):
            missing.append(field)
        else:
            shown.setdefault(name, []).append((gallery.thumbnail(field), *_caption(run, name, row)))
    if not shown:
        return not_shown(missing)
    rows = [(f"{name} ({count(int(counts[name]), 'field')})", cells)
            for name, cells in shown.items()]
    channels = run.config.get("channels") or []
    return {"image": encode(gallery.gallery(rows), "jpeg", 130), "missing": len(missing),
            "channels": list(zip(channels, gallery.channel_colours(len(channels))))}


def _spread(run: Run, name: str) -> list:
    """Some fields of a predicted class, evenly over its probability, of as many wells."""
    where = ["Metadata_Plate", "Metadata_Well"] if "Metadata_Well" in run.scored else []
    fields = run.scored[run.scored[CLASS] == name]
    fields = fields.sort_values(run.column(name), ascending=False, kind="stable")
    fields = fields.drop_duplicates(where) if where else fields
    places = np.linspace(0, len(fields) - 1, min(_EXAMPLES, len(fields))).round().astype(int)
    return [row for _, row in fields.iloc[places].iterrows()]


def _caption(run: Run, name: str, row) -> tuple[str, bool]:
    """The words under a picture, and whether the call is wrong."""
    is_wrong = row["Truth"] in run.classes and row["Truth"] != name
    truth = f", is {row['Truth']}" if is_wrong else ", right" if row["Truth"] else ""
    where = [row[c] for c in ("Metadata_Plate", "Metadata_Well") if "Metadata_Well" in row]
    return f"{' '.join(where)}\np {row[run.column(name)]:.2f}{truth}", is_wrong
