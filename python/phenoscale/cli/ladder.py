# SPDX-License-Identifier: BSD-3-Clause
"""ladder: fields in, how well a simple model knows them at every strictness."""

from __future__ import annotations

import os

import click

from phenoscale.cli.endings import say_skipped
from phenoscale.cli.options import (
    nuclei_option,
    parquet_option,
    quiet_option,
    reading_options,
    threads_option,
)
from phenoscale.errors import SKIPPED
from phenoscale.evaluation.ladder import climb
from phenoscale.evaluation.measured import measured_fields
from phenoscale.files.frames import parquet_beside, write_tables
from phenoscale.progress import Progress
from phenoscale.ranks.crew import Crew
from phenoscale.tables.outputs import errors_beside, refuse_to_lose, write_errors

__all__ = ["verb"]


@click.command("ladder")
@click.argument("table", type=click.Path())
@click.option("--label", required=True, help="Column of the classes.")
@click.option("--out", type=click.Path(), help="Folder for ladder.csv.")
@parquet_option
@nuclei_option
@reading_options
@threads_option
@quiet_option
def verb(table, label, out, parquet, nuclei, reading, threads, quiet):
    """Score a simple model on a TABLE, FOLDER or file of measures at every strictness.

    The model is a regression on the classic measures, which takes seconds where a network takes
    hours; the network's own score at one strictness is that of `train --cv`.
    """
    if out is not None:
        os.makedirs(out, exist_ok=True)
        file = os.path.join(out, "ladder.csv")
        refuse_to_lose(file, *[parquet_beside(file)] * parquet, inputs=[table, *reading.join],
                       errors=errors_beside(file))
    with Progress(quiet) as progress, Crew(None, threads, progress, quiet) as crew, \
            crew.computing():
        fields = measured_fields(table, label, reading, nuclei, crew)
        found = climb(fields, label, watch=crew.watch)
    print(found.text())
    if out is None:
        return SKIPPED if fields.skipped else 0
    for path in write_tables({file: found.frame()}, parquet):
        print(path)
    errors = write_errors(fields.table, fields.skipped, errors_beside(file))
    return say_skipped(errors) if errors else 0
