# SPDX-License-Identifier: BSD-3-Clause
"""What scored fields share with the training; classes that lie in one place alone."""

import pandas
import pytest

from phenoscale.evaluation.predicted import Predicted
from phenoscale.evaluation.run import Run
from phenoscale.evaluation.strictness import confounded, shared_with_training


def known(**columns):
    """Classes a, b over two plates and two wells of each."""
    return pandas.DataFrame({
        "Metadata_Plate": ["P1", "P1", "P2", "P2"], "Metadata_Well": ["A01", "B01", "B01", "A01"],
        "Truth": ["a", "b", "a", "b"], "Mark": "", **columns})


def test_what_is_shared_with_the_training():
    frame = known(Side=["train", "train", "test", "test"], Metadata_Compound=["x", "y", "x", "z"])
    run = Run(["a", "b"], fields=frame)
    assert shared_with_training(run, frame[frame["Side"] == "test"]) == [
        ("well", 2, 0), ("plate", 1, 0), ("compound", 2, 1)]
    run.fields = frame.assign(Mark=["", "", "", "-"])  # a solvent is no compound
    assert shared_with_training(run, run.fields[2:])[-1] == ("compound", 1, 1)
    run.fields = frame.assign(Metadata_Plate="P1")
    assert shared_with_training(run, run.fields[2:])[:2] == [("well", 2, 2), ("plate", 1, 1)]


@pytest.mark.parametrize("columns, words", [
    ({}, []),
    ({"Metadata_Plate": ["P1", "P2", "P1", "P2"]},
     ["In one plate only: a (P1), b (P2). A network may have learnt the plate"]),
    ({"Metadata_Well": ["A01", "B01", "A01", "C01"]}, ["In one well position only: a (A01)."]),
    ({"Metadata_Batch": ["w1", "w1", "w1", "w2"]}, ["In one batch only: a (w1)."]),
    ({"Metadata_Plate": "P1", "Metadata_Well": ["A01", "B01", "A01", "C01"]}, []),  # nowhere else
    ({"Truth": ["a", "b", "c", "a"]},  # c is of no class
     ["In one plate only: b (P1).", "In one well position only: a (A01), b (B01)."]),
])
def test_classes_of_one_place(columns, words):
    found = confounded(Predicted(["a", "b"], fields=known(**columns)))
    assert len(found) == len(words)
    assert all(sentence.startswith(start) for sentence, start in zip(found, words))
