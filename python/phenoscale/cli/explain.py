# SPDX-License-Identifier: BSD-3-Clause
"""explain: what changed against the controls, in words."""

from __future__ import annotations

import sys

import click

from phenoscale.cli.options import pairs
from phenoscale.files.frames import write_frame
from phenoscale.files.names import check_name
from phenoscale.profiles.explain import explain
from phenoscale.words import visible

__all__ = ["verb"]


@click.command("explain")
@click.argument("table", type=click.Path())
@click.option("--controls", multiple=True, metavar="COLUMN=VALUE,...", help="The negative "
              "controls. Default: what a column such as Metadata_Control says.")
@click.option("--by", metavar="COLUMN", help="What is told of together: a class, a treatment. "
              "Default: the predicted class, else the compound.")
@click.option("--out", type=click.Path(), help="File to write, .csv, .csv.gz or "
              ".parquet: what changed in each well.")
def verb(table, controls, by, out):
    """Say what changed against the controls, from a TABLE of measures or predictions."""
    if out is not None:
        check_name(out, "frame")
    found = explain(table, by, pairs(controls, "--controls"))
    for note in found.notes:
        print(visible(note), file=sys.stderr)
    if found.classes:
        print(found.text())
    if out is not None:
        write_frame(found.frame(), out)
        print(out)
