# SPDX-License-Identifier: BSD-3-Clause
"""How well profiles find their like: replicates each other, treatments those of one mechanism.

After profile_table.py; `scores.retrieval` and `scores.chance` count, this says of what.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from phenoscale.errors import InputError
from phenoscale.evaluation.profile_table import Profiles, read_profiles
from phenoscale.files.atomic import made_folder, write_atomically
from phenoscale.files.frames import parquet_beside, write_tables
from phenoscale.scores.chance import cluster_interval, mean_average_precision
from phenoscale.scores.classification import classification
from phenoscale.scores.retrieval import average_precision, nearest_neighbours
from phenoscale.tables.outputs import refuse_to_lose
from phenoscale.tables.roles import row_groups
from phenoscale.words import count, listed

if TYPE_CHECKING:
    import pandas

__all__ = ["Matching", "match", "match_profiles", "write_matching"]

_NULL, _SEED = 10_000, 0  # random orders behind a p, and the numbers they and intervals begin with
_RATE = 0.05  # of false discoveries
_NAMED = 3  # treatments named in a sentence
_WIDE = 100  # times as wide a range is another scale
_WHY = {"NSC": "no other compound has its label",
        "NSCB": "no other compound in another batch has its label"}
_LONG = {"NSC": "not same compound", "NSCB": "not same compound or batch"}


@dataclass(frozen=True)
class Matching:
    """What `match_profiles` found.

    Attributes
    ----------
    scores : dict
        As match.json has it: "NSC", "NSCB" and the mean average precisions, those that there are.
    neighbours : pandas.DataFrame
        One row a treatment: its nearest, right or not; or why it is left out.
    precisions : pandas.DataFrame
        One row a treatment, or label, for each mean average precision.
    notes : list of str
        What was taken for what, left out, or could not be asked.
    """

    scores: dict
    neighbours: pandas.DataFrame
    precisions: pandas.DataFrame
    notes: list[str]

    def text(self) -> str:
        """For people: notes, then a line a score."""
        lines = [*self.notes, ""]
        for name, score in self.scores.items():
            low, high = score["interval"]
            over = f"95 % from {low:.3f} to {high:.3f} over {count(score['compounds'], 'compound')}"
            if name in _LONG:
                lines.append(
                    f"{name} ({_LONG[name]}): {score['accuracy']:.3f} of "
                    f"{count(score['n'], 'treatment')}, {over}; balanced "
                    f"{score['balanced_accuracy']:.3f}, chance {score['chance']:.3f}; "
                    f"{score['left_out']} left out, {count(score['ties'], 'tie')}")
            else:
                lines.append(
                    f"mAP, {name}: {score['mean']:.3f}, normalised {score['normalised']:.3f}, of "
                    f"{count(score['n'], score['of'])}, {over}; {score['found']} of them with "
                    f"q < {_RATE}; {count(score['ties'], 'tie')}")
        return "\n".join(lines)


def match_profiles(profiles: Profiles) -> Matching:
    """Score how profiles find their like.

    NSC and NSCB of treatments, the medians of their wells; the mean average precision of
    replicates, against wells of other compounds, and against negative controls where there are any;
    and that of treatments of one label and different compounds, against other labels.  Intervals
    are by bootstrap over compounds.

    Parameters
    ----------
    profiles : Profiles
        Of fields, wells or treatments.

    Returns
    -------
    Matching

    Raises
    ------
    InputError
        Where nothing can be asked, for a profile of zeros, and for treatments with several labels.

    Notes
    -----
    NSC: Ljosa 2013 (J Biomol Screen 18:1321); NSCB: Ando 2017 (bioRxiv 161422); average precision:
    Kalinin 2025 (Nat Commun 16:5181).
    """
    wells = profiles.wells()
    treatments, batches = wells.treatments()
    notes, scores, parts = list(wells.notes), {}, []
    frame = treatments.frame
    is_in = ~frame["is_control"].to_numpy() & (frame["label"] != "").to_numpy()
    for some in (wells, treatments.select(is_in)):  # the median of controls is 0, where others are
        _refuse_zeros(some)                         # measured from it
    notes += [*_scales(wells.values), *_left_out(frame)]
    neighbours = _about(frame)
    neighbours["Left_Out"] = np.where(frame["is_control"], "negative control",
                                      np.where(frame["label"] == "", "no label", ""))
    if frame["label"][is_in].nunique() > 1:
        _add_neighbours(scores, neighbours, treatments.select(is_in), np.flatnonzero(is_in),
                        batches[is_in] if "batch" in wells.roles else None)
        parts += _of_labels(scores, treatments.select(is_in))
    else:
        notes.append("NSC and NSCB are not asked: " + (
            "fewer than two labels" if "label" in wells.roles else
            "no column is the label: name it with --label, or --join the table that has it"))
    if "NSC" in scores and "batch" not in wells.roles:
        notes.append("NSCB is not asked: no column is the batch: --role batch=COLUMN")
    parts += _of_replicates(scores, wells, notes)
    if not scores:
        raise InputError(f"{profiles.source}: nothing can be matched: {'; '.join(notes[1:])}")
    import pandas

    return Matching(scores, neighbours, pandas.concat(parts, ignore_index=True) if parts else
                    pandas.DataFrame(columns=["Score"]), notes)


def match(source, label: str | None = None, features=None, roles=None, join=()) -> Matching:
    """`match_profiles` of a table of any program.

    source, label, features, roles, join: as for
    `phenoscale.evaluation.profile_table.read_profiles`.

    Raises
    ------
    InputError
        As those two.
    """
    return match_profiles(read_profiles(source, label, features, roles, join))


def write_matching(found: Matching, folder, inputs=(), parquet: bool = False) -> list[str]:
    """Write match.json, neighbours.csv and average_precision.csv into a folder; their paths.

    inputs: paths of what was read, which is not written over.
    parquet: whether each table is written as Parquet too.
    """
    folder = made_folder(folder)
    whole = os.path.join(folder, "match.json")
    tables = {os.path.join(folder, name): frame for name, frame in (
        ("neighbours.csv", found.neighbours), ("average_precision.csv", found.precisions))}
    refuse_to_lose(whole, *tables, *map(parquet_beside, tables if parquet else ()), inputs=inputs)
    about = _plain({"notes": found.notes, "scores": found.scores})
    write_atomically(whole, [(json.dumps(about, indent=1) + "\n").encode()])
    return [whole, *write_tables(tables, parquet)]


# ---- neighbours ----------------------------------------------------------------------------------


def _add_neighbours(scores, table, treatments: Profiles, rows, batches) -> None:
    """NSC, and where there are batches NSCB: to the scores, and to columns of some rows of a table
    of neighbours."""
    frame, classes = treatments.frame, sorted(set(treatments.frame["label"]))
    labels, compounds = (frame[name].to_numpy(dtype=str) for name in ("label", "compound"))
    for name, mine in (("NSC", None), ("NSCB", batches)):
        if name == "NSCB" and batches is None:
            continue
        found = nearest_neighbours(treatments.values, labels, compounds, mine)
        asked, nearest = found["answerable"], found["nearest"]
        told = classification(labels[asked], labels[nearest[asked]], classes)
        scores[name] = {
            **{word: found[word] for word in ("accuracy", "chance", "n", "left_out", "ties")},
            "interval": cluster_interval(found["right"][asked], compounds[asked], seed=_SEED),
            "compounds": len(set(compounds[asked])),
            "balanced_accuracy": told["balanced_accuracy"], "labels": classes,
            "confusion": told["confusion"].tolist(), "per_label": told["per_class"]}
        near = _about(frame.iloc[nearest])
        for column in near.columns:
            table[f"{name}_{column}"] = ""
            table.loc[rows[asked], f"{name}_{column}"] = near[column].to_numpy()[asked]
        table[f"{name}_Distance"] = np.nan
        table.loc[rows, f"{name}_Distance"] = found["distance"]
        table[f"{name}_Result"] = ""
        table.loc[rows, f"{name}_Result"] = np.where(
            asked, np.where(found["right"], "right", "wrong"), f"left out: {_WHY[name]}")


def _about(frame) -> pandas.DataFrame:
    """Compound, concentration and label, as files name them."""
    return frame[["compound", "concentration", "label"]].rename(columns=str.capitalize).reset_index(
        drop=True)


def _scales(values) -> list[str]:
    """A sentence where a few features are all that a cosine hears."""
    ranges = np.ptp(values, axis=0)
    narrow, wide = np.quantile(ranges[ranges > 0] if ranges.any() else [1], [0.1, 0.9])
    if wide < _WIDE * narrow:
        return []
    return [f"features differ in scale: a tenth ranges over {wide:.2g} or more, a tenth over "
            f"{narrow:.2g} or less, which the cosine does not hear: standardise them first"]


def _left_out(frame) -> list[str]:
    """Sentences on treatments that are not asked."""
    controls = frame[frame["is_control"]]
    unknown = frame[~frame["is_control"] & (frame["label"] == "")]
    notes = []
    if len(controls):
        names = listed(dict.fromkeys(controls["compound"]), limit=_NAMED)
        notes.append(f"negative controls, and no treatments: {names}")
    if len(unknown) and (frame["label"] != "").any():
        names = listed((f"{a} {b}".strip() for a, b in zip(
            unknown["compound"], unknown["concentration"])), limit=_NAMED)
        notes.append(f"{count(len(unknown), 'treatment')} without a label left out of NSC, NSCB "
                     f"and the mAP of labels: {names}")
    return notes


# ---- average precision ---------------------------------------------------------------------------


def _of_labels(scores, treatments: Profiles) -> list:
    frame = treatments.frame
    labels, compounds = (frame[name].to_numpy(dtype=str) for name in ("label", "compound"))
    found = average_precision(treatments.values, labels, apart=compounds)
    means = mean_average_precision(found, labels, _NULL, _SEED)
    return _add_mean(scores, "other compounds of one label, against other labels", "label", found,
                     means, (found["precision"], compounds),
                     {"Compound": "", "Concentration": "", "Label": means["group"]})


def _of_replicates(scores, wells: Profiles, notes) -> list:
    frame, parts = wells.frame, []
    is_control = frame["is_control"].to_numpy()
    treatment = row_groups(frame, ["compound", "concentration"])
    if not (np.bincount(treatment[~is_control], minlength=1) > 1).any():
        notes.append("replicates are not asked: no treatment has two wells")
        return parts
    compounds = frame["compound"].to_numpy(dtype=str)
    for against in ("other compounds", "negative controls"):
        asked = ~is_control if against == "other compounds" else np.ones(len(frame), bool)
        if against == "negative controls" and not is_control.any():
            continue
        found = average_precision(
            wells.values[asked] if not asked.all() else wells.values, treatment[asked],
            kin=compounds[asked], controls=is_control[asked] if is_control[asked].any() else None)
        means = mean_average_precision(found, treatment[asked], _NULL, _SEED)
        first = frame.drop_duplicates(["compound", "concentration"])
        first = _about(first.set_axis(treatment[first.index]).loc[means["group"]])
        parts += _add_mean(scores, f"replicates, against {against}", "treatment", found, means,
                           (means["mean"], first["Compound"].to_numpy(dtype=str)), first)
    return parts


def _add_mean(scores, name: str, of: str, found, means, values, groups) -> list:
    """One mean average precision to the scores; its table, [] where no row has a precision.

    values: (what is resampled, its compounds); groups: columns that name the groups.
    """
    import pandas

    if not len(means["group"]):
        return []
    mine, compounds = values
    there = np.isfinite(mine)
    scores[name] = {
        "mean": float(np.mean(mine[there])), "normalised": float(np.average(
            means["normalised"], weights=means["n"] if of == "label" else None)),
        "of": of, "n": len(means["group"]), "found": int((means["q"] < _RATE).sum()),
        "interval": cluster_interval(mine, compounds, seed=_SEED),
        "compounds": len(set(compounds[there])), "ties": int(found["tied"].sum())}
    columns = {"Profiles": means["n"], "mAP": means["mean"], "Normalised": means["normalised"],
               "p": means["p"], "Exact": means["exact"].astype(int), "q": means["q"]}
    return [pandas.DataFrame({"Score": name, **{key: groups[key] for key in groups}, **columns})]


# ---- small things --------------------------------------------------------------------------------


def _refuse_zeros(profiles: Profiles) -> None:
    """A profile without a direction has no cosine."""
    zeros = np.flatnonzero(~profiles.values.any(axis=1))
    if len(zeros):
        row = profiles.frame.iloc[zeros[0]]
        what = " ".join(filter(None, (row[name] for name in (
            "plate", "well", "compound", "concentration"))))
        raise InputError(f"{profiles.source}: all features of {what} are 0, and {len(zeros) - 1} "
                         "more: such profiles have no direction: leave their rows out")


def _plain(value):
    """As JSON has it: what is not defined is null."""
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(one) for one in value]
    return None if isinstance(value, float) and not np.isfinite(value) else value
