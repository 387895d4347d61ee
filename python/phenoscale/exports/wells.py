# SPDX-License-Identifier: BSD-3-Clause
"""One row a well for spreadsheets: place, treatment, class, probabilities, hits; no features."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from phenoscale.exports.provenance import write_provenance
from phenoscale.exports.source import PLATE, WELL, Source, short_names
from phenoscale.files.csv import write_csv
from phenoscale.profiles.aggregate import aggregate
from phenoscale.tables.columns import ROLES
from phenoscale.tables.predictions import CELLS, CLASS, FIELDS, PROBABILITY, is_own
from phenoscale.tables.wells import row_name, well_position

if TYPE_CHECKING:
    import pandas

__all__ = ["wells_of", "write_wells"]


def write_wells(source: Source, out: str) -> list[str]:
    """Write a CSV that is safe to open in a spreadsheet; gives the notes, of which there are none.

    Raises
    ------
    InputError
        For a table without wells.
    """
    wells = wells_of(source)
    places = [well_position(well) for well in wells[WELL]]
    first = {"Plate": wells[PLATE]} if PLATE in wells else {}
    first |= {"Well": wells[WELL],
              "Row": ["" if place is None else row_name(place[0]) for place in places],
              "Column": ["" if place is None else place[1] + 1 for place in places]}
    rest = wells.drop(columns=[name for name in (PLATE, WELL) if name in wells])
    names = short_names([*first, *rest.columns])
    write_csv(rest.rename(columns=names).assign(**first)[[*first, *map(names.get, rest.columns)]],
              out, safe=True)
    write_provenance(source.provenance, out)
    return []


def wells_of(source: Source) -> pandas.DataFrame:
    """What is said of each well, in the order of the table: of fields as `aggregate` has it.

    Raises
    ------
    InputError
        For a table without wells.
    """
    source.need(WELL, "name the column of the wells so, with names like B02")
    about = source.without_files()
    if source.unit == "well":
        return about
    by = [column for column in (ROLES["batch"], PLATE, WELL) if column in about]
    keys = [name.removeprefix(f"{PROBABILITY}_") for name in about
            if name.startswith(f"{PROBABILITY}_")]
    if keys and CLASS in about:
        wells = aggregate(about, by, _classes(about, keys))
        return wells.astype({f"{PROBABILITY}_{key}": np.float32 for key in keys})
    groups = about.groupby(by, sort=False, dropna=False)
    kept = [name for name in about if name not in by and not is_own(name) and name != CELLS
            and (groups[name].nunique(dropna=False) == 1).all()]
    wells = about.drop_duplicates(by)[by + kept].reset_index(drop=True)
    wells[FIELDS] = groups.size().to_numpy()
    if CELLS in about and about[CELLS].dtype != object:
        wells[CELLS] = groups[CELLS].mean().to_numpy()
    return wells


def _classes(about, keys) -> dict[str, str]:
    """Class to key: the class that is called where its probability is the highest, else the key."""
    columns = [f"{PROBABILITY}_{key}" for key in keys]
    top = about[columns].to_numpy(dtype=np.float64).argmax(axis=1)
    calls = about[CLASS].to_numpy(dtype=object)
    found = {}
    for k, key in enumerate(keys):
        words, counts = np.unique(calls[top == k].astype(str), return_counts=True)
        found[words[counts.argmax()] if len(words) else key] = key
    return found
