# SPDX-License-Identifier: BSD-3-Clause
"""The line: the one thread of a rank that talks to MPI.

It takes jobs from the other threads, tests what is under way every few microseconds (no MPI goes on
by itself), and each second says to the next rank that this one lives.  Jobs of one lane are done in
their order; lanes have a communicator each, so that they need not wait for one another.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
import traceback
from collections import deque
from contextlib import suppress

from phenoscale.errors import HUNG, InputError

__all__ = ["Line", "forget_segments", "silence_limit"]

_PULSE_S = 1.0  # between two signs of life
_HANG_S = 30.0  # without one
_PAUSE_S = 2e-5  # between two looks at what is under way
_SPIN_S = 5e-3  # somebody waits: so long without pauses
_KILL_S = 5.0  # for the launcher to do it
#: names of MPI's shared memory: MPICH, Open MPI 5, Open MPI 4
_SEGMENTS = ("mpich_shm_", "ucx_shm_posix_", "sm_segment.", "vader_segment.")
_TOGETHER_S = 0.2  # until all have heard of the end
_LANES = ("main", "dense")


def silence_limit() -> float:
    """Seconds after which a rank that says nothing is given up: PHENOSCALE_HANG_S, or 30."""
    words = os.environ.get("PHENOSCALE_HANG_S") or str(_HANG_S)
    try:
        limit = float(words)
    except ValueError:
        limit = 0.0
    if not _PULSE_S < limit < 1e9:
        raise InputError(f"PHENOSCALE_HANG_S={words}: give a number of seconds over {_PULSE_S:.0f}")
    return limit


def forget_segments() -> list[str]:
    """Take away the names of the shared memory that MPI has mapped here: who has it keeps it, and
    nothing stays where the job is killed.  The names."""
    with open("/proc/self/maps", encoding="utf-8", errors="replace") as maps:
        names = {line.split(None, 5)[-1].strip() for line in maps if "/dev/shm/" in line}
    names = [name for name in names if os.path.basename(name).startswith(_SEGMENTS)]
    for name in names:
        with suppress(OSError):
            os.remove(name)
    return names


def _end_all(mpi, status: int) -> None:
    """End every rank.  MPI_Abort of some comes back before the launcher has killed this one."""
    forget_segments()
    mpi.COMM_WORLD.Abort(status)
    time.sleep(_KILL_S)
    os._exit(status)


def _leave(status: int) -> None:
    """End this rank, with a moment for the others to do it too before srun kills them."""
    forget_segments()
    time.sleep(_TOGETHER_S)
    os._exit(status)


class _Job:
    """Steps that each give requests of MPI to be waited for."""

    def __init__(self, steps):
        self._steps, self._requests = steps, None
        self.done, self.error = threading.Event(), None

    def advance(self, mpi) -> bool:
        """Go on if that can be; whether it is over."""
        try:
            while self._requests is None or mpi.Request.Testall(self._requests):
                self._requests = next(self._steps)
        except StopIteration:
            self.done.set()
            return True
        except Exception as error:
            self.error = error
            self.done.set()
            return True
        return False

    def wait(self) -> None:
        """Until it is over."""
        while not self.done.wait(0.1):  # signals are looked at in between
            pass
        if self.error is not None:
            raise self.error


class Line(threading.Thread):
    """The thread that talks to MPI."""

    def __init__(self, mpi, world, names, limit: float):
        super().__init__(name="phenoscale-mpi", daemon=True)
        self._mpi, self._names = mpi, names
        self._lanes = {name: (world.Dup(), deque()) for name in _LANES}
        self._pulse, self._urgent = world.Dup(), 0.0
        self._wake, self._is_over, self._abort = threading.Condition(), False, None
        self._wants_stop = False
        self._limit = limit

    def submit(self, lane: str, steps) -> _Job:
        """Do a job: `steps` takes a communicator and yields lists of requests."""
        comm, jobs = self._lanes[lane]
        job = _Job(steps(comm))
        with self._wake:
            jobs.append(job)
            self._wake.notify()
        return job

    def hurry(self) -> None:
        """Somebody waits."""
        self._urgent = time.monotonic() + _SPIN_S

    def close(self) -> None:
        """Come to an end, all jobs done."""
        with self._wake:
            self._is_over = True
            self._wake.notify()
        self.join()

    def abort(self, status: int) -> None:
        """End all ranks."""
        with self._wake:
            self._abort = status
            self._wake.notify()
        self.join(2 * _KILL_S)
        os._exit(status)  # MPI did not

    def stop_first(self) -> None:
        """Tell rank 0 of a signal; it saves and ends all."""
        self._wants_stop = True

    def run(self) -> None:
        """Look after everything, until closed."""
        try:
            pulse = _Pulse(self._mpi, self._pulse, self._names, self._limit)
            while True:
                is_idle = not self._advance()
                if self._abort is not None:
                    pulse.end(self._abort)
                if self._is_over and is_idle:
                    pulse.close()
                    return
                if self._wants_stop:
                    pulse.tell()
                    self._wants_stop = False
                pulse.beat()
                self._rest(is_idle)
        except BaseException:
            with suppress(OSError):  # nobody may hear it
                traceback.print_exc()
            _end_all(self._mpi, 1)

    def _advance(self) -> bool:
        """Go on with the first job of each lane; whether any is left."""
        for _, jobs in self._lanes.values():
            while jobs and jobs[0].advance(self._mpi):
                jobs.popleft()
        return any(jobs for _, jobs in self._lanes.values())

    def _rest(self, is_idle: bool) -> None:
        if not is_idle:
            time.sleep(0 if time.monotonic() < self._urgent else _PAUSE_S)
            return
        with self._wake:
            if not (self._is_over or self._abort is not None
                    or any(jobs for _, jobs in self._lanes.values())):
                self._wake.wait(0.05)


class _Pulse:
    """Signs of life around the ring of ranks, word of a signal to rank 0, and of the end."""

    _LIFE, _SIGNAL, _END = 1, 2, 3

    def __init__(self, mpi, comm, names, limit: float):
        self._mpi, self._comm, self._names, self._limit = mpi, comm, names, limit
        self._before, self._after = (comm.rank - 1) % comm.size, (comm.rank + 1) % comm.size
        self._in, self._out, self._word = bytearray(1), bytearray(1), bytearray(1)
        self._sent, self._receives = None, comm.Irecv(self._in, self._before, self._LIFE)
        self._hears = None if comm.rank else comm.Irecv(self._word, mpi.ANY_SOURCE, self._SIGNAL)
        self._status, self._parent = bytearray(1), os.getppid()
        self._ends = comm.Irecv(self._status, mpi.ANY_SOURCE, self._END)
        self._last_sent, self._last_heard = 0.0, time.monotonic()
        self._last_beat = self._last_heard

    def beat(self) -> None:
        """Send and hear what is due; ends the job where the rank before this one is silent."""
        now = time.monotonic()
        if now - self._last_beat > 3 * _PULSE_S:
            self._last_heard = now  # this process itself was stopped
        self._last_beat = now
        if os.getppid() != self._parent:
            os._exit(HUNG)  # the launcher is gone: MPI_Abort would wait for it, nobody hears a word
        if self._ends.Test():
            _leave(self._status[0])
        if now - self._last_sent >= _PULSE_S and (self._sent is None or self._sent.Test()):
            self._sent = self._comm.Isend(self._out, self._after, self._LIFE)
            self._last_sent = now
        while self._receives.Test():
            self._receives = self._comm.Irecv(self._in, self._before, self._LIFE)
            self._last_heard = now
        if self._hears is not None and self._hears.Test():
            # It may have had its own before, and be past listening.
            if callable(signal.getsignal(signal.SIGUSR1)):
                os.kill(os.getpid(), signal.SIGUSR1)
            self._hears = None
        if now - self._last_heard > self._limit:
            print(f"phenoscale: {self._names[self._before]} has not answered for "
                  f"{self._limit:.0f} s: the job is ended", file=sys.stderr, flush=True)
            _end_all(self._mpi, HUNG)

    def end(self, status: int) -> None:
        """End every rank; under srun each by itself, since of one that is killed it says 137."""
        if os.environ.get("SLURM_KILL_BAD_EXIT") == "1":  # by `launch`: it ends who does not hear
            sent = [self._comm.Isend(bytes([status]), rank, self._END)
                    for rank in range(self._comm.size) if rank != self._comm.rank]
            end = time.monotonic() + _PULSE_S
            while not self._mpi.Request.Testall(sent) and time.monotonic() < end:
                time.sleep(_PAUSE_S)
            _leave(status)
        _end_all(self._mpi, status)

    def tell(self) -> None:
        """Tell rank 0 of a signal."""
        self._comm.Isend(self._out, 0, self._SIGNAL)

    def close(self) -> None:
        """Take back what is open."""
        for request in (self._receives, self._hears, self._ends):
            if request is not None:
                request.Cancel()
                request.Wait()
