# SPDX-License-Identifier: BSD-3-Clause
"""report: the page of a run, made again."""

from __future__ import annotations

import click

from phenoscale.reports.report import write_report

__all__ = ["verb"]


@click.command("report")
@click.argument("run", type=click.Path())
@click.option("--profile", type=click.Path(), help="Folder that `profile` wrote: hits, their "
              "pictures, a map.  [default: RUN/profile, where it is]")
@click.option("--pictures", type=click.Path(), help="Folder for the pictures as SVG and PNG, the "
              "tables behind them, and phenoscale_mqc.html for MultiQC.")
def verb(run, profile, pictures):
    """Write RUN/report.html from what is in the run folder.

    docs/report.md goes through the page.
    """
    print(write_report(run, profile, pictures))
