# SPDX-License-Identifier: BSD-3-Clause
"""What `predict` or `measure` wrote, or another program's table of profiles: fields to wells.

    files --read--> fields --aggregate--> wells: plate, treatment, control or not; features

First step of the room.
"""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from phenoscale.errors import InputError
from phenoscale.evaluation.predictions_file import called_classes, checked_probabilities
from phenoscale.evaluation.profile_table import Numbers, read_numbers
from phenoscale.evaluation.run import named_values
from phenoscale.models.certainty import NONE
from phenoscale.profiles.aggregate import aggregate
from phenoscale.profiles.grouped import grouped
from phenoscale.screening.asked import Asked
from phenoscale.tables.controls import NEGATIVE, POSITIVE, control_notes
from phenoscale.tables.keys import KEY
from phenoscale.tables.predictions import (
    CELLS,
    CLASS,
    FIELDS,
    MODEL,
    NOVELTY,
    PROBABILITY,
    SETS,
    known_columns,
)
from phenoscale.tables.roles import row_groups
from phenoscale.training.run_folder import RunFolder
from phenoscale.words import count, listed

if TYPE_CHECKING:
    import pandas

__all__ = ["CONTROL", "NONE_SHARE", "SET", "TREATMENT", "Wells", "majority", "read_wells"]

TREATMENT, CONTROL = "Phenoscale_Treatment", "Phenoscale_Control"
SET, NONE_SHARE = SETS["95"], "Phenoscale_None"
_OWN = re.compile(r"(?:Image_)?Phenoscale_(?!Emb\d).+")
_PLACE = ("Metadata_Batch", "Metadata_Plate", "Metadata_Well")
_COMPOUND = ("Metadata_Compound", "Metadata_Concentration")
_STATE = "state "  # before the name of one, of a column that stays here
_MOST_LOST = 0.05  # of the wells may lack a number of a feature


@dataclass
class Wells:
    """Wells of a screen, in the order of appearance.

    Attributes
    ----------
    frame : pandas.DataFrame
        One row a well, as wells.csv begins: Metadata_*, treatment, control, classes, cells.
    values : numpy.ndarray
        float32 (wells, features), NaN where a number is missing.
    features : list of str
    keys : dict of str to str
        Class to the key of its column; {} where nothing is predicted.
    plate, treatment, compound : numpy.ndarray of int
        (wells,) numbers from 0 in the order of appearance.
    plates, treatments : list of str
        Names by number.
    is_control, is_positive : numpy.ndarray of bool
        (wells,)
    notes : list of str
        What was taken for what, and what was left out.
    inputs : list of dict
        path and sha256 of each file.
    states : dict of str to numpy.ndarray of bool, (wells,)
        Of the reversal, where it is asked for: name to its wells.
    """

    frame: pandas.DataFrame
    values: np.ndarray
    features: list[str]
    keys: dict
    plate: np.ndarray
    treatment: np.ndarray
    compound: np.ndarray
    plates: list
    treatments: list
    is_control: np.ndarray
    is_positive: np.ndarray
    notes: list = field(default_factory=list)
    inputs: list = field(default_factory=list)
    states: dict = field(default_factory=dict)

    def __len__(self):
        return len(self.frame)


def read_wells(sources, asked: Asked, features=None) -> Wells:
    """Read predictions, and make wells of them.

    Parameters
    ----------
    sources : list of path or pandas.DataFrame
        Files of `phenoscale predict` or `measure`, tables of profiles, or folders of runs.
    asked : Asked
    features : list of str, optional
        Exactly these columns, those of a fit.

    Raises
    ------
    InputError
        Naming the file, the line or well, the column, and the cure.
    """
    folders = [source for source in sources if not hasattr(source, "columns")
               and os.path.isdir(source)]
    paths = [os.path.join(source, RunFolder.PREDICTIONS) if source in folders else source
             for source in sources] if folders else sources
    numbers = _read(paths, asked, features)
    table, values = numbers.table, numbers.values
    controls, said = _controls(table, asked, paths)
    fields = known_columns(table.frame, None, table.roles, {})
    fields = fields[[c for c in fields if not c.startswith(("FileName_", "PathName_", "Frame_",
                                                            "Sample_"))]]
    if KEY in fields and fields[KEY].duplicated().any():
        twice = fields.loc[fields[KEY].duplicated(), KEY].iloc[0]
        raise InputError(f"{table.source}: the field {twice} is there twice: give each file once")
    if controls is not None:
        fields["Mark"] = np.where(controls, NEGATIVE, fields["Mark"].replace(NEGATIVE, ""))
    fields[TREATMENT] = _treatments(table, fields, asked.treatment)
    states = {f"{_STATE}{name}": table.matches({column: [name]}, "for --reversal")
              for column, names in asked.reversal.items() for name in names}
    for name, is_of in states.items():
        fields[name] = is_of
    fields, values = _with_wells(table, fields, values)
    wells = _aggregated(table, fields, values, numbers.features, asked)
    wells.notes = [*numbers.notes, *table.notes, *said, *wells.notes]
    wells.inputs = [_input(path) for path in paths if not hasattr(path, "columns")]
    return _with_numbers(wells) if features is None else wells


