# SPDX-License-Identifier: BSD-3-Clause
"""Accuracy against the share answered, beside a slow twin."""

from types import SimpleNamespace

import numpy as np
import pytest

pandas = pytest.importorskip("pandas")
from phenoscale.evaluation.answered import SHARES, answered_table
from phenoscale.tables.class_keys import keys_by_class

CLASSES = ["a", "b", "c"]
FOUND = SimpleNamespace(classes=CLASSES, keys=keys_by_class(CLASSES))


def frame_of(chances, truth):
    frame = pandas.DataFrame(chances, columns=[f"Phenoscale_Prob_{name}" for name in CLASSES])
    return frame.assign(Truth=[CLASSES[k] for k in truth])


def drawn(n, seed=0):
    rng = np.random.default_rng(seed)
    chances = rng.dirichlet([0.5, 0.5, 0.5], n)
    return chances, (chances.cumsum(axis=1) < rng.random((n, 1))).sum(axis=1)


def slow_accuracy(chances, truth, n):
    """Of the n surest, one after the other."""
    order = sorted(range(len(truth)), key=lambda i: -max(chances[i]))[:n]
    return sum(list(chances[i]).index(max(chances[i])) == truth[i] for i in order) / n


def test_as_the_slow_twin():
    chances, truth = drawn(90)
    table = answered_table(FOUND, {"field": frame_of(chances, truth)})
    assert table["share"].tolist() == list(SHARES) and table["n"].tolist() == [90, 85, 81, 72, 45]
    for row in table.itertuples():
        assert row.accuracy == pytest.approx(slow_accuracy(chances, truth, row.n))
        assert (chances.max(axis=1) >= row.least).sum() == row.n
    area = np.mean([slow_accuracy(chances, truth, n) for n in range(1, 91)])
    assert table["area"].tolist() == pytest.approx([area] * 5)
    assert table["accuracy"].iloc[-1] > table["accuracy"].iloc[0]  # the surer the more right


def test_the_order_of_equally_sure_rows_says_nothing():
    chances = np.array([[1.0, 0, 0]] * 4 + [[0, 0.5, 0.5]] * 2)
    for truth in ([0, 0, 1, 1, 1, 2], [1, 1, 0, 0, 1, 2]):
        table = answered_table(FOUND, {"field": frame_of(chances, truth)})
        assert table["accuracy"].iloc[-1] == 0.5 and table["accuracy"].iloc[0] == 0.5


def test_levels():
    some = frame_of(*drawn(20)), frame_of(*drawn(10, 1)), frame_of(*drawn(5, 2))
    table = answered_table(FOUND, dict(zip(("field", "well", "treatment"), some)))
    assert table["level"].tolist() == ["field"] * 5 + ["well"] * 5
    one = answered_table(FOUND, {"field": frame_of(*drawn(1))})
    assert (one["n"] == 1).all()
