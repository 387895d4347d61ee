# SPDX-License-Identifier: BSD-3-Clause
"""What a verb of the command line says at its end, and its status."""

from __future__ import annotations

import os
import signal
import sys

from phenoscale import mpi
from phenoscale.stop import Stopped

__all__ = ["INTERRUPTED", "SKIPPED", "STOPPED", "say_skipped", "say_stopped"]

SKIPPED, STOPPED, INTERRUPTED = 3, 75, 130


def say_skipped(errors: str) -> int:
    """The status of a run that had to leave fields out."""
    from phenoscale.csv_file import read_csv

    _, rows, _ = read_csv(errors)
    print(errors)
    print(f"{len(rows)} fields were skipped: see {errors}", file=sys.stderr)
    return SKIPPED


def say_stopped(error: Stopped, folder: str) -> int:
    """The status of a run that a signal ended; what it can go on from is in the folder."""
    print(f"{mpi.turn()}{error}" + (": go on with --resume" if os.path.isdir(folder) else ""),
          file=sys.stderr)
    return INTERRUPTED if error.number == signal.SIGINT else STOPPED
