# SPDX-License-Identifier: BSD-3-Clause
"""Effects against the controls: the slow twin, and what few, equal, absent or wild ones do."""

import numpy as np
import pytest

pytest.importorskip("pandas")

from phenoscale.profiles.effects import effects, least_effect, likeness, pick, quantile


def slow_effect(values, plates, is_control):
    """(wells, measures), each number by itself."""
    wells, measures = values.shape
    out = np.full(values.shape, np.nan)

    def controls(plate):
        own = [i for i in range(wells) if is_control[i] and plates[i] == plate]
        return own if len(own) >= 3 else [i for i in range(wells) if is_control[i]]

    for k in range(measures):
        def known(plate, k=k):
            return [values[i, k] for i in controls(plate) if np.isfinite(values[i, k])]

        apart = [abs(values[i, k] - np.median(known(plates[i]))) for i in range(wells)
                 if is_control[i] and np.isfinite(values[i, k]) and known(plates[i])]
        if not apart:
            continue
        floor = max(1.4826 * np.median(apart), np.quantile(apart, 0.9) / 1.645)
        for i in range(wells):
            these = known(plates[i])
            if len(these) >= 3 and floor > 0:
                middle = np.median(these)
                mad = 1.4826 * np.median([abs(one - middle) for one in these])
                out[i, k] = (values[i, k] - middle) / max(mad, floor, 1e-6 * abs(middle))
    return out


def made(seed=0, wells=60, measures=7):
    rng = np.random.default_rng(seed)
    values = rng.normal(5, 1, (wells, measures)) * rng.lognormal(0, 1, measures)
    plates = np.repeat([0, 1, 2], wells // 3)
    is_control = rng.random(wells) < 0.3
    is_control[plates == 2] = np.arange(wells // 3) < 2  # too few
    return values, plates, is_control


def test_the_slow_twin_says_the_same():
    values, plates, is_control = made()
    values[::7, 1], values[:, 2], values[3, 3], values[is_control, 4] = np.nan, 4.0, np.nan, 1.0
    values[is_control & (plates == 0), 5] = np.nan
    found, ratio, used = effects(values, plates, is_control)
    np.testing.assert_allclose(found, slow_effect(values, plates, is_control), rtol=1e-12)
    assert np.isnan(found[:, [2, 4]]).all(), "of what does not vary in the controls"
    assert np.isnan(found[plates == 0, 5]).all() and np.isfinite(found[plates == 1, 5]).all()
    assert np.isfinite(found[:, [0, 6]]).all()
    assert (used[0] == is_control & (plates == 0)).all() and (used[2] == is_control).all()
    middle = np.median(values[used[1], 0])
    np.testing.assert_allclose(ratio[plates == 1, 0], values[plates == 1, 0] / middle)


def test_a_deviation_of_nearly_nothing_makes_no_effect_large():
    """The controls of one plate are nearly equal by chance; those of the others are not."""
    values, plates, is_control = made(1, 90)
    alike = is_control & (plates == 0)
    values[alike, 0] = values[alike, 0].mean() + 1e-9 * np.arange(alike.sum())
    found = effects(values, plates, is_control)[0]
    assert np.abs(found[:, 0]).max() < 10
    values[is_control, 1] = np.where(np.arange(is_control.sum()) % 4, 3.0, 4.0)  # MAD 0
    found = effects(values, plates, is_control)[0]
    assert np.isfinite(found[:, 1]).all()
    values[:, 2] = np.float32(0.1) * (1 + 1e-8 * np.random.default_rng(0).normal(size=90))
    assert np.abs(effects(values, plates, is_control)[0][:, 2]).max() < 0.1, "rounding"


def test_a_wild_control_changes_little():
    values, plates, is_control = made(2, 90)
    before = effects(values, plates, is_control)[0]
    values[np.flatnonzero(is_control & (plates == 1))[0]] *= 1000
    after = effects(values, plates, is_control)[0]
    calm = ~is_control
    assert np.median(np.abs(after[calm] / before[calm])) > 0.5


def test_what_counts_as_a_difference_falls_with_the_wells():
    assert least_effect(10 ** 6, 10 ** 6) == 1
    assert least_effect(1, 10 ** 6) == pytest.approx(5, abs=0.01)
    assert least_effect(1, 3) > least_effect(1, 16) > least_effect(8, 16) > 1


def test_five_that_are_no_copies():
    rng = np.random.default_rng(0)
    wells = rng.normal(size=(200, 8))
    wells[:, 1] = wells[:, 0] + 0.01 * rng.normal(size=200)  # a copy
    wells[:, 2] = -wells[:, 0]  # a mirrored one
    wells[:, 7] = 3.0
    effect = np.array([9.0, 8.9, -8.8, -7, 6, 5, 4, np.nan])
    alike, least = likeness(wells), np.full(8, 1.0)
    assert alike.shape == (8, 8) and (alike[7] == 0).all() and alike[0, 2] == pytest.approx(1)
    own = [str(k) for k in range(8)]
    assert pick(effect, least, alike, own) == [0, 3, 4, 5, 6]
    # one of a family, and more only where five are not to be had else
    assert pick(effect, least, alike, ["a", "a", "a", "b", "b", "c", "d", "e"]) == [0, 3, 4, 5, 6]
    many = np.arange(20.0, 8, -1)
    assert pick(many, np.ones(12), np.eye(12), ["a"] * 6 + [*"bcdefg"]) == [0, 6, 7, 8, 9]
    assert pick(many, np.full(12, 19.0), np.eye(12), own + own[:4]) == [0, 1]
    assert pick(np.full(4, np.nan), np.ones(4), np.eye(4), own[:4]) == []


@pytest.mark.parametrize("share", [0.5, 0.9])
def test_quantiles_of_columns_with_gaps(share):
    values = np.random.default_rng(0).normal(size=(11, 6))
    values[2:5, 1], values[:, 2], values[1:, 3] = np.nan, np.nan, np.nan
    np.testing.assert_allclose(np.delete(quantile(values, share), 2),
                               np.nanquantile(np.delete(values, 2, 1), share, axis=0))
    assert np.isnan(quantile(values, share)[2])
