# SPDX-License-Identifier: BSD-3-Clause
"""Verbs that write one file of every field, shared by ranks: their way from options to a status."""

from __future__ import annotations

from phenoscale.cli.endings import say_skipped, say_stopped
from phenoscale.cli.options import given
from phenoscale.prediction.blocks import blocks_beside
from phenoscale.progress import Progress
from phenoscale.ranks.crew import Crew
from phenoscale.ranks.job import join
from phenoscale.ranks.roll_call import agree
from phenoscale.signals import Stopped

__all__ = ["write_shared"]


def write_shared(write, out, threads, quiet) -> int:
    """The status of a verb.

    write: callable that takes a `Crew`, and gives what `phenoscale.predict_to_file` does.
    """
    ranks = join()
    agree(ranks, given)
    try:
        with Progress(quiet or ranks.rank > 0) as progress, \
                Crew(ranks, threads, progress) as crew, crew.computing():
            crew.roll_call()
            errors = write(crew)[1]
    except Stopped as error:
        return say_stopped(error, blocks_beside(out))
    if ranks.rank:
        return 0
    print(out)
    return say_skipped(errors) if errors else 0
