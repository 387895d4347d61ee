# SPDX-License-Identifier: BSD-3-Clause
"""How a score follows the dose."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas

__all__ = ["dose_response"]


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
