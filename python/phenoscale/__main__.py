# SPDX-License-Identifier: BSD-3-Clause
"""The command line: one verb a capability, each a thin call into the package (cli/).

Results on stdout, progress and errors on stderr.  Status 0 all done; 1 failed; 2 wrong usage;
3 done with fields skipped; 64 no job of several processes; 75 stopped by a signal, to be resumed;
130 interrupted.
"""

from __future__ import annotations

import os
import signal
import sys

# Threads that wait sleep: on a shared machine a spinning one takes the core another needs.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
# Ctrl-C waits for the end of this file: in the middle of an import it is a traceback, or lost.
_MASK = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})

from phenoscale.streams import open_outlets, outlets  # noqa: E402

open_outlets()
try:
    from phenoscale.cli.endings import status_of
    from phenoscale.cli.verbs import cli
    from phenoscale.errors import INTERRUPTED
    from phenoscale.ranks.job import leave
except ModuleNotFoundError as error:
    from phenoscale.errors import cure_of

    sys.exit(f"the command line of phenoscale needs {error.name}: {cure_of(error)}; the wheel's "
             "extra 'cli' has all that it needs")


def main(arguments=None) -> None:
    """Run a verb, and leave with its status."""
    status = 1
    with outlets():
        try:
            status = status_of(lambda: _verb(arguments))
        finally:
            leave(status)
    sys.exit(status)


def _verb(arguments) -> int:
    """Call a verb: its status, its results written."""
    status = cli.main(arguments, prog_name="phenoscale", standalone_mode=False)
    sys.stdout.flush()
    return status


try:
    signal.pthread_sigmask(signal.SIG_SETMASK, _MASK)
except KeyboardInterrupt:
    print("interrupted", file=sys.stderr)
    sys.exit(INTERRUPTED)

if __name__ == "__main__":
    main()
