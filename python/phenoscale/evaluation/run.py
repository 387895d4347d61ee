# SPDX-License-Identifier: BSD-3-Clause
"""What the files of a run say, for its scores and the sections of its report.

A field the network was trained on is taken out here, and reaches no score, map or curve.  Fields
of split.csv and predictions.csv are one where their keys are.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

from phenoscale.evaluation.predicted import Predicted, find_controls, plate_names
from phenoscale.tables.class_keys import keys_by_class
from phenoscale.tables.keys import KEY
from phenoscale.tables.measured import measured_table
from phenoscale.tables.predictions import CLASS, MODEL, known_columns, probability_columns
from phenoscale.tables.split import SIDES
from phenoscale.training.run_folder import RunFolder
from phenoscale.words import count, listed

__all__ = ["Run", "named_values", "read_run"]


@dataclass
class Run(Predicted):
    """What the files say; a frame is None where its file is absent or empty.

    Attributes
    ----------
    folder : RunFolder
    config : dict
    log : pandas.DataFrame or None
        One row an epoch, numbers.
    fields : pandas.DataFrame or None
        Every field of split.csv.
    predicted : pandas.DataFrame or None
        Every field of predictions.csv; what the network was trained on is among them, so that only
        what no training could know may be taken of it.
    scored : pandas.DataFrame or None
        Predictions of fields not trained on.
    refused : str
        Why there is no headline although there are such fields; else "".
    foreign : str
        What says that the predictions are of another model or other channels; else "".
    """

    folder: RunFolder | None = None
    config: dict = field(default_factory=dict)
    log: object = None
    predicted: object = None
    refused: str = ""
    foreign: str = ""

    @cached_property
    def measured(self):
        """`measured_table` of predictions.csv; InputError where it has none."""
        return measured_table(self.folder.file(self.folder.PREDICTIONS))


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
    run = Run(classes, keys_by_class(classes, config.get("keys")), folder=folder, config=config)
    log, split, predictions = map(folder.cells, (folder.LOG, folder.SPLIT, folder.PREDICTIONS))
    if log is not None and {"epoch", "loss"} <= set(log):
        run.log = log.apply(pandas.to_numeric, errors="coerce").dropna(subset="epoch")
    if split is not None and "Split" in split:
        run.fields = _known(config, split).reset_index(drop=True)
        find_controls(run, split, config.get("notes") or [], bool(config.get("controls")))
    if predictions is not None:
        run.predicted = _known(config, predictions)
        run.scored = _not_trained_on(run, run.predicted)
    if run.fields is not None:
        run.fields["Metadata_Plate"] = plate_names(run.fields)
        _name_plates(run)
        _refuse(run, folder.cells(folder.ERRORS))
    return run


def _known(config: dict, cells):
    return known_columns(cells, config.get("label"), config.get("roles") or {},
                         named_values(config.get("controls")))


def _name_plates(run: Run) -> None:
    """Plates of all predictions by the names that they have in `fields`."""
    if run.predicted is not None and KEY in run.predicted and KEY in run.fields:
        names = run.fields.drop_duplicates(KEY).set_index(KEY)["Metadata_Plate"]
        run.predicted = run.predicted.assign(
            Metadata_Plate=run.predicted[KEY].map(names).fillna(run.predicted["Metadata_Plate"]))


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
                              Metadata_Plate_Name=plate_names(run.fields))
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
