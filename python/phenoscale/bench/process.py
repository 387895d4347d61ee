# SPDX-License-Identifier: BSD-3-Clause
"""A contender of `phenoscale bench` as `run.py` sees it: a process that answers JSON lines.

The other end of the pipe is `serve` of peers.py.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import tempfile


class ContenderError(ChildProcessError):
    """A contender's process failed; the message is the end of what it printed."""


class Contender:
    """One process that answers JSON lines; a context manager.

    Parameters
    ----------
    command : list of str
        What to run.
    job : dict
        The first line it is sent; its "environment", if any, is added to the process's own.

    Raises
    ------
    OSError
        The command cannot be run.
    ContenderError
        The process ended without an answer.
    """

    def __init__(self, command, job):
        self.log = tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")  # noqa: SIM115
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.log, text=True,
            env={"TF_CPP_MIN_LOG_LEVEL": "2", "CUDA_VISIBLE_DEVICES": "", **os.environ,
                 **job.get("environment", {})})
        self.first = self.ask(job)

    def ask(self, request):
        """The answer to one request, as a dict."""
        with contextlib.suppress(BrokenPipeError):  # then there is no answer either
            self.process.stdin.write(json.dumps(request) + "\n")
            self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            self.log.seek(0)
            last = self.log.read().strip().splitlines()[-1:] or ["no message"]
            self.close()
            raise ContenderError(f"ended with status {self.process.returncode}: {last[0]}")
        return json.loads(line)

    def do(self, name, **arguments):
        """What the contender's method of that name returns."""
        return self.ask({"do": name, **arguments})["result"]

    def close(self):
        """End the process: its input ends."""
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait()
        self.log.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
