# SPDX-License-Identifier: BSD-3-Clause
"""match: profiles of any program; how well they find their like."""

from __future__ import annotations

import click

from phenoscale.cli.options import listed_words, parquet_option, profile_options
from phenoscale.evaluation.matching import match, write_matching

__all__ = ["verb"]


@click.command("match")
@click.argument("table", type=click.Path())
@click.option("--label", metavar="COLUMN", help="Of mechanisms. Default: one called moa, "
              "mechanism, label or class.")
@click.option("--features", metavar="PREFIX,...", help="How the names of features begin. Default: "
              "Cells_, Nuclei_, Cytoplasm_, Image_, or as a network numbers them.")
@click.option("--out", type=click.Path(), help="Folder for match.json, neighbours.csv and "
              "average_precision.csv.")
@parquet_option
@profile_options
def verb(table, label, features, out, parquet, about):
    """Match the profiles of a TABLE: does the nearest have the same mechanism?"""
    found = match(table, label, listed_words(features), **about)
    print(found.text())
    if out is not None:
        for path in write_matching(found, out, [table, *about["join"]], parquet):
            print(path)
