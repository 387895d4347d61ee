# SPDX-License-Identifier: BSD-3-Clause
"""Augmentation of the C core against its slow twin, and what it may do to a field."""

import hashlib

import numpy as np
import pytest

import reference_augment
from phenoscale import _core

NAMES = list(_core.augment_names())
DTYPES = [np.uint8, np.uint16, np.float32]
KEYS = [(seed, epoch, sample) for seed in (0, 7) for epoch in (0, 3) for sample in range(8)]
KEYS.append((2**64 - 1, 2**40, 2**33))
#: those that compute with float32, which may differ from the twin by one count, one last digit
ROUNDED = {"intensity", "rotate", "noise", "drop"}


def bits(*names):
    """The rows of the table as bits."""
    return sum(1 << NAMES.index(name) for name in names)


def random_field(dtype, c=3, h=33, w=33):
    """Counts over the whole range of the type."""
    values = np.random.default_rng(0).random((c, h, w))
    return (values * (1 if dtype == np.float32 else np.iinfo(dtype).max)).astype(dtype)


def augmented(field, rows, seed=0, epoch=0, sample=0):
    """A copy of the field after the augmentation."""
    result = field.copy()
    _core.augment(result, rows, seed, epoch, sample)
    return result


def test_rows_are_those_of_the_twin():
    assert NAMES == list(reference_augment.AUGMENTS)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("names", [*((name,) for name in NAMES), tuple(NAMES)])
def test_augmentation_equals_twin(names, dtype):
    field = random_field(dtype)
    for key in KEYS:
        result, expected = augmented(field, bits(*names), *key), \
            reference_augment.augment(field, names, *key)
        assert result.dtype == dtype
        counts = len(ROUNDED.intersection(names)) * (1 if field.dtype.kind == "u" else 1e-6)
        assert np.allclose(result, expected, rtol=0, atol=counts)


@pytest.mark.parametrize("name", NAMES)
def test_seed_epoch_and_sample_each_matter(name):
    field = random_field(np.uint16)
    for axis in range(3):
        keys = np.ones((40, 3), int)
        keys[:, axis] = range(40)
        outcomes = {augmented(field, bits(name), *map(int, key)).tobytes() for key in keys}
        assert len(outcomes) >= {"flip": 4, "turn": 4, "drop": 3}.get(name, 8)


@pytest.mark.parametrize("name, outcomes", [("flip", 4), ("turn", 4)])
def test_outcomes_are_equally_likely(name, outcomes):
    field = random_field(np.uint8, 1, 5, 5)
    seen = [augmented(field, bits(name), 7, 3, sample).tobytes() for sample in range(400)]
    assert min(map(seen.count, set(seen))) > 0.7 * 400 / outcomes and len(set(seen)) == outcomes


@pytest.mark.parametrize("c, h, w", [(1, 1, 1), (1, 1, 40), (3, 40, 1), (2, 17, 50), (16, 5, 5)])
def test_any_shape(c, h, w):
    field = random_field(np.uint16, c, h, w)
    names = [name for name in NAMES if name != "turn" or h == w]
    for sample in range(20):
        moved = augmented(field, bits("flip"), 1, 2, sample)
        assert np.array_equal(np.sort(moved, None), np.sort(field, None))
        result = augmented(field, bits(*names), 1, 2, sample)
        expected = reference_augment.augment(field, names, 1, 2, sample)
        assert np.allclose(result, expected, rtol=0, atol=len(ROUNDED))


def test_old_rows_draw_what_they_drew():
    """A new row must not change the weights of old recipes: the digest is that of before it."""
    field, digest = random_field(np.uint16), hashlib.sha256()
    for key in KEYS:
        digest.update(augmented(field, bits("flip", "turn", "shift", "intensity"), *key))
    assert digest.hexdigest() == "ba2a0110887a07104a83bb0946f45f93cbe8fa36bd7385d3741a466ede37a0b9"


