# SPDX-License-Identifier: BSD-3-Clause
"""measure: fields in, a file of their classic numbers out."""

from __future__ import annotations

import click

from phenoscale.cli.options import (
    gathered,
    nuclei_option,
    quiet_option,
    reading_options,
    threads_option,
    writing_options,
)
from phenoscale.cli.ranked import write_shared
from phenoscale.prediction.measure import measure_to_file
from phenoscale.prediction.stream import Writing

__all__ = ["verb"]


@click.command("measure")
@click.argument("table", type=click.Path())
@click.option("--out", required=True, type=click.Path(), help="File to write: .csv, "
              ".csv.gz or .parquet.")
@nuclei_option
@gathered("writing", dict, writing_options)
@reading_options
@threads_option
@quiet_option
def verb(table, out, nuclei, writing, reading, threads, quiet):
    """Measure every field of a TABLE or FOLDER: the classic numbers, cells counted.

    Ctrl-C stops it; what is done is kept in OUT.parts, and --resume goes on from there.
    """
    return write_shared(
        lambda crew: measure_to_file(table, out, reading, nuclei, Writing(**writing), crew),
        out, threads, quiet)
