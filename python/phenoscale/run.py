# SPDX-License-Identifier: BSD-3-Clause
"""A training run: a table in, a run folder out.

    table -> split -> every header -> every pixel -> steps, checkpoints -> the rest scored -> model

The folder holds model.safetensors, the last checkpoints, best.safetensors (of the smallest
validation loss), config.json (every option as resolved), log.csv (a row an epoch), split.csv (the
side of each field), predictions.csv (every field that was not trained on), errors.csv (those that
were left out) and report.html.  The model file is written last of the things that matter: a folder
with one is a run that ended.
"""

from __future__ import annotations

import hashlib
import os
import time
from dataclasses import asdict, replace

import numpy as np

from phenoscale.checkpoint import EVERY_S
from phenoscale.csv_file import write_csv
from phenoscale.environment import environment
from phenoscale.errors import InputError
from phenoscale.exchange import break_even
from phenoscale.fields import open_fields, thread_count
from phenoscale.keeper import Follower, Keeper
from phenoscale.model_file import Model, class_key, controls_of
from phenoscale.moments import Moments, measure
from phenoscale.outputs import write_errors
from phenoscale.predict import prediction_frame
from phenoscale.predict import run as predict_run
from phenoscale.ranks import Alone
from phenoscale.recipe import Recipe
from phenoscale.roll_call import agree, roll_call
from phenoscale.split import check_training, split_table
from phenoscale.survey import usable
from phenoscale.table import Table, file_cells
from phenoscale.train import PART, Trained, begin, fit

__all__ = ["train_run"]

_TAKEN = ("Phenoscale_", "Image_Phenoscale_", "Image_FileName_", "Image_PathName_")
_SIDES = ("train", "val", "test")
_ROUND = 16  # fields that a rank reads before ranks tell one another of them


def class_names(names, label: str = "") -> list[str]:
    """The classes among the labels, sorted; InputError where two would share a column of
    probabilities, or the labels one with what a run writes."""
    if label.startswith(_TAKEN) or label == "Split":
        raise InputError(f"column {label} cannot be the label, a run writes another of that "
                         "name: rename it")
    classes = sorted(set(names) - {""})
    keys = {}
    for name in classes:
        key = class_key(name)
        if not key or key in keys:
            raise InputError(
                (f"column {label}: " if label else "")
                + f"the class '{name}' has no letters or digits of its own"
                + (f" beside '{keys[key]}'" if key else "") + ": rename one")
        keys[key] = name
    return classes


def train_run(table: Table, label: str, out, recipe: Recipe, *, split=None, holdout=None,
              val_by="well", val_fraction=None, controls=None, on_error="stop", threads=None,
              progress=None, resume=False, checkpoint_s=EVERY_S, tensorboard=False, quiet=True,
              ranks=None) -> tuple[Model, str]:
    """Train on a table and leave a run folder.

    Ctrl-C, SIGTERM and SIGUSR1 stop at once and leave a checkpoint of the last finished step.

    Parameters
    ----------
    table : Table
    label : str
        Column of the classes; fields without one are scored, never trained on.
    out : path
        The run folder.
    recipe : Recipe
    split, holdout, val_by, val_fraction
        As for `phenoscale.split.split_table`.
    controls : dict of str to list of str, optional
        Column to values that mark control wells, for the report.
    on_error : {"stop", "skip"}
        What to do about fields whose files cannot be used, known before the first epoch; those
        left out, and those that a check marked, are listed in errors.csv.
    threads : int, optional
    progress : callable, optional
        As for `phenoscale.train.fit`; also the stages "check" and "predict", and "warning" with
        ``words``.
    resume : bool
        Go on from the newest checkpoint in the folder, with the same options, to the same bits;
        begin where there is none.
    checkpoint_s : float
        Seconds between checkpoints.
    tensorboard : bool
        Event files in the folder "tensorboard" of the run.
    quiet : bool
        No word on stderr when a signal comes.
    ranks : Alone or phenoscale.mpi.Ranks, optional
        Who shares the work; all of them call this with the same arguments, and rank 0 writes.

    Returns
    -------
    model : Model
        Its parameters are those of the trained network, which stays in memory with it.
    folder : str

    Raises
    ------
    InputError
        For anything wrong with table, files or options.
    phenoscale.stop.Stopped
        After a signal; a KeyboardInterrupt.
    """
    begun, ranks = time.monotonic(), ranks or Alone()
    tell = progress or (lambda event: None)
    threads = thread_count(threads)
    rule = {"split": split, "holdout": holdout, "val_by": val_by, "val_fraction": val_fraction,
            "seed": recipe.seed}
    split_table(table, label, **rule)  # its complaints before all files are looked at
    for column in controls or {}:
        table.column(column)
    is_first = not ranks.rank
    agree(ranks, lambda: {"table": table.digest(), **environment()})
    with (Keeper(out, resume, checkpoint_s, tensorboard, tell, quiet, ranks.size > 1) if is_first
          else Follower(out, ranks)) as keeper:
        with keeper.computing():
            fields = _Fields(table, label, rule, recipe, on_error, threads, tell, ranks)
            agree(ranks, lambda: _same(fields, ranks))
            roll_call(ranks, threads, fields.recipe.batch, tell, keeper.warn)
            trained = _begin(fields, threads, tell, keeper, ranks)
        about = {"label": label, "split": {"column": split, **rule, "holdout": holdout or {}},
                 "sources": [channel.source() for channel in fields.table.sources],
                 "z": table.chosen or recipe.z, "table_digest": fields.table.digest()}
        del about["split"]["split"]
        keeper.make_model = lambda: trained.model(fields.classes, fields.table.channels, **about)
        keeper.make_model().check()
        config = {
            "table": table.source, "label": label, "channels": fields.table.channels,
            "classes": fields.classes, "size": list(fields.source.size),
            "dtype": fields.source.dtype, **asdict(fields.recipe), "roles": table.roles,
            "normalisation": {"mean": trained.mean.tolist(), "std": trained.std.tolist(),
                              "scale": trained.scale, "offset": trained.offset},
            "split": split, "holdout": holdout or {}, "val_by": val_by,
            "val_fraction": val_fraction, "controls": controls or {}, "threads": threads,
            "ranks": ranks.size, "exchange": ranks.exchange,
            "table_digest": fields.table.digest(),
            **{f"n_{side}": int((fields.sides == side).sum()) for side in (*_SIDES, "unlabelled")},
            **environment()}
        keeper.write_json("config.json", config)
        if is_first:
            _write_split(keeper.folder, fields)
        fit(fields.source, fields.labels, fields.rows("train"), fields.rows("val"), fields.recipe,
            threads, progress, trained, keeper, ranks)
        keeper.choose()
        ranks.copy(trained.net.parameters)
        with keeper.computing():
            about["controls"] = _controls(fields, trained, threads, controls, ranks)
            unread = _score_rest(keeper, fields, trained, threads, tell, ranks)
        notes = [*table.notes, *fields.notes, *keeper.notes, *unread]
        model = keeper.make_model()
        keeper.write_json("config.json", {
            **config, "notes": notes, "weights_sha256": model.digest(),
            "seconds": round(time.monotonic() - begun, 1)})
        if is_first:
            model.save(os.path.join(keeper.folder, "model.safetensors"))
        keeper.is_done = True
    return model, keeper.folder


