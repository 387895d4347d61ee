# SPDX-License-Identifier: BSD-3-Clause
"""How well a plate can be read: chance in noise, all of it where plates are shifted, and nothing of
what stands on them."""

import numpy as np

from phenoscale.profiles.plate_effect import plate_accuracy

PLATE = np.repeat(range(4), 50)


def noise(seed=0):
    return np.random.default_rng(seed).normal(size=(200, 8)).astype(np.float32)


def test_chance_in_noise_and_all_of_a_shift():
    accuracy, chance = plate_accuracy(noise(), PLATE, np.arange(200))
    assert chance == 0.25 and abs(accuracy - chance) < 0.12
    accuracy, _ = plate_accuracy(noise() + 8 * np.eye(8, dtype=np.float32)[PLATE], PLATE,
                                 np.arange(200))
    assert accuracy == 1


def test_a_plate_is_not_known_by_what_stands_on_it():
    """Each plate has treatments of its own, which are all that differs."""
    group = np.arange(200) // 10  # five treatments a plate
    effect = np.random.default_rng(1).normal(0, 6, (20, 8)).astype(np.float32)
    accuracy, chance = plate_accuracy(noise(2) + effect[group], PLATE, group)
    by_wells, _ = plate_accuracy(noise(2) + effect[group], PLATE, np.arange(200))
    assert accuracy < 2 * chance < by_wells


def test_one_plate_and_many_wells():
    assert np.isnan(plate_accuracy(noise(), np.zeros(200, int), np.arange(200))).all()
    values = np.tile(noise(), (20, 1))
    accuracy, _ = plate_accuracy(values, np.tile(PLATE, 20), np.arange(4000))
    assert 0 < accuracy < 1
