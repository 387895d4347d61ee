# SPDX-License-Identifier: BSD-3-Clause
"""simulate: a screen to try everything on."""

from __future__ import annotations

import click

from phenoscale.cli.endings import say_stopped
from phenoscale.cli.options import gathered, quiet_option, size_of
from phenoscale.progress import Progress
from phenoscale.signals import Stopped, Stopper
from phenoscale.simulation.microscope import EFFECTS
from phenoscale.simulation.simulate import LIMITS, Screen, simulate

__all__ = ["verb"]

_SCREEN = {
    "plates": click.option("--plates", default=4, show_default=True,
                           type=click.IntRange(*LIMITS["plates"])),
    "phenotypes": click.option("--phenotypes", default=6, show_default=True,
                               type=click.IntRange(*LIMITS["phenotypes"])),
    "size": click.option("--size", default="1024x1280", show_default=True, metavar="HxW"),
    "wells": click.option("--wells", default=40, show_default=True,
                          type=click.IntRange(*LIMITS["wells"]), help="On each plate."),
    "sites": click.option("--sites", default=1, show_default=True,
                          type=click.IntRange(*LIMITS["sites"])),
    "effects": click.option("--effects", default="usual", show_default=True,
                            type=click.Choice(list(EFFECTS)),
                            help="How much plates, places on them and lamps differ."),
    "seed": click.option("--seed", default=0, show_default=True, type=click.IntRange(0))}


@click.command("simulate")
@click.argument("out", type=click.Path())
@gathered("screen", lambda size, **words: Screen(size=size_of(size), **words), _SCREEN)
@quiet_option
def verb(out, screen, quiet):
    """Draw a simulated screen: TIFFs, a LoadData CSV, and the truth in it."""
    try:
        with Progress(quiet) as progress, Stopper() as stopper, stopper.computing():
            path = simulate(out, screen, progress=progress)
    except Stopped as error:
        return say_stopped(error, "")
    print(path)
    return 0