class _Fields:
    """The usable fields of a table, their sides and classes, and the source that reads them."""

    def __init__(self, whole: Table, label: str, rule, recipe: Recipe, on_error, threads, tell,
                 ranks: Alone):
        rows, found, self.left_out = usable(whole, on_error, threads, lambda done, of: tell(
            {"stage": "check", "done": done, "of": of}), ranks)
        self.whole, self.original, self.label, self.on_error = whole, rows, label, on_error
        self.table = whole.select(rows)
        self.sides, self.notes = split_table(self.table, label, **rule)
        self.classes = class_names(self.table.column(label), label)
        if self.left_out:
            self.notes.append(f"{len(self.left_out)} of {len(whole)} fields were left out: see "
                              "errors.csv")
        if "turn" in recipe.augment and found.shape[1] != found.shape[2]:
            recipe = replace(recipe, augment=tuple(a for a in recipe.augment if a != "turn"))
            self.notes.append("fields are not square: no quarter turns")
        self.recipe = recipe
        self.labels = np.array([self.classes.index(v) if v else -1
                                for v in self.table.column(label)], np.int64)
        self.source = open_fields(self.table, found, max(threads, PART), recipe.bin)
        self.pixels = self.source.shape[1] * self.source.shape[2]

    def leave_out(self, unread: dict[int, str]) -> None:
        """Take fields out that turned out not to be readable, row to reason."""
        if not unread:
            return
        for row, why in unread.items():
            self.left_out[int(self.original[row])] = why
            self.sides[row] = "skipped"
        check_training(self.table, self.label, self.sides)
        self.notes.append(f"{len(unread)} of {len(self.table)} fields cannot be read: see "
                          "errors.csv")

    def rows(self, side: str) -> np.ndarray:
        """Numbers of the fields on a side."""
        return np.flatnonzero(self.sides == side)


def _same(fields: _Fields, ranks: Alone) -> dict:
    """What a checkpoint must share to be gone on from, and ranks to work on one training."""
    return {"label": fields.label, "classes": fields.classes, "channels": fields.table.channels,
            "table": fields.table.digest(), "exchange": ranks.exchange,
            "split": hashlib.sha256("\n".join(fields.sides).encode()).hexdigest(),
            **asdict(fields.recipe)}


