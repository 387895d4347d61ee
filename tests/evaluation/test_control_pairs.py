# SPDX-License-Identifier: BSD-3-Clause
"""Controls of plates: the numbers of scores/controls.py of the right wells, or a sentence."""

import numpy as np
import pandas
import pytest

from phenoscale.evaluation.control_pairs import ALL_PLATES, control_pairs, pair_separation
from phenoscale.evaluation.predicted import Predicted
from phenoscale.scores.controls import separation


def wells(classes="ab", plates=("P1", "P2"), n=5):
    """Wells of each class, the first marked negative, the second positive but for one well."""
    rng, rows = np.random.default_rng(1), []
    for plate in plates:
        for name in classes:
            for well in range(n):
                mark = {"a": "-", "b": "+" if well else ""}.get(name, "")
                rows.append((plate, name, mark, *rng.dirichlet(
                    [4.0 if other == name else 0.5 for other in classes])))
    return pandas.DataFrame(rows, columns=["Metadata_Plate", "Truth", "Mark", *(
        f"Phenoscale_Prob_{name}" for name in classes)])


def found(classes, negative="a", positive=None):
    return Predicted(list(classes), {name: name for name in classes}, negative=negative,
                     positive=positive)


def log_odds(frame, mask):
    return np.log(frame.loc[mask, "Phenoscale_Prob_b"] / frame.loc[mask, "Phenoscale_Prob_a"])


def test_two_classes_by_plate():
    frame = wells()
    table = control_pairs(found("ab", positive="b"), frame)
    assert table["Metadata_Plate"].tolist() == ["P1", "P2", ALL_PLATES]
    assert table["positive_wells"].tolist() == [5, 5, 10]
    for row in table.itertuples():
        part = frame if row.Metadata_Plate == ALL_PLATES else frame[
            frame["Metadata_Plate"] == row.Metadata_Plate]
        wanted = separation(log_odds(part, part["Truth"] == "b"),
                            log_odds(part, part["Truth"] == "a"))
        for name in ("z_prime", "robust_z_prime", "ssmd"):
            assert getattr(row, name) == pytest.approx(wanted[name])
    assert (table["positive"] == "b").all() and (table["negative"] == "a").all()


def test_of_several_classes_only_marked_wells_count():
    frame = wells("abc", plates=("P1",))
    table = control_pairs(found("abc"), frame)
    assert table[["Metadata_Plate", "positive", "positive_wells", "negative_wells"]].to_numpy(
        ).tolist() == [["P1", "b", 4, 5]]
    alone = pair_separation(found("abc"), frame, "b")
    assert alone["z_prime"] == pytest.approx(table["z_prime"][0])
    assert alone["z_prime"] == pytest.approx(separation(
        log_odds(frame, (frame["Truth"] == "b") & (frame["Mark"] == "+")),
        log_odds(frame, frame["Truth"] == "a"))["z_prime"])


@pytest.mark.parametrize("frame, known, words", [
    (None, found("ab"), "No wells are known"),
    (wells(), found("ab", negative=None), "No negative controls of a known class"),
    (wells("abc").assign(Mark=""), found("abc"), "No wells are marked as positive controls")])
def test_why_there_are_none(frame, known, words):
    assert control_pairs(known, frame).startswith(words)


def test_too_few_wells_are_said():
    table = control_pairs(found("ab", positive="b"), wells(n=1, plates=("P1",)))
    assert np.isnan(table["z_prime"][0]) and "2 of each needed" in table["reason"][0]
