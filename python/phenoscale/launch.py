# SPDX-License-Identifier: BSD-3-Clause
"""What a launcher of MPI (mpiexec, mpirun, srun) says to the processes that it starts."""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["promised_size"]

# Where a launcher says how many ranks it started, the innermost one first: the daemons of mpirun
# are themselves a step of srun where it works in an allocation of Slurm.
PROMISES = ("OMPI_COMM_WORLD_SIZE", "MV2_COMM_WORLD_SIZE", "PMI_SIZE", "SLURM_STEP_NUM_TASKS")


def promised_size(environ: Mapping[str, str]) -> int | None:
    """How many ranks the launcher of this process says there are; None where there is none.

    Not from SLURM_NTASKS, which the shell of an allocation has too, and in a step of srun only
    for a task of it, which has a number in SLURM_PROCID.

    >>> promised_size({"OMPI_COMM_WORLD_SIZE": "4", "SLURM_STEP_NUM_TASKS": "2"})
    4
    """
    for name in PROMISES:
        words = environ.get(name, "")
        if words.isdecimal() and (not name.startswith("SLURM") or "SLURM_PROCID" in environ):
            return int(words)
    return None
