# SPDX-License-Identifier: BSD-3-Clause
"""How a score follows the dose: its rank correlation, and the curve through it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from phenoscale.scores.controls import v_factor
from phenoscale.scores.dose_fit import fit_doses

if TYPE_CHECKING:
    import pandas

__all__ = ["dose_fits", "dose_response"]


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

    rows = [(name, len(group), _spearman(group))
            for name, group in _by_compound(wells, compound, dose, score)]
    return pandas.DataFrame(rows, columns=["compound", "n", "spearman"])


def dose_fits(
    wells: pandas.DataFrame, compound: str, dose: str, score: str, background=None
) -> pandas.DataFrame:
    """The curve of four parameters of each compound, and how well it tells doses apart.

    Parameters
    ----------
    wells, compound, dose, score
        As for `dose_response`.
    background : dict of str to array_like of float, optional
        Compound to the scores of wells without it, which are dose 0 of its fit alone.

    Returns
    -------
    pandas.DataFrame
        `dose_response`, and beside it the entries of `phenoscale.scores.controls.v_factor`, of the
        doses above 0, and of `phenoscale.scores.dose_fit.fit_doses`; doses below 0 are in neither.
    """
    import pandas

    rows = []
    for name, group in _by_compound(wells, compound, dose, score):
        doses, scores = group.loc[group["dose"] >= 0, ["dose", "score"]].to_numpy().T
        is_treated = doses > 0
        more = np.asarray((background or {}).get(name, []), dtype=np.float64)
        fit = fit_doses([*doses, *np.zeros(len(more))], [*scores, *more])
        rows.append({"compound": name, "n": len(group), "spearman": _spearman(group),
                     **v_factor(doses[is_treated], scores[is_treated]), **fit})
    return pandas.DataFrame(rows, columns=list(rows[0]) if rows else ["compound", "n", "spearman"])


def _by_compound(wells, compound, dose, score):
    """Yields (name, frame of dose and score) in the order of appearance."""
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
    yield from numbers[numbers["compound"] != ""].groupby("compound", sort=False)


def _spearman(group) -> float:
    ranks = group["dose"].rank().to_numpy(), group["score"].rank().to_numpy()
    varies = len(group) >= 3 and all(np.ptp(rank) > 0 for rank in ranks)
    return float(np.corrcoef(*ranks)[0, 1]) if varies else np.nan
