# SPDX-License-Identifier: BSD-3-Clause
"""`phenoscale serve`: a worker for other programs, JSON lines on stdin and stdout.

    stdin --reader thread--> queue --main thread--> host.execute --> stdout
               `-- CANCEL --> SIGINT to the main thread while it computes

docs/serve.md is the manual.  Stdout carries the lines alone: what libraries print goes to stderr.
"""

from __future__ import annotations

import json
import math
import os
import queue
import signal
import threading
import time
import traceback

import phenoscale
from phenoscale import _core
from phenoscale.errors import InputError, cure_of, sentence_of
from phenoscale.hosts.tasks import TASKS, execute, update_of
from phenoscale.signals import Stopped
from phenoscale.words import listed

__all__ = ["serve"]

PROTOCOL = 1
LIMIT_LINE = 16 << 20  # bytes
_PAUSE_S = 0.1  # between two updates
_LONGEST = 200  # characters of the name of a task
_DIGITS = 30
_OF_REQUEST = {"EXECUTE": ("task", "requestType", "script", "inputs"),
               "CANCEL": ("task", "requestType")}


class _Garbage(Exception):
    """(task or None, sentence): a line that is no request."""


class _Twice(Exception):
    """(name,): an object of JSON that has a name twice."""


class _Cancelled(KeyboardInterrupt):
    """The running task is to end."""


def serve() -> int:
    """Answer requests until stdin ends; the exit status."""
    requests, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb", 0)
    os.dup2(2, 1)
    worker = _Worker(answers)
    before = signal.signal(signal.SIGINT, worker.interrupt)
    try:
        worker.say(phenoscale=phenoscale.__version__, protocol=PROTOCOL, tasks=sorted(TASKS))
        threading.Thread(target=worker.listen, args=(requests,), daemon=True).start()
        worker.work()
    except BrokenPipeError:  # who asked is gone
        return 1
    finally:
        signal.signal(signal.SIGINT, before)
    return 0


class _Worker:
    """Requests in order, one at a time.

    `running` and `cancelled` change under the lock, so that a CANCEL meets the task it means, or
    none; `interrupt` runs on the main thread and raises only within that task.
    """

    def __init__(self, lines):
        self._lines, self._writing, self._lock = lines, threading.Lock(), threading.RLock()
        self._queue, self._waiting = queue.Queue(), set()
        self._running, self._cancelled, self._told = None, False, 0.0
        self._is_ours = False  # the SIGINT on its way

    # ---- answers -------------------------------------------------------------------------------

    def say(self, **answer) -> None:
        """Write one line."""
        line = json.dumps(_finite(answer), allow_nan=False).encode() + b"\n"
        with self._writing:
            view = memoryview(line)
            while view:
                view = view[self._lines.write(view):]

    def _update(self, done: int, of: int, words: str) -> None:
        """Tell of progress, now and then."""
        now = time.monotonic()
        if now - self._told >= _PAUSE_S or done == of:
            self._told = now
            try:
                self.say(task=self._running, responseType="UPDATE", message=words, current=done,
                         maximum=of)
            except OSError:  # who asked is gone: a training ends with a checkpoint
                with self._lock:
                    self._cancel()

    # ---- the reader's thread -------------------------------------------------------------------

    def listen(self, stream) -> None:
        """Requests from a stream of bytes to the queue; the end of it ends the work."""
        try:
            while line := stream.readline(LIMIT_LINE + 1):
                try:
                    self._take(_whole(line, stream))
                except _Garbage as error:
                    self.say(task=error.args[0], responseType="FAILURE", error=error.args[1])
        except (BrokenPipeError, ValueError):  # who asked is gone, or this process ends
            pass
        self._queue.put(None)

    def _take(self, line: bytes) -> None:
        if not line.strip():
            return
        request = _parsed(line)
        task, kind = request["task"], request["requestType"]
        with self._lock:
            if kind == "EXECUTE":
                if task == self._running or task in self._waiting:
                    raise _Garbage(task, f"there is a task {task!r} already: give each its own")
                self._waiting.add(task)
                self._queue.put(request)
            elif task in self._waiting:
                self._waiting.discard(task)
                self.say(task=task, responseType="CANCELATION")
            elif task == self._running:
                self._cancel()
            # a task that has ended needs no cancelling

    def _cancel(self) -> None:
        """End the running task, once; under the lock."""
        if not self._cancelled:
            self._cancelled = self._is_ours = True
            signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)

    # ---- the main thread -----------------------------------------------------------------------

    def interrupt(self, number, frame) -> None:
        """The handler of SIGINT: ours ends the task, that of a terminal the process."""
        if not self._is_ours:
            raise KeyboardInterrupt
        self._is_ours = False
        if self._running is not None:
            raise _Cancelled

    def work(self) -> None:
        """Do what is in the queue until it ends."""
        while (request := self._queue.get()) is not None:
            with self._lock:
                if request["task"] not in self._waiting:
                    continue
                self._waiting.discard(request["task"])
            self._answer(request)

    def _answer(self, request: dict) -> None:
        task = request["task"]
        self.say(task=task, responseType="LAUNCH")
        try:
            self._running = task
            answer = self._outcome(request)
            with self._lock:  # from here on a CANCEL comes too late
                self._running = None
        except KeyboardInterrupt as error:
            with self._lock:
                is_ours, self._running = self._cancelled, None
            if not is_ours:
                raise error
            if isinstance(error, Stopped):  # a training has handlers of its own
                self._is_ours = False
            answer = {"responseType": "CANCELATION"}
        self._cancelled = False
        self.say(task=task, **answer)

    def _outcome(self, request: dict) -> dict:
        try:
            outputs = execute(request["script"], request["inputs"],
                              lambda event: self._update(*update_of(request["script"], event)))
            return {"responseType": "COMPLETION", "outputs": outputs}
        except (InputError, _core.ImageError, OSError, MemoryError) as error:
            if isinstance(error, BrokenPipeError):
                raise
            return {"responseType": "FAILURE", "error": sentence_of(error)}
        except ModuleNotFoundError as error:
            return {"responseType": "FAILURE",
                    "error": f"this task needs the package {error.name}: {cure_of(error)}"}
        except Exception as error:  # ours to mend: the place goes to stderr
            traceback.print_exc()
            return {"responseType": "FAILURE",
                    "error": f"a fault in phenoscale itself ({type(error).__name__}: {error}); its "
                             "log says where"}


