# SPDX-License-Identifier: BSD-3-Clause
"""export: a table in, a file that another program reads out."""

from __future__ import annotations

import sys

import click

from phenoscale.exports.export import FORMATS, export
from phenoscale.words import visible

__all__ = ["verb"]


@click.command("export")
@click.argument("table", type=click.Path())
@click.option("--to", required=True, type=click.Choice(list(FORMATS)),
              help="The program that reads it.")
@click.option("--out", required=True, type=click.Path(), help="File to write: .h5ad for anndata, "
              ".properties for cpa, .parquet for cytotable, .csv for omero and wells.")
def verb(table, to, out):
    """Write a TABLE of predictions, measures or profiles as another program reads it
    (docs/exports.md)."""
    found = export(table, to, out)
    for note in found.notes:
        print(visible(note), file=sys.stderr)
    for path in found.paths:
        print(path)
