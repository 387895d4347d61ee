# SPDX-License-Identifier: BSD-3-Clause
"""Cross-validation: a training for each fold of wells, plates, batches or compounds, what all of
them say of the fields that they had not seen, and one of all fields that knows how certain it is.

    folds -> OUT/cross_validated/fold-1 ...   a run folder each
          -> OUT/cross_validated              one run folder of all held-out fields: its report,
                                              `evaluate`
          -> whose opinion, temperature, sets of classes
          -> OUT                              the run on all fields
"""

from __future__ import annotations

import os
from copy import copy
from dataclasses import asdict, dataclass, field, replace

import numpy as np

from phenoscale.errors import InputError
from phenoscale.evaluation.certain import checked
from phenoscale.files.csv import write_csv
from phenoscale.models.certainty import COVERAGES, Certainty
from phenoscale.models.head import BOTH, HEADS
from phenoscale.progress import Once
from phenoscale.ranks.crew import Crew
from phenoscale.scores.intervals import wilson
from phenoscale.tables.class_keys import class_keys
from phenoscale.tables.confounded import confounding
from phenoscale.tables.folds import FOLDS_BY, draw_folds
from phenoscale.tables.keys import KEY
from phenoscale.tables.labels import class_cells
from phenoscale.tables.predictions import NOVELTY, opinion_column, probability_column
from phenoscale.tables.repeats import well_groups
from phenoscale.tables.split import Split, split_table
from phenoscale.tables.table import Table
from phenoscale.training.certain import found_on
from phenoscale.training.ended import check_ended
from phenoscale.training.head import choose_kind
from phenoscale.training.recipe import Recipe
from phenoscale.training.run import train_run
from phenoscale.training.run_folder import RunFolder
from phenoscale.training.running import Running
from phenoscale.words import count, listed

__all__ = ["FOLDER", "Folds", "cross_validate", "pooled_folder"]

FOLDER = "cross_validated"
_COLUMN = "Phenoscale_Fold"  # that says of each field whether a fold trains on it


@dataclass(frozen=True)
class Folds:
    """How fields are held out in turn.

    Attributes
    ----------
    by : {"well", "plate", "batch", "compound"}
        What stays together.
    number : int, optional
        None: each group is a fold of its own.
    holdout : dict of str to str or list of str
        Column to values of fields that no fold sees, and that the final model is scored by.
    """

    by: str
    number: int | None = 5
    holdout: dict = field(default_factory=dict)

    def __post_init__(self):
        if self.by not in FOLDS_BY:
            raise InputError(f"there is no cross-validation by {self.by}: choose one of "
                             f"{', '.join(FOLDS_BY)}")


def pooled_folder(out) -> RunFolder:
    """Where what all folds say of their held-out fields lies."""
    return RunFolder(os.path.join(os.fspath(out), FOLDER))


def cross_validate(table: Table, label: str, out, recipe: Recipe, folds: Folds,
                   controls: dict | None = None, running: Running | None = None,
                   crew: Crew | None = None):
    """Train once for each fold, and once on all labelled fields that are not held out.

    Ended folds are not done again with `running.resume`; the stopped one goes on.

    Parameters
    ----------
    table, label, out, recipe, controls, running, crew
        As for `phenoscale.training.run.train_run`; a head that the recipe leaves open is chosen by
        what the folds say.
    folds : Folds

    Returns
    -------
    model, folder
        As of `train_run`; the model knows its temperature and its sets of classes.
    """
    running, crew = running or Running(), copy(crew or Crew())
    crew.watch = Once(crew.watch)  # each training would say the same of the table
    label, pooled = table.known(label), pooled_folder(out)
    split = Split(holdout=table.known_values(folds.holdout, "to hold out"), val_fraction=0)
    sides, _ = split_table(table, label, split, recipe.seed)
    labelled = table.select(np.flatnonzero(sides == "train"))
    number, notes = draw_folds(labelled, label, folds.by, folds.number, recipe.seed)
    crew.watch.note([*confounding(table, label), *notes])
    if pooled.has(RunFolder.CONFIG) and not running.resume:
        raise InputError(f"{pooled.path} is of a cross-validation: go on with --resume, choose "
                         "another folder, or remove it")
    ours = replace(recipe, head=recipe.head or BOTH)
    runs = [_fold(labelled, label, pooled, ours, number, k, controls, running, crew)
            for k in range(number.max() + 1)]
    found = _pool(labelled, label, pooled, runs, number, crew) if crew.is_first else None
    about = crew.ranks.spread(found and _known(found, pooled, recipe, folds))
    return train_run(table, label, out, replace(recipe, head=about["head"]), split, controls,
                     replace(running, certainty=Certainty(**about["certainty"])), crew)


def _fold(table: Table, label: str, pooled: RunFolder, recipe: Recipe, number, k: int, controls,
          running: Running, crew: Crew) -> RunFolder:
    """The run of a fold, unless it has ended."""
    folder = RunFolder(pooled.file(f"fold-{k + 1}"))
    crew.watch.note([f"fold {k + 1} of {number.max() + 1}: "
                     f"{count(int((number == k).sum()), 'field')} held out"])
    held = np.where(number == k, "test", "train")
    if crew.ranks.spread(running.resume and folder.has(RunFolder.MODEL)):
        check_ended(folder, recipe, dict(zip(table.keys, held)))
    else:
        split = replace(table, frame=table.frame.assign(**{_COLUMN: held}))
        train_run(split, label, folder.path, recipe, Split(column=_COLUMN), controls,
                  replace(running, certainty=None), crew)
    return folder


