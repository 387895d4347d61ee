# SPDX-License-Identifier: BSD-3-Clause
"""Which treatments do something, and what: one row a treatment.

After fit.py.  Distances and p are of the profiles from their plates' controls, classes, sets, cells
of the wells, neighbours of consensus profiles.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from phenoscale.profiles.grouped import grouped
from phenoscale.profiles.neighbours import NEAREST, nearest_treatments
from phenoscale.profiles.permutation import Null, pattern_of
from phenoscale.profiles.replicates import activity, agreement
from phenoscale.profiles.reversal import reversal
from phenoscale.scores.chance import benjamini_hochberg, mean_average_precision
from phenoscale.screening.fit import Profiled
from phenoscale.screening.wells import CONTROL, NONE_SHARE, SET, TREATMENT, Wells, majority
from phenoscale.tables.predictions import CELLS, probability_column

if TYPE_CHECKING:
    import pandas

__all__ = ["CELL_RATIO", "RATE", "Found", "cell_ratios", "cell_word", "hits_of"]

RATE = 0.05  # of false discoveries
CELL_RATIO = "Phenoscale_CellRatio"
_NULL = 10_000  # random orders behind the p of a mean average precision
_TOXIC, _FEWER, _MORE = 0.5, 0.8, 1.25  # of the controls' cells
_ERRORS = 2  # standard errors that a difference of cells has at least


@dataclass
class Found:
    """What is found of wells and treatments.

    Attributes
    ----------
    wells, treatments, hits : pandas.DataFrame
        As the files have them.
    floor : float
        The smallest p that a treatment could have, NaN where there is none.
    """

    wells: pandas.DataFrame
    treatments: pandas.DataFrame
    hits: pandas.DataFrame
    floor: float


def hits_of(wells: Wells, made: Profiled, seed: int = 0) -> Found:
    """Score every treatment against the negative controls.

    Parameters
    ----------
    wells : Wells
    made : Profiled
        Of the same wells.
    seed : int
    """
    import pandas

    null = Null(made.fitted.null, np.array(made.fitted.null_plates, int), seed=seed)
    table = _well_table(wells, made, null)
    is_named = np.array([name != "" for name in wells.treatments])[wells.treatment]
    rows_of = _rows_of(wells, is_named)
    alike = agreement(made.profiles, wells.treatment, wells.compound,
                      is_named & ~wells.is_control, seed)
    consensus, about = _treatment_table(wells, made, rows_of)
    asked = np.flatnonzero([not wells.is_control[rows].any() for rows in rows_of.values()])
    kept = [rows_of[k] for k in np.array(list(rows_of))[asked]]
    number = np.array(list(rows_of))[asked]
    hits = about.iloc[asked].reset_index(drop=True).rename(columns=_plain)
    _add_distance(hits, kept, wells, made, null)
    _add_activity(hits, number, wells, made, is_named)
    hits["Agreement"], hits["Agreement_p"] = alike.median[number], alike.p[number]
    _add_classes(hits, kept, wells)
    if CELL_RATIO in table:
        _add_cells(hits, kept, wells, table[CELL_RATIO].to_numpy())
    _add_nearest(hits, consensus[asked])
    if made.fitted.states:
        hits["Reversal"], hits["OffAxis"] = reversal(
            np.stack([made.profiles[rows].mean(axis=0) for rows in kept])
            if len(kept) else np.empty((0, consensus.shape[1])), *made.fitted.states.values())
    hits["Words"] = [_words(row) for row in hits.to_dict("records")]
    order = np.lexsort((-np.nan_to_num(hits["Effect"], nan=-np.inf),
                        np.nan_to_num(hits["p"], nan=2.0)))
    hits = hits.iloc[order].reset_index(drop=True)
    hits.insert(0, "Rank", np.arange(1, len(hits) + 1))
    profile = pandas.DataFrame(consensus, columns=_profile_columns(made))
    floor = float(hits["Floor"].min()) if len(hits) else np.nan
    return Found(table, pandas.concat([about, profile], axis=1), hits, floor)


def _plain(column: str) -> str:
    return column.removeprefix("Phenoscale_").removeprefix("Metadata_")


def _profile_columns(made: Profiled) -> list[str]:
    """Features under their own names where they are the profile, else numbered."""
    if made.fitted.recipe.share is None:
        return made.fitted.features
    return [f"Image_Profile_{k:04d}" for k in range(made.fitted.columns)]


# ---- wells, treatments ---------------------------------------------------------------------------


def _well_table(wells: Wells, made: Profiled, null: Null):
    import pandas

    table = wells.frame.copy()
    if CELLS in table:
        table[CELL_RATIO] = cell_ratios(table[CELLS].to_numpy(float), wells.plate,
                                        wells.is_control)
    far, typical = _lengths(made.apart), _typical(null, (1,))
    table["Phenoscale_Distance"] = far / typical
    table["Phenoscale_P"] = [null.p(one, (1,))[0] if np.isfinite(one) else np.nan for one in far]
    if made.fitted.states:
        table["Phenoscale_Reversal"], table["Phenoscale_OffAxis"] = reversal(
            made.profiles, *made.fitted.states.values())
    profile = pandas.DataFrame(made.profiles, columns=_profile_columns(made), copy=False)
    return pandas.concat([table, profile], axis=1)


def _treatment_table(wells: Wells, made: Profiled, rows_of: dict):
    """Consensus profiles (treatments, columns), the medians of their wells; what they are."""
    import pandas

    order = np.concatenate([*rows_of.values(), np.empty(0, int)]).astype(int)
    group = np.repeat(np.arange(len(rows_of)), [len(rows) for rows in rows_of.values()])
    consensus = grouped(made.profiles[order], group, "median")
    first = wells.frame.iloc[[rows[0] for rows in rows_of.values()]]
    about = {TREATMENT: first[TREATMENT].to_numpy()}
    for column in ("Metadata_Compound", "Metadata_Concentration"):
        if column in first:
            about[column] = first[column].to_numpy()
    about[CONTROL] = first[CONTROL].to_numpy()
    about["Phenoscale_Wells"] = [len(rows) for rows in rows_of.values()]
    about["Phenoscale_Plates"] = [len(set(wells.plate[rows])) for rows in rows_of.values()]
    return consensus, pandas.DataFrame(about)


def _rows_of(wells: Wells, is_named) -> dict:
    """Number of each treatment to its wells; controls first, which are its wells where it has
    both."""
    order = np.argsort(wells.treatment, kind="stable")
    order = order[is_named[order]]
    starts = np.flatnonzero(np.diff(wells.treatment[order], prepend=-1))
    return {int(wells.treatment[rows[0]]): rows
            for rows in np.split(order, starts[1:]) if len(rows)}


# ---- columns of hits -----------------------------------------------------------------------------


def _lengths(vectors) -> np.ndarray:
    return np.sqrt(np.einsum("ij,ij->i", vectors, vectors, dtype=np.float64))


def _typical(null: Null, pattern) -> float:
    distances = null.distances(pattern)
    return float(np.median(distances)) if len(distances) else np.nan


def _add_distance(hits, kept, wells: Wells, made: Profiled, null: Null) -> None:
    """Distance, Effect, p, Floor, q, Hit."""
    rows = []
    for mine in kept:
        there = mine[np.isfinite(made.apart[mine, 0])]
        if not len(there) or not len(null):
            rows.append((np.nan,) * 4)
            continue
        mean = made.apart[there].mean(axis=0, dtype=np.float64)
        far, pattern = float(np.sqrt(mean @ mean)), pattern_of(wells.plate[there])
        drawn = null.distances(pattern)
        rows.append((far / _typical(null, pattern), (far - drawn.mean()) / (drawn.std() or np.nan),
                     *null.p(far, pattern)))
    found = np.array(rows, float).reshape(len(kept), 4)
    for k, name in enumerate(("Distance", "Effect", "p", "Floor")):
        hits[name] = found[:, k]
    known = np.isfinite(found[:, 2])
    q = np.full(len(kept), np.nan)
    q[known] = benjamini_hochberg(found[known, 2])
    hits["q"] = q
    is_least = ~(found[:, 2] > found[:, 3] * (1 + 1e-9))  # even the smallest p would not do
    hits["Hit"] = np.where(q < RATE, "yes", np.where(is_least | ~known, "cannot say", "no"))


def _add_activity(hits, number, wells: Wells, made: Profiled, is_named) -> None:
    """mAP of replicates against the negative controls, p and q."""
    asked = is_named | wells.is_control
    rows = np.flatnonzero(asked & made.profiles.any(axis=1))
    found = activity(made.profiles[rows] if len(rows) < len(wells) else made.profiles,
                     wells.treatment[rows], wells.is_control[rows])
    means = mean_average_precision(found, wells.treatment[rows], _NULL)
    at = {group: k for k, group in enumerate(means["group"])}
    for name, column in (("mean", "mAP"), ("p", "mAP_p"), ("q", "mAP_q")):
        hits[column] = [float(means[name][at[k]]) if k in at else np.nan for k in number]


def _add_classes(hits, kept, wells: Wells) -> None:
    """Class, Prob, Set, None, and the probability of each class."""
    frame, names = wells.frame, list(wells.keys)
    if names:
        columns = [probability_column(key) for key in wells.keys.values()]
        p = frame[columns].to_numpy(float)
        mean = np.array([p[rows].mean(axis=0) for rows in kept]).reshape(len(kept), len(names))
        hits["Class"] = [names[k] for k in mean.argmax(axis=1)] if len(kept) else []
        hits["Prob"] = mean.max(axis=1) if len(kept) else []
    if SET in frame:
        sets = frame[SET].to_numpy()
        hits["Set"] = [majority(sets[rows]) for rows in kept]
    if NONE_SHARE in frame:
        share = frame[NONE_SHARE].to_numpy(float)
        hits["None"] = [float((share[rows] > 0.5).mean()) for rows in kept]
    if names:
        for k, key in enumerate(wells.keys.values()):
            hits[f"Prob_{key}"] = mean[:, k]


def cell_ratios(cells, plate, is_control) -> np.ndarray:
    """Cells of each well over the median of the negative controls of its plate, float64; NaN on a
    plate without controls that have cells."""
    found = np.full(len(cells), np.nan)
    for one in np.unique(plate):
        rows = plate == one
        own = cells[rows & is_control]
        own = own[np.isfinite(own)]
        if len(own) and np.median(own) > 0:
            found[rows] = cells[rows] / np.median(own)
    return found


def cell_word(ratio: float, error: float) -> str:
    """What a ratio of cells says, of which the controls' own has such an error: "toxic" (half or
    less), "fewer cells" (0.8), "more cells" (1.25), else "as controls"; "" where it is not known.

    >>> cell_word(0.4, 0.1), cell_word(0.7, 0.1), cell_word(0.7, 0.3), cell_word(1.0, 0.1)
    ('toxic', 'fewer cells', 'as controls', 'as controls')
    """
    if not np.isfinite(ratio):
        return ""
    if abs(ratio - 1) <= _ERRORS * error:
        return "as controls"
    if ratio <= _FEWER:
        return "toxic" if ratio <= _TOXIC else "fewer cells"
    return "more cells" if ratio >= _MORE else "as controls"


def _add_cells(hits, kept, wells: Wells, ratios) -> None:
    """Cells, CellRatio, CellWord."""
    cells = wells.frame[CELLS].to_numpy(float)
    own = ratios[wells.is_control]
    own = own[np.isfinite(own)]
    spread = own.std(ddof=1) if len(own) > 1 else np.inf
    of_plate = np.bincount(wells.plate[wells.is_control], minlength=len(wells.plates))
    hits["Cells"] = [_known_mean(cells[rows]) for rows in kept]
    hits["CellRatio"] = [_known_mean(ratios[rows]) for rows in kept]
    errors = [spread * np.sqrt(1 / len(rows) + 1 / max(1, of_plate[np.unique(
        wells.plate[rows])].sum())) for rows in kept]
    hits["CellWord"] = list(map(cell_word, hits["CellRatio"], errors))


def _known_mean(values) -> float:
    there = values[np.isfinite(values)]
    return float(there.mean()) if len(there) else np.nan


def _add_nearest(hits, consensus) -> None:
    """The three most alike treatments, how alike, and whether they are hits."""
    nearest, similarity = nearest_treatments(consensus)
    names, is_hit = hits["Treatment"].to_numpy(), hits["Hit"].to_numpy()
    for k in range(NEAREST):
        there = nearest[:, k] >= 0
        hits[f"Nearest{k + 1}"] = np.where(there, names[nearest[:, k]], "") if len(hits) else []
        hits[f"Nearest{k + 1}_Similarity"] = similarity[:, k]
        hits[f"Nearest{k + 1}_Hit"] = np.where(there, is_hit[nearest[:, k]], "") if len(
            hits) else []


def _words(row: dict) -> str:
    """What to know of a row."""
    words = []
    if not np.isfinite(row["p"]):
        words.append("no negative controls on its plates: no distance, no p")
    elif row["Hit"] == "cannot say":
        words.append(f"farther than all sets of control wells, and these are too few to give q < "
                     f"{RATE}: p cannot be below {row['Floor']:.2g}")
    if row["Wells"] == 1:
        words.append("one well, no replicate")
    if row["Hit"] == "yes" and row.get("CellWord"):
        words.append({"toxic": "a hit with half of the cells or less",
                      "as controls": "a hit with as many cells as the controls"}.get(
            row["CellWord"], f"a hit with {row['CellWord']}"))
    return "; ".join(words)
