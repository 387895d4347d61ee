# SPDX-License-Identifier: BSD-3-Clause
"""What the files of a run say, for the sections of its report.

A field the network was trained on is taken out here, and reaches no score, map or curve.  Fields
of split.csv and predictions.csv are one where their keys are.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from phenoscale.profiles.aggregate import aggregate
from phenoscale.tables.class_keys import keys_by_class
from phenoscale.tables.controls import NEGATIVE, control_marks, control_notes, sign_of
from phenoscale.tables.keys import KEY
from phenoscale.tables.predictions import (
    CLASS,
    MODEL,
    known_columns,
    probability_column,
    probability_columns,
)
from phenoscale.tables.split import SIDES
from phenoscale.training.run_folder import RunFolder
from phenoscale.words import count, listed

__all__ = ["Run", "named_values", "read_run"]


@dataclass
class Run:
    """What the files say; a frame is None where its file is absent or empty.

    Attributes
    ----------
    folder : RunFolder
    config : dict
    classes : list of str
    keys : dict of str to str
        Class to what its column is called by.
    notes : list of str
        What was left out, and why.
    log : pandas.DataFrame or None
        One row an epoch, numbers.
    fields : pandas.DataFrame or None
        Every field of split.csv: Metadata_*, Side, Truth, Mark.
    scored : pandas.DataFrame or None
        Predictions of fields not trained on, with Side, Truth, Mark.
    positive, negative : str or None
        The class of the negative controls; of two classes, the other.
    side : str or None
        Where the fields are that the headline is of, "test" or "val".
    refused : str
        Why there is no headline although there are such fields; else "".
    foreign : str
        What says that the predictions are of another model or other channels; else "".
    """

    folder: RunFolder
    config: dict
    classes: list
    keys: dict
    notes: list = field(default_factory=list)
    log: object = None
    fields: object = None
    scored: object = None
    positive: str | None = None
    negative: str | None = None
    side: str | None = None
    refused: str = ""
    foreign: str = ""

    @property
    def has_wells(self) -> bool:
        """Whether the training knew of any wells."""
        wells = None if self.fields is None else self.fields.get("Metadata_Well")
        return wells is not None and bool((wells != "").any())

    def column(self, name: str) -> str:
        """The column of a class's probabilities."""
        return probability_column(self.keys[name])

    def wells(self, frame, *extra):
        """Fields to wells by `aggregate`, with Mark; None where there are no wells."""
        if frame is None or "Metadata_Well" not in frame or (frame["Metadata_Well"] == "").all():
            return None
        by, frame = ["Metadata_Plate", "Metadata_Well", *extra], frame[frame["Metadata_Well"] != ""]
        wells = aggregate(frame.drop(columns="Mark"), by, self.keys)
        return wells.merge(frame.groupby(by, as_index=False)["Mark"].first(), on=by)


def named_values(option) -> dict:
    """A recorded option {column: value or values} as column to list of text."""
    return {column: [str(v) for v in (values if isinstance(values, list) else [values])]
            for column, values in (option or {}).items()}


def read_run(path) -> Run:
    """The run of a folder; all but ``config.json`` may be missing.

    Raises
    ------
    InputError
        No readable config.json, or a table that `train` did not write.
    """
    import pandas

    folder = RunFolder(path)
    config = folder.config()
    classes = config["classes"]
    run = Run(folder, config, classes, keys_by_class(classes, config.get("keys")))
    log, split, predictions = map(folder.cells, (folder.LOG, folder.SPLIT, folder.PREDICTIONS))
    if log is not None and {"epoch", "loss"} <= set(log):
        run.log = log.apply(pandas.to_numeric, errors="coerce").dropna(subset="epoch")
    if split is not None and "Split" in split:
        run.fields = _known(config, split).reset_index(drop=True)
        _controls(run, split)
    if predictions is not None:
        run.scored = _not_trained_on(run, _known(config, predictions))
    if run.fields is not None:
        run.fields["Metadata_Plate"] = _plate_names(run.fields)
        _refuse(run, folder.cells(folder.ERRORS))
    return run


def _known(config: dict, cells):
    return known_columns(cells, config.get("label"), config.get("roles") or {},
                         named_values(config.get("controls")))


def _controls(run: Run, split) -> None:
    """Which class is the negative one, and what has to be said of how that is known."""
    said = [note.rstrip(".") for note in run.config.get("notes") or []]
    run.notes += [f"{note[0].upper()}{note[1:]}." for note in control_notes(split)
                  if note not in said]
    marked = run.fields["Mark"] == NEGATIVE
    if marked.any() and not any(control_marks(split)[0]) and not run.config.get("controls"):
        names = sorted(set(run.fields.loc[marked, "Metadata_Compound"]))
        run.notes.append("No column says which wells are controls: those of the compound "
                         f"{listed(names)} are taken for the negative ones.")
    known = run.fields[marked & run.fields["Truth"].isin(run.classes)]
    run.negative = known["Truth"].mode().iloc[0] if len(known) else None
    if len(run.classes) == 2:
        named = [name for name in run.classes if sign_of(name) == NEGATIVE]
        if run.negative is None and len(named) == 1:
            run.negative = named[0]
        if run.negative is None:
            run.negative = run.classes[0]
            run.notes += [f"No negative controls are known: class {run.negative}, the first by "
                          "name, is taken for the negative one."] * run.has_wells
        run.positive = run.classes[1 - run.classes.index(run.negative)]


