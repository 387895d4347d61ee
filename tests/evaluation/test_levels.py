# SPDX-License-Identifier: BSD-3-Clause
"""Fields, wells, treatments: what is counted at each, over what the intervals are."""

import numpy as np
import pandas
import pytest

from phenoscale.evaluation.levels import confusion_table, headline, level_frames, score_table
from phenoscale.evaluation.predicted import Predicted
from phenoscale.scores.intervals import bootstrap, wilson
from phenoscale.scores.probabilities import NAMES


def screen(compounds=3, doses=2, wells=2, sites=2, skill=1.0, seed=0):
    """Fields of two classes, each of some compounds; DMSO wells of class a, marked."""
    rng, rows = np.random.default_rng(seed), []
    for at in np.ndindex(2, compounds, doses, wells, sites):
        kind, compound, dose, well, site = at
        rows.append(("ab"[kind], f"{'ab'[kind]}{compound}", str(dose + 1), "",
                     f"{'ABCDEF'[compound + kind * compounds]}{dose * wells + well + 1:02d}", site))
    rows += [("a", "DMSO", "0", "-", f"H{well + 1:02d}", site)
             for well, site in np.ndindex(4, sites)]
    frame = pandas.DataFrame(rows, columns=[
        "Truth", "Metadata_Compound", "Metadata_Concentration", "Mark", "Metadata_Well", "Site"])
    logit = skill * np.where(frame["Truth"] == "a", 1, -1) + rng.normal(0, 1, len(frame))
    p = 1 / (1 + np.exp(-logit))
    return frame.assign(Metadata_Plate="P1", Phenoscale_Prob_a=p, Phenoscale_Prob_b=1 - p,
                        Phenoscale_Class=np.where(p > 0.5, "a", "b"))


def evaluated(frame):
    found = Predicted(["a", "b"], {"a": "a", "b": "b"}, [], frame, frame)
    frames = level_frames(found, frame)
    return found, frames, score_table(found, frames, 0)


def test_levels_are_counted():
    _, frames, _ = evaluated(screen())
    assert {name: len(frame) for name, frame in frames.items()} == {
        "field": 56, "well": 28, "treatment": 12}
    assert "DMSO" not in set(frames["treatment"]["Metadata_Compound"])  # a control is none


def test_treatments_are_medians_of_wells():
    frame = screen()
    _, frames, _ = evaluated(frame)
    row = frames["treatment"].iloc[0]
    mine = frame[(frame["Metadata_Compound"] == row["Metadata_Compound"])
                 & (frame["Metadata_Concentration"] == row["Metadata_Concentration"])]
    wells = mine.groupby("Metadata_Well")["Phenoscale_Prob_a"].median()
    assert row["Phenoscale_Prob_a"] == pytest.approx(wells.median())


def test_each_score_has_an_interval_over_each_unit():
    frame = screen()
    _, frames, scores = evaluated(frame)
    assert [(level, unit, n) for level, unit, n in scores[
        ["level", "unit", "groups"]].drop_duplicates().itertuples(index=False)] == [
        ("field", "well", 28), ("field", "treatment", 13), ("field", "compound", 7),
        ("well", "well", 28), ("well", "treatment", 13), ("well", "compound", 7),
        ("treatment", "treatment", 12), ("treatment", "compound", 6)]
    assert scores.groupby(["level", "unit"])["score"].agg(tuple).map(lambda of: of == NAMES).all()
    mine = scores[(scores["level"] == "field") & (scores["unit"] == "compound")]
    row = mine.set_index("score").loc["accuracy"]
    right = (frame["Truth"] == frame["Phenoscale_Class"]).to_numpy()
    low, high = bootstrap(lambda weights: [np.average(right, weights=weights)],
                          frame["Metadata_Compound"])
    assert (row["value"], row["low"], row["high"]) == pytest.approx((right.mean(), *low, *high))
    assert row["interval"] == "bootstrap"


def test_all_right_is_not_certain():
    """No draw differs: the interval of as many groups right of as many."""
    _, frames, scores = evaluated(screen(skill=50))
    mine = scores[(scores["level"] == "treatment") & (scores["unit"] == "compound")]
    mine = mine.set_index("score")
    assert tuple(mine.loc["accuracy", ["low", "high"]]) == pytest.approx(wilson(6, 6))
    assert mine.loc["accuracy", "interval"] == "Wilson"
    assert mine.loc[["balanced_accuracy", "auc"], ["low", "high"]].isna().all(axis=None)


def test_the_headline_is_of_the_strictest_level():
    _, frames, scores = evaluated(screen())
    head = headline(frames, scores)
    assert (head["level"], head["unit"], head["groups"], head["n"]) == (
        "treatment", "compound", 6, 12)
    one_each = screen(compounds=1)  # a class is a compound: its wells are what is independent
    _, frames, scores = evaluated(one_each)
    head = headline(frames, scores)
    assert (head["level"], head["unit"], head["groups"]) == ("well", "well", 12)
    wells = frames["well"]
    assert head["right"] == (wells["Truth"] == wells["Phenoscale_Class"]).sum()
    assert head["accuracy"][0] == pytest.approx(head["right"] / head["n"])


def test_without_wells_there_is_no_interval():
    frame = screen().drop(columns=["Metadata_Compound", "Metadata_Concentration"])
    _, frames, scores = evaluated(frame.assign(Metadata_Well=""))
    head = headline(frames, scores)
    assert list(frames) == ["field"] and (head["level"], head["unit"]) == ("field", "")
    assert np.isnan(head["accuracy"][1]) and head["interval"] == ""


def test_a_unit_that_some_rows_lack_is_none():
    frame = screen()
    frame.loc[0, "Metadata_Compound"] = ""
    _, _, scores = evaluated(frame)
    assert set(scores.loc[scores["level"] == "field", "unit"]) == {"well"}


def test_confusion():
    frame = screen()
    found, _, _ = evaluated(frame)
    table = confusion_table(found, frame)
    assert table.columns.tolist() == ["class", "a", "b"] and table["class"].tolist() == ["a", "b"]
    for row in table.itertuples():
        for name in "ab":
            pairs = (frame["Truth"] == row[1]) & (frame["Phenoscale_Class"] == name)
            assert getattr(row, name) == pairs.sum()
