# SPDX-License-Identifier: BSD-3-Clause
"""measure: fields in, a file of their classic numbers out."""

from __future__ import annotations

import click

from phenoscale.cli.endings import say_skipped, say_stopped
from phenoscale.cli.options import (
    gathered,
    given,
    quiet_option,
    reading_options,
    threads_option,
    writing_options,
)
from phenoscale.prediction.blocks import blocks_beside
from phenoscale.prediction.measure import measure_to_file
from phenoscale.prediction.stream import Writing
from phenoscale.progress import Progress
from phenoscale.ranks.crew import Crew
from phenoscale.ranks.job import join
from phenoscale.ranks.roll_call import agree
from phenoscale.signals import Stopped

__all__ = ["verb"]


@click.command("measure")
@click.argument("table", type=click.Path())
@click.option("--out", required=True, type=click.Path(), help="File to write: .csv, "
              ".csv.gz or .parquet.")
@click.option("--nuclei", metavar="CHANNEL", help="Whose cells are counted, or none. Default: the "
              "one called DNA, DAPI, Hoechst, nuclei or the like.")
@gathered("writing", dict, writing_options)
@reading_options
@threads_option
@quiet_option
def verb(table, out, nuclei, writing, reading, threads, quiet):
    """Measure every field of a TABLE or FOLDER: the classic numbers, cells counted.

    Ctrl-C stops it; what is done is kept in OUT.parts, and --resume goes on from there.
    """
    ranks = join()
    agree(ranks, given)
    try:
        with Progress(quiet or ranks.rank > 0) as progress, \
                Crew(ranks, threads, progress) as crew, crew.computing():
            crew.roll_call()
            errors = measure_to_file(table, out, reading, nuclei, Writing(**writing), crew)[1]
    except Stopped as error:
        return say_stopped(error, blocks_beside(out))
    if ranks.rank:
        return 0
    print(out)
    return say_skipped(errors) if errors else 0