def _begin(fields: _Fields, threads: int, tell, keeper, ranks: Alone) -> Trained:
    """A training that stands at its beginning, or where the newest checkpoint does."""
    trained = begin(fields.source, fields.labels, fields.rows("train"), fields.recipe, threads,
                    ranks)
    keeper.same, keeper.environment = _same(fields, ranks), environment()
    if not ranks.spread(keeper.restore(trained)):
        trained.mean, trained.std, keeper.unread = _read_all(fields, tell, ranks)
    keeper.unread = dict(ranks.spread(list(keeper.unread.items())))
    fields.leave_out(keeper.unread)
    most = break_even(trained.net)
    if ranks.size > 1 and ranks.exchange == "factors" and 0 < most < fields.recipe.batch:
        keeper.warn(f"a batch of {fields.recipe.batch} is over {most} images: --exchange matrix "
                    "sends less, to bits that depend on the number of ranks")
    about, tensors = trained.state()
    trained.stand(ranks.spread(about))
    for _, numbers in tensors:
        ranks.copy(numbers)
    return trained


def _read_all(fields: _Fields, tell, ranks: Alone):
    """Every labelled field once: mean and deviation of those trained on, the same pixels on two
    sides, and with "skip" the rows that cannot be read, row to reason."""
    order = np.concatenate([fields.rows(side) for side in _SIDES])
    moments, seen, unread = Moments(fields.source.shape[0], fields.pixels), {}, {}
    own = order[ranks.rank :: ranks.size]
    fields.source.start(own)
    for at in range(0, len(order), _ROUND * ranks.size):
        mine = at // ranks.size
        looks = [_look(fields.source) for _ in own[mine : mine + _ROUND]]
        by_rank = ranks.everyone(looks)
        for place in range(at, min(len(order), at + _ROUND * ranks.size)):
            row, rank = int(order[place]), place % ranks.size
            error, digest, measured = by_rank[rank][place // ranks.size - mine]
            if error:
                if fields.sides[row] != "test" and fields.on_error == "stop":
                    raise InputError(error)
                unread[row] = error
                continue
            _check_apart(fields, seen, row, digest)
            if fields.sides[row] == "train":
                moments.add(measured)
        tell({"stage": "statistics", "done": place + 1, "of": len(order)})
    return *moments.result(), unread


def _look(source) -> tuple:
    """The next field: (why it cannot be read or "", digest of its pixels, their measures)."""
    try:
        pixels = source.next()
        digest = hashlib.blake2b(np.ascontiguousarray(pixels), digest_size=16).hexdigest()
        return "", digest, measure(pixels)
    except InputError as error:
        return str(error), "", []
    finally:
        source.release(1)


def _check_apart(fields: _Fields, seen: dict, row: int, digest: str) -> None:
    """The same pixels must not lie on two sides of the split."""
    other, table, sides = seen.setdefault(digest, row), fields.table, fields.sides
    if sides[other] != sides[row]:
        raise InputError(f"{table.place(row)} ({sides[row]}) has the same pixels as "
                         f"{table.place(other)} ({sides[other]}): keep copies on one side of the "
                         "split, or remove one")


def _score_rest(keeper, fields: _Fields, trained: Trained, threads: int, tell,
                ranks: Alone) -> list[str]:
    """Write predictions.csv of the fields not trained on, and errors.csv of all left out; notes.

    The network and the files are those of the training: a second network would be in memory
    beside it.
    """
    rest, notes = np.flatnonzero(~np.isin(fields.sides, ("train", "skipped"))), []
    if len(rest):
        found = predict_run(trained.net, fields.source, rest, trained.scale, trained.offset,
                            threads, "skip", lambda done, of: tell(
                                {"stage": "predict", "done": done, "of": of}), ranks)
        if ranks.rank:
            return []
        write_csv(prediction_frame(keeper.make_model(), fields.table.select(rest), found),
                  os.path.join(keeper.folder, "predictions.csv"))
        if found.skipped:
            notes = [f"{len(found.skipped)} of {len(rest)} fields not trained on cannot be read: "
                     "see errors.csv"]
        fields.left_out.update({int(fields.original[rest[i]]): why
                                for i, why in found.skipped.items()})
    if fields.left_out and not ranks.rank:
        write_errors(fields.whole, fields.left_out, os.path.join(keeper.folder, "errors.csv"))
    return notes


def _controls(fields: _Fields, trained: Trained, threads: int, controls,
              ranks: Alone) -> dict | None:
    """What the model shall know of the control fields that it was trained on."""
    is_control = np.zeros(len(fields.table), bool)
    for column, values in (controls or {}).items():
        is_control |= fields.table.column(column).isin(values).to_numpy()
    rows = np.flatnonzero(is_control & (fields.sides == "train"))
    return controls_of(predict_run(trained.net, fields.source, rows, trained.scale, trained.offset,
                                   threads, ranks=ranks).embeddings)


def _write_split(folder: str, fields: _Fields) -> None:
    import pandas

    table = fields.table
    files = file_cells(table, [[planes[0] for planes in row] for row in table.planes])
    about = [c for c in table.frame.columns if c.startswith("Metadata_") or c == fields.label]
    columns = {**{c: cells for c, cells in files.items() if "PathName_" not in c},
               **{c: table.frame[c].to_numpy() for c in about}, "Split": fields.sides}
    write_csv(pandas.DataFrame(columns), os.path.join(folder, "split.csv"))
