# SPDX-License-Identifier: BSD-3-Clause
"""Wells in units of their plate's controls: loops, pycytominer, controls that are held out."""

import math
import statistics

import numpy as np
import pandas
import pytest

from phenoscale.profiles.standardise import (
    LEAST,
    held_out,
    in_control_units,
    plate_rows,
    plate_scale,
    pooled_spread,
)


def slow_centre_spread(numbers, how):
    numbers = [x for x in numbers if not math.isnan(x)]
    if how == "mean":
        return statistics.mean(numbers), statistics.stdev(numbers)
    middle = statistics.median(numbers)
    return middle, 1.4826 * statistics.median(abs(x - middle) for x in numbers)


def slow_pooled(values, plates, is_control, how, k):
    apart, freedom = [], 0
    for plate in set(plates):
        mine = [float(values[i, k]) for i in range(len(values)) if plates[i] == plate
                and is_control[i] and not math.isnan(values[i, k])]
        if len(mine) > 1:
            middle = slow_centre_spread(mine, how)[0]
            apart += [x - middle for x in mine]
            freedom += len(mine) - 1
    return (math.sqrt(sum(x * x for x in apart) / freedom) if how == "mean"
            else 1.4826 * statistics.median(map(abs, apart)))


def drawn(seed=0, wells=60, features=5):
    rng = np.random.default_rng(seed)
    values = rng.normal(3, 2, (wells, features)).astype(np.float32)
    plates = np.repeat([4, 1, 9], wells // 3)
    is_control = np.arange(wells) % 3 == 0
    values[0, 1] = np.nan
    return values, plates, is_control


@pytest.mark.parametrize("how", ["mean", "robust"])
def test_standardised_equals_its_slow_twin(how):
    values, plates, is_control = drawn()
    pooled = pooled_spread(values, plates, is_control, how)
    for k in range(values.shape[1]):
        assert pooled[k] == pytest.approx(slow_pooled(values, plates, is_control, how, k), rel=1e-5)
    for plate, rows in plate_rows(plates).items():
        scale = plate_scale(values[rows[is_control[rows]]], how, pooled)
        found = in_control_units(values[rows], scale)
        for k in range(values.shape[1]):
            mine = [float(values[i, k]) for i in rows if is_control[i]]
            middle, spread = slow_centre_spread(mine, how)
            spread = max(spread, pooled[k] / 2)
            for at, i in enumerate(rows):
                wanted = 0 if math.isnan(values[i, k]) else (values[i, k] - middle) / spread
                assert found[at, k] == pytest.approx(wanted, rel=1e-4, abs=1e-5)
        assert plate in (4, 1, 9)
    assert list(plate_rows(plates)) == [4, 1, 9]


@pytest.mark.parametrize("how, method", [("mean", "standardize"), ("robust", "mad_robustize")])
def test_standardised_equals_pycytominer(how, method):
    """On a plate whose spreads are not lifted; pycytominer has the SD of a population."""
    pycytominer = pytest.importorskip("pycytominer")
    values, _, is_control = drawn(1)
    values = np.nan_to_num(values, nan=3)
    frame = pandas.DataFrame(values, columns=[f"Cells_{k}" for k in range(values.shape[1])])
    frame["Metadata_C"] = is_control
    theirs = pycytominer.normalize(frame, features=list(frame.columns[:-1]), samples="Metadata_C",
                                   meta_features=["Metadata_C"], method=method,
                                   mad_robustize_epsilon=0).iloc[:, 1:].to_numpy()
    scale = plate_scale(values[is_control], how, np.zeros(values.shape[1]))
    ours = in_control_units(values, scale)
    if how == "mean":
        n = is_control.sum()
        theirs = theirs * np.sqrt((n - 1) / n)
    assert scale.lifted == 0 and np.allclose(ours, theirs, rtol=1e-4, atol=1e-5)


def test_spreads_that_are_small_by_chance_are_lifted():
    controls = np.array([[1, 1], [1, 2], [1, 3], [1, 4]], np.float32)
    scale = plate_scale(controls, "mean", np.array([4.0, 1.0]))
    assert scale.lifted == 1 and scale.spread[0] == 2 and scale.spread[1] > 1
    few = plate_scale(controls[: LEAST - 1], "mean", np.array([4.0, 1.0]))
    assert few.spread.tolist() == [4, 1] and few.lifted == 0


@pytest.mark.parametrize("n", [2, 6, 40])
@pytest.mark.parametrize("how", ["mean", "robust"])
def test_held_out_is_each_by_the_others(how, n):
    values = np.random.default_rng(n).normal(size=(n, 4)).astype(np.float32)
    pooled = np.full(4, 0.1)
    found = held_out(values, how, pooled)
    for i in range(n):
        others = np.array([j for j in range(n) if (j % 16 != i % 16 if n > 16 else j != i)])
        wanted = in_control_units(values[i : i + 1], plate_scale(values[others], how, pooled))
        assert np.array_equal(found[i], wanted[0])


def test_held_out_lie_as_far_as_treated_wells_do():
    """Where those in the spread lie nearer, and a null of them would find hits in noise."""
    rng = np.random.default_rng(0)
    out, inside, treated = [], [], []
    for _ in range(200):
        controls, others = rng.normal(size=(2, 6, 50)).astype(np.float32)
        scale = plate_scale(controls, "mean", np.full(50, 1e-9))
        inside += np.linalg.norm(in_control_units(controls, scale), axis=1).tolist()
        treated += np.linalg.norm(in_control_units(others, scale), axis=1).tolist()
        out += np.linalg.norm(held_out(controls, "mean", np.full(50, 1e-9)), axis=1).tolist()
    assert np.median(inside) < 0.8 * np.median(treated)
    assert np.median(treated) <= np.median(out) < 1.4 * np.median(treated)
