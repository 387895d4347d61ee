# SPDX-License-Identifier: BSD-3-Clause
"""launch: a verb as several ranks."""

from __future__ import annotations

import click

from phenoscale.cli.options import LIMITS, gathered
from phenoscale.cli.verbs import RANKED, cli
from phenoscale.ranks.launch import Asked, launch
from phenoscale.words import listed

__all__ = ["verb"]

_ASKED = {
    "ranks": click.option("-n", "ranks", required=True, metavar="RANKS",
                          type=click.IntRange(1, 65536),
                          help="Processes: one a machine, or one a socket."),
    "hosts": click.option("--hosts", type=click.Path(), metavar="FILE", help="A host a line: NAME, "
                          "or NAME:SLOTS for at most so many ranks. Default: this one, or those of "
                          "Slurm."),
    "threads": click.option("--threads", type=click.IntRange(1, LIMITS["threads"]),
                            help="Of each rank. Default: the processors of a host, shared evenly."),
    "restarts": click.option("--restarts", default=0, show_default=True,
                             type=click.IntRange(0, 1000), help="Go on from the last checkpoint so "
                             "often after a rank was lost."),
    "as_root": click.option("--allow-run-as-root", "as_root", is_flag=True, help="Tell Open MPI "
                            "that root is meant, as in a container."),
    "dry_run": click.option("--dry-run", is_flag=True, help="Print the command.")}


@click.command("launch", context_settings={"allow_interspersed_args": False})
@gathered("asked", Asked, _ASKED)
@click.argument("words", nargs=-1, required=True, metavar="-- VERB ...", type=click.UNPROCESSED)
def verb(asked, words):
    """Run a VERB, train, predict or measure, as RANKS processes over MPI (docs/mpi.md)."""
    return launch(*verb_behind(words), asked)


def verb_behind(words) -> tuple[str, list, dict]:
    """("train", "x.csv", ...) -> (verb, the words behind it, {option: value} as it reads them)."""
    verb, *rest = words
    if verb not in RANKED:
        raise click.UsageError(f"{verb} does not run over ranks: only {listed(RANKED)} do")
    command = cli.get_command(None, verb)
    return verb, rest, command.make_context(f"phenoscale {verb}", list(rest)).params