# ---- what all folds say ----------------------------------------------------------------------


@dataclass
class _Pooled:
    """What was said of each field by the fold that held it out.

    Attributes
    ----------
    opinions : dict of str to ndarray, (n, classes)
        Each of `HEADS`, or the network alone, to its probabilities.
    labels : ndarray of int64, (n,)
    wells : list of n hashable
    folds : ndarray of int64, (n,)
    novelty : ndarray, (n,), or None
    """

    opinions: dict
    labels: np.ndarray
    wells: list
    folds: np.ndarray
    novelty: np.ndarray | None


def _pool(table: Table, label: str, pooled: RunFolder, runs, number, crew: Crew) -> _Pooled:
    """Write the run folder of all held-out fields, and what is in it as arrays."""
    import pandas

    frames = [pandas.read_csv(run.file(run.PREDICTIONS), keep_default_na=False,
                              dtype=_as_text(table)) for run in runs]
    classes = {tuple(run.config()["classes"]) for run in runs}
    if len(classes) > 1:
        raise InputError(f"{pooled.path}: the folds know other classes than one another: see their "
                         "errors.csv for fields that were left out")
    frame = pandas.concat(frames, ignore_index=True)
    write_csv(frame, pooled.file(RunFolder.PREDICTIONS))
    config = {key: value for key, value in runs[0].config().items()
              if key not in ("weights_sha256", "holdout", "split", "seconds")}
    _write_split(pooled, runs)
    _write_heads(pooled, runs)
    names = list(classes.pop())
    pooled.write_config({**config, "n_test": len(frame), "unscored": "", "notes": [
        f"what {len(runs)} trainings say of the fields that each did not see",
        *confounding(table, label)]})
    keys, rows = class_keys(names), {key: row for row, key in enumerate(table.keys)}
    order = [rows[key] for key in frame[KEY]]
    truth = np.array([names.index(name) for name in class_cells(table, label)[order]])
    opinions = {kind: frame[[opinion_column(kind, key) for key in keys]].to_numpy(np.float64)
                for kind in HEADS[:2] if opinion_column(kind, keys[0]) in frame}
    opinions[BOTH if opinions else HEADS[0]] = frame[
        [probability_column(key) for key in keys]].to_numpy(np.float64)
    if len(opinions) > 1:
        opinions[BOTH] = (opinions[HEADS[0]] + opinions[HEADS[1]]) / 2
    wells = well_groups(table)
    return _Pooled(opinions, truth, [wells[row] for row in order], number[order],
                   frame[NOVELTY].to_numpy(np.float64) if NOVELTY in frame else None)


def _as_text(table: Table) -> dict:
    """Columns of a table are text, whatever they look like."""
    return {name: str for name in table.frame.columns}


def _write_split(pooled: RunFolder, runs) -> None:
    """split.csv: every field that a fold held out is a test field."""
    import pandas

    frames = []
    for k, run in enumerate(runs):
        frame = pandas.read_csv(run.file(run.SPLIT), dtype=str, keep_default_na=False)
        frames.append(frame[frame["Split"] == "test"].assign(**{_COLUMN: str(k + 1)}))
    write_csv(pandas.concat(frames, ignore_index=True), pooled.file(RunFolder.SPLIT))


def _write_heads(pooled: RunFolder, runs) -> None:
    """heads.csv: the right answers of all folds together."""
    import pandas

    frames = [pandas.read_csv(run.file(run.HEADS)) for run in runs if run.has(run.HEADS)]
    if not frames:
        return
    whole = pandas.concat(frames, ignore_index=True)
    sums = [column for column in ("FieldsRight", "Fields", "WellsRight", "Wells")
            if column in whole]
    found = whole.groupby("Head", sort=False, as_index=False).agg(
        {"Side": "first", "Chosen": "first", **dict.fromkeys(sums, "sum")})
    right, n = (found[name] for name in sums[-2:])
    found["Accuracy"] = right / n
    found[["Low", "High"]] = [wilson(int(r), int(of)) for r, of in zip(right, n)]
    write_csv(found, pooled.file(RunFolder.HEADS))


def _known(found: _Pooled, pooled: RunFolder, recipe: Recipe, folds: Folds) -> dict:
    """The head and the certainty of the model of all fields, as JSON has them."""
    kind = recipe.head
    if kind is None:
        hits = {name: chances.argmax(axis=1) == found.labels
                for name, chances in found.opinions.items()}
        kind = choose_kind(hits)[0] if len(hits) > 1 else HEADS[0]
    chances, labels, wells = found.opinions[kind], found.labels, found.wells
    why = (f"found on {count(len(labels), 'field')} by trainings that had not seen their "
           f"{folds.by}s")
    novelty = None if kind == HEADS[0] else found.novelty  # a network alone measures nothing
    certainty = found_on(chances, labels, wells, why, novelty)
    worth = checked(chances, labels, wells, found.folds, novelty)
    pooled.write_config({**pooled.config(), "certainty": worth, "notes": [
        *pooled.config()["notes"], f"certainty of the {kind} by the other folds: error of "
        f"calibration {worth['ece']:.3f}, {worth['ece_before']:.3f} without a temperature; sets of "
        + listed(f"{c} % hold the class of {worth[f'covered_{c}']:.1%} of fields with "
                 f"{worth[f'size_{c}']:.2f} classes" for c in COVERAGES)]})
    return {"head": kind, "certainty": asdict(certainty)}
