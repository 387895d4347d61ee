# SPDX-License-Identifier: BSD-3-Clause
"""A table written as another program reads it: the formats, and the one way to all of them."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import NamedTuple

from phenoscale.errors import InputError
from phenoscale.exports.anndata import write_anndata
from phenoscale.exports.cpa import write_cpa
from phenoscale.exports.cytotable import write_cytotable
from phenoscale.exports.omero import write_omero
from phenoscale.exports.provenance import stem_of
from phenoscale.exports.source import read_source
from phenoscale.exports.wells import write_wells
from phenoscale.files.names import check_name
from phenoscale.tables.outputs import refuse_to_lose
from phenoscale.words import listed

__all__ = ["FORMATS", "Exported", "Format", "export"]


class Format(NamedTuple):
    """How a table is written for a program.

    Attributes
    ----------
    write : callable
        Takes a Source and the path; gives notes.
    kind : str
        Of its name, as `phenoscale.files.names.check_name` has it.
    beside : str
        Ending of another file that is written beside it; "" of none.
    """

    write: Callable
    kind: str
    beside: str = ""


FORMATS = {"anndata": Format(write_anndata, "anndata"),
           "cpa": Format(write_cpa, "properties", ".db"),
           "cytotable": Format(write_cytotable, "parquet"),
           "omero": Format(write_omero, "table", ".json"),
           "wells": Format(write_wells, "table", ".json")}


class Exported(NamedTuple):
    """What `export` wrote.

    Attributes
    ----------
    paths : list of str
    notes : list of str
        What the format could not say.
    """

    paths: list[str]
    notes: list[str]


def export(source, to: str, out) -> Exported:
    """Write a table as another program reads it (docs/exports.md).

    Parameters
    ----------
    source : path or pandas.DataFrame
        What `predict`, `measure` or `profile` wrote, as CSV or Parquet, or a table with such names.
    to : {"anndata", "cpa", "cytotable", "omero", "wells"}
    out : path
        .h5ad; .properties, with a .db beside it; .parquet; .csv, with a .json beside it.

    Raises
    ------
    InputError
        For what the table cannot give, a name with another ending, and a file that is read.
    """
    if to not in FORMATS:
        raise InputError(f"there is no format {to}: there are {listed(FORMATS, near=str(to))}")
    out, form = os.fspath(out), FORMATS[to]
    check_name(out, form.kind)
    paths = [out, *[stem_of(out) + form.beside] * bool(form.beside)]
    refuse_to_lose(*paths, inputs=[] if hasattr(source, "columns") else [source])
    return Exported(paths, form.write(read_source(source), out))
