# SPDX-License-Identifier: BSD-3-Clause
"""Who is nearest to whom: matching of profiles by cosine distance.

After profiles are made; `evaluation.matching` gives them to it, chance.py says what chance does.  A
block of rows meets all others at a time, so that no n x n matrix is ever held: 100,000 wells of
2,048 float32 columns take their own 0.8 GB once more, and a few times `BLOCK_BYTES`.

Profiles are brought to length 1 and to whole numbers, multiples of 2^-26, whose float64 products
and sums are exact: any BLAS gives the same bits, for any number of threads and any blocks.
"""

from __future__ import annotations

import numpy as np

from phenoscale.scores.chance import expected_precision

__all__ = ["BLOCK_BYTES", "average_precision", "nearest_neighbours"]

#: of the distances of one block
BLOCK_BYTES = 1 << 27
_TIE = 1e-12  # distances that differ by less, in float64, are one
_PIECE = 1 << 10  # rows brought to float64 at a time
#: what a length of 1 becomes: products of such rows sum to less than 2^53 on any way, by
#: Cauchy-Schwarz, rounding of up to 10^8 columns included
_SCALE = 2.0**26 - 2.0**13


def nearest_neighbours(profiles, labels, compounds, batches=None) -> dict:
    """Whether the nearest profile of another compound has the same label: NSC, or NSCB.

    Not same compound (Ljosa 2013, J Biomol Screen 18:1321): the nearest among all profiles of other
    compounds.  Not same compound or batch (Ando 2017, bioRxiv 161422): among those that share no
    batch either, and profiles without a possible answer are no neighbours.

    Parameters
    ----------
    profiles : array_like of float, (n, d)
        One row a treatment, finite, none of length 0.
    labels, compounds : sequence, (n,)
        Mechanisms, and what shall not be its own neighbour.
    batches : array_like of bool, (n, b), optional
        In which batches a profile lies; given, the score is NSCB.

    Returns
    -------
    dict
        Of arrays (n,): answerable, whether an allowed profile has the label at all; nearest, int64,
        of equally near ones the lowest row, -1 where the row is not answerable; distance, float64,
        nan there; right; tied, whether several were equally near.  And accuracy and chance, that of
        neighbours taken at random among those allowed (nan for none answerable); n, left_out, ties:
        how many are answerable, are not, are tied.

    Raises
    ------
    ValueError
        For a row that is of length 0, or not finite.

    Notes
    -----
    Distances are compared in float32; whatever lies within their error of the least is computed
    again from the profiles themselves, in float64.
    """
    profiles = np.asarray(profiles)
    label, compound = _codes(labels), _codes(compounds)
    shared = None if batches is None else np.asarray(batches, np.float32)
    n = len(profiles)

    def allowed(rows):
        others = compound[rows, None] != compound
        return others if shared is None else others & (shared[rows] @ shared.T == 0)

    answerable = np.zeros(n, bool)
    for rows in _blocks(np.arange(n), n):
        answerable[rows] = (allowed(rows) & (label[rows, None] == label)).any(axis=1)
    nearest, distance, tied = np.full(n, -1), np.full(n, np.nan), np.zeros(n, bool)
    chance = []
    whole = _whole(profiles)
    for rows in _blocks(np.flatnonzero(answerable), n):
        may = allowed(rows)
        if shared is not None:
            may &= answerable
        chance += ((may & (label[rows, None] == label)).sum(axis=1) / may.sum(axis=1)).tolist()
        far = np.where(may, _distances(whole, rows), np.inf)
        for row, mine in zip(rows, far):
            nearest[row], distance[row], tied[row] = _least(profiles, row, mine)
    right = answerable & (label[nearest] == label)
    count = int(answerable.sum())
    return {"answerable": answerable, "nearest": nearest, "distance": distance, "right": right,
            "tied": tied, "accuracy": float(right.sum() / count) if count else np.nan,
            "chance": float(np.mean(chance)) if count else np.nan, "n": count,
            "left_out": n - count, "ties": int(tied.sum())}


