# SPDX-License-Identifier: BSD-3-Clause
"""Where the modules of CellProfiler have their numbers from: one interface, two back ends.

    module -> Place.execute(task, inputs) -+-> phenoscale.hosts.tasks, in CellProfiler's own Python
                                           `-> `phenoscale serve`, a process here or elsewhere

docs/serve.md of phenoscale is the manual of the tasks and of the lines a worker speaks.
"""

import atexit
import base64
import importlib.util
import json
import os
import queue
import shlex
import signal
import subprocess
import sys
import tempfile
import threading
import time
import zlib
from typing import NamedTuple

import numpy

__all__ = ["Cancelled", "Failure", "NoWorker", "Place", "threads_of", "unpacked"]

DEFAULT_COMMAND = "phenoscale serve"
_PROTOCOL = 1
_LIMIT_LINE = 16 << 20  # bytes of a request
_GREETING_S, _FAILURE_S = 30, 10  # wait for a worker's first line; failures are remembered
_workers = {}  # command -> _Worker
_abouts = {}  # (command, path, time and size of the file) -> (when, outputs or Failure)
_lock = threading.Lock()


class Failure(RuntimeError):
    """One sentence for the user."""


class NoWorker(Failure):
    """Its command is at fault, not the task."""


class Cancelled(Exception):
    """Raised by an `update` to end the task it is told of."""


class Place(NamedTuple):
    """Where phenoscale runs.

    command : str
        Of a worker; empty for this Python, or where phenoscale is not in it, `DEFAULT_COMMAND`.
    here, there : str
        A folder of this computer and what the worker calls it; empty where they are the same.
    """

    command: str = ""
    here: str = ""
    there: str = ""

    def is_local(self):
        """Whether the tasks are done in this process."""
        return not self.command and importlib.util.find_spec("phenoscale") is not None

    def path(self, path):
        """A path as the worker knows it; None for one outside of the folder it shares."""
        if self.is_local() or not self.here:
            return path
        below = os.path.normcase(os.path.join(os.path.abspath(self.here), ""))
        if not os.path.normcase(path).startswith(below):
            return None
        rest = path[len(below):]
        if "\\" in self.there and "/" not in self.there:
            return self.there.rstrip("\\") + "\\" + rest.replace("/", "\\")
        return self.there.rstrip("/") + "/" + rest.replace(os.sep, "/")

    def shared(self, path):
        """The same; Failure where the worker does not see it."""
        found = self.path(path)
        if found is None:
            raise Failure(f"the worker does not see {path}: move it into {self.here}, or choose "
                          "another folder that both computers share")
        return found

    def execute(self, script, inputs, update=None):
        """Do a task; Failure says in one sentence what was wrong, Cancelled comes from `update`,
        which is called with (done, of, words)."""
        update = update or (lambda done, of, words="": None)
        if self.is_local():
            return _execute_here(script, inputs, update)
        command = self.command or DEFAULT_COMMAND
        if script == "train":  # long: a process of its own, so that nothing else waits for it
            worker = _Worker(command)
            try:
                return worker.execute(script, inputs, update)
            finally:
                worker.close()
        with _lock:
            worker = _workers.get(command)
            if worker is None or not worker.is_alive():
                worker = _workers[command] = _Worker(command)
        return worker.execute(script, inputs, update)

    def about(self, path):
        """What is in a model file; asked again only when the file changes."""
        try:
            state = os.stat(path)
            key = (self, path, state.st_mtime_ns, state.st_size)
        except OSError:
            key = (self, path)
        when, found = _abouts.get(key, (0, None))
        if found is None or isinstance(found, Failure) and time.monotonic() - when > _FAILURE_S:
            try:
                found = self.execute("about", {"model": self.shared(path)})
            except Failure as error:
                found = error
            _abouts[key] = time.monotonic(), found
        if isinstance(found, Failure):
            raise found
        return found


def threads_of(chosen):
    """Threads for a task, None for all: one for each of CellProfiler's worker processes, which
    are as many as there are cores, where the user did not choose."""
    return chosen or (1 if "--work-announce" in sys.argv else None)


# ---- in this Python ------------------------------------------------------------------------------


def _execute_here(script, inputs, update):
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # waiting threads sleep
    from phenoscale import _core
    from phenoscale.errors import InputError, cure_of
    from phenoscale.hosts.tasks import execute, update_of
    from phenoscale.signals import Stopped

    def tell(event):
        try:
            update(*update_of(script, event))
        except Cancelled:  # so that a training leaves a checkpoint
            raise Stopped(signal.SIGINT) from None

    try:
        return execute(script, inputs, tell)
    except Stopped:
        raise Cancelled from None
    except ModuleNotFoundError as error:
        raise Failure(f"this needs the package {error.name} in CellProfiler's Python ("
                      f"{sys.executable} -m {cure_of(error)} 'numpy<2'), or a worker") from None
    except (InputError, _core.ImageError, MemoryError) as error:
        raise Failure(str(error) or "out of memory") from None
    except OSError as error:
        raise Failure(f"{error.filename}: {error.strerror}" if error.filename else str(error)
                      ) from None


