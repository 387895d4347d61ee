# SPDX-License-Identifier: BSD-3-Clause
"""Watch over a job of several processes, and start it again where it lost one."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence

from phenoscale.errors import HUNG, INTERRUPTED, MISMATCH, SKIPPED, STOPPED
from phenoscale.signals import REPEATED, SIGNALS, heard

__all__ = ["supervise"]

# What a new start does not mend: all is done, the user's mistakes, a stop that was asked for.
# 76 is the watchdog's; a lost rank ends a job with its signal's number, or 128 more.
FINAL = (0, 1, 2, SKIPPED, MISMATCH, STOPPED, INTERRUPTED)
ALARM = "the ranks did not come together: one ended, or hangs, before MPI began; see what it said"
LOST_WORDS = {signal.SIGALRM: ALARM, 128 + signal.SIGALRM: ALARM}
PR_SET_PDEATHSIG = 1


class Supervisor:
    """One job at a time, and the signals that are for it.

    The first signal asks the ranks for a checkpoint, by SIGUSR1: launchers answer SIGINT and
    SIGTERM by killing the ranks within two seconds.  A second one is passed on as it is.
    """

    def __init__(self):
        self.child, self.signals = None, []
        for number in heard():
            signal.signal(number, self.pass_on)

    def pass_on(self, number, frame) -> None:
        """Handler: to the launcher, which has a session of its own and hears of no Ctrl-C."""
        self.signals.append(number)
        if self.child and len(self.signals) == 1:
            self.child.send_signal(signal.SIGUSR1)
        elif self.child and number not in REPEATED:
            self.child.send_signal(number)

    def run(self, command: Sequence[str], environ: Mapping[str, str]) -> int:
        """The status of a job."""
        before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        parent, libc = os.getpid(), ctypes.CDLL(None)

        def follow():
            """In the child: end with the parent, which nothing can catch the death of."""
            if sys.platform == "linux":
                libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
                if os.getppid() != parent:
                    os._exit(1)
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

        self.child = subprocess.Popen(command, env=dict(environ), stdin=subprocess.DEVNULL,
                                      start_new_session=True, preexec_fn=follow)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        status = self.child.wait()
        self.child = None
        return status if status >= 0 else 128 - status


def supervise(start: Sequence[str], again: Sequence[str], environ: Mapping[str, str],
              restarts: int) -> int:
    """Run a job, and up to `restarts` times `again` where that may mend what ended it.

    Returns its status: of a job stopped by Ctrl-C 130, as without ranks.
    """
    supervisor = Supervisor()
    status = supervisor.run(start, environ)
    for number in range(1, restarts + 1):
        if status in FINAL or supervisor.signals:
            break
        print(f"the job ended with status {status}: starting it again, {number} of {restarts}",
              file=sys.stderr, flush=True)
        status = supervisor.run(again, environ)
    if supervisor.signals and status not in (0, SKIPPED):  # whatever the launcher makes of it
        return INTERRUPTED if supervisor.signals[0] == signal.SIGINT else STOPPED
    if status in LOST_WORDS or status not in (*FINAL, HUNG):
        words = LOST_WORDS.get(status, "a rank was lost, perhaps for want of memory: go on with "
                               "--resume, or let --restarts do it")
        print(f"phenoscale: status {status}, what the launcher says of it stands above: {words}",
              file=sys.stderr)
    return status
