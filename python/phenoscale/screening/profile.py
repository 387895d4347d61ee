# SPDX-License-Identifier: BSD-3-Clause
"""Predictions in, profiles and hits out: the whole of the room.

    wells.py -> choice.py -> fit.py -> hits.py -> wells.csv, treatments.csv, hits.csv, profile.json
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

import phenoscale
from phenoscale.errors import InputError
from phenoscale.files.atomic import made_folder, write_atomically
from phenoscale.files.frames import parquet_beside, write_tables
from phenoscale.profiles.fitted import Recipe, load_fit
from phenoscale.profiles.permutation import DRAWS
from phenoscale.profiles.plate_effect import plate_accuracy
from phenoscale.profiles.position import places_of
from phenoscale.profiles.replicates import agreement
from phenoscale.screening.asked import NONE, Asked
from phenoscale.screening.choice import choose
from phenoscale.screening.fit import Profiled, apply_fit, make_fit, refuse_bare_plates
from phenoscale.screening.hits import RATE, Found, hits_of
from phenoscale.screening.wells import Wells, read_wells
from phenoscale.tables.outputs import refuse_to_lose
from phenoscale.tables.predictions import MODEL
from phenoscale.words import count, number

if TYPE_CHECKING:
    import pandas

__all__ = ["FILES", "Screened", "hits", "profile"]

FILES = ("profile.json", "wells.csv", "treatments.csv", "hits.csv")
_SEED = 0
_SCORED = 3000  # wells whose likeness is scored


@dataclass
class Screened:
    """What `profile` found.

    Attributes
    ----------
    wells, treatments, hits : pandas.DataFrame
        One row a well, a treatment, a treatment that is no negative control (docs/profiles.md).
    about : dict
        What was fitted, tried and kept, scores, notes: as profile.json has it.
    """

    wells: pandas.DataFrame
    treatments: pandas.DataFrame
    hits: pandas.DataFrame
    about: dict = field(default_factory=dict)

    def text(self) -> str:
        """For people."""
        about = self.about
        lines = [*about["notes"], ""]
        for step in about["steps"]:
            value = "" if step["value"] is None else f" {step['value']}"
            lines.append(f"{step['step']}: {'kept' if step['kept'] else 'not kept'}{value}: "
                         f"{step['why']}")
        for score in about["scores"]:
            said = {name: number(np.nan if value is None else value)
                    for name, value in score.items() if name != "after"}
            lines.append(
                f"{score['after']}: replicates agree by {said['agreement']} (wells of different "
                f"compounds {said['null']}), {said['above']} of the treatments above 95 % of these"
                + (f"; the plate is read right in {said['plate_accuracy']} of wells, by chance "
                   f"{said['plate_chance']}" if score["plate_chance"] is not None else ""))
        found = about["hits"]
        lines.append(f"{found['hits']} of {count(found['treatments'], 'treatment')} are hits at q "
                     f"< {RATE}" + (f"; p cannot be below {found['floor']:.2g}"
                                    if found["floor"] is not None else ""))
        if found["cannot_say"]:
            lines.append(f"of {count(found['cannot_say'], 'treatment')} it cannot be said: see "
                         "column Words of hits.csv")
        return "\n".join(lines)

    def write(self, folder, inputs=(), parquet: bool = False) -> list[str]:
        """Write profile.json, wells.csv, treatments.csv and hits.csv into a folder; their paths.

        inputs: paths of what was read, which is not written over; parquet: the tables as Parquet
        too.
        """
        folder = made_folder(folder)
        paths = [os.path.join(folder, name) for name in FILES]
        beside = map(parquet_beside, paths[1:] if parquet else ())
        refuse_to_lose(*paths, *beside, inputs=inputs)
        about = {**self.about, "inputs": [{**one, "path": os.path.relpath(one["path"], folder)}
                                          for one in self.about["inputs"]]}  # as seen from there
        write_atomically(paths[0], [(json.dumps(about, indent=1) + "\n").encode()])
        tables = dict(zip(paths[1:], (self.wells, self.treatments, self.hits)))
        return [paths[0], *write_tables(tables, parquet, safe=True)]


def profile(predictions, asked: Asked | None = None, **words) -> Screened:
    """Fields to wells to treatments: profiles, and which treatments do something.

    Parameters
    ----------
    predictions : path or pandas.DataFrame, or a list of them
        Files of `phenoscale predict` or `measure`, tables of profiles of other programs, or
        folders of runs.
    asked : Asked, optional
        How.
    words
        In place of it, its attributes: ``profile("predictions.csv", standardise="robust")``.

    Returns
    -------
    Screened

    Raises
    ------
    InputError
        Naming the file, the well, the column, and the cure.

    Notes
    -----
    Typical variation normalization: Ando 2017 (bioRxiv 161422). Median polish: Brideau 2003
    (J Biomol Screen 8:634). Average precision: Kalinin 2025 (Nat Commun 16:5181).
    """
    asked = asked or Asked.of(words)
    sources = list(predictions) if isinstance(predictions, (list, tuple)) else [predictions]
    if asked.apply is None:
        wells, made, raw, choice = _fitted(sources, asked)
        steps, notes = choice.steps, choice.notes
    else:
        wells, made, raw, steps, notes = _applied(sources, asked)
    found = hits_of(wells, made, _SEED)
    about = _about(asked, wells, made, found)
    about["steps"] = steps
    about["scores"] = [raw, _score("profile", made.profiles, wells)]
    about["notes"] = [*wells.notes, *made.notes, *notes, *_few(found, made)]
    if asked.fit is not None:
        made.fitted.about = {key: about[key] for key in ("version", "model", "inputs", "steps",
                                                         "scores")}
        refuse_to_lose(asked.fit, inputs=[one["path"] for one in wells.inputs])
        made.fitted.save(asked.fit)
    return Screened(found.wells, found.treatments, found.hits, _plain(about))


def hits(predictions, asked: Asked | None = None, **words) -> pandas.DataFrame:
    """The treatments that do something, the surest first: `profile`'s hits alone.

    Parameters
    ----------
    predictions, asked, words
        As for `profile`.
    """
    return profile(predictions, asked, **words).hits


# ---- two ways ------------------------------------------------------------------------------------


def _fitted(sources, asked: Asked):
    wells = read_wells(sources, asked)
    how = asked.standardise
    if not wells.is_control.any():
        if how not in (None, NONE):
            raise InputError(f"--standardise {how} needs negative controls, and none are known: "
                             "name them by --controls COLUMN=VALUE, or give --standardise none")
        wells.notes.append("no negative controls are known, so that nothing is standardised on "
                           "them, and there are no distances, p and hits: name them by --controls "
                           "COLUMN=VALUE")
    elif how != NONE:
        refuse_bare_plates(wells)
    places = places_of(_well_names(wells))
    raw = _score("aggregated", wells.values, wells)
    choice = choose(wells, places, asked.aggregate, how, _SEED)
    made = make_fit(wells, choice.recipe, places, _SEED)
    if wells.states:
        made.fitted.states = {
            name: made.profiles[is_of].mean(axis=0, dtype=np.float64).astype(np.float32)
            for name, is_of in wells.states.items()}
    return wells, made, raw, choice


def _applied(sources, asked: Asked):
    fitted = load_fit(asked.apply)
    asked = Asked(**{**vars(asked), "aggregate": fitted.recipe.aggregate})
    wells = read_wells(sources, asked, fitted.features)
    if fitted.recipe.standardise != NONE:
        refuse_bare_plates(wells)
    raw = _score("aggregated", wells.values, wells)
    made = apply_fit(wells, fitted, places_of(_well_names(wells)))
    notes = [f"by the fit of {os.fspath(asked.apply)}, unchanged", *_strange_plates(wells, made)]
    return wells, made, raw, fitted.about.get("steps", []), notes


def _well_names(wells: Wells) -> list[str]:
    return wells.frame["Metadata_Well"].tolist()


def _strange_plates(wells: Wells, made: Profiled) -> list[str]:
    """Plates whose controls differ from each other more than those of the fit do."""
    null = made.fitted.null
    if not len(null):
        return []
    usual, notes = float(np.median(np.sqrt((null**2).sum(axis=1)))), []
    for k, name in enumerate(wells.plates):
        mine = made.apart[wells.is_control & (wells.plate == k)]
        mine = mine[np.isfinite(mine).all(axis=1)]
        times = float(np.median(np.sqrt((mine**2).sum(axis=1)))) / usual if len(mine) else 0
        if times > _STRANGE:
            notes.append(f"the control wells of {name} lie {times:.1f} times as far from each "
                         "other as those of the fit: the p of its treatments are too small")
    return notes


_STRANGE = 1.5  # times as far


# ---- what is said --------------------------------------------------------------------------------


def _score(after: str, profiles, wells: Wells) -> dict:
    """How alike replicates are, and how well the plate can be read, at a step: of at most 3,000
    wells, the same ones at each step."""
    rows = _some_wells(wells)
    some, treatment = np.nan_to_num(profiles[rows]), wells.treatment[rows]
    is_control = wells.is_control[rows]
    is_named = np.array([name != "" for name in wells.treatments])[treatment]
    alike = agreement(some, treatment, wells.compound[rows], is_named & ~is_control, _SEED)
    group = np.where(is_control, len(wells.treatments) + rows, treatment)
    accuracy, chance = plate_accuracy(some, wells.plate[rows], group, _SEED)
    known = alike.median[np.isfinite(alike.median)]
    return {"after": after, "agreement": float(np.median(known)) if len(known) else np.nan,
            "null": float(np.median(alike.null)) if len(alike.null) else np.nan,
            "above": alike.above, "plate_accuracy": accuracy, "plate_chance": chance}


def _some_wells(wells: Wells) -> np.ndarray:
    """Rows of whole treatments, drawn."""
    order = np.random.default_rng(_SEED).permutation(len(wells.treatments))[wells.treatment]
    rows = np.argsort(order, kind="stable")
    return np.sort(rows[: max(_SCORED, int((order == 0).sum()))]) if len(
        rows) > _SCORED else np.arange(len(rows))


def _about(asked: Asked, wells: Wells, made: Profiled, found: Found) -> dict:
    fitted: Recipe = made.fitted.recipe
    models = sorted(set(wells.frame[MODEL])) if MODEL in wells.frame else []
    return {"version": phenoscale.__version__, "model": models, "inputs": wells.inputs,
            "wells": len(wells), "plates": len(wells.plates), "columns": made.fitted.columns,
            "controls": {"negative": int(wells.is_control.sum()),
                         "positive": int(wells.is_positive.sum())},
            **fitted._asdict(),
            "fit": None if asked.fit is None else os.fspath(asked.fit),
            "applied": None if asked.apply is None else os.fspath(asked.apply),
            "reversal": list(made.fitted.states),
            "hits": {"treatments": len(found.hits), "hits": int((found.hits["Hit"] == "yes").sum()),
                     "cannot_say": int((found.hits["Hit"] == "cannot say").sum()), "rate": RATE,
                     "floor": found.floor}}


def _few(found: Found, made: Profiled) -> list[str]:
    """Where controls are too few for a p."""
    if not len(made.fitted.null) or not np.isfinite(found.floor):
        return []
    least = float(found.hits["Floor"].max())
    if least * len(found.hits) < RATE or least < 2 / DRAWS:
        return []
    return [f"{count(len(made.fitted.null), 'negative control well')} do not allow the p of every "
            f"treatment to be below {least:.2g}: the only active one of "
            f"{count(len(found.hits), 'treatment')} would not have q < {RATE}; more control wells, "
            "or replicates on more plates, would tell"]


def _plain(value):
    """As JSON has it: what is not defined is null."""
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(one) for one in value]
    if isinstance(value, (np.floating, np.integer, np.bool_)):
        value = value.item()
    return None if isinstance(value, float) and not np.isfinite(value) else value
