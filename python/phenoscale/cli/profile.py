# SPDX-License-Identifier: BSD-3-Clause
"""profile: predictions of fields in, profiles of wells and treatments and the hits out."""

from __future__ import annotations

import click

from phenoscale.cli.options import listed_words, pairs, parquet_option, profile_options
from phenoscale.profiles.grouped import SUMMARIES
from phenoscale.profiles.standardise import METHODS
from phenoscale.screening.asked import NONE, Asked
from phenoscale.screening.profile import profile
from phenoscale.words import visible

__all__ = ["verb"]


@click.command("profile")
@click.argument("predictions", nargs=-1, required=True, type=click.Path())
@click.option("--out", required=True, type=click.Path(), help="Folder for profile.json, wells.csv, "
              "treatments.csv and hits.csv.")
@click.option("--controls", multiple=True, metavar="COLUMN=VALUE,...", help="The negative "
              "controls. Default: what the run, or a column such as Metadata_Control, says.")
@click.option("--treatment", metavar="COLUMN", help="What was done to a well. Default: compound "
              "and concentration, else the well itself.")
@click.option("--features", metavar="PREFIX,...", help="How the names of features begin. Default: "
              "embedding and measures, or as the names of other programs say.")
@click.option("--aggregate", default="mean", show_default=True, type=click.Choice(list(SUMMARIES)),
              help="Of the fields of a well.")
@click.option("--standardise", type=click.Choice([*METHODS, NONE]), help="On each plate's "
              "controls. Default: mean or robust, by which replicates find each other better.")
@click.option("--fit", type=click.Path(), help="File to keep the fit in.")
@click.option("--apply", type=click.Path(), help="File of a fit, to be used unchanged.")
@click.option("--reversal", multiple=True, metavar="COLUMN=DISEASE,HEALTHY", help="Two states: how "
              "far each treatment is on the way from the first to the second.")
@parquet_option
@profile_options
def verb(predictions, out, controls, reversal, features, parquet, about, **words):
    """Profile the wells and treatments of PREDICTIONS, and rank the hits (docs/profiles.md)."""
    asked = Asked(controls=pairs(controls, "--controls"), reversal=pairs(reversal, "--reversal"),
                  features=listed_words(features), **about, **words)
    found = profile(list(predictions), asked)
    paths = found.write(out, [one["path"] for one in found.about["inputs"]], parquet)
    print(visible(found.text(), keep="\n"))
    for path in paths:
        print(path)
