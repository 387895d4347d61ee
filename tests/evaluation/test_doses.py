# SPDX-License-Identifier: BSD-3-Clause
"""Doses: which wells are of a curve, of what score, beside the curve of their cells."""

import numpy as np
import pandas
import pytest

pytest.importorskip("scipy.optimize")
from phenoscale.evaluation.doses import dose_table, dose_wells
from phenoscale.evaluation.predicted import Predicted
from phenoscale.profiles.dose_response import dose_fits
from phenoscale.scores.dose_fit import sigmoid

STEPS = [0.1, 0.3, 1, 3, 10, 30]


def screen(steps=STEPS, **columns):
    """Compounds u and v, three wells a dose, two fields a well; cells die above 3 of u."""
    rng, rows = np.random.default_rng(2), []
    for name, ec50 in (("u", 1.0), ("v", 3.0), ("DMSO", 0)):
        for dose in steps if ec50 else [0]:
            for well in range(3 if ec50 else 8):
                score = sigmoid(dose, -4, 4, ec50, 1.2) if dose else -4
                cells = 200 - (sigmoid(dose, 0, 180, 3, 2) if name == "u" else 0)
                for _ in range(2):
                    p = 1 / (1 + np.exp(-score + rng.normal(0, 0.2)))
                    rows.append((name, f"{dose:g}", f"{name}{dose:g} {well}", "" if ec50 else "-",
                                 "" if dose else "down", p, 1 - p,
                                 str(round(cells + rng.normal(0, 4)))))
    frame = pandas.DataFrame(rows, columns=[
        "Metadata_Compound", "Metadata_Concentration", "Metadata_Well", "Mark", "Truth",
        "Phenoscale_Prob_up", "Phenoscale_Prob_down", "Metadata_CellCount"])
    return frame.assign(Metadata_Plate="P1", Phenoscale_Class="up", **columns)


def predicted(frame, negative="down"):
    return Predicted(["up", "down"], {"up": "up", "down": "down"}, [], frame, frame,
                     positive="up", negative=negative)


def test_both_curves_of_each_compound():
    found = predicted(screen())
    doses = dose_wells(found)
    assert doses.label == "log-odds, up : down" and not doses.is_rank
    assert {name: len(scores) for name, scores in doses.background.items()} == {"u": 8, "v": 8}
    table = dose_table(found, doses)
    assert table[["compound", "curve"]].to_numpy().tolist() == [
        ["u", doses.label], ["u", "cells of a field"], ["v", doses.label],
        ["v", "cells of a field"]]
    assert table["n"].tolist() == [18] * 4
    score, cells, other, alive = table.itertuples()
    assert score.fit_ok and score.ec50 == pytest.approx(1, rel=0.15)
    assert cells.fit_ok and cells.ec50 == pytest.approx(3, rel=0.15) and cells.top < cells.bottom
    assert other.ec50 == pytest.approx(3, rel=0.25) and not alive.fit_ok
    slow = dose_fits(doses.wells, "Metadata_Compound", "Dose", "Score", doses.background)
    assert table["ec50"][[0, 2]].tolist() == slow["ec50"].tolist()


def test_cells_of_a_well_are_the_mean_of_its_fields():
    frame = screen()
    table = dose_table(predicted(frame), dose_wells(predicted(frame)))
    background = frame.loc[frame["Metadata_Compound"] == "DMSO", "Metadata_CellCount"].astype(float)
    assert table["bottom"][1] == pytest.approx(background.mean())


def test_without_counts_there_is_one_curve():
    found = predicted(screen().drop(columns="Metadata_CellCount"))
    assert dose_table(found, dose_wells(found))["curve"].unique().tolist() == [
        "log-odds, up : down"]


def test_ranks_are_said():
    assert dose_table(*(lambda found: (found, dose_wells(found)))(
        predicted(screen([1, 2, 3, 4, 5]))))["is_rank"].all()


@pytest.mark.parametrize("frame, negative, words", [
    (screen().drop(columns="Metadata_Concentration"), "down", "There are no predictions of wells"),
    (screen(Metadata_Well=""), "down", "There are no predictions of wells"),
    (screen(), None, "No control class is known"),
    (screen([1]), "down", "No compound of a known class has two doses")])
def test_why_there_are_none(frame, negative, words):
    frame = frame.assign(Metadata_Well="") if "Metadata_Well" not in frame else frame
    assert dose_wells(predicted(frame, negative)).startswith(words)
