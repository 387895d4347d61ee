# SPDX-License-Identifier: BSD-3-Clause
"""predict: model and fields in, a file of predictions out."""

from __future__ import annotations

import click

from phenoscale.cli.options import (
    gathered,
    model_reading_options,
    quiet_option,
    threads_option,
    tower_option,
    writing_options,
)
from phenoscale.cli.ranked import write_shared
from phenoscale.models.model import load
from phenoscale.prediction.file import Writing, predict_to_file
from phenoscale.prediction.predict import MEASURES

__all__ = ["verb"]

_WRITING = {
    "embedding": click.option("--embedding", default="last", show_default=True,
                              type=click.Choice(["last", "none"])),
    "measures": click.option("--measures", type=click.Choice(MEASURES), help="Columns of the "
                             "classic numbers (phenoscale measure). Default: all where the model "
                             "needs them for its classes, else none."),
    **writing_options,
    "tower": tower_option}


@click.command("predict")
@click.argument("model", type=click.Path())
@click.argument("table", type=click.Path())
@click.option("--out", required=True, type=click.Path(), help="File to write: .csv, "
              ".csv.gz or .parquet.")
@gathered("writing", dict, _WRITING)
@model_reading_options
@threads_option
@quiet_option
def verb(model, table, out, writing, reading, threads, quiet):
    """Classify every field of a TABLE or FOLDER: probabilities and embeddings.

    Ctrl-C stops it; what is done is kept in OUT.parts, and --resume goes on from there.
    """
    return write_shared(
        lambda crew: predict_to_file(load(model), table, out, reading,
                                     Writing(**writing, keep=[model]), crew), out, threads, quiet)
