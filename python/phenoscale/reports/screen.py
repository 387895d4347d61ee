# SPDX-License-Identifier: BSD-3-Clause
"""The screen of a run, well by well: all that its files and its profile say of each.

After evaluation/run.py and evaluation/profiled.py; for the sections that look at plates and hits.
What a network says of a field that it was trained on is left out here as everywhere.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from functools import cached_property

from phenoscale.errors import InputError
from phenoscale.evaluation.predicted import PLATE, WELL, plate_names
from phenoscale.evaluation.run import Run, named_values
from phenoscale.profiles.aggregate import log_odds
from phenoscale.screening.profiled import PROFILE, TREATMENT, Profiled, read_profiled
from phenoscale.tables.keys import KEY
from phenoscale.tables.predictions import (
    CELLS,
    CLASS,
    DISTANCE,
    NOVELTY,
    QUALITY,
    known_columns,
    predictions_cells,
    probability_columns,
)

__all__ = ["Screen", "read_screen"]

#: measure -> what the layer of it is called, channel by channel
_MEASURES = {"Intensity_MeanIntensity": "mean intensity",
             "ImageQuality_PowerLogLogSlope": "focus"}
#: what a well is known by, first of its fields
_ABOUT = ("Metadata_Compound", "Metadata_Concentration", "Metadata_Batch", "Truth")


@dataclass
class Screen:
    """A run and what was made of its predictions.

    Attributes
    ----------
    run : Run
    profile : Profiled or None
    fields : pandas.DataFrame or None
        Every field that is known, predicted or not; `Predicted` says which.
    words : dict of str to str
        "PLATE WELL" to what changed in it; from the section that finds it.
    limits : ndarray or None, (channels, 2)
        Counts that are black and white in every picture of a well; from the section that reads
        one field of each.
    notes : list of str
    """

    run: Run
    profile: Profiled | None = None
    fields: object = None
    words: dict = field(default_factory=dict)
    limits: object = None
    notes: list = field(default_factory=list)

    @property
    def channels(self) -> list:
        """Names of the channels."""
        return self.run.config.get("channels") or []

    @cached_property
    def score(self) -> tuple[str, object] | None:
        """What one number says of the wells that were not trained on: its name in words, and the
        values by (plate, well); None where no well was scored."""
        wells = self.run.wells(self.run.scored)
        if wells is None:
            return None
        name, values = well_score(self.run, wells)
        wells["Score"] = values
        return name, wells.set_index([PLATE, WELL])

    @cached_property
    def wells(self):
        """One row a well, in the order of plates and wells, or None where none is known: Plate,
        Well, Mark, what `_ABOUT` names, Fields, Read (fields with a prediction), Trained (whether
        any of them was trained on), and as far as it is known Class, Prob, Score, Cells, Novelty,
        ControlDistance, Flagged (share of the fields that something is wrong with), Quality (the
        words), Layers' numbers by their own names, Treatment, Distance, P, CellRatio, None."""
        if self.fields is None or WELL not in self.fields or (self.fields[WELL] == "").all():
            return None
        frame = self.fields[self.fields[WELL] != ""]
        groups = frame.groupby([PLATE, WELL])
        wells = groups[[c for c in ("Mark", *_ABOUT) if c in frame]].first()
        wells["Fields"], wells["Read"] = groups.size(), groups["Predicted"].sum()
        wells["Trained"] = groups["Trained"].any()
        for name, column in (("Cells", CELLS), ("Novelty", NOVELTY),
                             ("ControlDistance", DISTANCE), *self.measures.items()):
            if column in frame and frame[column].notna().any():
                wells[name] = groups[column].mean()
        if QUALITY in frame:
            said = frame[QUALITY].fillna("").where(frame["Predicted"])
            wells["Flagged"] = (said != "").where(said.notna()).astype(float).groupby(
                [frame[PLATE], frame[WELL]]).mean()
            wells["Quality"] = said.fillna("").groupby([frame[PLATE], frame[WELL]]).agg(
                lambda words: " ".join(sorted({w for one in words for w in one.split()})))
        if self.score is not None:
            scored = self.score[1]
            wells["Class"], wells["Score"] = scored[CLASS], scored["Score"]
            wells["Prob"] = scored[probability_columns(scored, self.run.keys)].max(axis=1)
        return self._with_profile(wells).reset_index().rename(
            columns={PLATE: "Plate", WELL: "Well"}).rename(
            columns=lambda name: name.removeprefix("Metadata_"))

    @cached_property
    def measures(self) -> dict:
        """Name of a layer to the column of `fields` that it is the mean of."""
        if self.fields is None:
            return {}
        return {f"{words}, {channel}": column for start, words in _MEASURES.items()
                for channel in self.channels
                for column in [f"Image_{start}_{channel}"] if column in self.fields}

    def _with_profile(self, wells):
        """Beside each well what its profile says."""
        if self.profile is None:
            return wells
        mine = self.profile.wells
        if PLATE not in mine:
            mine = mine.assign(**{PLATE: ""})
        mine = mine.assign(**{PLATE: plate_names(mine)}).drop_duplicates([PLATE, WELL])
        mine = mine.set_index([PLATE, WELL])
        for name, column in (("Treatment", TREATMENT), ("Distance", "Phenoscale_Distance"),
                             ("P", "Phenoscale_P"), ("CellRatio", "Phenoscale_CellRatio"),
                             ("NoneOfThese", "Phenoscale_None")):
            if column in mine:
                wells[name] = mine[column].reindex(wells.index)
        hits = self.profile.hits.drop_duplicates("Treatment").set_index("Treatment")
        if "Treatment" in wells:
            wells["Treatment"] = wells["Treatment"].fillna("")
            wells["Hit"] = wells["Treatment"].map(hits["Hit"]).fillna("")
            wells["Rank"] = wells["Treatment"].map(hits["Rank"])
        return wells


