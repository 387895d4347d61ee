# SPDX-License-Identifier: BSD-3-Clause
"""The keeper of a run folder: makes it, saves checkpoints, the best model and the log into it,
stops on signals, and leaves the folder as it should be left.  Of several ranks the first has the
keeper, the others are its followers.

    begun fresh      a run that fails before its first checkpoint takes its files away again
    resumed          goes on from the newest whole checkpoint of the same options
    stopped, failed  the checkpoint of the last finished step stays
    ended            model.safetensors is there
"""

from __future__ import annotations

import json
import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import replace

from phenoscale.atomic import write_atomically
from phenoscale.checkpoint import Checkpoints, newest
from phenoscale.csv_file import write_csv
from phenoscale.errors import InputError
from phenoscale.stop import Stopped, Stopper
from phenoscale.train import Diverged, Trained, Watcher

__all__ = ["Follower", "Keeper"]

_FILES = ("config.json", "log.csv", "split.csv", "predictions.csv", "errors.csv",
          "model.safetensors", "best.safetensors", "last_good.safetensors")
_COLUMNS = ["epoch", "step", "images", "loss", "rate", "gradient_norm", "images_per_s", "seconds",
            "val_loss", "val_accuracy", "val_balanced_accuracy"]


class Keeper(Watcher):
    """A context manager for one run; `fit` tells it of every step.

    Parameters
    ----------
    out : path
        The run folder.
    resume : bool
        Whether a checkpoint in it may be gone on from.
    every_s : float
        Seconds between checkpoints.
    tensorboard : bool
        Write event files too.
    tell : callable
        Takes events, of which "warning" is this class's own.
    quiet : bool
        No word on stderr when a signal comes.
    behind : bool
        Write from copies, in a thread: other ranks must not wait for the disk.

    Attributes
    ----------
    folder : str
    same : dict
        Options that a checkpoint must share to be gone on from.
    environment : dict
        What its bits depend on beside them.
    unread : dict of int to str
        Fields that could not be read at the beginning, row to reason.
    make_model : callable
        Gives the `Model` as the training stands.
    notes : list of str
        What was warned of.
    is_done : bool
        The run has ended well.

    Raises
    ------
    InputError
        Where a run that ended, or one that was stopped and is not to be resumed, lies in the
        folder, or the folder cannot be made.
    """

    def __init__(self, out, resume: bool, every_s: float, tensorboard: bool, tell, quiet: bool,
                 behind: bool = False):
        self.folder, self._resume, self._tell = os.fspath(out), resume, tell
        self._every_s, self._stack = every_s, ExitStack()
        self._stopper = Stopper(quiet)
        self.same, self.environment, self.unread, self.notes = {}, {}, {}, []
        self.make_model, self.is_done, self._trained = None, False, None
        self._board, self._wants_board = None, tensorboard
        self._writer, self._writing = ThreadPoolExecutor(1) if behind else None, None

    # ---- the folder ----------------------------------------------------------------------------

    def __enter__(self):
        if os.path.exists(os.path.join(self.folder, "model.safetensors")):
            raise InputError(f"{self.folder} holds a run already: choose another --out, or remove "
                             "it")
        self._made, path = [], os.path.abspath(self.folder)
        while not os.path.lexists(path):
            self._made.append(path)
            path = os.path.dirname(path)
        try:
            os.makedirs(self.folder, exist_ok=True)
            self._there = set(os.listdir(self.folder))
        except OSError as error:
            raise InputError(f"{self.folder} cannot be made: {error.strerror}") from None
        if not self._resume and any(name.startswith("checkpoint-") for name in self._there):
            raise InputError(f"{self.folder} holds a run that was stopped: go on with --resume, "
                             "choose another --out, or remove it")
        self._stack.enter_context(self._stopper)
        try:
            if "config.json" not in self._there:
                write_atomically(os.path.join(self.folder, "config.json"), [b"{}\n"])
            self._checkpoints = Checkpoints(self.folder, self._every_s, self.warn)
            if self._wants_board:
                self._board = _open_board(self.folder)
        except BaseException:
            self._stack.close()
            self._take_away()
            raise
        return self

    def __exit__(self, kind, error, traceback) -> None:
        try:
            if self._trained is not None and isinstance(error, Stopped):
                self._save(self._trained)
            elif isinstance(error, Diverged):
                self._keep_last_good()
            self._settle()
        finally:
            self._stack.close()
            if self._board is not None:
                self._board.close()
            if kind is not None and not self._has_checkpoint():
                self._take_away()

    def _has_checkpoint(self) -> bool:
        with suppress(OSError):
            return any(name.startswith("checkpoint-") for name in os.listdir(self.folder))
        return False

    def _take_away(self) -> None:
        """Files and folders of a run that came to nothing."""
        for name in set(_FILES) - self._there:
            with suppress(OSError):
                os.remove(os.path.join(self.folder, name))
        for folder in self._made:
            with suppress(OSError):
                os.rmdir(folder)

    def write_json(self, name: str, content: dict) -> None:
        """Write a file of JSON into the folder."""
        write_atomically(os.path.join(self.folder, name),
                         [(json.dumps(content, indent=1) + "\n").encode()])

    # ---- what fit tells ------------------------------------------------------------------------

    def computing(self):
        """Signals within raise `Stopped` at once."""
        return self._stopper.computing()

    def step_done(self, trained: Trained) -> None:
        """Save a checkpoint where one is due, and the log after each epoch."""
        self._trained = trained
        if not trained.row:
            self._write_log(trained)
        if self._board is not None:
            _to_board(self._board, trained)
        if trained.is_over or (self._checkpoints.is_due() and not self._is_writing()):
            if not trained.bad_steps:
                self._save(trained)
        self._stopper.check()

    def improved(self, trained: Trained) -> None:
        """The best model so far, on disk: memory holds the last alone."""
        model = self.make_model()
        if self._writer is not None:
            model = replace(model, parameters=model.parameters.copy())
        self._write(self._save_best, model)

    def _save_best(self, model) -> None:
        try:
            model.save(os.path.join(self.folder, "best.safetensors"))
        except InputError as error:
            self.warn(f"the best model so far was not written: {error}")

    def warn(self, words: str) -> None:
        """Tell the user, and note it in config.json at the end."""
        self.notes.append(words)
        self._tell({"stage": "warning", "words": words})

    # ---- checkpoints ---------------------------------------------------------------------------

    def _save(self, trained: Trained) -> None:
        about, tensors = trained.state()
        about.update(same=self.same, environment=self.environment, notes=self.notes,
                     unread=[[row, why] for row, why in self.unread.items()])
        if self._writer is not None:
            about = json.loads(json.dumps(about))
            tensors = [(name, numbers.copy()) for name, numbers in tensors]
        self._write(self._checkpoints.save, trained.step, about, tensors)

    def _write(self, write, *what) -> None:
        """Now, or in the thread after what it has to write."""
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

    def restore(self, trained: Trained) -> bool:
        """Bring a training to where the newest checkpoint stands; False where there is none."""
        found = newest(self.folder, self.warn) if self._resume else None
        if found is None:
            return False
        about, tensors = found
        theirs = about.get("same", {})
        for name, value in self.same.items():
            value = list(value) if isinstance(value, tuple) else value
            if theirs.get(name) != value:
                raise InputError(_other_option(self.folder, name, theirs.get(name), value))
        trained.restore(about, tensors)
        self.notes[:0] = about.get("notes", [])
        self.unread = {row: why for row, why in about.get("unread", [])}
        if about.get("environment") != self.environment:
            self.warn("resumed with another instruction set or other versions of the libraries: "
                      "the weights may differ in their last bits from those of one run")
        self._trained = trained
        self._tell({"stage": "resumed", "step": trained.step, "epoch": trained.epoch})
        return True

    def _keep_last_good(self) -> None:
        """The newest checkpoint before the steps that were no use, as a model."""
        trained = self._trained
        # the weights that gave the first bad step came from the step before it
        found = trained and newest(self.folder, self.warn, trained.step + 1 - trained.bad_steps)
        if not found:
            return
        trained.restore(*found)
        self.make_model().save(os.path.join(self.folder, "last_good.safetensors"))

    def _write_log(self, trained: Trained) -> None:
        import pandas

        try:
            write_csv(pandas.DataFrame(trained.log, columns=_COLUMNS),
                      os.path.join(self.folder, "log.csv"))
        except InputError as error:
            self.warn(f"the log was not written: {error}")

    def choose(self) -> None:
        """Give the network the weights of the recipe's choice, at the end of a training."""
        from phenoscale.model_file import load

        self._settle()
        if self._trained.recipe.select == "best":
            best = load(os.path.join(self.folder, "best.safetensors"))
            self._trained.net.parameters[:] = best.parameters


