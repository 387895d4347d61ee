# SPDX-License-Identifier: BSD-3-Clause
"""A file of predictions, without its run: what may be scored of it.

Beside run.py.  Which fields the model was trained on, nobody says here.
"""

from __future__ import annotations

import numpy as np

from phenoscale.errors import InputError
from phenoscale.evaluation.predicted import PLATE, WELL, Predicted, find_controls, plate_names
from phenoscale.tables.class_keys import class_key
from phenoscale.tables.keys import KEY
from phenoscale.tables.labels import is_no_class
from phenoscale.tables.predictions import (
    CLASS,
    PROBABILITY,
    known_columns,
    predictions_cells,
)
from phenoscale.tables.roles import known_roles
from phenoscale.tables.wells import normalise_well
from phenoscale.words import count, listed

__all__ = ["called_classes", "checked_probabilities", "read_predictions"]

_SUM = 1e-3  # that the probabilities of a field may be off 1, rounded as they may be
_MOST_NAMED = 5
_UNKNOWN = ("A file of predictions does not say which fields its model was trained on: if any of "
            "these are, the scores are too good. Evaluate the folder of the run where you have it.")


def read_predictions(path, label: str | None) -> Predicted:
    """The fields of a file that `predict` wrote, or a program that keeps its columns.

    Parameters
    ----------
    path : path
        CSV, packed or not, or Parquet.
    label : str or None
        Column of the true classes.

    Raises
    ------
    InputError
        For a file that is none of predictions, a label that is not there or of other classes, and
        numbers that are no probabilities.
    """
    cells = predictions_cells(path)
    own = [] if cells is None else [name.removeprefix("Image_") for name in cells.columns]
    columns = [name for name in own if name.startswith(f"{PROBABILITY}_")]
    if cells is None or CLASS not in own or len(columns) < 2:
        raise InputError(f"{path} is no file of predictions: it needs {CLASS} and two columns or "
                         f"more {PROBABILITY}_<Class>, and has {listed(own, limit=8)}; give what "
                         "phenoscale predict wrote, or the folder of a run")
    if len(set(own)) < len(own):
        raise InputError(f"{path} has a column twice, with Image_ before its name and without: "
                         "take one out")
    _check_label(path, cells, label)
    roles = {role: found[0] for role, found in known_roles(cells.columns).items() if found}
    frame = known_columns(cells, label, roles, {})
    if WELL in frame:
        frame[WELL] = frame[WELL].map(normalise_well)
    frame[columns] = checked_probabilities(path, frame, columns)
    if KEY in frame and frame[KEY].duplicated().any():
        raise InputError(f"{path} has the field {frame[KEY][frame[KEY].duplicated()].iloc[0]} "
                         "twice: take one out")
    keys = called_classes(path, frame, columns)
    found = Predicted(sorted(keys), {name: keys[name] for name in sorted(keys)}, [_UNKNOWN])
    _leave_strangers(path, found, frame, label)
    frame[PLATE] = plate_names(frame)
    found.fields = found.scored = frame
    find_controls(found, cells)
    return found


def _check_label(path, cells, label) -> None:
    """InputError unless there is such a column."""
    if label is None:
        classes = set(cells.get(CLASS, cells.get(f"Image_{CLASS}")))
        fit = [name for name in cells if not name.removeprefix("Image_").startswith("Phenoscale_")
               and set(cells[name]) & classes]
        raise InputError(f"{path}: say which column has the true classes, --label COLUMN: "
                         + (f"{listed(fit)} has names of them" if fit else
                            f"it has {listed(cells.columns, limit=8)}"))
    if label.removeprefix("Image_").startswith("Phenoscale_"):
        raise InputError(f"{path}: column {label} is what the model says: give --label the column "
                         "of what is true")
    if label not in cells:
        raise InputError(f"{path} has no column {label} to score against: it has "
                         f"{listed(cells.columns, near=label, limit=8)}")


def checked_probabilities(path, frame, columns):
    """Columns of a frame as probabilities: float64 (fields, classes), each row from 0 to 1 and 1
    together; InputError names the field of one that is not."""
    import pandas

    p = frame[columns].apply(pandas.to_numeric, errors="coerce").to_numpy(dtype=np.float64)
    wrong = np.argwhere(~((p >= 0) & (p <= 1)))  # nan is neither
    if len(wrong):
        row, k = wrong[0]
        raise InputError(f"{_place(path, frame, row)}: '{frame[columns[k]].iloc[row]}' in column "
                         f"{columns[k]} is no probability from 0 to 1: predict the field again, or "
                         "take its row out")
    off = np.flatnonzero(abs(p.sum(axis=1) - 1) > _SUM)
    if len(off):
        raise InputError(f"{_place(path, frame, off[0])}: its probabilities add up to "
                         f"{p[off[0]].sum():.4f}, not 1: is the column of a class missing?")
    return p


def _place(path, frame, row: int) -> str:
    """"p.csv row 7 (P1 A01)", the first row below the header being 1."""
    names = (frame[column].iloc[row] for column in (PLATE, WELL) if column in frame)
    where = " ".join(name for name in names if name)
    return f"{path} row {row + 1}" + (f" ({where})" if where else "")


def called_classes(path, frame, columns) -> dict[str, str]:
    """Class to key: the class that is called where its column is the highest; of one that never is
    the label with the letters of the key, else the key.

    Parameters
    ----------
    path : path
        For messages.
    frame : pandas.DataFrame
        `Phenoscale_Class`, Truth, and the columns of probabilities as numbers.
    columns : list of str
        Of the probabilities.

    Raises
    ------
    InputError
        For calls that do not go with the probabilities.
    """
    p = frame[columns].to_numpy(dtype=np.float64)
    top, is_clear = p.argmax(axis=1), (p == p.max(axis=1, keepdims=True)).sum(axis=1) == 1
    calls = frame[CLASS].to_numpy(dtype=object)
    keys, open_keys = {}, []
    for k, column in enumerate(columns):
        rows, key = np.flatnonzero(is_clear & (top == k)), column.removeprefix(f"{PROBABILITY}_")
        names = dict.fromkeys(calls[rows])
        if not names:
            open_keys.append(key)
            continue
        name, *others = names
        if others or is_no_class(name) or name in keys:
            row = rows[calls[rows] == others[0]][0] if others else rows[0]
            raise InputError(f"{_place(path, frame, row)}: {CLASS} is '{calls[row]}', and the "
                             f"highest probability is in {column}: they are not of one model")
        keys[name] = key
    labels = {class_key(name): name for name in sorted({*calls, *frame["Truth"]} - {*keys, ""})}
    return {**keys, **{labels.get(key, key): key for key in open_keys}}


def _leave_strangers(path, found: Predicted, frame, label: str) -> None:
    """Fields of a class that the model does not know are of no class, and that is said."""
    is_strange = ~frame["Truth"].isin(["", *found.classes])
    strangers = frame.loc[is_strange, "Truth"].value_counts()
    names = listed((f"'{name}' ({count(n, 'field')})" for name, n in strangers.items()),
                   limit=_MOST_NAMED)
    if not frame["Truth"].isin(found.classes).any():
        raise InputError(f"{path}: column {label} has no class of the model, which knows "
                         f"{listed(found.classes)}; it has {names}")
    if len(strangers):
        found.notes.append(f"Left out, of no class that the model knows: {names}.")
        frame.loc[is_strange, "Truth"] = ""
