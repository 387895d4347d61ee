# SPDX-License-Identifier: BSD-3-Clause
"""The keeper of a run folder: makes it, saves checkpoints, the best model and the log into it,
stops on signals, and leaves the folder as it should be left; while it works the folder is locked.
Of several ranks the first has the keeper, the others are its followers.

    begun fresh      a run that fails before its first checkpoint takes its files away again
    resumed          goes on from the newest whole checkpoint of the same options
    stopped, failed  the checkpoint of the last finished step stays
    ended            model.safetensors is there
"""

from __future__ import annotations

import json
import os
import re
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import replace
from functools import partial

import numpy as np

from phenoscale.errors import InputError
from phenoscale.files.atomic import remove_leftovers
from phenoscale.files.csv import write_csv
from phenoscale.files.lock import lock_of_folder
from phenoscale.machine import environment
from phenoscale.ranks.crew import Crew
from phenoscale.signals import Stopped
from phenoscale.training.begun import read_begun, write_begun
from phenoscale.training.checkpoint import Checkpoints, newest
from phenoscale.training.run_folder import RunFolder
from phenoscale.training.running import Running
from phenoscale.training.tensorboard import Board
from phenoscale.training.train import Diverged, Trained
from phenoscale.training.unwritten import Unwritten
from phenoscale.training.watcher import Watcher

__all__ = ["Keeper", "other_option", "refuse_taken"]

_COLUMNS = ["epoch", "step", "images", "loss", "rate", "gradient_norm", "images_per_s", "seconds",
            "val_loss", "val_accuracy", "val_balanced_accuracy"]
_BLOCK = 1 << 20  # numbers
#: options that older runs did not have, and what these did
_NOT_YET = {"average": 1, "views": "one", "members": 1, "normalise": "fields"}


