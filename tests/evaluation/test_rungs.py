# SPDX-License-Identifier: BSD-3-Clause
"""Folds of the rungs: what is on both sides, and which classes are spread."""

import itertools

import numpy as np
import pytest

pytest.importorskip("pandas")
import pandas

from phenoscale.evaluation.rungs import RUNGS, Axis, axes_of, deal, folds_of, unknown_words
from phenoscale.tables.read import read_table


def axis(groups, of="plate"):
    return Axis(of, np.array(groups))


@pytest.mark.parametrize("seed", range(5))
def test_no_group_is_on_both_sides_and_each_field_once_held_out(seed):
    rng = np.random.default_rng(seed)
    axes = [axis(rng.integers(23, size=200)), axis(rng.integers(7, size=200), "batch")]
    labels = rng.integers(3, size=200)
    for some in ([axes[0]], [axes[1]], axes):
        held = []
        for test, train in folds_of(some, labels, seed):
            held += test.tolist()
            for one in some:
                assert not set(one.groups[test]) & set(one.groups[train])
        assert sorted(held) == list(range(200))


def test_a_field_of_an_unknown_group_is_on_no_side():
    groups = axis([-1, 0, 1, 2, -1])
    rows = {int(row) for pair in folds_of([groups], np.array([0, 0, 1, 1, 1])) for row in
            itertools.chain(*pair)}
    assert rows == {1, 2, 3} and groups.n == 3
    assert unknown_words([groups]) == ["2 fields without a plate"]


@pytest.mark.parametrize("seed", range(20))
def test_a_rare_class_is_in_two_folds(seed):
    """Forty plates of controls, two of which have a rare class as well: in whichever folds they
    are, each of the two is predicted from the other."""
    rng = np.random.default_rng(seed)
    groups = np.r_[np.repeat(np.arange(40), 5), rng.choice(40, 2, replace=False)]
    labels = np.r_[np.zeros(200, int), 1, 1]
    fold = deal(groups, labels, 10, seed)
    assert fold[groups[-1]] != fold[groups[-2]]
    assert np.ptp(np.bincount(fold, minlength=10)) <= 1  # and the plates are shared out


def test_names_of_wells_that_are_one_and_plates_of_a_batch():
    """P-1 and P 1 are one plate, so that its wells stay together; plate 1 of two batches is two."""
    frame = pandas.DataFrame({"FileName_DNA": [f"{k}.tif" for k in range(4)],
                              "Metadata_Plate": ["P-1", "P 1", "P2", "P2"],
                              "Metadata_Well": ["B02", "B02", "B02", "B03"],
                              "Metadata_Batch": ["1", "1", "1", "2"]})
    rungs = {rung.apart: axes_of(read_table(frame), rung)[0].groups for rung in RUNGS
             if rung.apart in (("well",), ("plate",), ("position",))}
    assert rungs["well",].tolist() in ([0, 0, 1, 2], [1, 1, 0, 2])
    assert rungs["plate",][0] == rungs["plate",][1] and len(set(rungs["plate",])) == 3
    assert rungs["position",].tolist() == [0, 0, 0, 1]


def test_how_many_batches_in_words():
    from phenoscale.words import count

    assert [count(4, noun) for noun in ("batch", "epoch", "plate")] == [
        "4 batches", "4 epochs", "4 plates"]
