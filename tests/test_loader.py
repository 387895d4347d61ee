# SPDX-License-Identifier: BSD-3-Clause
"""The loader: files in, fields out in order, whatever the number of workers."""

import gc
import os
import time

import numpy as np
import pytest

from phenoscale import _core

tifffile = pytest.importorskip("tifffile")

FIELDS, SHAPE = 9, (2, 12, 17)


@pytest.fixture
def screen(tmp_path):
    """Paths (n, c) of 16-bit files, and the pixels they hold (n, c, h, w)."""
    pixels = np.random.default_rng(0).integers(0, 65536, (FIELDS, *SHAPE)).astype(np.uint16)
    paths = [[str(tmp_path / f"field{i}_channel{k}.tif") for k in range(SHAPE[0])]
             for i in range(FIELDS)]
    for row, planes in zip(paths, pixels):
        for path, plane in zip(row, planes):
            tifffile.imwrite(path, plane)
    return paths, pixels


def read_pass(loader, order, augment=0, seed=0, epoch=0):
    """All fields of a pass, each copied and released at once."""
    loader.start(np.asarray(order, dtype=np.int64), augment, seed, epoch)
    fields = []
    for _ in order:
        fields.append(loader.next().copy())
        loader.release(1)
    return np.array(fields)


def threads_of_process():
    return len(os.listdir("/proc/self/task"))


@pytest.mark.parametrize("slots", [1, 2, 5, 30])
@pytest.mark.parametrize("workers", [1, 2, 3, 4])
def test_fields_come_in_order(screen, workers, slots):
    paths, pixels = screen
    loader = _core.Loader(paths, SHAPE, "uint16", workers=workers, slots=slots)
    for epoch in range(3):
        order = np.random.default_rng(epoch).permutation(FIELDS)
        fields = read_pass(loader, order, epoch=epoch)
        assert fields.dtype == np.uint16 and np.array_equal(fields, pixels[order])


def test_order_may_repeat_and_leave_out(screen):
    paths, pixels = screen
    loader = _core.Loader(paths, SHAPE, "uint16", workers=2, slots=3)
    order = [3, 3, 0, 8, 3]
    assert np.array_equal(read_pass(loader, order), pixels[order])
    assert read_pass(loader, []).size == 0


def test_several_fields_are_held_at_once(screen):
    """Fields of one batch stay untouched until they are released."""
    paths, pixels = screen
    loader = _core.Loader(paths, SHAPE, "uint16", workers=3, slots=4)
    loader.start(np.arange(FIELDS), 0, 0, 0)
    for start in (0, 3, 6):
        batch = [loader.next() for _ in range(3)]
        time.sleep(0.02)  # workers fill the other slots meanwhile
        assert np.array_equal(np.array(batch), pixels[start : start + 3])
        del batch
        loader.release(3)


def test_augmentation_is_that_of_the_augment_function(screen):
    """Keyed by the place in the pass: the number of workers does not change it."""
    paths, pixels = screen
    order = np.random.default_rng(1).permutation(FIELDS)
    bits = 1 << list(_core.augment_names()).index("flip")
    results = []
    for workers in (1, 4):
        loader = _core.Loader(paths, SHAPE, "uint16", workers=workers, slots=4)
        results.append(read_pass(loader, order, bits, seed=5, epoch=2))
    assert np.array_equal(*results)
    expected = pixels[order].copy()
    for sample, field in enumerate(expected):
        _core.augment(field, bits, 5, 2, sample)
    assert np.array_equal(results[0], expected)
    assert not np.array_equal(results[0], pixels[order])


def test_narrow_files_are_widened(tmp_path):
    pixels = np.arange(6, dtype=np.uint8).reshape(1, 2, 3)
    tifffile.imwrite(tmp_path / "a.tif", pixels[0])
    for dtype in ("uint8", "uint16", "float32"):
        field = read_pass(_core.Loader([[str(tmp_path / "a.tif")]], (1, 2, 3), dtype), [0])[0]
        assert field.dtype == dtype and np.array_equal(field, pixels)