# ---- fields --------------------------------------------------------------------------------------


def _read(paths, asked: Asked, features) -> Numbers:
    """All files as one table."""
    columns = {asked.treatment, *asked.controls, *asked.reversal}

    def is_text(column):
        return column in columns or bool(_OWN.fullmatch(column))

    parts = [read_numbers(path, features or asked.features, asked.roles, asked.join, is_text,
                          of_one_kind=False)
             for path in paths]
    wanted = features or parts[0].features
    for part in parts:
        absent = set(wanted) - set(part.features)
        if absent or (features is None and len(part.features) > len(wanted)):
            one = min(absent or set(part.features) - set(wanted))
            whose = "the fit" if features else str(parts[0].table.source)
            raise InputError(f"{part.table.source} {'lacks' if absent else 'has'} the feature "
                             f"{one}, unlike {whose}: give files of one model")
    for k, part in enumerate(parts):
        if part.features != wanted:
            at = [part.features.index(name) for name in wanted]
            parts[k] = part._replace(values=part.values[:, at], features=wanted)
    return parts[0] if len(parts) == 1 else _together(parts)


def _together(parts) -> Numbers:
    import pandas

    tables = [part.table for part in parts]
    roles = tables[0].roles
    for table in tables[1:]:
        if table.roles.keys() != roles.keys():
            role = min(set(table.roles) ^ set(roles))
            raise InputError(f"{table.source} and {tables[0].source}: one has a column for the "
                             f"role {role}, the other none: name it with --role {role}=COLUMN")
    frame = pandas.concat([table.frame for table in tables], ignore_index=True).fillna("")
    notes = dict.fromkeys(note for table in tables for note in table.notes)
    whole = replace(tables[0], frame=frame, planes=[()] * len(frame), lines=[],
                    source=listed((table.source for table in tables), limit=3), unit="row",
                    notes=list(notes))
    values = np.concatenate([part.values for part in parts])
    return Numbers(whole, values, parts[0].features, parts[0].notes)


def _controls(table, asked: Asked, paths):
    """Which fields are of negative controls, where that is said; and a note on who says it."""
    if asked.controls:
        return table.matches(asked.controls, "as controls"), []
    configs = [os.path.join(os.path.dirname(os.fspath(path)), RunFolder.CONFIG) for path in paths
               if not hasattr(path, "columns")]
    for path in dict.fromkeys(filter(os.path.isfile, configs)):
        named = named_values(RunFolder(os.path.dirname(path)).config().get("controls"))
        named = {column: values for column, values in named.items()
                 if column in table.frame or column in table.spelling}
        if named:
            words = listed(f"{column}={','.join(map(str, values))}"
                           for column, values in named.items())
            return table.matches(named, "as controls"), [f"negative controls: {words}, as {path} "
                                                         "says"]
    return None, control_notes(table.frame)


def _treatments(table, fields, column) -> list:
    """What was done to each field; "" where nothing is said."""
    if column is not None:
        return table.column(column).tolist()
    if _COMPOUND[0] in fields:
        doses = fields[_COMPOUND[1]] if _COMPOUND[1] in fields else [""] * len(fields)
        return [f"{name} {dose}".strip() if name else ""
                for name, dose in zip(fields[_COMPOUND[0]], doses)]
    return table.well_names()


def _with_wells(table, fields, values):
    """Without the fields of no well."""
    if "well" not in table.roles:
        raise InputError(f"{table.source}: no column is known to be the well, and profiles are of "
                         f"wells: name it with --role well=COLUMN: it has "
                         f"{listed(table.frame.columns, limit=8)}")
    kept = (fields[_PLACE[2]] != "").to_numpy()
    if kept.all():
        return fields, values
    table.notes.append(f"{count(int((~kept).sum()), 'field')} of no well left out")
    return fields[kept].reset_index(drop=True), values[kept]


# ---- wells ---------------------------------------------------------------------------------------


def _aggregated(table, fields, values, features, asked: Asked) -> Wells:
    import pandas

    by = [column for column in _PLACE if column in fields]
    group = row_groups(fields, by)
    _refuse_mixed(table, fields, group)
    columns = [c for c in fields if c.startswith(f"{PROBABILITY}_")]
    keys = {}
    if len(columns) > 1 and CLASS in fields:
        fields[columns] = checked_probabilities(table.source, fields, columns)
        keys = called_classes(table.source, fields, columns)
    else:
        fields = fields.drop(columns=columns)
    if CELLS in fields:
        fields[CELLS] = pandas.to_numeric(fields[CELLS], errors="coerce")
    states = [c for c in fields if c.startswith(_STATE)]
    frame = _frame(fields, group, by, keys)
    marks = frame.pop("Mark").to_numpy()
    frame[CONTROL] = np.select([marks == NEGATIVE, marks == POSITIVE], ["negative", "positive"], "")
    is_of = {name.removeprefix(_STATE): frame.pop(name).to_numpy(dtype=bool) for name in states}
    plate_columns = [column for column in by if column != _PLACE[2]]
    plate = row_groups(frame, plate_columns)
    treatment, names = pandas.factorize(frame[TREATMENT])
    compound = _COMPOUND[0] if asked.treatment is None and _COMPOUND[0] in frame else TREATMENT
    wells = Wells(
        frame, grouped(values, group, asked.aggregate), list(features), keys, plate, treatment,
        pandas.factorize(frame[compound])[0], _names(frame, plate_columns, plate), list(names),
        marks == NEGATIVE, marks == POSITIVE, states=is_of)
    if len(wells) < len(fields):
        wells.notes.append(f"{count(len(fields), 'field')} of {count(len(wells), 'well')}: the "
                           f"{asked.aggregate} of each well is taken")
    return wells