def test_rotation_goes_both_ways_by_at_most_ten_degrees():
    """A bright spot right of the centre goes up and down, and not far."""
    field = np.zeros((1, 201, 201), np.float32)
    field[0, 98:103, 178:183] = 1
    y, x = np.mgrid[:201, :201] - 100
    angles = []
    for sample in range(60):
        turned = augmented(field, bits("rotate"), 1, 2, sample)[0]
        spot = np.array([(turned * y).sum(), (turned * x).sum()]) / turned.sum()
        assert np.hypot(*spot) == pytest.approx(80, abs=0.1)
        angles.append(np.degrees(np.arctan2(*spot)))
    assert -10.1 < min(angles) < -8 and 8 < max(angles) < 10.1


def test_noise_is_gaussian_and_of_the_size_that_is_said():
    """Of two channels of one sample other noise, each up to a tenth of the channel's deviation."""
    field = np.random.default_rng(0).normal(1000, [[[50]], [[400]]], (2, 128, 128)).astype("f4")
    sizes = []
    for sample in range(40):
        added = (augmented(field, bits("noise"), 1, 2, sample) - field).astype(float)
        sizes.append(added.std(axis=(1, 2)) / field.std(axis=(1, 2)))
        unit = added / added.std(axis=(1, 2), keepdims=True)
        assert abs(unit.mean()) < 0.03 and abs((unit**3).mean()) < 0.1
        assert (unit**4).mean() == pytest.approx(3 - 1.2 / 8, abs=0.15)
        assert abs((unit[0] * unit[1]).mean()) < 0.04  # no channel follows another,
        assert abs((unit[:, :, 1:] * unit[:, :, :-1]).mean()) < 0.04  # nor a pixel the one before
    assert np.max(sizes) < 0.102 and np.min(sizes) < 0.01 and np.mean(sizes) == pytest.approx(
        0.05, abs=0.01)


@pytest.mark.parametrize("value", [0, 65535])
def test_noise_stays_in_the_type_and_leaves_constants(value):
    field = np.full((2, 40, 40), value, np.uint16)
    field[0, ::2] = 30000
    for sample in range(10):
        result = augmented(field, bits("noise"), 1, 2, sample)
        assert np.array_equal(result[1], field[1])
        assert abs(result[0].astype(int) - field[0]).max() < 0.5 * field[0].std()


@pytest.mark.parametrize("channels", [1, 2, 5])
def test_dropped_channels_are_one_in_ten_and_never_all(channels):
    field, dropped = random_field(np.uint8, channels, 9, 9), []
    for sample in range(2000):
        result = augmented(field, bits("drop"), 3, 1, sample)
        gone = np.ptp(result, axis=(1, 2)) == 0
        assert np.array_equal(result[~gone], field[~gone]) and not gone.all()
        assert (abs(result[gone][:, 0, 0] - field[gone].mean(axis=(1, 2))) <= 0.5).all()
        dropped.append(gone)
    expected = 0.1 - 0.1**channels / channels  # where all would be, one stays
    assert np.mean(dropped, axis=0) == pytest.approx(expected, abs=0.03)


def test_no_row_changes_nothing():
    field = random_field(np.uint8)
    assert np.array_equal(augmented(field, 0), field)


def test_turn_needs_a_square():
    with pytest.raises(ValueError, match="square"):
        augmented(random_field(np.uint8, 2, 4, 6), bits("turn"))


def test_unknown_rows_and_arrays_are_refused():
    field = random_field(np.uint8)
    with pytest.raises(ValueError):
        augmented(field, 1 << len(NAMES))
    for wrong in (field[0], field[:, ::2], field.astype(np.int64)):
        with pytest.raises((TypeError, ValueError)):
            _core.augment(wrong, bits("flip"), 0, 0, 0)
    field.flags.writeable = False
    with pytest.raises((TypeError, ValueError)):
        _core.augment(field, bits("flip"), 0, 0, 0)