class Keeper(Watcher):
    """A context manager for one run; `fit` tells it of every step.

    Beside other ranks, who must not wait for the disk, it writes from copies, in a thread.

    Parameters
    ----------
    folder : RunFolder
    running : Running
    crew : Crew
        Its signals are handled meanwhile; told of "resumed" and of warnings.

    Attributes
    ----------
    notes : list of str
        What was warned of.

    Raises
    ------
    InputError
        Where a run is under way, or one that ended or was stopped and is not to be resumed lies in
        the folder, or the folder cannot be made.
    """

    def __init__(self, folder: RunFolder, running: Running, crew: Crew):
        self._folder, self._running, self._crew, self.notes = folder, running, crew, []
        self.on_error, self._found = running.on_error, None
        self._stack, self._board, self._trained = ExitStack(), None, None
        self._lock, self._unwritten = lock_of_folder(folder.path, self.warn), Unwritten(self.warn)
        self._writer = ThreadPoolExecutor(1) if crew.ranks.size > 1 else None
        self._writing = None

    # ---- the folder ----------------------------------------------------------------------------

    def __enter__(self):
        _refuse_ended(self._folder)
        self._make_folder()
        self._stack.enter_context(self._crew)
        try:
            self._begin()
        except BaseException:
            self._leave(is_for_nothing=True)
            raise
        return self

    def _make_folder(self) -> None:
        """Make the folder, and note what has to go again if the run comes to nothing: folders, and
        once it is this run's alone, files."""
        self._made, path, self._there = [], os.path.abspath(self._folder.path), RunFolder.WRITTEN
        while not os.path.lexists(path):
            self._made.append(path)
            path = os.path.dirname(path)
        try:
            os.makedirs(self._folder.path, exist_ok=True)
        except OSError as error:
            raise InputError(f"{self._folder.path} cannot be made: {error.strerror}") from None

    def _begin(self) -> None:
        """Lock the folder, and see what is in it."""
        folder = self._folder
        with self.computing():  # which may wait for a minute
            self._stack.enter_context(self._lock)
        refuse_taken(folder, self._running.resume)
        self._there = os.listdir(folder.path)
        remove_leftovers(folder.path, "|".join(map(re.escape, RunFolder.WRITTEN)))
        if folder.CONFIG not in self._there:
            folder.write_config({})
        self._checkpoints = Checkpoints(folder.path, self._running.checkpoint_s, self.warn)
        if self._running.tensorboard:
            self._board = Board(folder.path)

    def _clear(self) -> None:
        """Nothing that another run left, which was killed before its first checkpoint, is taken
        for this one's."""
        folder = self._folder
        cleared = {*folder.WRITTEN, folder.REPORT} - {folder.CONFIG}
        for name in cleared:
            with suppress(OSError):
                os.remove(folder.file(name))
        self._there = set(self._there) - cleared

    def __exit__(self, kind, error, traceback) -> None:
        try:
            if self._lock.is_lost():
                self._there = RunFolder.WRITTEN
            elif self._trained is not None and _may_go_on(error, self._trained):
                self._save(self._trained)
            elif isinstance(error, Diverged):
                self._keep_last_good()
                self._flush_board()
            self._settle()
        finally:
            self._leave(kind is not None and not self._folder.has_checkpoint())

    def _leave(self, is_for_nothing: bool) -> None:
        """Let go of the folder; without the files and folders of a run that came to nothing."""
        if is_for_nothing:
            for name in reversed(RunFolder.WRITTEN):  # config.json last: by it the rest is known
                if name not in self._there:
                    with suppress(OSError):
                        os.remove(self._folder.file(name))
        self._stack.close()
        for folder in self._made if is_for_nothing else ():
            with suppress(OSError):
                os.rmdir(folder)

    # ---- what fit tells ------------------------------------------------------------------------

    def computing(self):
        """Signals within raise `Stopped` at once."""
        return self._crew.computing()

    def step_done(self, trained: Trained) -> None:
        """Save a checkpoint where one is due, and the log after each epoch."""
        self._trained = trained
        if self._board is not None:
            self._board.add(trained)
        if not trained.row:
            self._end_epoch(trained)
        if trained.is_over or (self._checkpoints.is_due() and not self._is_writing()):
            if not trained.bad_steps:
                self._save(trained)
        self._crew.check()

    def _end_epoch(self, trained: Trained) -> None:
        self._lock.check()
        self._unwritten.write(RunFolder.LOG, partial(self._write_log, trained))
        self._flush_board()

    def _flush_board(self) -> None:
        if self._board is not None:
            self._unwritten.write("tensorboard", self._board.flush)

    def improved(self, trained: Trained) -> None:
        """The best model so far, on disk: memory holds the last alone, unless the disk is full."""
        model = self._make_model()
        if self._writer is not None:
            model = _with_own_weights(model)
        self._write(self._unwritten.write, RunFolder.BEST, partial(self.save_best, model),
                    lambda: partial(self.save_best, _with_own_weights(model)))

    def save_best(self, model) -> None:
        """Write best.safetensors."""
        model.save(self._folder.file(RunFolder.BEST))

    def save_model(self, model) -> None:
        """Write model.safetensors, with which the run has ended."""
        self._lock.check()
        model.save(self._folder.file(RunFolder.MODEL))

    def warn(self, words: str) -> None:
        """Tell the user, and note it in config.json at the end."""
        self.notes.append(words)
        self._crew.watch.warn(words)

    # ---- checkpoints ---------------------------------------------------------------------------

    def _save(self, trained: Trained) -> None:
        self._settle()
        begun = time.monotonic()
        self._flush_board()  # a run that is resumed makes no step twice
        if not self._unwritten.again():  # who resumes from it would miss that
            self._checkpoints.put_off(begun)
            self.warn(f"no checkpoint of step {trained.step}: what comes before it cannot be "
                      "written; the one before stays")
            return
        about, tensors = trained.state()
        about.update(same=self._same, environment=environment(), notes=self.notes)
        if self._writer is not None:
            about = json.loads(json.dumps(about))
            tensors = [(name, numbers.copy()) for name, numbers in tensors]
        self._write(self._checkpoints.save, trained.step, about, tensors)

    def _write(self, write, *what) -> None:
        """Now, or in the thread after what it has to write."""
        self._lock.check()
        if self._writer is None:
            write(*what)
        else:
            self._settle()
            self._writing = self._writer.submit(write, *what)

    def _is_writing(self) -> bool:
        return self._writing is not None and not self._writing.done()

    def _settle(self) -> None:
        """Wait for what the thread has to write; its errors are those of the run."""
        if self._writing is not None:
            self._writing.result()

    def begun(self) -> dict | None:
        """What the run that is gone on with knows of its files (`phenoscale.training.begun`); None
        where it begins now."""
        if self._running.resume:
            self._found = newest(self._folder.path, self.warn)
        if not self._found:
            self._clear()
        return self._found and read_begun(self._folder)

    def check_same(self, same: dict) -> None:
        """Keep the options that a checkpoint must share to be gone on from; InputError where the
        newest has others."""
        self._same = same
        theirs = self._found[0].get("same", {}) if self._found else {}
        theirs = {**_NOT_YET, **theirs}
        for name, value in same.items() if self._found else ():
            value = list(value) if isinstance(value, tuple) else value
            if theirs.get(name) != value:
                raise InputError(other_option(self._folder.path, name, theirs.get(name), value))

    def take(self, trained: Trained, make_model) -> None:
        """Keep a training from here on, and bring it to where the newest checkpoint stands.

        make_model: gives the `Model` as the training stands.
        """
        self._make_model = make_model
        if not self._found:
            return
        about, tensors = self._found
        trained.restore(about, tensors)
        self.notes[:0] = about.get("notes", [])
        if about.get("environment") != environment():
            self.warn("resumed with another instruction set or other versions of the libraries: "
                      "the weights may differ in their last bits from those of one run")
        self._trained = trained
        self._crew.watch({"stage": "resumed", "step": trained.step, "epoch": trained.epoch})

    def write_begun(self, about: dict) -> None:
        """Write what is known of the files of the run."""
        write_begun(self._folder, about)

    def _keep_last_good(self) -> None:
        """The newest checkpoint before the steps that were no use, as a model."""
        trained, folder = self._trained, self._folder
        # the weights that gave the first bad step came from the step before it
        found = trained and newest(folder.path, self.warn, trained.step + 1 - trained.bad_steps)
        if not found:
            return
        trained.restore(*found)
        self._make_model().save(folder.file(folder.LAST_GOOD))

    def _write_log(self, trained: Trained) -> None:
        import pandas

        write_csv(pandas.DataFrame(trained.log, columns=_COLUMNS),
                  self._folder.file(RunFolder.LOG))

    # ---- the end -------------------------------------------------------------------------------

    def ended(self) -> None:
        """The last step is done, and its checkpoint written: a signal from here on saves none.

        InputError names what could not be written."""
        self._settle()
        self._unwritten.end("go on with --resume" if self._folder.has_checkpoint()
                            else "train again, as there is no checkpoint")
        self._trained = None

    def has_best(self) -> bool:
        """Whether there is a best model."""
        return self._folder.has(RunFolder.BEST)

    def swap_best(self, parameters) -> np.ndarray:
        """Give a network the weights of the best model; those that it had."""
        theirs = self._folder.model(RunFolder.BEST).parameters
        for at in range(0, len(theirs), _BLOCK):  # not a third copy of all
            block = slice(at, at + _BLOCK)
            parameters[block], theirs[block] = theirs[block], parameters[block].copy()
        return theirs

    def put_back(self, parameters, last) -> None:
        """Give a network the weights again that `swap_best` took from it."""
        parameters[:] = last