def _refuse_mixed(table, fields, group) -> None:
    """The fields of a well are of one treatment, and all controls or none."""
    states = [c for c in fields if c.startswith(_STATE)]
    for column, what in ((TREATMENT, "treatments"), ("Mark", "kinds of control"),
                         *((name, "states") for name in states)):
        first = fields[column].groupby(group).transform("first")
        bad = np.flatnonzero((fields[column] != first).to_numpy())
        if len(bad):
            both = sorted({str(fields[column].iloc[bad[0]]), str(first.iloc[bad[0]])})
            where = " ".join(fields[c].iloc[bad[0]] for c in _PLACE if c in fields)
            raise InputError(f"{table.source}: the well {where} has fields of several {what}, "
                             f"{listed(map(repr, both))}: name the plate with --role plate=COLUMN, "
                             "or give all its fields one")


def _frame(fields, group, by, keys):
    """One row a well: what is constant in it, the number of its fields, and what is predicted."""
    import pandas

    is_none = None
    if SET in fields or NOVELTY in fields:
        is_none = (fields[SET] == NONE if SET in fields
                   else pandas.to_numeric(fields[NOVELTY], errors="coerce") > 1)
    kept = fields.drop(columns=["Truth", "Side", *[c for c in fields if c.startswith("Phenoscale_")
                                                   and c not in (TREATMENT, MODEL) and not (
        keys and (c == CLASS or c.startswith(f"{PROBABILITY}_")))]])
    if keys:
        frame = aggregate(kept, by, keys)
    else:
        rows = kept.groupby(group, sort=False)
        same = [c for c in kept if c != CELLS and (c in by or (rows[c].nunique() == 1).all())]
        frame = kept.loc[~pandas.Series(group).duplicated(), same].reset_index(drop=True)
        frame[FIELDS] = np.bincount(group)
        if CELLS in kept:
            frame[CELLS] = rows[CELLS].mean().to_numpy()
    frame = frame.drop(columns=["Metadata_Site"], errors="ignore")
    if SET in fields:
        frame[SET] = [majority(cells) for _, cells in fields[SET].groupby(group)]
    if is_none is not None:
        frame[NONE_SHARE] = is_none.groupby(group).mean().to_numpy()
    return frame


def majority(sets) -> str:
    """The classes that more than half of some sets have, or "(none of these)" where more than half
    are that; "" where no class is in so many.

    Of sets that each hold the true class in 95 % of fields it holds it in 90 %, however dependent
    they are (Gasparin 2024, arXiv 2401.09379).

    >>> majority(["a b", "a", "(none of these)"]), majority(["a", "b"])
    ('a', '')
    """
    sets = list(sets)
    named = dict.fromkeys(key for one in sets if one != NONE for key in one.split())
    half = len(sets) / 2
    if sum(one == NONE for one in sets) > half:
        return NONE
    return " ".join(key for key in named if sum(
        key in one.split() for one in sets if one != NONE) > half)


def _names(frame, columns, code) -> list:
    first = frame.assign(code=code).drop_duplicates("code").sort_values("code")
    if not columns:
        return [""]
    if "Metadata_Plate" in columns and first["Metadata_Plate"].is_unique:
        columns = ["Metadata_Plate"]
    return [" ".join(filter(None, cells)) for cells in zip(*(first[c] for c in columns))]


def _with_numbers(wells: Wells) -> Wells:
    """Without features that more than a few wells lack."""
    lost = np.zeros(wells.values.shape[1])
    for at in range(0, len(wells), 4096):
        lost += np.isnan(wells.values[at : at + 4096]).sum(axis=0)
    kept = lost <= _MOST_LOST * len(wells)
    if kept.all():
        return wells
    if not kept.any():
        raise InputError("no feature has a number in 95 % of the wells: leave out the wells or "
                         "features without")
    left = [name for name, is_kept in zip(wells.features, kept) if not is_kept]
    wells.notes.append(f"{count(len(left), 'feature')} left out that more than 5 % of the wells "
                       f"lack: {listed(left, limit=3)}")
    return replace(wells, values=wells.values[:, kept], features=[
        name for name, is_kept in zip(wells.features, kept) if is_kept])


def _input(path) -> dict:
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 22):
            digest.update(block)
    return {"path": os.fspath(path), "sha256": digest.hexdigest()}
