# SPDX-License-Identifier: BSD-3-Clause
"""This process in its job: joining MPI, telling whose turn it is, leaving."""

from __future__ import annotations

import math
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Mapping

from phenoscale.errors import MISMATCH, SKIPPED
from phenoscale.ranks.alone import Alone
from phenoscale.ranks.line import silence_limit
from phenoscale.ranks.mpi import Ranks
from phenoscale.signals import SIGNALS, Stopped, heard

__all__ = ["join", "leave", "promised_size", "turn"]


_MEET = 4  # limits of silence until all ranks must have met
_TURN_S = 1.5  # rank 0 speaks first
_FINALIZE_S = 30.0
_joined = None  # MPI is of the process too


def join() -> Alone:
    """The ranks that this process was started among: `Alone` where it was started by itself.

    Where the launcher says that there are more than MPI finds, the process ends with status 64 and
    a sentence: it would be one of so many jobs of one rank, all writing the same files.
    """
    global _joined
    if _joined is not None:
        return _joined
    promised = promised_size(os.environ)
    if promised is None or promised == 1:
        return Alone()
    limit = silence_limit()  # its complaint before MPI begins
    try:
        import mpi4py

        mpi4py.rc.initialize = False  # a library that is not the launcher's may end or wait there
        from mpi4py import MPI
    except (ImportError, RuntimeError) as error:
        reason = str(error).splitlines()[0] if str(error) else "no reason given"
        _refuse(f"started as one of {promised} ranks, but mpi4py cannot be used ({reason}): pip "
                "install mpi4py and an MPI library, or start with 'phenoscale launch'")
    library = MPI.Get_library_version().strip("\0 ").splitlines()[0].split(",")[0]
    by_open = "OMPI_COMM_WORLD_SIZE" in os.environ
    by_other = "PMI_SIZE" in os.environ and not by_open
    if by_other if library.startswith("Open MPI") else by_open:
        _refuse_launcher(library, promised, "is not its own")
    # MPICH has a handler of its own for SIGUSR1, which does nothing: none comes through meanwhile.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    # Where a rank ended before it came here, the others wait for ever; launchers see the death of
    # one that is by a signal, and Python could not act: MPI holds its lock.
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.alarm(math.ceil(_MEET * limit))
    if not MPI.Is_initialized():
        MPI.Init_thread(MPI.THREAD_MULTIPLE)
    if MPI.COMM_WORLD.size != promised:
        _refuse_launcher(library, promised, f"finds {MPI.COMM_WORLD.size}")
    _joined = Ranks(MPI, limit)
    signal.alarm(0)
    for number in set(heard()) - {signal.SIGINT}:
        signal.signal(number, _stop)
    signal.pthread_sigmask(signal.SIG_SETMASK, before)
    return _joined


def _stop(number, frame) -> None:
    """A signal where nobody keeps anything, before a training or after it; launchers send more."""
    for other in SIGNALS:
        signal.signal(other, signal.SIG_IGN)
    raise Stopped(number)


def _refuse_launcher(library: str, promised: int, why: str) -> None:
    _refuse(f"a launcher started {promised} ranks, but to the MPI library ({library}) it {why}: "
            "the two are of different MPIs. Start with 'phenoscale launch', or with the mpiexec of "
            "that library (Slurm: srun --mpi=pmix for Open MPI, --mpi=pmi2 for MPICH)")


def _refuse(words: str) -> None:
    print(f"phenoscale: {words}", file=sys.stderr, flush=True)
    os._exit(MISMATCH)  # finalising MPI might wait for ranks that are not there


def turn() -> str:
    """Before a complaint: rank 0 has the first word, and its end is that of all; who speaks."""
    if _joined is None or not _joined.rank:
        return ""
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)  # launchers send them, to end it
    time.sleep(_TURN_S)
    return f"{_joined.names[_joined.rank]}: "


def leave(status: int) -> None:
    """The end of this process, with that status; one that is no success ends all."""
    if _joined is None:
        return
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    sys.stdout.flush()
    if isinstance(sys.exc_info()[1], Exception):  # a fault of the program
        traceback.print_exc()
    if status not in (0, SKIPPED):
        _joined.line.abort(status)
    _joined.barrier()
    _joined.line.close()
    # All is done; where the launcher is gone, MPI would wait for it here.
    late = threading.Timer(_FINALIZE_S, os._exit, [status])
    late.daemon = True
    late.start()
    _joined.finalize()
    late.cancel()


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
