# SPDX-License-Identifier: BSD-3-Clause
"""What changed in a well or a class against the negative controls: the measures that differ most.

    file -> fields, measures -> wells -> effects against the controls of the plate
                                      -> the largest, in words

The differences are found in effects.py, the words in measure_words.py, and the file is read by
`phenoscale.tables.measured`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from phenoscale.errors import InputError
from phenoscale.profiles.effects import (
    LEAST_CONTROLS,
    MOST,
    effects,
    least_effect,
    likeness,
    pick,
    quantile,
)
from phenoscale.profiles.measure_words import channels_in, wording
from phenoscale.tables.controls import NEGATIVE, control_notes
from phenoscale.tables.measured import measured_table
from phenoscale.tables.predictions import CLASS, known_columns
from phenoscale.tables.roles import known_roles
from phenoscale.tables.values import pairs_of
from phenoscale.words import count, listed, visible

if TYPE_CHECKING:
    import pandas

__all__ = ["Change", "Explained", "Told", "explain", "explain_fields", "in_words"]


@dataclass(frozen=True)
class Change:
    """A measure that differs from the controls.

    Attributes
    ----------
    measure : str
        Its column.
    effect : float
        Robust standardised difference, in deviations of the controls.
    percent : float
        Of the controls' median, NaN where the measure is no plain amount.
    words : str
        "fewer cells".
    """

    measure: str
    effect: float
    percent: float
    words: str

    def __str__(self):
        share = f"{self.percent:+.0f} %, " if np.isfinite(self.percent) else ""
        return f"{self.words} ({share}{self.effect:+.1f} SD)"


@dataclass(frozen=True)
class Told:
    """What changed in so many wells.

    Attributes
    ----------
    wells : int
    changes : list of Change or None
        The largest first, none where nothing differs; None where nothing could be compared.
    """

    wells: int
    changes: list | None


@dataclass
class Explained:
    """What changed, well by well and class by class.

    Attributes
    ----------
    wells : pandas.DataFrame
        One row a well: Plate, Well, Class, Mark, Controls (what it is compared with).
    each : list of (list of Change or None)
        Of each well, as in `Told`.
    classes : dict of str to Told
        Of each class, in the order of appearance.
    notes : list of str
        What the wells are compared with, and what was left out.
    """

    wells: pandas.DataFrame
    each: list
    classes: dict
    notes: list = field(default_factory=list)

    def text(self) -> str:
        """For people: a line a class."""
        return "\n".join(
            visible(f"{name} ({count(told.wells, 'well')}): {in_words(told.changes)}")
            for name, told in self.classes.items())

    def frame(self) -> pandas.DataFrame:
        """The wells with Words, Measure1, Effect1 ... Measure5, Effect5, empty where fewer differ.
        """
        frame = self.wells.drop(columns="Mark")
        frame["Words"] = list(map(in_words, self.each))
        for k in range(MOST):
            mine = [changes[k] if changes and k < len(changes) else None for changes in self.each]
            frame[f"Measure{k + 1}"] = [one.measure if one else "" for one in mine]
            frame[f"Effect{k + 1}"] = [round(one.effect, 3) if one else np.nan for one in mine]
        return frame


def explain(table, by: str | None = None, controls=None) -> Explained:
    """Say what differs from the negative controls, of a file of measures.

    Parameters
    ----------
    table : str or path
        What `phenoscale.measure_to_file` wrote, or `phenoscale.predict_to_file` with measures.
    by : str, optional
        Column of what is told of together; by default the predicted class, else the compound.
    controls : dict of str to (str or list of str), optional
        Column to its values of negative controls; by default what a column as Metadata_Control
        says.

    Returns
    -------
    Explained
        As of `explain_fields`.

    Raises
    ------
    InputError
        As that, and for a file, column or value that is not there.
    """
    about, numbers = measured_table(table)
    roles = {role: names[0] for role, names in known_roles(about.columns).items() if names}
    by, controls = by or _default_by(about, roles), pairs_of(controls or {}, "controls")
    _check_named(table, about, by, controls)
    found = explain_fields(known_columns(about, by, roles, controls), numbers)
    found.notes += control_notes(about)
    return found


def explain_fields(fields: pandas.DataFrame, numbers: pandas.DataFrame) -> Explained:
    """Say what differs from the negative controls.

    Parameters
    ----------
    fields : pandas.DataFrame
        As of `phenoscale.tables.predictions.known_columns`: Metadata_Plate, Metadata_Well and
        Metadata_Batch where they are known, Truth (the class or treatment), Mark.
    numbers : pandas.DataFrame
        The measures of the same fields.

    Returns
    -------
    Explained
        Each well, the mean of its fields, is compared with the negative control wells of its
        plate, or where these are fewer than 3 of all plates (`effects`). The effect of a class is
        the median of those of its wells. Of the differences (`least_effect`) five are taken that
        are no copies of each other (`pick`).

    Raises
    ------
    InputError
        Without measures, or with fewer than 3 negative control wells.
    """
    known, notes = _known(numbers)
    wells, values, plates = _wells(fields, numbers[list(known)])
    is_control = (wells["Mark"] == NEGATIVE).to_numpy()
    if is_control.sum() < LEAST_CONTROLS:
        raise InputError(
            f"{count(int(is_control.sum()), 'well')} of negative controls, and it takes "
            f"{LEAST_CONTROLS} to say what differs from them: mark them in a column "
            "Metadata_Control, or name them by --controls COLUMN=VALUE")
    effect, ratio, used = effects(values, plates, is_control)
    said = {plate: _said(rows, plates == plate) for plate, rows in used.items()}
    wells["Controls"] = [said[plate] for plate in plates]
    ways = [f"{count(n, 'well')} each with {way}"
            for way, n in wells["Controls"].value_counts().items()]
    notes.insert(0, f"compared: {listed(ways, limit=8)}")
    alike, words = likeness(effect), list(known.items())
    families = [one.family for one in known.values()]

    def told(rows):
        middle, share = quantile(effect[rows]), quantile(ratio[rows])
        if not np.isfinite(middle).any():
            return None
        controls = np.logical_or.reduce([used[plate] for plate in set(plates[rows])]).sum()
        least = least_effect(np.isfinite(effect[rows]).sum(axis=0), controls)
        return [_change(*words[k], middle[k], share[k])
                for k in pick(middle, least, alike, families)]

    of = wells["Class"].to_numpy()
    classes = {name: np.flatnonzero(of == name) for name in dict.fromkeys(of) if name}
    return Explained(wells, [told([row]) for row in range(len(wells))],
                     {name: Told(len(rows), told(rows)) for name, rows in classes.items()}, notes)


def in_words(changes) -> str:
    """Changes as one line, "fewer cells (-45 %, -3.1 SD), ..." or "like the controls"."""
    return "not measured" if changes is None else (
        ", ".join(map(str, changes)) or "like the controls")


def _default_by(about, roles: dict) -> str:
    by = CLASS if CLASS in about else roles.get("compound")
    if by is None:
        raise InputError("there is no predicted class and no column of compounds: name by --by "
                         f"what is told of together, of {listed(about.columns)}")
    return by


def _check_named(table, about, by: str, controls: dict) -> None:
    """The columns and values that were named are there."""
    for column in (by, *controls):
        if column not in about:
            raise InputError(f"{table} has no column {column}: it has "
                             f"{listed(about.columns, near=column)}")
    for column, values in controls.items():
        absent = [value for value in values if value not in set(about[column])]
        if absent:
            raise InputError(f"{table}: no row has {absent[0]} in column {column}: there are "
                             f"{listed(dict.fromkeys(about[column]), near=absent[0])}")


def _known(numbers) -> tuple[dict, list[str]]:
    """The measures with words, and a note of those without."""
    channels = channels_in(numbers.columns)
    words = {column: wording(column, channels) for column in numbers}
    known = {column: said for column, said in words.items() if said}
    if not known:
        raise InputError("there are no measures, columns such as Image_Intensity_MeanIntensity_DNA:"
                         " write them with phenoscale measure, or predict with --measures all")
    strange = [column for column in words if column not in known]
    return known, [f"left out, since there are no words for them: {listed(strange, limit=3)}"
                   ] * bool(strange)


def _wells(fields, numbers):
    """Fields to wells: what is said of them, their means (wells, measures), the number of their
    plate; a field without a well's name is one of its own."""
    import pandas

    fields, numbers = fields.reset_index(drop=True), numbers.reset_index(drop=True)
    none = pandas.Series("", index=fields.index)
    batch, plate, well = (fields.get(f"Metadata_{name}", none) for name in
                          ("Batch", "Plate", "Well"))
    alone = pandas.Series(range(len(fields)), index=fields.index).where(well == "", -1)
    plates = pandas.DataFrame({"batch": batch, "plate": plate}).groupby(
        ["batch", "plate"], sort=False).ngroup()
    code = pandas.DataFrame({"plate": plates, "well": well, "alone": alone}).groupby(
        ["plate", "well", "alone"], sort=False).ngroup()
    if plates.nunique() > plate.nunique():  # of several batches
        plate = (batch + " " + plate).str.strip()
    about = pandas.DataFrame({"Plate": plate, "Well": well, "Class": fields["Truth"],
                              "Mark": fields["Mark"]}).groupby(code)
    frame = about[["Plate", "Well", "Mark"]].first()
    frame.insert(2, "Class", about["Class"].agg(lambda cells: cells.mode().iloc[0]))
    values = numbers.groupby(code).mean().to_numpy(np.float64)
    values = np.where(np.isfinite(values), values, np.nan)
    return frame.reset_index(drop=True), values, plates.groupby(code).first().to_numpy()


def _said(controls, is_own) -> str:
    whose = "its plate" if is_own[controls].all() else "all plates, having fewer than 3 of its own"
    return f"the {controls.sum()} control wells of {whose}"


def _change(column: str, said, effect: float, ratio: float) -> Change:
    percent = 100 * (ratio - 1) if said.is_amount else np.nan
    return Change(column, float(effect), float(percent), said.up if effect > 0 else said.down)