def well_score(run: Run, wells):
    """What one number says of a well: its name in words, and its values."""
    if run.positive:
        return (f"log-odds, {run.positive} : {run.negative}",
                log_odds(wells, run.positive, run.negative, run.keys))
    if run.negative:
        return (f"probability of any class but {run.negative}",
                1 - wells[run.column(run.negative)])
    columns = probability_columns(wells, run.keys)
    return "probability of the predicted class", wells[columns].max(axis=1)


def read_screen(run: Run, profile=None) -> Screen:
    """The screen of a run.

    Parameters
    ----------
    run : Run
    profile : path, optional
        What `profile` wrote; by default the folder "profile" of the run, where it is.

    Raises
    ------
    InputError
        A folder that is none of a profile.
    """
    beside = run.folder.file(PROFILE)
    if profile is None and os.path.isdir(beside):
        profile = beside
    screen = Screen(run, None if profile is None else read_profiled(profile))
    screen.fields = _fields(screen)
    return screen


def _fields(screen: Screen):
    """Split and predictions together, each field once; numbers as numbers."""
    import pandas

    run = screen.run
    parts = [frame.assign(Predicted=True) for frame in
             [run.predicted, *_others(screen)] if frame is not None]
    if run.fields is not None:
        parts.append(run.fields.assign(Predicted=False))
    if not parts:
        return None
    frame = pandas.concat(parts, ignore_index=True)
    if KEY in frame:  # what is predicted comes first, and stays
        frame = frame[~frame[KEY].duplicated() | (frame[KEY].fillna("") == "")]
    known = run.fields if run.fields is not None and KEY in run.fields and KEY in frame else None
    if known is not None:
        known = known.drop_duplicates(KEY).set_index(KEY)
        for column in ("Side", "Truth", "Mark"):
            frame[column] = frame[KEY].map(known[column]).fillna(frame[column])
    frame = frame.fillna({"Mark": "", "Truth": "", "Side": "", PLATE: ""})
    if WELL in frame:
        frame[WELL] = frame[WELL].fillna("")
    frame["Trained"] = frame["Side"] == "train"
    for column in (CELLS, NOVELTY, DISTANCE):
        if column in frame:
            frame[column] = pandas.to_numeric(frame[column], errors="coerce")
            if column != CELLS:  # what a network says of a field that it knows
                frame[column] = frame[column].where(~frame["Trained"])
    return _measured(screen, frame.reset_index(drop=True))


def _others(screen: Screen) -> list:
    """Fields of the predictions that a profile was made of, where they are not the run's own."""
    if screen.profile is None:
        return []
    run, found = screen.run, []
    own = os.path.realpath(run.folder.file(run.folder.PREDICTIONS))
    for path in screen.profile.inputs():
        if os.path.realpath(path) == own:
            continue
        try:
            cells = predictions_cells(path)
        except (InputError, OSError):
            screen.notes.append(f"{path}, of which the profile was made, cannot be read: its "
                                "fields are not shown.")
            continue
        if cells is not None:
            found.append(known_columns(cells, run.config.get("label"), run.config.get("roles")
                                       or {}, named_values(run.config.get("controls"))))
    return found


def _measured(screen: Screen, frame):
    """Beside each field the measures that are layers, where they are in predictions.csv."""
    try:
        about, numbers = screen.run.measured
    except InputError:
        return frame
    if KEY not in about or KEY not in frame:
        return frame
    wanted = [column for start in _MEASURES for channel in screen.channels
              for column in [f"Image_{start}_{channel}"] if column in numbers]
    numbers = numbers[wanted].set_index(about[KEY])
    numbers = numbers[~numbers.index.duplicated()]
    return frame.join(numbers, on=KEY) if wanted else frame
