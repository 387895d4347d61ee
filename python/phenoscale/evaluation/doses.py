# SPDX-License-Identifier: BSD-3-Clause
"""The wells of doses, scored against the negative controls, and the curves through them.

After predicted.py; for evaluate.py and the section of a report that draws them.
"""

from __future__ import annotations

from dataclasses import dataclass

from phenoscale.evaluation.predicted import COMPOUND, CONCENTRATION, PLATE, WELL, Predicted
from phenoscale.profiles.aggregate import log_odds
from phenoscale.profiles.dose_response import dose_fits
from phenoscale.scores.dose_fit import is_ranks
from phenoscale.tables.controls import NEGATIVE
from phenoscale.tables.predictions import CELLS

__all__ = ["DoseWells", "cell_wells", "dose_table", "dose_wells"]


@dataclass
class DoseWells:
    """Wells of compounds with two doses or more, none of them trained on.

    Attributes
    ----------
    wells : pandas.DataFrame
        Of `Predicted.wells`, with Dose > 0, and Score, the log-odds of the compound's class against
        the negative one.
    background : dict of str to ndarray
        Compound to the same score of the negative controls without a dose.
    label : str
        What the score is.
    is_rank : bool
        Whether the doses are the numbers of steps.
    """

    wells: object
    background: dict
    label: str
    is_rank: bool


def dose_wells(found: Predicted) -> DoseWells | str:
    """The wells of doses, or why there are none, in a sentence."""
    import pandas

    by = [COMPOUND, CONCENTRATION]
    if found.scored is None or not {WELL, *by} <= set(found.scored):
        return "There are no predictions of wells with a compound and a concentration."
    if found.negative is None:
        return "No control class is known, so there is nothing to measure a dose against."
    wells = found.wells(found.scored, *by)
    if wells is None:
        return "There are no predictions of wells with a compound and a concentration."
    wells["Dose"] = pandas.to_numeric(wells[CONCENTRATION], errors="coerce")
    without = wells[(wells["Mark"] == NEGATIVE) & ~(wells["Dose"] > 0)]
    effects = found.fields[~found.fields["Truth"].isin(["", found.negative])]
    own = effects.groupby(COMPOUND)["Truth"].agg(lambda truth: truth.mode().iloc[0])
    treated, parts, background = wells[wells["Dose"] > 0], [], {}
    for name, part in treated.groupby(COMPOUND, sort=False):
        target = found.positive or own.get(name)
        if name and target is not None and part["Dose"].nunique() > 1:
            parts.append(part.assign(Score=log_odds(part, target, found.negative, found.keys)))
            background[name] = log_odds(without, target, found.negative, found.keys)
    if not parts:
        return "No compound of a known class has two doses or more in wells not trained on."
    label = f"log-odds, {found.positive or 'own class'} : {found.negative}"
    wells = pandas.concat(parts)
    return DoseWells(wells, background, label, is_ranks(wells["Dose"]))


def dose_table(found: Predicted, doses: DoseWells):
    """The curves of each compound: of the score, and of its cells where they were counted.

    Returns
    -------
    pandas.DataFrame
        A row a compound and curve, one below the other: compound, curve (what is followed),
        is_rank, and the columns of `phenoscale.profiles.dose_response.dose_fits`.
    """
    import pandas

    parts = [(doses.label, dose_fits(doses.wells, COMPOUND, "Dose", "Score", doses.background))]
    if CELLS in found.scored:
        wells, without = cell_wells(found, doses)
        parts.append(("cells of a field", dose_fits(wells, COMPOUND, "Dose", "Cells", {
            name: without for name in doses.background})))
    rows = []
    for curve, frame in parts:
        frame.insert(1, "curve", curve)
        frame.insert(2, "is_rank", doses.is_rank)
        rows.append(frame)
    order = {name: at for at, name in enumerate(doses.background)}
    return pandas.concat(rows, ignore_index=True).sort_values(
        "compound", key=lambda names: names.map(order), kind="stable", ignore_index=True)


def cell_wells(found: Predicted, doses: DoseWells):
    """The wells of doses with Cells, the mean of their fields; the same of the negative controls
    without a dose."""
    import pandas

    frame, where = found.scored[found.scored[WELL] != ""], [PLATE, WELL]
    cells = pandas.to_numeric(frame[CELLS], errors="coerce").groupby(
        [frame[column] for column in where]).mean().rename("Cells").reset_index()
    numbers = pandas.to_numeric(frame[CONCENTRATION], errors="coerce")
    without = frame.loc[(frame["Mark"] == NEGATIVE) & ~(numbers > 0), where].drop_duplicates()
    return (doses.wells.merge(cells, on=where),
            without.merge(cells, on=where)["Cells"].dropna().to_numpy())
