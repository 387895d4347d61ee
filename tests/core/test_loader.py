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


def plain_loader(paths, shape, dtype, **options):
    """Page 0 of one file a channel."""
    files = [path for row in paths for path in row]
    planes = [[number, 0, 0] for number in range(len(files))]
    return _core.Loader(files, planes, range(1, len(files) + 1), shape, dtype, **options)


def threads_of_process():
    return len(os.listdir("/proc/self/task"))


@pytest.mark.parametrize("slots", [1, 2, 5, 30])
@pytest.mark.parametrize("workers", [1, 2, 3, 4])
def test_fields_come_in_order(screen, workers, slots):
    paths, pixels = screen
    loader = plain_loader(paths, SHAPE, "uint16", workers=workers, slots=slots)
    for epoch in range(3):
        order = np.random.default_rng(epoch).permutation(FIELDS)
        fields = read_pass(loader, order, epoch=epoch)
        assert fields.dtype == np.uint16 and np.array_equal(fields, pixels[order])


def test_order_may_repeat_and_leave_out(screen):
    paths, pixels = screen
    loader = plain_loader(paths, SHAPE, "uint16", workers=2, slots=3)
    order = [3, 3, 0, 8, 3]
    assert np.array_equal(read_pass(loader, order), pixels[order])
    assert read_pass(loader, []).size == 0


def test_several_fields_are_held_at_once(screen):
    """Fields of one batch stay untouched until they are released."""
    paths, pixels = screen
    loader = plain_loader(paths, SHAPE, "uint16", workers=3, slots=4)
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
    bits = sum(1 << row for row, name in enumerate(_core.augment_names()) if name != "turn")
    results = []
    for workers in (1, 4):
        loader = plain_loader(paths, SHAPE, "uint16", workers=workers, slots=4)
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
        field = read_pass(plain_loader([[str(tmp_path / "a.tif")]], (1, 2, 3), dtype), [0])[0]
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
    loader = plain_loader(paths, SHAPE, "uint16", workers=workers, slots=3)
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
    loader = plain_loader(paths, SHAPE, "uint16", workers=3, slots=4)
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
        loader = plain_loader(paths, SHAPE, "uint16", workers=4, slots=2)
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
    loader = plain_loader(paths, SHAPE, "uint16")
    loader.start(np.arange(3), 0, 0, 0)
    field = loader.next()
    del loader
    gc.collect()
    assert np.array_equal(field, pixels[0])


def test_senseless_calls_are_refused(screen):
    paths, _ = screen
    for shape, dtype in [((5, 12, 17), "uint16"), ((2, 0, 17), "uint16"), (SHAPE, "int64"),
                         ((2, 1 << 40, 1 << 40), "uint16")]:
        with pytest.raises((ValueError, TypeError)):
            plain_loader(paths, shape, dtype)
    for options in ({"workers": 0}, {"slots": 0}):
        with pytest.raises(ValueError):
            plain_loader(paths, SHAPE, "uint16", **options)
    loader = plain_loader(paths, SHAPE, "uint16")
    for order in ([FIELDS], [-1]):
        with pytest.raises(ValueError):
            loader.start(np.array(order), 0, 0, 0)
    with pytest.raises(ValueError):
        loader.next()
    loader = plain_loader(paths, SHAPE, "uint16", slots=1)
    loader.start(np.arange(2), 0, 0, 0)
    with pytest.raises(ValueError):
        loader.release(1)  # nothing was handed out yet
    loader.next()
    with pytest.raises(ValueError, match="release"):
        loader.next()  # the only slot is in use
    assert len(read_pass(loader, [0, 1])) == 2
    with pytest.raises(ValueError):
        loader.next()  # the pass is over


# ---- planes, stacks, bins ------------------------------------------------------------------------


def stack_file(path, seed, shape=(5, 12, 17), dtype="uint16", **words):
    """A file of pages, and its pixels."""
    top = {"uint8": 256, "uint16": 65536, "float32": 1000}[dtype]
    pixels = np.random.default_rng(seed).integers(0, top, shape).astype(dtype)
    tifffile.imwrite(path, pixels, **words)
    return str(path), pixels