# ---- a worker ------------------------------------------------------------------------------------


class _Worker:
    """One `phenoscale serve`, here or at the other end of ssh; kept until this process ends."""

    def __init__(self, command):
        self._command, self._tasks, self._lines = command, 0, queue.Queue()
        self._busy = threading.Lock()
        number, self._log = tempfile.mkstemp(prefix="phenoscale-serve-", suffix=".log")
        # CellProfiler's own Python must not leak into that of the worker
        settings = {k: v for k, v in os.environ.items() if k not in ("PYTHONHOME", "PYTHONPATH")}
        try:
            self._process = subprocess.Popen(
                _words(command), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=number,
                env=settings, creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0))
        except (OSError, IndexError) as error:
            os.remove(self._log)
            why = getattr(error, "strerror", None) or "it is empty"
            raise NoWorker(f"the worker command '{command}' cannot be started: {why}; give the "
                           "whole path of phenoscale, as in /opt/phenoscale/bin/phenoscale serve, "
                           "in 'Worker command'") from None
        finally:
            os.close(number)
        atexit.register(self.close)
        threading.Thread(target=self._listen, daemon=True).start()
        self._greet()

    def is_alive(self):
        return self._process.poll() is None

    def close(self):
        """End the process, and take its log away if it is empty."""
        atexit.unregister(self.close)
        try:
            self._process.stdin.close()
            self._process.wait(10)
        except (OSError, subprocess.TimeoutExpired):
            self._process.kill()
            self._process.wait()
        if os.path.exists(self._log) and not os.path.getsize(self._log):
            os.remove(self._log)

    def execute(self, script, inputs, update):
        with self._busy:
            self._tasks += 1
            task, is_cancelled = str(self._tasks), False
            self._send({"task": task, "requestType": "EXECUTE", "script": script,
                        "inputs": inputs})
            while True:
                answer = self._answer()
                kind = answer.get("responseType")
                if answer.get("task") not in (task, None):
                    continue
                if kind == "COMPLETION":
                    return answer["outputs"]
                if kind == "FAILURE":
                    raise Failure(answer["error"])
                if kind == "CANCELATION":
                    raise Cancelled
                if kind == "UPDATE" and not is_cancelled:
                    try:
                        update(answer["current"], answer["maximum"], answer["message"])
                    except Cancelled:
                        is_cancelled = True
                        self._send({"task": task, "requestType": "CANCEL"})

    # ---- lines ---------------------------------------------------------------------------------

    def _listen(self):
        for line in self._process.stdout:
            self._lines.put(line)
        self._lines.put(b"")

    def _greet(self):
        try:
            greeting = self._answer(_GREETING_S)
        except queue.Empty:
            self._give_up()
            raise NoWorker(f"the worker '{self._command}' said nothing for {_GREETING_S} s: does "
                           "the command work in a terminal, without asking for a password?"
                           ) from None
        if greeting.get("protocol") != _PROTOCOL:
            self._give_up()
            raise NoWorker(f"the worker '{self._command}' is no phenoscale of this age: install "
                           "the same version in both places")

    def _send(self, request):
        line = json.dumps(request, default=_packed).encode() + b"\n"
        if len(line) > _LIMIT_LINE:
            raise Failure("these images are too large to be sent to a worker: let it read the "
                          "files themselves, in a folder that both computers share")
        try:
            self._process.stdin.write(line)
            self._process.stdin.flush()
        except OSError:
            self._died()

    def _answer(self, timeout=None):
        line = self._lines.get(timeout=timeout)
        if not line:
            self._died()
        try:
            return dict(json.loads(line))
        except (ValueError, TypeError):
            self._give_up()
            raise NoWorker(f"the worker '{self._command}' does not speak as phenoscale serve does, "
                           f"but says: {line[:80].decode(errors='replace').strip()}") from None

    def _give_up(self):
        self._process.kill()
        self._process.wait()

    def _died(self):
        self._give_up()
        with open(self._log, errors="replace") as file:
            last = file.read().strip().splitlines()[-1:]
        raise NoWorker(f"the worker '{self._command}' ended with status "
                       f"{self._process.returncode}{': ' if last else ''}{''.join(last)} (its log "
                       f"is {self._log}); the next image starts it anew")


def _words(command):
    """A command line as its words; a backslash is a character of paths on Windows."""
    words = shlex.split(command, posix=os.name != "nt")
    return [word.strip('"') for word in words] if os.name == "nt" else words


def _packed(pixels):
    """Pixels (height, width) of a request, as docs/serve.md has them."""
    content = numpy.ascontiguousarray(pixels, pixels.dtype.newbyteorder("<"))
    return {"dtype": pixels.dtype.name, "shape": list(pixels.shape),
            "data": base64.b64encode(zlib.compress(content.tobytes(), 1)).decode()}


def unpacked(about):
    """Pixels (height, width) of an answer."""
    content = zlib.decompress(base64.b64decode(about["data"]))
    kind = numpy.dtype(about["dtype"]).newbyteorder("<")
    return numpy.frombuffer(content, kind).reshape(about["shape"])
