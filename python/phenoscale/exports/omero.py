# SPDX-License-Identifier: BSD-3-Clause
"""A CSV that `omero metadata populate` turns into an OMERO.table of a screen or a plate.

The line before the header gives the type of each column, so that nothing is guessed there.
"""

from __future__ import annotations

import re

from phenoscale.errors import InputError
from phenoscale.exports.provenance import write_provenance
from phenoscale.exports.source import PLATE, WELL, Source, short_names
from phenoscale.files.csv import write_csv
from phenoscale.words import count

__all__ = ["write_omero"]

_MOST = 512  # columns of an OMERO.table
_TYPES = {"i": "l", "u": "l", "f": "d", "b": "b"}  # kind of a dtype -> type; else text, s
_UNSAFE = ("=", "+", "-", "@")
_TAKEN = ("image", "roi", "dataset", "plate name", "well name")  # what OMERO adds itself


def write_omero(source: Source, out: str) -> list[str]:
    """Write the CSV; gives the notes.

    Classic numbers of fields go with it where they fit into the 512 columns of an OMERO.table.

    Raises
    ------
    InputError
        For a table without plates and wells, and for plates whose names a spreadsheet would take
        for formulas.
    """
    import pandas

    for column, role in ((PLATE, "plates, as OMERO calls them"), (WELL, "wells")):
        source.need(column, f"OMERO finds rows by it: name the column of the {role} so")
    bad = next((name for name in source.about[PLATE] if str(name).startswith(_UNSAFE)), None)
    if bad is not None:
        raise InputError(f"{source.name}: plate {bad} cannot be written: a spreadsheet would take "
                         "its name for a formula, and OMERO not find one that is made safe: "
                         "rename it")
    frame, notes = source.without_files(), []
    is_placed = ((frame[WELL] != "") & (frame[PLATE] != "")).to_numpy()
    if not is_placed.all():
        notes.append(f"{count(int((~is_placed).sum()), 'row')} without a plate or well left out")
    measures = source.measures()
    if len(measures.columns) and len(frame.columns) + len(measures.columns) > _MOST:
        notes.append(f"{count(len(measures.columns), 'measure')} left out: an OMERO.table has at "
                     f"most {_MOST} columns")
    elif len(measures.columns):
        frame = pandas.concat([frame, measures], axis=1)
    frame = frame[is_placed]
    frame = frame[[PLATE, WELL, *(name for name in frame if name not in (PLATE, WELL))]]
    types = ["plate", "well", *(_TYPES.get(kind.kind, "s") for kind in frame.dtypes[2:])]
    frame.columns = _names(frame.columns)
    write_csv(frame, out, safe=True, before=f"# header {','.join(types)}")
    write_provenance(source.provenance, out)
    return notes


def _names(columns) -> list[str]:
    """Short names that can be asked for in a query: letters, digits and _."""
    words = [re.sub(r"\W", "_", name, flags=re.ASCII) for name in short_names(columns).values()]
    words = [f"Phenoscale_{word}" if word.lower() in _TAKEN else word for word in words]
    return [word if word not in words[:k] else f"{word}_{k}" for k, word in enumerate(words)]