# ---- lines ---------------------------------------------------------------------------------------


def _whole(line: bytes, stream) -> bytes:
    """A line that is not over the limit; the rest of one that is, is passed over."""
    if len(line) <= LIMIT_LINE:
        return line
    while line and not line.endswith(b"\n"):
        line = stream.readline(LIMIT_LINE)
    raise _Garbage(None, f"a line of more than {LIMIT_LINE:,} bytes: give files instead of pixels")


def _parsed(line: bytes) -> dict:
    try:
        request = json.loads(line, object_pairs_hook=_once, parse_int=_whole_number,
                             parse_constant=_no_number)
    except _Twice as error:
        raise _Garbage(None, f"the name {error.args[0]!a} is twice in one object") from None
    except (ValueError, RecursionError):
        raise _Garbage(None, "this line is no JSON in UTF-8") from None
    if not isinstance(request, dict):
        raise _Garbage(None, "a request is a JSON object")
    task = request.get("task")
    if not isinstance(task, str) or not 0 < len(task) <= _LONGEST:
        raise _Garbage(None, f"'task' is text of 1 to {_LONGEST} characters")
    kind = request.get("requestType")
    if not isinstance(kind, str) or kind not in _OF_REQUEST:
        raise _Garbage(task, "'requestType' is EXECUTE or CANCEL")
    known = _OF_REQUEST[kind]
    for name in request:
        if name not in known:
            raise _Garbage(task, f"there is no {name[:_LONGEST]!a} in a request: "
                           f"{listed(known, near=name[:_LONGEST])}")
    if kind == "EXECUTE" and not isinstance(request.get("script"), str):
        raise _Garbage(task, f"'script' names one of the tasks {', '.join(sorted(TASKS))}")
    return {"inputs": {}, **request}


def _once(pairs: list) -> dict:
    """An object, of which no name is there twice."""
    found = {}
    for name, value in pairs:
        if name in found:
            raise _Twice(name[:_LONGEST])
        found[name] = value
    return found


def _whole_number(text: str) -> int:
    """A whole number of no more digits than any input has."""
    if len(text) > _DIGITS:
        raise ValueError(text[:_DIGITS])
    return int(text)


def _no_number(text: str):
    """NaN and the like, which JSON has not."""
    raise ValueError(text)


def _finite(value):
    """The same with null for numbers that JSON has not."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(one) for key, one in value.items()}
    return [_finite(one) for one in value] if isinstance(value, (list, tuple)) else value
