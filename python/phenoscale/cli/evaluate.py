# SPDX-License-Identifier: BSD-3-Clause
"""evaluate: predictions in, how good they are out."""

from __future__ import annotations

import click

from phenoscale.cli.options import parquet_option
from phenoscale.evaluation.evaluate import evaluate
from phenoscale.words import visible

__all__ = ["verb"]


@click.command("evaluate")
@click.argument("source", type=click.Path())
@click.option("--label", metavar="COLUMN", help="Column of the true classes, of a file.")
@click.option("--out", type=click.Path(), help="Folder for evaluate.json and a CSV of each table.")
@parquet_option
def verb(source, label, out, parquet):
    """Score the folder of a run, or a file of predictions, SOURCE, by field, well and treatment
    (docs/evaluate.md)."""
    found = evaluate(source, label)
    paths = found.write(out, parquet) if out is not None else []
    print(visible(found.text(), keep="\n"))
    if paths:
        print(f"\nwritten: {paths[0]}, and a CSV of each table beside it")
