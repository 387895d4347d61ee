# SPDX-License-Identifier: BSD-3-Clause
"""Median polish: a slow twin, effects that it takes out, plates that have too few wells."""

import statistics

import numpy as np
import pytest

from phenoscale.profiles.position import can_polish, places_of, polish

PLACES = np.array([(row, column) for column in range(12) for row in range(8)])


def slow_polish(values, places, rounds=3):
    left = [float(x) for x in values]
    for _ in range(rounds):
        for side in (0, 1):
            lines = {at: [i for i in range(len(left)) if places[i][side] == at]
                     for at in sorted({place[side] for place in places})}
            effects = {at: statistics.median(left[i] for i in mine) for at, mine in lines.items()}
            middle = statistics.median(effects.values())
            for at, mine in lines.items():
                for i in mine:
                    left[i] -= effects[at] - middle
    return left


@pytest.mark.parametrize("gaps", [False, True])
def test_polish_equals_its_slow_twin(gaps):
    rng = np.random.default_rng(3)
    places = PLACES[rng.permutation(96)[:70]] if gaps else PLACES
    values = rng.normal(size=(len(places), 3)).astype(np.float32)
    found = polish(values, places)
    for k in range(3):
        assert found[:, k] == pytest.approx(slow_polish(values[:, k], places.tolist()), abs=1e-4)


def test_rows_and_columns_go_and_the_level_and_hits_stay():
    rng = np.random.default_rng(0)
    noise = rng.normal(0, 0.1, 96)
    effect = np.linspace(-2, 2, 8)[PLACES[:, 0]] + np.linspace(0, 3, 12)[PLACES[:, 1]]
    values = (7 + effect + noise).astype(np.float32)[:, None].copy()
    values[17] += 50
    found = polish(values, PLACES)[:, 0]
    level = 7 + np.median(np.linspace(-2, 2, 8)) + np.median(np.linspace(0, 3, 12))
    assert np.median(found) == pytest.approx(level, abs=0.1)
    others = np.delete(found, 17)
    assert others.std() < 0.15 and found[17] - np.median(others) > 49


def test_missing_numbers_stay_missing():
    values = np.random.default_rng(1).normal(size=(96, 2)).astype(np.float32)
    values[5, 0] = np.nan
    values[PLACES[:, 0] == 2, 1] = np.nan
    found = polish(values, PLACES)
    assert (np.isnan(found) == np.isnan(values)).all()


def test_which_plates_have_wells_enough():
    assert can_polish(PLACES) and can_polish(PLACES[:60])
    assert not can_polish(PLACES[:24])  # three columns
    assert not can_polish(PLACES[PLACES[:, 0] == 0]) and not can_polish(PLACES[:0])
    assert places_of(["B02", "AF48", "here"]).tolist() == [[1, 1], [31, 47], [-1, -1]]
    assert not can_polish(np.concatenate([PLACES, [[-1, -1]]]))
