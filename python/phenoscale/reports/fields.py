# SPDX-License-Identifier: BSD-3-Clause
"""The pixels of predicted fields, for the sections that show them."""

from __future__ import annotations

import os

import numpy as np

from phenoscale.errors import InputError, sentence_of
from phenoscale.evaluation.run import Run
from phenoscale.images.usable import usable
from phenoscale.tables.read import read_table

__all__ = ["not_shown", "stored_fields"]


def stored_fields(run: Run, rows: list, bin: int = 1):
    """Yields the counts (c, h, w) of fields one by one, valid until the next; for one that cannot
    be shown the sentence that says why.

    Parameters
    ----------
    run : Run
    rows : list of pandas.Series
        Of `run.scored`.
    bin : int
        Pixels are means of bin x bin.
    """
    try:
        fields = usable(_table(run, rows), "skip")
    except (InputError, OSError) as error:
        yield from [sentence_of(error)] * len(rows)
        return
    source = fields.open(1, bin)
    source.start(np.arange(len(fields.rows)))
    for number in range(len(rows)):
        if number in fields.left_out:
            yield fields.left_out[number]
            continue
        try:
            field = source.next()
        except InputError as error:
            field = str(error)
        yield field
        source.release(1)


def _table(run: Run, rows: list):
    """The files of some predictions as a table."""
    import pandas

    channels, cells = run.config.get("channels") or [], []
    for row in rows:
        files = {f"Image_{name}": row[name] for name in row.index if name.startswith(
            ("FileName_", "PathName_", "Frame_", "Sample_"))}
        for channel in channels:  # a relative path begins at the run
            name = f"Image_PathName_{channel}"
            files[name] = os.path.join(run.folder.path, files.get(name, ""))
        cells.append(files)
    table = read_table(pandas.DataFrame(cells), channels=channels, z=run.config.get("z"))
    table.source = run.folder.file(run.folder.PREDICTIONS)
    return table


def not_shown(missing: list[str]) -> dict:
    """What a section says instead of its pictures.

    missing: of each field, why; empty where there is none.
    """
    if not missing:
        return {"why": "There is no predicted field to show."}
    return {"why": f"No predicted field can be shown: {missing[0]}."}
