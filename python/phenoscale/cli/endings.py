# SPDX-License-Identifier: BSD-3-Clause
"""What a verb of the command line says at its end, and its status."""

from __future__ import annotations

import os
import signal
import sys

import click

from phenoscale import _core
from phenoscale.errors import INTERRUPTED, SKIPPED, STOPPED, InputError, cure_of, sentence_of
from phenoscale.ranks.job import turn
from phenoscale.signals import Stopped
from phenoscale.words import count, visible

__all__ = ["say_skipped", "say_stopped", "say_unscored", "status_of"]


def say_skipped(errors: str) -> int:
    """The status of a run that had to leave fields out."""
    from phenoscale.files.csv import read_csv

    _, rows, _ = read_csv(errors)
    print(errors)
    were = "was" if len(rows) == 1 else "were"
    print(f"{count(len(rows), 'field')} {were} skipped: see {errors}", file=sys.stderr)
    return SKIPPED


def say_unscored(why: str) -> None:
    """The last line of a training that has no score."""
    if why:
        print(f"phenoscale: {why}", file=sys.stderr)


def say_stopped(error: Stopped, folder: str) -> int:
    """The status of a run that a signal ended; what it can go on from is in the folder."""
    print(f"{turn()}{error}" + (": go on with --resume" if os.path.isdir(folder) else ""),
          file=sys.stderr)
    return INTERRUPTED if error.number == signal.SIGINT else STOPPED


def status_of(verb) -> int:
    """Call a verb: its status; a user's mistake is one sentence on stderr and status 1."""
    try:
        return verb() or 0
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (KeyboardInterrupt, click.Abort) as error:  # click makes an Abort of the former
        stopped = error.__cause__ if isinstance(error, click.Abort) else error
        if isinstance(stopped, Stopped):
            return say_stopped(stopped, "")
        print("interrupted", file=sys.stderr)
        return INTERRUPTED
    except (InputError, _core.ImageError, OSError, MemoryError) as error:
        # one line, whatever names the files have
        print(f"phenoscale: {turn()}{visible(sentence_of(error))}", file=sys.stderr)
        return getattr(error, "status", 1)
    except ModuleNotFoundError as error:
        print(f"phenoscale: this verb needs {error.name}: {cure_of(error)}", file=sys.stderr)
    return 1
