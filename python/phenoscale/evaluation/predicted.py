# SPDX-License-Identifier: BSD-3-Clause
"""Predicted fields that may be scored, and what is known of them: of a run or of one file.

After run.py and predictions_file.py, which read them; for all that scores them.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from phenoscale.profiles.aggregate import aggregate
from phenoscale.tables.controls import NEGATIVE, control_marks, control_notes, sign_of
from phenoscale.tables.predictions import probability_column
from phenoscale.words import listed

__all__ = ["COMPOUND", "CONCENTRATION", "PLATE", "WELL", "Predicted", "find_controls",
           "plate_names"]

PLATE, WELL = "Metadata_Plate", "Metadata_Well"
COMPOUND, CONCENTRATION = "Metadata_Compound", "Metadata_Concentration"


@dataclass
class Predicted:
    """Fields beside their probabilities; a frame is None where nothing is known.

    Attributes
    ----------
    classes : list of str
    keys : dict of str to str
        Class to what its column is called by.
    notes : list of str
        What was left out or taken, and why.
    fields : pandas.DataFrame or None
        Every field that is known: Metadata_*, Side, Truth, Mark.
    scored : pandas.DataFrame or None
        Predictions of fields that may be scored, with Side, Truth, Mark.
    positive, negative : str or None
        The class of the negative controls; of two classes, the other.
    side : str or None
        Where the fields are that the headline is of, "test" or "val"; None where all are.
    """

    classes: list = field(default_factory=list)
    keys: dict = field(default_factory=dict)
    notes: list = field(default_factory=list)
    fields: object = None
    scored: object = None
    positive: str | None = None
    negative: str | None = None
    side: str | None = None

    @property
    def has_wells(self) -> bool:
        """Whether any wells are known."""
        wells = None if self.fields is None else self.fields.get(WELL)
        return wells is not None and bool((wells != "").any())

    def column(self, name: str) -> str:
        """The column of a class's probabilities."""
        return probability_column(self.keys[name])

    def wells(self, frame, *extra):
        """Fields to wells by `aggregate`, with Mark; None where there are no wells."""
        if frame is None or WELL not in frame or (frame[WELL] == "").all():
            return None
        by, frame = [PLATE, WELL, *extra], frame[frame[WELL] != ""]
        wells = aggregate(frame.drop(columns="Mark"), by, self.keys)
        return wells.merge(frame.groupby(by, as_index=False)["Mark"].first(), on=by)


def find_controls(found: Predicted, cells, said=(), is_told: bool = False) -> None:
    """Which class is the negative one, and what has to be said of how that is known.

    Parameters
    ----------
    found : Predicted
        Its notes, positive and negative are changed.
    cells : pandas.DataFrame
        Of text, as of `phenoscale.tables.predictions.text_frame`.
    said : sequence of str
        Notes that were given before.
    is_told : bool
        Whether a user said which are the controls.
    """
    said = [note.rstrip(".") for note in said]
    found.notes += [f"{note[0].upper()}{note[1:]}." for note in control_notes(cells)
                    if note not in said]
    marked = found.fields["Mark"] == NEGATIVE
    if marked.any() and not any(control_marks(cells)[0]) and not is_told:
        names = sorted(set(found.fields.loc[marked, COMPOUND]))
        found.notes.append("No column says which wells are controls: those of the compound "
                           f"{listed(names)} are taken for the negative ones.")
    known = found.fields[marked & found.fields["Truth"].isin(found.classes)]
    found.negative = known["Truth"].mode().iloc[0] if len(known) else None
    if len(found.classes) == 2:
        named = [name for name in found.classes if sign_of(name) == NEGATIVE]
        if found.negative is None and len(named) == 1:
            found.negative = named[0]
        if found.negative is None:
            found.negative = found.classes[0]
            found.notes += [f"No negative controls are known: class {found.negative}, the first by "
                            "name, is taken for the negative one."] * found.has_wells
        found.positive = found.classes[1 - found.classes.index(found.negative)]


def plate_names(fields):
    """Plates; of those that are in several batches, each batch's own."""
    plates = fields[PLATE]
    if "Metadata_Batch" not in fields:
        return plates
    batches = fields.groupby(PLATE)["Metadata_Batch"].transform("nunique")
    both = (fields["Metadata_Batch"] + " " + plates).str.strip()
    return plates.where(batches < 2, both)