def slow_bin(plane, n):
    """Means of n x n, whole numbers rounded with halves up."""
    h, w = (side // n for side in plane.shape)
    blocks = plane[: h * n, : w * n].astype(np.float64).reshape(h, n, w, n)
    mean = blocks.mean((1, 3))
    return (np.floor(mean + 0.5) if plane.dtype.kind == "u" else mean).astype(plane.dtype)


def slow_z(name, stack):
    if name == "max":
        return stack.max(axis=0)
    mean = stack.astype(np.float64).mean(axis=0)
    return (np.floor(mean + 0.5) if stack.dtype.kind == "u" else mean).astype(stack.dtype)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_stacks_and_bins_are_those_of_the_twin(tmp_path, dtype):
    """Channel 0: all pages of a file; channel 1: a page each of two files; for every projection
    and several bins, and the functions for arrays give the same."""
    a, deep = stack_file(tmp_path / "a.tif", 1, dtype=dtype)
    b, other = stack_file(tmp_path / "b.tif", 2, dtype=dtype)
    planes = [[0, page, 0] for page in range(5)] + [[1, 3, 0], [0, 1, 0]]
    for z in _core.z_names():
        expected = [slow_z(z, deep), slow_z(z, np.stack([other[3], deep[1]]))]
        assert np.allclose(_core.z(z, deep), expected[0], rtol=1e-6)
        for n in (1, 2, 3, 5, 12):
            loader = _core.Loader([a, b], planes, [5, 7], (2, 12, 17), dtype, z, n)
            field = read_pass(loader, [0])[0]
            assert field.shape == (2, 12 // n, 17 // n) and field.dtype == dtype
            for plane, whole in zip(field, expected):
                assert np.allclose(plane, slow_bin(whole, n), rtol=1e-6)
                assert np.array_equal(_core.bin(whole, n), plane) or dtype == "float32"


def test_samples_and_pages_of_one_file(tmp_path):
    """Any of several channels of a file, in any order, from samples of a pixel or from pages."""
    pixels = np.random.default_rng(0).integers(0, 65536, (3, 12, 17)).astype(np.uint16)
    tifffile.imwrite(tmp_path / "rgb.tif", np.moveaxis(pixels, 0, -1), photometric="rgb")
    pages, deep = stack_file(tmp_path / "pages.tif", 3)
    files = [str(tmp_path / "rgb.tif"), pages]
    planes = [[0, 0, 2], [1, 4, 0], [0, 0, 0], [1, 0, 0], [0, 0, 1], [0, 0, 1]]
    loader = _core.Loader(files, planes, [1, 2, 3, 4, 5, 6], (3, 12, 17), "uint16")
    fields = read_pass(loader, [0, 1, 0])
    assert np.array_equal(fields[0], [pixels[2], deep[4], pixels[0]])
    assert np.array_equal(fields[1], [deep[0], pixels[1], pixels[1]])
    assert np.array_equal(fields[2], fields[0])


@pytest.mark.parametrize(("planes", "ends", "options", "words"), [
    ([[0, 5, 0]], [1], {}, "5 pages.*no page 5"), ([[0, 0, 1]], [1], {}, "1 samples.*no sample 1"),
    ([[0, 0, -1]], [1], {}, "no sample -1"), ([[0, 0, 0], [0, 1, 0]], [2], {}, "one of 2 planes")])
def test_planes_that_are_not_there(tmp_path, planes, ends, options, words):
    path, _ = stack_file(tmp_path / "a.tif", 1)
    loader = _core.Loader([path], planes, ends, (1, 12, 17), "uint16", **options)
    loader.start([0])
    with pytest.raises(ValueError, match=words):
        loader.next()


@pytest.mark.parametrize("sample", [3, 40, 1 << 60, -1, -(1 << 60)])
@pytest.mark.parametrize("photometric", ["rgb", "minisblack"])
def test_every_sample_of_a_page_is_looked_for(tmp_path, photometric, sample):
    """Of a page of three that is decoded already, and of one whose size has room for more."""
    files = [str(tmp_path / name) for name in ("five.tif", "three.tif")]
    for path, n in zip(files, (5, 3)):
        tifffile.imwrite(path, np.full((12, 17, n), n, np.uint8), photometric=photometric,
                         planarconfig="contig", extrasamples=["unspecified"] * (
                             n - (3 if photometric == "rgb" else 1)))
    loader = _core.Loader(files, [[0, 0, 4], [1, 0, 2], [1, 0, 0], [1, 0, sample]], [1, 2, 3, 4],
                          (2, 12, 17), "uint8", workers=1)
    loader.start([0, 1])
    assert loader.next()[:, 0, 0].tolist() == [5, 3]
    with pytest.raises(ValueError, match=rf"three.tif has 3 samples .*no sample {sample}"):
        loader.next()


def test_a_file_that_lost_samples_since_the_survey_is_refused(tmp_path):
    path = str(tmp_path / "a.tif")
    tifffile.imwrite(path, np.full((12, 17, 3), 7, np.uint8), photometric="rgb")
    planes = [[0, 0, 0], [0, 0, 1], [0, 0, 2]]
    loader = _core.Loader([path], planes, [1, 2, 3], (3, 12, 17), "uint8", workers=1)
    assert np.all(read_pass(loader, [0]) == 7)
    tifffile.imwrite(path, np.full((12, 17, 2), 7, np.uint8), photometric="minisblack",
                     planarconfig="contig", extrasamples=["unspecified"])
    loader.start([0])
    with pytest.raises(ValueError, match="2 samples .*no sample 2"):
        loader.next()


@pytest.mark.parametrize(("planes", "ends", "options"), [
    ([[1, 0, 0]], [1], {}), ([[-1, 0, 0]], [1], {}), ([[0, 0, 0]], [0], {}),
    ([[0, 0, 0]], [2], {}), ([[0, 0]], [1], {}), ([], [0], {}), ([[0, 0, 0]], [1], {"bin": 13}),
    ([[0, 0, 0]], [1], {"bin": 0}), ([[0, 0, 0]], [1], {"bin": 65}),
    ([[0, 0, 0]], [1], {"z": "median"})])
def test_senseless_planes_are_refused(tmp_path, planes, ends, options):
    path, _ = stack_file(tmp_path / "a.tif", 1)
    with pytest.raises(ValueError):
        _core.Loader([path], np.array(planes, np.int64).reshape(len(planes), -1), ends,
                     (1, 12, 17), "uint16", **options)


def test_senseless_arrays_are_refused():
    plane = np.zeros((4, 4), np.uint16)
    for n in (0, 65, -1):
        with pytest.raises(ValueError):
            _core.bin(plane, n)
    for stack in (plane, plane.astype(np.int64)[None], plane[None][:0]):
        with pytest.raises(ValueError):
            _core.z("max", stack)
    with pytest.raises(ValueError, match="no projection 'sum'"):
        _core.z("sum", plane[None])
    for plane in (np.zeros((0, 3), np.uint8), np.zeros((3, 3)), np.zeros(3, np.uint8)):
        with pytest.raises(ValueError):
            _core.measure(plane)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_arrays_of_any_order_and_stride_are_read_alike(dtype):
    """Of the other byte order, in Fortran's order, strided, unaligned, read-only."""
    field = np.random.default_rng(0).integers(0, 200, (3, 24, 32)).astype(dtype)
    unaligned = np.frombuffer(b"x" + field.tobytes(), field.dtype, offset=1).reshape(field.shape)
    scale, offset = np.float32([0.1, 0.2, 0.3]), np.float32([1, 2, 3])
    net = _core.Net("f: input channels=3 height=24 width=32\nz: dense units=2")
    net.initialise(0)

    def answers(field):
        return (*_core.measure(field[0]).values(), _core.bin(field[1], 2).tobytes(),
                _core.z("max", field).tobytes(), _core.z("mean", field).tobytes(),
                _core.numbers(field).tobytes(), net.predict([field], scale, offset)[0].tobytes())

    for other in (field.astype(field.dtype.newbyteorder()), np.asfortranarray(field),
                  np.repeat(field, 2, axis=2)[:, :, ::2], field[::-1, ::-1].copy()[::-1, ::-1],
                  unaligned, field.astype(field.dtype.newbyteorder(), order="F")):
        assert answers(other) == answers(field)
    swapped = field.astype(field.dtype.newbyteorder())
    if dtype != "uint8":
        with pytest.raises(ValueError, match="augment needs"):
            _core.augment(swapped, 1, 0, 0, 0)  # in place


# ---- measures ------------------------------------------------------------------------------------


def slow_detail(plane):
    """Mean variance within 2x2, halving by means, octave after octave."""
    found, level = [], plane.astype(np.float64)
    while min(level.shape) > 1 and len(found) < 5:
        h, w = (side // 2 for side in level.shape)
        blocks = level[: 2 * h, : 2 * w].reshape(h, 2, w, 2)
        found.append(blocks.var(axis=(1, 3)).mean())
        level = blocks.mean((1, 3))
    return found


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (2, 2), (37, 61), (128, 96)])
def test_measures_are_those_of_the_twin(dtype, shape):
    top = {"uint8": 200, "uint16": 4096, "float32": 5}[dtype]
    plane = np.random.default_rng(0).integers(0, top, shape).astype(dtype)
    found = _core.measure(plane)
    assert (found["min"], found["max"]) == (plane.min(), plane.max())
    assert found["at_max"] == (plane == plane.max()).sum()
    assert np.isclose(found["mean"], plane.mean(dtype=float))
    assert found["bits"] == (0 if dtype == "float32" else np.bitwise_or.reduce(plane, axis=None))
    assert np.allclose(found["detail"], slow_detail(plane), rtol=1e-5)
