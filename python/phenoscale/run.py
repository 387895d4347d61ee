# SPDX-License-Identifier: BSD-3-Clause
"""A training run: a table in, a run folder out.

The folder holds model.safetensors, config.json (every option as resolved), log.csv (a row an
epoch), split.csv (the side of each field), predictions.csv (every field that was not trained
on), errors.csv (those of them that cannot be read) and report.html.  The model file is written
last of the things that matter: a folder with one is a run that ended.
"""

from __future__ import annotations

import json
import os
import time
from contextlib import contextmanager, suppress
from dataclasses import asdict, replace

import numpy as np

import phenoscale
from phenoscale import _core
from phenoscale.atomic import write_atomically
from phenoscale.csv_file import write_csv
from phenoscale.errors import InputError
from phenoscale.fields import open_fields, thread_count
from phenoscale.model_file import Model, class_key
from phenoscale.predict import prediction_frame, write_errors
from phenoscale.predict import run as predict_run
from phenoscale.split import split_table
from phenoscale.survey import usable
from phenoscale.table import Table, file_cells
from phenoscale.train import PART, Recipe, Trained, fit

__all__ = ["train_run"]


_FILES = ("config.json", "log.csv", "split.csv", "predictions.csv", "errors.csv",
          "model.safetensors")
_TAKEN = ("Phenoscale_", "Image_Phenoscale_", "Image_FileName_", "Image_PathName_")


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


def refuse_run(out) -> None:
    """InputError where a run that ended lies in the folder."""
    if os.path.exists(os.path.join(out, "model.safetensors")):
        raise InputError(f"{out} holds a run already: choose another --out, or remove it")


@contextmanager
def run_folder(out):
    """The run folder, made; a run that fails takes its files and folders away again."""
    refuse_run(out)
    made, path = [], os.path.abspath(out)
    while not os.path.lexists(path):
        made.append(path)
        path = os.path.dirname(path)
    try:
        os.makedirs(out, exist_ok=True)
        there = set(os.listdir(out))
    except OSError as error:
        raise InputError(f"{out} cannot be made: {error.strerror}") from None
    try:
        write_atomically(os.path.join(out, "config.json"), [b"{}\n"])
        yield os.fspath(out)
    except BaseException:
        for name in set(_FILES) - there:
            with suppress(OSError):
                os.remove(os.path.join(out, name))
        for folder in made:
            with suppress(OSError):
                os.rmdir(folder)
        raise


