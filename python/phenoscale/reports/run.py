# SPDX-License-Identifier: BSD-3-Clause
"""What the files of a run say, for the sections of its report.

A field the network was trained on is taken out here, and reaches no score, map or curve.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from phenoscale.profiles.aggregate import aggregate
from phenoscale.tables.class_keys import keys_by_class
from phenoscale.tables.predictions import (
    CLASS,
    known_columns,
    probability_column,
    probability_columns,
)
from phenoscale.tables.split import SIDES
from phenoscale.training.run_folder import RunFolder
from phenoscale.words import count

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
        run.fields = _known(config, split)
        known = run.fields[(run.fields["Mark"] == "-") & run.fields["Truth"].isin(run.classes)]
        run.negative = known["Truth"].mode().iloc[0] if len(known) else None
    if len(run.classes) == 2:
        run.negative = run.negative or run.classes[0]
        run.positive = run.classes[1 - run.classes.index(run.negative)]
    if predictions is not None:
        run.scored = _not_trained_on(run, _known(config, predictions))
    return run


def _known(config: dict, cells):
    return known_columns(cells, config.get("label"), config.get("roles") or {},
                         named_values(config.get("controls")))


def _not_trained_on(run, frame):
    """Predictions with the side of each field, without those that were or may be trained on."""
    import pandas

    if run.fields is None:
        run.notes.append("No prediction is used: there is no split.csv with a column Split that "
                         "says which fields were trained on.")
        return None
    keys = ["Metadata_Plate", *[c for c in run.fields if c in frame and c.startswith(
        ("FileName_", "Metadata_Well", "Metadata_Site"))]]
    known = run.fields[[*keys, "Side", "Truth"]].drop_duplicates()
    known = known[~known.duplicated(keys, keep=False)]  # a field on two sides is on none
    frame = frame.drop(columns=["Side", "Truth"]).merge(known, how="left", on=keys)
    probabilities = probability_columns(frame, run.keys)
    frame[probabilities] = frame[probabilities].apply(pandas.to_numeric, errors="coerce")
    is_ours = frame[CLASS].isin(run.classes) & frame[probabilities].notna().all(axis=1)
    for keep, why in ((frame["Side"] != "train", "trained on"),
                      (frame["Side"].isin(SIDES), "not to be found in split.csv"),
                      (is_ours, "without a class of this run")):
        left_out = int((~keep[frame.index]).sum())
        if left_out:
            run.notes.append("Left out of every score and picture: "
                             f"{count(left_out, 'field')} of predictions.csv {why}.")
        frame = frame[keep[frame.index]]
    return frame.reset_index(drop=True) if len(frame) else None