def _plate_names(fields):
    """Plates; of those that are in several batches, each batch's own."""
    plates = fields["Metadata_Plate"]
    if "Metadata_Batch" not in fields:
        return plates
    batches = fields.groupby("Metadata_Plate")["Metadata_Batch"].transform("nunique")
    both = (fields["Metadata_Batch"] + " " + plates).str.strip()
    return plates.where(batches < 2, both)


def _same_fields(run: Run, frame) -> list[str]:
    """The columns by which fields are those of split.csv: the key, or of a run of an earlier
    version the names of files, with plate, well and site."""
    if KEY in run.fields and KEY in frame:
        return [KEY]
    run.notes.append(f"Written by an earlier version, without {KEY}: fields are told by the names "
                     "of their files.")
    return ["Metadata_Plate", *[c for c in run.fields if c in frame and c.startswith(
        ("FileName_", "PathName_", "Frame_", "Sample_", "Metadata_Well", "Metadata_Site"))]]


def _not_trained_on(run: Run, frame):
    """Predictions with what split.csv says of each field, without those that were or may be trained
    on; None where none is left."""
    import pandas

    if run.fields is None:
        run.notes.append("No prediction is used: there is no split.csv with a column Split that "
                         "says which fields were trained on.")
        return None
    keys = _same_fields(run, frame)
    names = [c for c in run.fields if c.startswith("FileName_") and c in frame and c not in keys]
    places = run.fields.drop_duplicates(keys).set_index(keys)[names]
    here = frame.drop_duplicates(keys).set_index(keys)[names]
    both = places.index.intersection(here.index)
    if names and (places.loc[both] != here.loc[both]).any(axis=None):
        run.foreign += ("In predictions.csv other files are the channels of some fields than in "
                        "split.csv: predict with the channels of the training. ")
    known = run.fields.assign(Number=range(len(run.fields)),
                              Metadata_Plate_Name=_plate_names(run.fields))
    known = known[[c for c in known if c in keys or c.startswith("Metadata_")
                   or c in ("Side", "Truth", "Mark", "Number")]]
    known = known[~known.duplicated(keys, keep=False)]  # a field on two sides is on none
    is_once = ~frame.duplicated(keys, keep=False)
    frame = frame.drop(columns=[c for c in known if c in frame and c not in keys])
    frame = frame.merge(known, how="left", on=keys)
    frame["Metadata_Plate"] = frame.pop("Metadata_Plate_Name")
    if len(known) and frame["Side"].isna().all():
        run.refused = (f"None of the {count(len(frame), 'field')} of predictions.csv is in "
                       "split.csv: it is of another table, or the images lie elsewhere now. ")
    digest = str(run.config.get("weights_sha256", ""))
    others = [] if MODEL not in frame else [v for v in sorted(set(frame[MODEL].dropna().map(str)))
                                            if not digest.startswith(v)]
    if digest and others:
        run.foreign += (f"predictions.csv is of the model {listed(others)}, and this run's is "
                        f"{digest[:16]}. ")
    probabilities = probability_columns(frame, run.keys)
    frame[probabilities] = frame[probabilities].apply(pandas.to_numeric, errors="coerce")
    is_probable = ((frame[probabilities] >= 0) & (frame[probabilities] <= 1)).all(axis=1)
    is_ours = frame[CLASS].isin(run.classes) & is_probable
    for keep, why in ((frame["Side"] != "train", "trained on"),
                      (frame["Side"].isin(SIDES), "not to be found in split.csv"),
                      (is_once.reset_index(drop=True), "there twice"),
                      (is_ours, "without a class and probabilities of this run")):
        left_out = int((~keep[frame.index]).sum())
        if left_out:
            run.notes.append("Left out of every score and picture: "
                             f"{count(left_out, 'field')} of predictions.csv {why}.")
        frame = frame[keep[frame.index]]
    return frame.reset_index(drop=True) if len(frame) else None


def _refuse(run: Run, errors) -> None:
    """No headline where a field that it is of has no prediction, other than for a stated fault."""
    fields = run.fields[run.fields["Truth"].isin(run.classes)]
    run.side = next((side for side in ("test", "val") if (fields["Side"] == side).any()), None)
    fields = fields[fields["Side"] == run.side]
    missing = fields if run.scored is None else fields[~fields.index.isin(run.scored["Number"])]
    if KEY in fields and errors is not None and KEY in errors:
        unread = missing[KEY].isin(errors[KEY])
        if unread.any():
            run.notes.append(f"{count(int(unread.sum()), 'field')} of the {len(fields)} to be "
                             "scored cannot be read: see errors.csv.")
        missing = missing[~unread]
    if not len(missing):
        run.refused = run.foreign
        return
    run.refused += run.foreign
    which = {"test": "held-out", "val": "validation"}[run.side]
    run.refused += (f"{'All' if len(missing) == len(fields) else len(missing)} of the "
                    f"{count(len(fields), f'{which} field')} of split.csv have no partner in "
                    "predictions.csv")
    names = missing[[c for c in missing if c == KEY or c.startswith("FileName_")]]
    if names.shape[1]:
        run.refused += f", such as {names.iloc[0, -1]}"
    if KEY not in fields and run.fields[names.columns].duplicated().any():
        run.refused += (": split.csv was written by an earlier version, and the names of files "
                        "repeat in it, so that they do not tell its fields apart: train again.")
    else:
        run.refused += (": predict all fields of the table of the training again, to "
                        f"{run.folder.file(run.folder.PREDICTIONS)}.")