def average_precision(profiles, groups, apart=None, kin=None, controls=None) -> dict:
    """How far in front of all others the profiles of one's own group are.

    AP = (1/m) sum over k of k / rank of the k-th of its m positives, nearest first, among positives
    and negatives by cosine distance in float32; of equally far ones positives come first, as in
    copairs (Kalinin 2025, Nat Commun 16:5181).

    Parameters
    ----------
    profiles : array_like of float, (n, d)
        Finite, none of length 0.
    groups : sequence, (n,)
        Positives of a row are the others of its group.
    apart : sequence, (n,), optional
        Of these only those that differ here, as other compounds of one mechanism.
    kin : sequence, (n,), optional
        Rows that share it are no negatives, as other doses of one compound; by default the group.
    controls : array_like of bool, (n,), optional
        Negatives are these alone, and have no score; else all other rows.

    Returns
    -------
    dict
        Of arrays (n,): precision, float64, nan without a positive or without a negative; normalised
        (0 as chance, 1 perfect); n_pos, n_total, int64, positives, and negatives with them; tied,
        whether a positive is just as far as a negative.

    Raises
    ------
    ValueError
        For a row that is of length 0, or not finite.
    """
    whole = _whole(np.asarray(profiles))
    n, group = len(whole), _codes(groups)
    other = np.arange(n) if apart is None else _codes(apart)
    is_control = np.zeros(n, bool) if controls is None else np.asarray(controls, bool)
    kin = group if kin is None else _codes(kin)
    order = np.argsort(group, kind="stable")
    starts = np.searchsorted(group[order], np.arange(group.max(initial=-1) + 2))
    found = {"precision": np.full(n, np.nan), "n_pos": np.zeros(n, np.int64),
             "n_total": np.zeros(n, np.int64), "tied": np.zeros(n, bool)}
    for rows in _blocks(np.flatnonzero(~is_control), n):
        for row, far in zip(rows, _distances(whole, rows)):
            mine = order[starts[group[row]] : starts[group[row] + 1]]
            positives = np.sort(far[mine[(other[mine] != other[row]) & ~is_control[mine]]])
            negative = (kin != kin[row]) & (group != group[row])
            negatives = np.sort(far[negative if controls is None else negative & is_control])
            found["n_pos"][row] = len(positives)
            found["n_total"][row] = len(positives) + len(negatives)
            if len(positives) and len(negatives):
                ahead = np.searchsorted(negatives, positives)
                found["tied"][row] = np.any(np.searchsorted(negatives, positives, "right") > ahead)
                k = np.arange(1, len(positives) + 1)
                found["precision"][row] = np.mean(k / (k + ahead))
    chance = expected_precision(found["n_pos"], found["n_total"])
    with np.errstate(invalid="ignore", divide="ignore"):
        found["normalised"] = (found["precision"] - chance) / (1 - chance)
    return found


# ---- distances -----------------------------------------------------------------------------------


def _codes(words) -> np.ndarray:
    """Numbers from 0 on, the same for the same words, (n,)."""
    return np.unique(np.asarray(words), return_inverse=True)[1].reshape(-1)


def _blocks(rows, n: int):
    """Some rows, as many at a time as `BLOCK_BYTES` hold distances to n."""
    size = max(1, BLOCK_BYTES // (4 * max(1, n)))
    for at in range(0, len(rows), size):
        yield rows[at : at + size]


def _whole(profiles) -> np.ndarray:
    """Rows of length `_SCALE` in whole numbers, float32 (n, d); lengths are summed in float64."""
    whole = np.empty(profiles.shape, np.float32)  # which rounds whole numbers to whole numbers
    for at in range(0, len(profiles), _PIECE):
        rows = profiles[at : at + _PIECE].astype(np.float64)
        lengths = np.sqrt((rows * rows).sum(axis=1))
        bad = np.flatnonzero(~(np.isfinite(lengths) & (lengths > 0)))
        if len(bad):
            raise ValueError(f"profile {at + bad[0]} has the length {lengths[bad[0]]}")
        whole[at : at + len(rows)] = np.rint(rows * (_SCALE / lengths)[:, None])
    return whole


def _distances(whole, rows) -> np.ndarray:
    """Cosine distances of some rows to all, float32 (rows, n)."""
    mine, far = whole[rows].astype(np.float64), np.empty((len(rows), len(whole)), np.float32)
    for at in range(0, len(whole), _PIECE):
        others = whole[at : at + _PIECE].astype(np.float64)
        far[:, at : at + _PIECE] = mine @ others.T / _SCALE**2
    return np.subtract(1, far, out=far)


def _least(profiles, row: int, far) -> tuple[int, float, bool]:
    """The nearest of a row, its distance, and whether another is as near; inf: not allowed."""
    error = 2.0**-22 + 2.0**-25 * np.sqrt(profiles.shape[1])  # of float32, of whole numbers: twice
    near = np.flatnonzero(far <= far.min() + error)
    exact = np.concatenate([_exact(profiles, row, near[at : at + _PIECE])
                            for at in range(0, len(near), _PIECE)])
    best = np.flatnonzero(exact <= exact.min() + _TIE)
    return near[best[0]], exact[best[0]], len(best) > 1


def _exact(profiles, row: int, others) -> np.ndarray:
    """Cosine distances of a row to some, float64 (others,)."""
    a, b = profiles[row].astype(np.float64), profiles[others].astype(np.float64)
    lengths = np.sqrt((a * a).sum() * (b * b).sum(axis=1))
    return 1 - (b * a).sum(axis=1) / lengths