def train_run(table: Table, label: str, out, recipe: Recipe, *, split=None, holdout=None,
              val_by="well", val_fraction=None, controls=None, on_error="stop", threads=None,
              progress=None) -> tuple[Model, str]:
    """Train on a table and leave a run folder.

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
        As for `phenoscale.train.fit`; also the stages "check" and "predict".

    Returns
    -------
    model : Model
        Its parameters are those of the trained network, which stays in memory with it.
    folder : str

    Raises
    ------
    InputError
        For anything wrong with table, files or options; the folder is then as it was before.
    """
    begun = time.monotonic()
    tell = progress or (lambda event: None)
    threads = thread_count(threads)
    refuse_run(out)
    whole, rule = table, {"split": split, "holdout": holdout, "val_by": val_by,
                          "val_fraction": val_fraction, "seed": recipe.seed}
    split_table(whole, label, **rule)  # its complaints before all files are looked at
    for column in controls or {}:
        whole.column(column)
    rows, found, left_out = usable(whole, on_error, threads, lambda done, of: tell(
        {"stage": "check", "done": done, "of": of}))
    table = whole.select(rows)
    sides, notes = split_table(table, label, **rule)
    classes = class_names(table.column(label), label)
    if left_out:
        notes = [*notes, f"{len(left_out)} of {len(whole)} fields were left out: see errors.csv"]
    if "turn" in recipe.augment and found.shape[1] != found.shape[2]:
        recipe = replace(recipe, augment=tuple(a for a in recipe.augment if a != "turn"))
        notes = [*notes, "fields are not square: no quarter turns"]
    labels = np.array([classes.index(v) if v else -1 for v in table.column(label)], np.int64)
    train, val = np.flatnonzero(sides == "train"), np.flatnonzero(sides == "val")
    with run_folder(out) as folder:
        source = open_fields(table, found, max(threads, PART), recipe.bin)
        trained = fit(source, labels, train, val, recipe, threads, progress)
        model = trained.model(classes, table.channels, label=label, split={
            "column": rule.pop("split"), **rule, "holdout": holdout or {}},
            sources=[channel.source() for channel in table.sources], table_digest=table.digest())
        _write_split(folder, table, label, sides)
        _write_log(folder, trained.log)
        unread = _predict_rest(folder, trained, model, source, table,
                               np.flatnonzero(sides != "train"), threads, tell)
        if unread:
            notes = [*notes, f"{len(unread)} of {int((sides != 'train').sum())} fields not trained "
                             "on cannot be read: see errors.csv"]
        left_out.update({int(rows[row]): why for row, why in unread.items()})
        if left_out:
            write_errors(whole, left_out, os.path.join(folder, "errors.csv"))
        config = {
            "table": table.source, "label": label, "channels": table.channels,
            "classes": classes, "size": list(source.size), "dtype": source.dtype, **asdict(recipe),
            "roles": table.roles,
            "normalisation": {"mean": trained.mean.tolist(), "std": trained.std.tolist(),
                              "scale": trained.scale, "offset": trained.offset},
            "split": split, "holdout": holdout or {}, "val_by": val_by,
            "val_fraction": val_fraction, "controls": controls or {}, "notes": notes,
            "threads": threads, "isa": _core.isa(), "versions": {
                "phenoscale": phenoscale.__version__, "numpy": np.__version__,
                **_core.versions()},
            "table_digest": table.digest(), "n_train": len(train), "n_val": len(val),
            "n_test": int((sides == "test").sum()),
            "n_unlabelled": int((sides == "unlabelled").sum()),
            "weights_sha256": model.digest(), "seconds": round(time.monotonic() - begun, 1)}
        write_atomically(os.path.join(folder, "config.json"),
                         [(json.dumps(config, indent=1) + "\n").encode()])
        model.save(os.path.join(folder, "model.safetensors"))
    return model, folder


def _predict_rest(folder: str, trained: Trained, model: Model, source, table: Table, rest,
                  threads: int, tell) -> dict[int, str]:
    """Write predictions.csv of the fields not trained on; the rows of those that cannot be read,
    and why.  The network and the files are those of the training: a second network would be in
    memory beside it."""
    if not len(rest):
        return {}
    found = predict_run(trained.net, source, rest, trained.scale, trained.offset, threads, "skip",
                        lambda done, of: tell({"stage": "predict", "done": done, "of": of}))
    write_csv(prediction_frame(model, table.select(rest), found),
              os.path.join(folder, "predictions.csv"))
    return {int(rest[i]): why for i, why in found.skipped.items()}


def _write_split(folder: str, table: Table, label: str, sides) -> None:
    import pandas

    files = file_cells(table, [[planes[0] for planes in row] for row in table.planes])
    about = [c for c in table.frame.columns if c.startswith("Metadata_") or c == label]
    columns = {**{c: cells for c, cells in files.items() if "PathName_" not in c},
               **{c: table.frame[c].to_numpy() for c in about}, "Split": sides}
    write_csv(pandas.DataFrame(columns), os.path.join(folder, "split.csv"))


def _write_log(folder: str, log: list[dict]) -> None:
    import pandas

    columns = ["epoch", "step", "images", "loss", "rate", "gradient_norm", "images_per_s",
               "seconds", "val_loss", "val_accuracy", "val_balanced_accuracy"]
    write_csv(pandas.DataFrame(log, columns=columns), os.path.join(folder, "log.csv"))
