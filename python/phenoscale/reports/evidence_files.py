# SPDX-License-Identifier: BSD-3-Clause
"""Evidence maps of the fields of a table as files: pictures to look at, and the numbers."""

from __future__ import annotations

import os
import re

from phenoscale.errors import InputError
from phenoscale.files.atomic import made_folder
from phenoscale.files.csv import write_csv
from phenoscale.files.lock import LOCK, lock_of_folder
from phenoscale.images.usable import usable
from phenoscale.models.model import Model
from phenoscale.prediction.evidence import Explainer, check_class
from phenoscale.prediction.inputs import check_fits, with_model_channels
from phenoscale.prediction.plates import find_plates
from phenoscale.progress import Watch
from phenoscale.ranks.crew import Crew
from phenoscale.reports.drawing import drawing
from phenoscale.tables.keys import KEY
from phenoscale.tables.outputs import errors_beside, write_errors
from phenoscale.tables.predictions import CLASS, PROBABILITY, probability_column
from phenoscale.tables.table import Table

__all__ = ["write_evidence"]

_TABLE = "evidence.csv"
_ERRORS = errors_beside(_TABLE)


@drawing()
def write_evidence(model: Model, table: Table, out, name: str | None = None, threads=None,
                   on_error: str = "skip", progress=None) -> tuple[str, str | None]:
    """For every field a picture and its map as a TIFF, and one table of all.

    Parameters
    ----------
    model : Model
    table : Table
        As of `phenoscale.prediction.inputs.read_fields`.
    out : path
        A folder to make, or an empty one.  For each field ``<line>_<plate>_<well>_<site>.png``,
        the field beside the evidence over it, and ``.tif``, float32 (height, width): the shares
        of the logit themselves, not smoothed.  ``evidence.csv`` has the class, its logit, the
        share of the biases and that of each scale.
    name : str, optional
        The class; by default that of each field.
    threads, on_error, progress : optional
        As for `phenoscale.prediction.predict.predict_table`.

    Returns
    -------
    path : str
        Of evidence.csv.
    errors : str or None
        Path of the list of skipped fields.
    """
    check_class(model, name)
    out = made_folder(out)
    with lock_of_folder(out, Watch(progress).warn):
        if set(os.listdir(out)) - {LOCK, _ERRORS}:
            raise InputError(f"{out} is not empty: give a folder to make")
        return _write_all(model, table, out, name, threads, on_error, Watch(progress))


def _write_all(model: Model, table: Table, out: str, name, threads, on_error: str, watch: Watch):
    """What `write_evidence` does, into a folder that is its own."""
    import pandas

    table = with_model_channels(model, table)
    fields = usable(table, on_error)
    check_fits(model, fields.survey.shape, fields.survey.dtype)
    used, source, lines, unread = fields.table, fields.open(1), [], {}
    plates = model.feeding and find_plates(fields.open(1, model.bin), used, model.feeding,
                                           Crew(threads=threads, progress=watch))
    watch.note(plates.notes if plates else [])
    explainer = Explainer(model, source.size, threads, plates)
    source.start(range(len(used)))
    for row in range(len(used)):
        try:
            field = source.next()
        except InputError as error:
            if on_error != "skip":
                raise
            unread[row] = str(error)
        else:
            lines.append(_write_one(explainer, used, row, field, name, out))
        source.release(1)
        watch.tell("predict", row + 1, len(used))
    fields.leave_out(unread)
    path = os.path.join(out, _TABLE)
    write_csv(pandas.DataFrame(lines), path)
    return path, write_errors(table, fields.left_out, errors_beside(path))


def _write_one(explainer, table, row: int, field, name, out) -> dict:
    """The files of one field, and its line of the table."""
    import numpy as np
    import tifffile

    from phenoscale.reports import gallery

    found = explainer.explain(field, name, row)
    place = [f"{table.lines[row]}"] + [table.role(role).iloc[row] for role in (
        "plate", "well", "site") if table.role(role) is not None]
    stem = re.sub(r"[^0-9A-Za-z._-]+", "-", "_".join(place))
    title = found.name + (" (coarse)" if found.is_coarse else "")
    number = explainer.model.classes.index(found.name)
    p, key = float(found.probabilities[number]), explainer.model.keys[number]
    figure = gallery.evidence([(gallery.thumbnail(field, 512),
                                gallery.thumbnail(found.heat()[None], 512)[0], title,
                                f"{' '.join(place[1:])} p {p:.2f}")])
    figure.savefig(os.path.join(out, f"{stem}.png"), dpi=200)
    tifffile.imwrite(os.path.join(out, f"{stem}.tif"), found.map.astype(np.float32))
    about = {c: table.frame[c].iloc[row] for c in table.frame.columns if c.startswith("Metadata_")}
    return {"Line": table.lines[row], **about, KEY: table.keys[row], CLASS: found.name,
            probability_column(key) if name else PROBABILITY: p,
            "Phenoscale_Logit": found.logit, "Phenoscale_Bias": found.bias,
            **{f"Phenoscale_Scale{side}": share for side, share in sorted(found.scales.items())},
            "Phenoscale_Picture": f"{stem}.png", "Phenoscale_Map": f"{stem}.tif"}