def damage(path, how):
    """Make a file unreadable in one of several ways."""
    if how == "missing":
        os.remove(path)
    elif how == "truncated":
        os.truncate(path, 200)
    elif how == "text":
        with open(path, "w") as file:
            file.write("this is not an image")
    elif how == "wrong size":
        tifffile.imwrite(path, np.zeros((12, 18), np.uint16))
    elif how == "wider":
        tifffile.imwrite(path, np.zeros((12, 17), np.float32))


@pytest.mark.parametrize("workers", [1, 4])
@pytest.mark.parametrize("how", ["missing", "truncated", "text", "wrong size", "wider"])
def test_a_bad_file_is_named_and_the_rest_served(screen, how, workers):
    paths, pixels = screen
    damage(paths[4][1], how)
    loader = _core.Loader(paths, SHAPE, "uint16", workers=workers, slots=3)
    loader.start(np.arange(FIELDS), 0, 0, 0)
    for number in range(FIELDS):
        if number == 4:
            with pytest.raises((ValueError, OSError)) as caught:
                loader.next()
            assert os.path.basename(paths[4][1]) in str(caught.value)
            assert isinstance(caught.value, OSError) == (how == "missing")
            if how == "wrong size":
                assert "18" in str(caught.value) and "17" in str(caught.value)
        else:
            assert np.array_equal(loader.next(), pixels[number])
        loader.release(1)


@pytest.mark.parametrize("taken", [0, 1, 5])
def test_start_again_in_the_middle_of_a_pass(screen, taken):
    paths, pixels = screen
    loader = _core.Loader(paths, SHAPE, "uint16", workers=3, slots=4)
    for _ in range(5):
        loader.start(np.arange(FIELDS), 0, 0, 0)
        for _ in range(taken):
            loader.next()
            loader.release(1)
        order = np.arange(FIELDS)[::-1]
        assert np.array_equal(read_pass(loader, order), pixels[order])


def test_no_thread_is_left_behind(screen):
    paths, _ = screen
    gc.collect()
    before = threads_of_process()
    for taken in range(4):
        loader = _core.Loader(paths, SHAPE, "uint16", workers=4, slots=2)
        loader.start(np.arange(FIELDS), 0, 0, 0)
        for _ in range(taken):
            loader.next()
            loader.release(1)
        del loader
    gc.collect()
    assert threads_of_process() == before


def test_a_field_outlives_its_loader(screen):
    """The view keeps the ring alive."""
    paths, pixels = screen
    loader = _core.Loader(paths, SHAPE, "uint16")
    loader.start(np.arange(3), 0, 0, 0)
    field = loader.next()
    del loader
    gc.collect()
    assert np.array_equal(field, pixels[0])


def test_senseless_calls_are_refused(screen):
    paths, _ = screen
    for shape, dtype in [((3, 12, 17), "uint16"), ((2, 0, 17), "uint16"), (SHAPE, "int64"),
                         ((2, 1 << 40, 1 << 40), "uint16")]:
        with pytest.raises((ValueError, TypeError)):
            _core.Loader(paths, shape, dtype)
    for options in ({"workers": 0}, {"slots": 0}):
        with pytest.raises(ValueError):
            _core.Loader(paths, SHAPE, "uint16", **options)
    loader = _core.Loader(paths, SHAPE, "uint16")
    for order in ([FIELDS], [-1]):
        with pytest.raises(ValueError):
            loader.start(np.array(order), 0, 0, 0)
    with pytest.raises(ValueError):
        loader.next()
    loader = _core.Loader(paths, SHAPE, "uint16", slots=1)
    loader.start(np.arange(2), 0, 0, 0)
    with pytest.raises(ValueError):
        loader.release(1)  # nothing was handed out yet
    loader.next()
    with pytest.raises(ValueError, match="release"):
        loader.next()  # the only slot is in use
    assert len(read_pass(loader, [0, 1])) == 2
    with pytest.raises(ValueError):
        loader.next()  # the pass is over
