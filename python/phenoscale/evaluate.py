# SPDX-License-Identifier: BSD-3-Clause
"""Scores of held-out fields or wells: classification, controls, doses.

After profiles.py; the numbers of the report and of the command line.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from phenoscale.errors import InputError, listed

if TYPE_CHECKING:
    import pandas

__all__ = ["classification", "dose_response", "z_prime"]

_MAD = 1.4826  # times the median absolute deviation = the SD of a normal distribution


def classification(truth, predicted, classes) -> dict:
    """How often the predicted class is the true one.

    Parameters
    ----------
    truth, predicted : sequence of str, (n,)
    classes : list of str, (k,)

    Returns
    -------
    dict
        accuracy; balanced_accuracy, the mean of the recalls of the classes that occur in `truth`;
        confusion, int64 (k, k), true class in rows; per_class, class to its recall, nan where it
        does not occur; n.  Both accuracies are nan for n = 0.

    Raises
    ------
    InputError
        For a class that is not among `classes`.
    """
    if len(truth) != len(predicted):
        raise ValueError(f"{len(truth)} true classes but {len(predicted)} predicted ones")
    classes = list(classes)
    number = {name: k for k, name in enumerate(classes)}
    confusion = np.zeros((len(classes), len(classes)), dtype=np.int64)
    for pair in zip(truth, predicted):
        for name in pair:
            if name not in number:
                raise InputError(f"unknown class {name}: the model knows {listed(classes)}")
        confusion[number[pair[0]], number[pair[1]]] += 1
    counts, right = confusion.sum(axis=1), confusion.diagonal()
    recall = np.full(len(classes), np.nan)
    np.divide(right, counts, out=recall, where=counts > 0)
    n = int(counts.sum())
    return {
        "accuracy": float(right.sum() / n) if n else np.nan,
        "balanced_accuracy": float(np.nanmean(recall)) if n else np.nan,
        "confusion": confusion,
        "per_class": dict(zip(classes, recall.tolist())),
        "n": n,
    }


def z_prime(pos, neg, ddof: int = 1) -> dict:
    """Separation of the control wells, 1 - 3 (s_pos + s_neg) / abs(m_pos - m_neg).

    Parameters
    ----------
    pos, neg : array_like of float, (wells,)
        Scores of positive and negative wells that were not trained on.
    ddof : int
        Of the standard deviations: 1 of a sample (default), 0 as some tools have it.

    Returns
    -------
    dict
        z_prime (means, SD), robust_z_prime (medians, 1.4826 MAD), each nan where it is undefined;
        reason, why that is so, else "".
    """
    pos, neg = np.asarray(pos, dtype=np.float64), np.asarray(neg, dtype=np.float64)
    result = {"z_prime": np.nan, "robust_z_prime": np.nan, "reason": ""}
    if min(len(pos), len(neg)) < 2:
        result["reason"] = f"{len(pos)} positive and {len(neg)} negative wells: 2 of each needed"
        return result
    if not (np.isfinite(pos).all() and np.isfinite(neg).all()):
        result["reason"] = "a score is not a finite number"
        return result
    result["z_prime"] = _separation(pos.mean(), neg.mean(), pos.std(ddof=ddof), neg.std(ddof=ddof))
    medians = np.median(pos), np.median(neg)
    spreads = [_MAD * np.median(abs(x - m)) for x, m in zip((pos, neg), medians)]
    result["robust_z_prime"] = _separation(*medians, *spreads)
    equal = [
        word
        for word, key in (("means", "z_prime"), ("medians", "robust_z_prime"))
        if np.isnan(result[key])
    ]
    if equal:
        result["reason"] = f"the {' and the '.join(equal)} of both controls are equal"
    return result


def _separation(m_pos, m_neg, s_pos, s_neg) -> float:
    """1 - 3 (s + s) / |m - m|; nan where the centres agree to rounding."""
    distance = abs(m_pos - m_neg)
    if distance <= 1e-12 * max(abs(m_pos), abs(m_neg)):
        return np.nan
    return float(1 - 3 * (s_pos + s_neg) / distance)


def dose_response(
    wells: pandas.DataFrame, compound: str, dose: str, score: str
) -> pandas.DataFrame:
    """Does the score rise with the dose: Spearman's rank correlation of each compound.

    Parameters
    ----------
    wells : pandas.DataFrame
        One row a well; rows without compound, or whose dose or score is no number, are left out.
    compound, dose, score : str
        Its columns.

    Returns
    -------
    pandas.DataFrame
        compound, n (wells), spearman (ties share their mean rank; nan for fewer than 3 wells, or
        where dose or score does not vary), in the order of appearance.
    """
    import pandas

    names = wells[compound].astype(object).where(wells[compound].notna(), "").astype(str)
    numbers = pandas.DataFrame(
        {
            "compound": names,
            "dose": pandas.to_numeric(wells[dose], errors="coerce"),
            "score": pandas.to_numeric(wells[score], errors="coerce"),
        }
    )
    numbers = numbers[np.isfinite(numbers[["dose", "score"]]).all(axis=1)]
    rows = []
    for name, group in numbers[numbers["compound"] != ""].groupby("compound", sort=False):
        ranks = group["dose"].rank().to_numpy(), group["score"].rank().to_numpy()
        varies = len(group) >= 3 and all(np.ptp(rank) > 0 for rank in ranks)
        rows.append((name, len(group), float(np.corrcoef(*ranks)[0, 1]) if varies else np.nan))
    return pandas.DataFrame(rows, columns=["compound", "n", "spearman"])
