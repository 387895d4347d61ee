# SPDX-License-Identifier: BSD-3-Clause
"""explain: what changed against the controls, in words."""

from __future__ import annotations

import sys

import click

from phenoscale.cli.options import pairs
from phenoscale.errors import InputError
from phenoscale.files.frames import write_frame
from phenoscale.files.names import check_name
from phenoscale.profiles.explain import explain, in_words, well_frame
from phenoscale.tables.controls import control_notes
from phenoscale.tables.measured import measured_table
from phenoscale.tables.predictions import CLASS, known_columns
from phenoscale.tables.roles import known_roles
from phenoscale.words import count, listed, visible

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
    about, numbers = measured_table(table)
    roles = {role: names[0] for role, names in known_roles(about.columns).items() if names}
    by, controls = by or _default_by(about, roles), pairs(controls, "--controls")
    _check_named(table, about, by, controls)
    found = explain(known_columns(about, by, roles, controls), numbers)
    for note in [*found.notes, *control_notes(about)]:
        print(visible(note), file=sys.stderr)
    for name, told in found.classes.items():
        print(visible(f"{name} ({count(told.wells, 'well')}): {in_words(told.changes)}"))
    if out is not None:
        write_frame(well_frame(found), out)
        print(out)


def _default_by(about, roles: dict) -> str:
    by = CLASS if CLASS in about else roles.get("compound")
    if by is None:
        raise InputError("there is no predicted class and no column of compounds: name by --by "
                         f"what is told of together, of {listed(about.columns)}")
    return by


def _check_named(table, about, by: str, controls: dict) -> None:
    """The columns and values that were named are there."""
    for column in (by, *controls):
        if column not in about:
            raise InputError(f"{table} has no column {column}: it has "
                             f"{listed(about.columns, near=column)}")
    for column, values in controls.items():
        absent = [value for value in values if value not in set(about[column])]
        if absent:
            raise InputError(f"{table}: no row has {absent[0]} in column {column}: there are "
                             f"{listed(dict.fromkeys(about[column]), near=absent[0])}")