def _refuse_ended(folder: RunFolder) -> None:
    if folder.has(folder.MODEL):
        raise InputError(f"{folder.path} holds a run already: choose another --out, or remove it")


def refuse_taken(folder: RunFolder, resume: bool) -> None:
    """InputError where no run can begin or, with `resume`, go on in a folder: one ended or was
    stopped there, or what is of no run would be written over."""
    _refuse_ended(folder)
    if not resume and folder.has_checkpoint():
        raise InputError(f"{folder.path} holds a run that was stopped: go on with --resume, "
                         "choose another --out, or remove it")
    lying = [] if folder.is_begun() else folder.lying()
    if lying:
        raise InputError(f"{lying[0]} is of no run, and would be replaced: choose another --out, "
                         "or move it")


def _may_go_on(error, trained: Trained) -> bool:
    """Whether a training stands between two steps after an error: that of a signal, or what the
    receiver of its progress raised."""
    is_other = isinstance(error, Exception) and not isinstance(error, InputError)
    return isinstance(error, Stopped) or (is_other and not trained.bad_steps)


def _with_own_weights(model):
    """A model that further steps do not change."""
    return replace(model, parameters=model.parameters.copy())


def other_option(folder: str, name: str, theirs, mine) -> str:
    """The sentence for a checkpoint of other options."""
    whole = {"table": "another table", "split": "another split", "classes": "other classes",
             "channels": "other channels"}
    if name in whole:
        return (f"{folder} was begun with {whole[name]}: resume with the same, or choose another "
                "--out")
    return (f"{folder} was begun with {name}={theirs}, not {mine}: resume with the same, or choose "
            "another --out")
