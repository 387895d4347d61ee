# SPDX-License-Identifier: BSD-3-Clause
"""Augmentation of the C core against its slow twin, and what it may do to a field."""

import numpy as np
import pytest

import reference_augment
from phenoscale import _core

NAMES = list(_core.augment_names())
DTYPES = [np.uint8, np.uint16, np.float32]
KEYS = [(seed, epoch, sample) for seed in (0, 7) for epoch in (0, 3) for sample in range(8)]
KEYS.append((2**64 - 1, 2**40, 2**33))


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
        if "intensity" in names:  # a product in float32: one count, one last digit
            assert np.allclose(result, expected, rtol=1e-6, atol=field.dtype.kind == "u")
        else:
            assert np.array_equal(result, expected)


@pytest.mark.parametrize("name", NAMES)
def test_seed_epoch_and_sample_each_matter(name):
    field = random_field(np.uint16)
    for axis in range(3):
        keys = np.ones((40, 3), int)
        keys[:, axis] = range(40)
        outcomes = {augmented(field, bits(name), *map(int, key)).tobytes() for key in keys}
        assert len(outcomes) >= {"flip": 4, "turn": 4}.get(name, 8)


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
        assert np.allclose(result, reference_augment.augment(field, names, 1, 2, sample), atol=1)


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
