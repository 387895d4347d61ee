# SPDX-License-Identifier: BSD-3-Clause
"""How good predictions are: a run or a file of predictions in, one object of tables out.

    run.py, predictions_file.py -> levels.py, answered.py, groups.py, control_pairs.py, doses.py
                                -> text.py
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field

import numpy as np

from phenoscale.errors import InputError
from phenoscale.evaluation.answered import answered_table
from phenoscale.evaluation.control_pairs import control_pairs
from phenoscale.evaluation.doses import dose_table, dose_wells
from phenoscale.evaluation.groups import group_tables
from phenoscale.evaluation.levels import confusion_table, headline, level_frames, score_table
from phenoscale.evaluation.predicted import PLATE, WELL, Predicted
from phenoscale.evaluation.predictions_file import read_predictions
from phenoscale.evaluation.run import Run, read_run
from phenoscale.evaluation.strictness import confounded, shared_with_training
from phenoscale.files.atomic import made_folder, write_atomically
from phenoscale.files.frames import parquet_beside, write_tables
from phenoscale.scores.intervals import DRAWS
from phenoscale.scores.probabilities import BINS
from phenoscale.tables.outputs import refuse_to_lose
from phenoscale.words import count

__all__ = ["JSON", "Evaluation", "evaluate"]

SEED = 0  # of the draws
JSON = "evaluate.json"


@dataclass
class Evaluation:
    """What was found.

    Attributes
    ----------
    source : str
    label : str
        Column of the true classes.
    side : str or None
        Of a run, where the scored fields are: "test" or "val".
    classes : list of str
    headline : dict
        Of `phenoscale.evaluation.levels.headline`.
    notes : list of str
        What was left out or taken, what the scores are no answer to, what could not be made.
    tables : dict of str to pandas.DataFrame
        "scores", "answered", "confusion_field" and of the other levels, "compounds", "plates",
        "rows", "columns", "controls", "doses": those that there are.
    settings : dict
        What the numbers depend on beside the predictions: seed and draws of the bootstrap, bins of
        the calibration error.
    """

    source: str
    label: str
    side: str | None
    classes: list
    headline: dict
    notes: list
    tables: dict
    settings: dict = field(default_factory=lambda: {"seed": SEED, "draws": DRAWS, "bins": BINS})

    def text(self) -> str:
        """A page of it, the headline first."""
        from phenoscale.evaluation.text import page_of

        return page_of(self)

    def write(self, folder, parquet: bool = False) -> list[str]:
        """Write evaluate.json, and of each table a CSV of its name, into a folder that is made.

        parquet: whether each table is written as Parquet too.

        Returns
        -------
        list of str
            The paths.

        Raises
        ------
        InputError
            For a folder or a file that cannot be written, or one that was read.
        """
        folder = made_folder(folder)
        tables = {os.path.join(folder, f"{name}.csv"): frame
                  for name, frame in self.tables.items()}
        whole = os.path.join(folder, JSON)
        refuse_to_lose(whole, *tables, *map(parquet_beside, tables if parquet else ()),
                       inputs=[self.source])
        paths = write_tables(tables, parquet, safe=True)
        write_atomically(whole, [(json.dumps(self._entries(), indent=1) + "\n").encode()])
        return [whole, *paths]

    def _entries(self) -> dict:
        """All of it in the types of JSON; what is not defined is null."""
        about = {name: getattr(self, name) for name in (
            "source", "label", "side", "classes", "headline", "notes", "settings")}
        tables = {name: frame.to_dict("records") for name, frame in self.tables.items()}
        return _plain({**about, "tables": tables})


def evaluate(source, label: str | None = None) -> Evaluation:
    """Score predictions at every level that they allow.

    Parameters
    ----------
    source : path
        The folder of a run, of which no field is scored that was trained on, or a file that
        `predict` wrote (CSV or Parquet).
    label : str, optional
        Column of the true classes, of a file.

    Raises
    ------
    InputError
        For what is neither, and for predictions that cannot be scored, with the reason.
    """
    source = os.fspath(source)
    if not os.path.exists(source):
        raise InputError(f"{source} does not exist: give the folder of a run, or a file that "
                         "phenoscale predict wrote")
    if os.path.isdir(source):
        found = read_run(source)
        label = _label_of(found, label)
    else:
        found = read_predictions(source, label)
    fields = _scored_fields(source, found)
    frames = level_frames(found, fields)
    scores = score_table(found, frames, SEED)
    tables = {"scores": scores, "answered": answered_table(found, frames),
              **{f"confusion_{name}": confusion_table(found, frame)
                 for name, frame in frames.items()},
              **group_tables(frames)}
    notes = [*_asked(found, fields), *confounded(found), *found.notes, *_of_wells(frames)]
    doses = dose_wells(found)
    for name, table in (("controls", control_pairs(found, frames.get("well"))),
                        ("doses", doses if isinstance(doses, str) else dose_table(found, doses))):
        if isinstance(table, str):
            notes.append(table)
        else:
            tables[name] = table
    return Evaluation(source, label, found.side, found.classes, headline(frames, scores), notes,
                      tables)


def _label_of(run: Run, label: str | None) -> str:
    """The label of a run, which is no matter of choice."""
    own = run.config.get("label") or ""
    if label not in (None, own):
        raise InputError(f"{run.folder.path} was trained on the column {own}: leave --label "
                         f"{label} out, or evaluate its predictions as a file")
    return own


def _scored_fields(source: str, found: Predicted):
    """The fields of known class that may be scored; InputError where none tell classes apart."""
    if isinstance(found, Run):
        if found.refused:
            raise InputError(f"{source} has no score: {found.refused}")
        if found.scored is None or found.side is None:
            raise InputError(f"{source} has no score: {_unscored(found)}")
    fields = found.scored[found.scored["Truth"].isin(found.classes)]
    if found.side is not None:
        fields = fields[fields["Side"] == found.side]
    names = set(fields["Truth"])
    if len(names) < 2:
        which = f"are of class {min(names)}" if names else "have no class"
        raise InputError(f"{source} has no score that tells classes apart: all scored fields "
                         f"{which}; predict fields of two classes or more")
    return fields.reset_index(drop=True)


def _unscored(run: Run) -> str:
    return (run.folder.unscored() or " ".join(run.notes)
            or "no labelled field outside the training fields has a prediction: predict them to "
               f"{run.folder.file(run.folder.PREDICTIONS)}")


def _asked(found: Predicted, fields) -> list[str]:
    """What the scored fields share with the training: how strictly the question is asked."""
    if not isinstance(found, Run):
        return []
    said = [f"{count(n, role)}, {'none' if not shared else shared} of them trained on"
            for role, n, shared in shared_with_training(found, fields)]
    watched = " They were watched during the training: expect less." * (found.side == "val")
    return [f"The scored fields lie in {'; '.join(said)}.{watched}"] if said else []


def _of_wells(frames: dict) -> list[str]:
    """What has to be said of wells."""
    if "well" not in frames:
        return ["No wells are known: fields of one well may count as several, and there is no "
                "interval over wells."]
    fields, wells = frames["field"], frames["well"]
    without = int((fields[WELL] == "").sum())
    mixed = int(wells.duplicated([PLATE, WELL]).sum())
    return ([f"{count(without, 'field')} without a well: scored as fields alone."] * bool(without)
            + [f"{count(mixed, 'well')} with fields of several classes: each class of one counts "
               "as a well."] * bool(mixed))


def _plain(value):
    """A value in the types of JSON."""
    if isinstance(value, dict):
        return {str(name): _plain(one) for name, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(one) for one in value]
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not np.isfinite(value) else value