class Follower(Watcher):
    """What a rank has that is not the first: it keeps nothing, and tells the first of signals.

    Parameters
    ----------
    out : path
    ranks : phenoscale.mpi.Ranks
    """

    def __init__(self, out, ranks):
        self.folder, self._ranks, self._stopper = os.fspath(out), ranks, Stopper()
        self.same, self.environment, self.unread, self.notes = {}, {}, {}, []
        self.make_model, self.is_done = None, False

    def __enter__(self):
        self._stopper.__enter__()
        return self

    def __exit__(self, kind, error, traceback) -> None:
        if isinstance(error, Stopped):
            self._ranks.stop_all()
        self._stopper.__exit__()

    def computing(self):
        """Signals within raise `Stopped` at once."""
        return self._stopper.computing()

    def step_done(self, trained: Trained) -> None:
        """Look for a signal."""
        self._stopper.check()

    def write_json(self, name: str, content: dict) -> None:
        """Nothing: the first rank writes."""

    def restore(self, trained: Trained) -> bool:
        """Nothing: the first rank says where the training stands."""
        return False

    def choose(self) -> None:
        """Nothing: the first rank does, and all take over its weights."""


def _other_option(folder: str, name: str, theirs, mine) -> str:
    """The sentence for a checkpoint of other options."""
    whole = {"table": "another table", "split": "another split", "classes": "other classes",
             "channels": "other channels"}
    if name in whole:
        return (f"{folder} was begun with {whole[name]}: resume with the same, or choose another "
                "--out")
    return (f"{folder} was begun with {name}={theirs}, not {mine}: resume with the same, or choose "
            "another --out")


# ---- TensorBoard ---------------------------------------------------------------------------------


def _open_board(folder: str):
    try:
        from tensorboardX import SummaryWriter
    except ModuleNotFoundError:
        raise InputError("event files for TensorBoard need tensorboardX: pip install "
                         "tensorboardX, or leave --tensorboard out") from None
    return SummaryWriter(os.path.join(folder, "tensorboard"))


def _to_board(board, trained: Trained) -> None:
    """The numbers of a step, or after an epoch those of the validation."""
    if trained.row:
        for name in ("loss", "rate", "gradient_norm", "images_per_s"):
            if name in trained.row:
                board.add_scalar(f"train/{name}", trained.row[name], trained.step)
        return
    for name in ("val_loss", "val_accuracy", "val_balanced_accuracy"):
        if name in trained.log[-1]:
            board.add_scalar(name.replace("val_", "validation/"), trained.log[-1][name],
                             trained.step)
    board.flush()
