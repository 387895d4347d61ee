# SPDX-License-Identifier: BSD-3-Clause
"""evidence: where in the fields the evidence for a class lies."""

from __future__ import annotations

import click

from phenoscale.cli.endings import say_skipped, say_stopped
from phenoscale.cli.options import (
    model_reading_options,
    on_error_option,
    quiet_option,
    threads_option,
)
from phenoscale.models.model import load
from phenoscale.prediction.inputs import read_fields
from phenoscale.progress import Progress
from phenoscale.reports.evidence_files import write_evidence
from phenoscale.signals import Stopped, Stopper

__all__ = ["verb"]


@click.command("evidence")
@click.argument("model", type=click.Path())
@click.argument("table", type=click.Path())
@click.option("--out", required=True, type=click.Path(), help="Folder to make.")
@click.option("--class", "name", help="Default: the class of each field.")
@on_error_option("skip", "For fields that cannot be read.")
@model_reading_options
@threads_option
@quiet_option
def verb(model, table, out, name, on_error, reading, threads, quiet):
    """Show where in the fields of a TABLE or FOLDER the evidence for a class lies."""
    loaded = load(model)
    try:
        with Progress(quiet) as progress, Stopper() as stopper, stopper.computing():
            fields = read_fields(loaded, table, reading)
            progress.note(fields.notes)
            path, errors = write_evidence(loaded, fields, out, name, threads, on_error, progress)
    except Stopped as error:
        return say_stopped(error, "")
    print(path)
    return say_skipped(errors) if errors else 0
