# SPDX-License-Identifier: BSD-3-Clause
"""check: a table and its files before a long run."""

from __future__ import annotations

import click

from phenoscale.checks.check import check
from phenoscale.cli.endings import say_skipped
from phenoscale.cli.options import quiet_option, reading_options, threads_option
from phenoscale.errors import SKIPPED, InputError
from phenoscale.files.names import check_name
from phenoscale.progress import Progress
from phenoscale.tables.outputs import errors_beside, refuse_to_lose, write_errors
from phenoscale.tables.read import read_table
from phenoscale.tables.table import clean_columns, write_table

__all__ = ["verb"]


@click.command("check")
@click.argument("source", type=click.Path())
@click.option("--write", "out", type=click.Path(), help="Write a clean LoadData CSV.")
@click.option("--html", type=click.Path(), help="Write a page with pictures.")
@click.option("--label", help="Column of the classes: counts them by plate.")
@click.option("--batch", default=4, show_default=True, type=click.IntRange(1, 65536))
@reading_options
@threads_option
@quiet_option
def verb(source, out, html, label, batch, reading, threads, quiet):
    """Look at a table or FOLDER and all its files before a long run."""
    for path, kind in ((out, "table"), (html, "page")):
        if path is not None:
            check_name(path, kind)
    table = read_table(source, reading)
    refuse_to_lose(*filter(None, (out, html)), inputs=[source, *reading.join], table=table,
                   errors=errors_beside(out) if out else None)
    if out is not None:
        clean_columns(table)  # its complaints before the work
    with Progress(quiet) as progress:
        found = check(table, batch, threads, progress, label)
    print(found.text())
    bad = found.bad()
    if html is not None:
        from phenoscale.reports.check_page import write_check_page

        write_check_page(found, html)
        print(f"written: {html}")
    if out is not None:
        write_table(table, out, bad)
        print(f"written: {out}" + (f", {len(bad)} fields in it marked not to be used" if bad
                                   else ""))
    if len(bad) == len(table):
        raise InputError("no field can be used, see the list")
    errors = write_errors(table, bad, errors_beside(out)) if out is not None else None
    return say_skipped(errors) if errors else SKIPPED if bad else 0
