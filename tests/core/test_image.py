# SPDX-License-Identifier: BSD-3-Clause
"""The TIFF reader: the same pixels as tifffile's, or an error that says why not."""

import itertools
import json
import os
import resource
import struct
import time

import numpy as np
import pytest
import tifffile

import phenoscale
from phenoscale import _core
from phenoscale._core import ImageError, UnsupportedImage
from tiffs import DTYPES, LAYOUTS, LOSSLESS, assert_same, noise, planes, retag, write

pytestmark = pytest.mark.usefixtures("quiet")

# ---- legal files ------------------------------------------------------------------------------


@pytest.mark.parametrize("codec", LOSSLESS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_lossless_kinds(path, dtype, codec):
    for layout, order, is_big, predictor in itertools.product(LAYOUTS, "<>", [0, 1], [0, 1]):
        if predictor and codec in (None, "packbits"):
            continue
        pixels = noise(dtype)
        write(path, pixels, codec, byteorder=order, bigtiff=bool(is_big),
              predictor=bool(predictor), **LAYOUTS[layout])
        assert_same(phenoscale.read_image(path), pixels[None])
        about = _core.image_info(path)
        assert json.loads(about.pop("description")) == {"shape": [43, 61]}
        assert about == {"pages": 1, "samples": 1, "height": 43, "width": 61, "dtype": dtype,
                         "native": dtype, "is_min_white": False}


@pytest.mark.parametrize("codec", LOSSLESS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_samples(path, dtype, codec):
    for samples, layout, order in itertools.product([2, 3, 4, 16], LAYOUTS, "<>"):
        pixels = noise(dtype, (samples, 43, 61))
        words = {"photometric": "rgb" if samples == 3 else "minisblack", "byteorder": order}
        write(path, pixels, codec, planarconfig="separate", **words, **LAYOUTS[layout])
        assert_same(phenoscale.read_image(path), pixels)
        write(path, np.moveaxis(pixels, 0, -1), codec, planarconfig="contig",
              predictor=codec == "zlib", **words, **LAYOUTS[layout])
        assert_same(phenoscale.read_image(path), pixels)


@pytest.mark.parametrize("shape", [(1, 1), (1, 77), (77, 1), (7, 7), (16, 32), (17, 33)])
def test_small_and_uneven_shapes(path, shape):
    for layout, dtype in itertools.product(LAYOUTS.values(), DTYPES):
        pixels = noise(dtype, shape)
        write(path, pixels, **layout)
        assert_same(phenoscale.read_image(path), pixels[None])


def test_pages(path):
    stack = noise("uint16", (5, 20, 30))
    for words in ({}, {"bigtiff": True}, {"byteorder": ">"}, {"metadata": None}, {"ome": True},
                  {"imagej": True}):
        write(path, stack, **words)
        assert _core.image_info(path)["pages"] == 5
        for page in range(5):
            assert_same(phenoscale.read_image(path, page=page), stack[page][None])
        for page in (-1, 5, 10**12):
            with pytest.raises(ValueError, match=f"5 pages.*no page {page}"):
                phenoscale.read_image(path, page=page)


def test_pages_of_different_kinds(path):
    pages = [noise("uint8", (9, 8)), noise("float32", (3, 4)), noise("uint16", (11, 2))]
    with tifffile.TiffWriter(path) as file:
        for page in pages:
            file.write(page, photometric="minisblack", metadata=None)
    for number, page in enumerate(pages):
        assert_same(phenoscale.read_image(path, page=number), page[None])
        assert _core.image_info(path, page=number)["dtype"] == page.dtype.name


@pytest.mark.parametrize("samples", [1, 3])
def test_jpeg(path, samples):
    pytest.importorskip("imagecodecs")
    pixels = noise("uint8", (48, 64, samples)).squeeze()
    for layout in LAYOUTS.values():
        layout = {"rowsperstrip": 16} if "rowsperstrip" in layout else layout
        write(path, pixels, "jpeg", photometric="rgb" if samples == 3 else "minisblack", **layout)
        with tifffile.TiffFile(path) as file:
            expected = planes(file.pages[0]).astype(int)
        read = phenoscale.read_image(path)
        assert read.shape == (samples, 48, 64) and read.dtype == np.uint8
        assert np.abs(read - expected).max() <= 2  # another libjpeg may round another way


def test_min_is_white_and_orientation_change_no_count(path):
    pixels = noise("uint16")
    write(path, pixels, photometric="miniswhite", extratags=[(274, "H", 1, 6, True)])
    assert_same(phenoscale.read_image(path), pixels[None])
    assert _core.image_info(path)["is_min_white"] is True


RAMP = np.arange(256)
GRAY_MAPS = {"x257": (RAMP * 257, RAMP), "x256": (RAMP * 256, RAMP), "8-bit": (RAMP, RAMP),
             "inverted": (65535 - RAMP * 257, 255 - RAMP), "half": (RAMP * 128, RAMP // 2)}


@pytest.mark.parametrize("name", GRAY_MAPS)
def test_linear_gray_palette(path, name):
    entries, gray = GRAY_MAPS[name]
    indices = noise("uint8")
    write(path, indices, photometric="palette", colormap=np.array([entries] * 3, "uint16"))
    assert_same(phenoscale.read_image(path), gray[indices].astype("uint8")[None])


def test_other_palettes_are_refused(path):
    bent, colour = RAMP * 257, np.array([RAMP * 257] * 3)
    bent[128:] = 65535
    colour[1] = colour[1][::-1]
    for entries in (np.array([bent] * 3), colour, np.full((3, 256), 777)):
        write(path, noise("uint8"), photometric="palette", colormap=entries.astype("uint16"))
        with pytest.raises(UnsupportedImage, match="A01.tif: .*palette.*save it as 8-bit gray"):
            phenoscale.read_image(path)


# ---- legal files that are not read, and the limits --------------------------------------------


def test_complex_numbers_are_refused(path):
    write(path, np.ones((8, 8), "complex64"))
    with pytest.raises(UnsupportedImage, match="well A01.tif: samples of 64 bits, complex.*save"):
        phenoscale.read_image(path)


def test_other_codecs_and_colours_are_refused(path):
    write(path, noise("uint8"))
    for codec in (2, 3, 4, 6, 32809, 32909, 34661, 34676, 34712, 34887, 34925, 50001, 65000):
        retag(path, 259, codec)
        with pytest.raises(ImageError, match="well A01.tif: "):
            phenoscale.read_image(path)
    for photometric in ("separated", "cielab"):
        write(path, noise("uint8", (20, 20, 4)), photometric=photometric, planarconfig="contig")
        with pytest.raises(UnsupportedImage, match="colour space .* is not read"):
            phenoscale.read_image(path)


def test_a_predictor_without_compression_is_refused(path):
    """Readers differ on whether it counts."""
    entries = [(256, 4, 2), (257, 4, 2), (258, 3, 8), (259, 3, 1), (262, 3, 1), (273, 4, 134),
               (277, 3, 1), (278, 4, 2), (279, 4, 4), (317, 3, 2)]
    with open(path, "wb") as file:
        file.write(struct.pack("<2sHIH", b"II", 42, 8, len(entries)) + b"".join(
            struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in entries)
            + bytes(4) + b"1234")
    with pytest.raises(UnsupportedImage, match="A01.tif: .*predictor.*save it"):
        phenoscale.read_image(path)


def test_limits_are_checked_before_decoding(path):
    write(path, noise("uint8", (4, 5, 17)), planarconfig="contig")
    with pytest.raises(ImageError, match="17 samples a pixel"):
        phenoscale.read_image(path)
    for shape in ((2**20, 171), (60000, 60000), (2**32 - 1, 2**32 - 1)):
        write(path, noise("uint8"), "zlib")
        retag(path, 257, shape[0])
        retag(path, 256, shape[1])
        start = time.thread_time()
        with pytest.raises(ImageError, match="pixels|makes no sense"):
            phenoscale.read_image(path)
        assert time.thread_time() - start < 0.1


def test_blank_fields_are_no_bombs(path):
    """A black 1024x1280 field shrinks to almost nothing, but not by more than the limit."""
    for codec in LOSSLESS:
        write(path, np.zeros((1024, 1280), "uint16"), codec)
        assert not phenoscale.read_image(path).any()


def test_bombs_are_refused(path):
    """A small file that claims much: no byte is decoded."""
    for codec, times in (("zstd", 64), ("zlib", 1100)):
        write(path, np.zeros((20000, 2000), "uint8"), codec, rowsperstrip=20000)
        if codec == "zlib":  # its own limit is about 1,032: a claim that no file can keep
            retag(path, 257, 60000)
            retag(path, 278, 60000)
        start = time.thread_time()
        with pytest.raises(ImageError, match=f"claims .* bytes of pixels, more than {times} times"):
            phenoscale.read_image(path)
        assert time.thread_time() - start < 0.1


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_numbers_that_are_none(path, bad):
    pixels = noise("float32")
    pixels[3, 4] = pixels[40, 60] = bad
    write(path, pixels)
    with pytest.raises(ImageError, match="well A01.tif: 2 of its 2623 pixels are NaN or infinite"):
        phenoscale.read_image(path)


# ---- damaged files, and files that are no TIFF ---------------------------------------------------


@pytest.mark.parametrize("codec", [*LOSSLESS, "jpeg"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_short_strip_is_an_error(path, codec, layout):
    words = {"rowsperstrip": 16} if layout == "strips" else LAYOUTS[layout]
    for dtype in DTYPES if codec != "jpeg" else ["uint8"]:
        write(path, noise(dtype, (48, 64)), codec, **words)
        with tifffile.TiffFile(path) as file:
            counts = list(file.pages[0].databytecounts)
        tag = 325 if layout == "tiles" else 279
        for short in (counts[-1] // 2, 0):
            retag(path, tag, (*counts[:-1], short) if len(counts) > 1 else short)
            if codec is None and layout != "tiles":  # its rows say how long it is
                assert_same(phenoscale.read_image(path), noise(dtype, (48, 64))[None])
                continue
            with pytest.raises(ImageError, match="well A01.tif: .*; "):
                phenoscale.read_image(path)


@pytest.mark.parametrize("codec", [*LOSSLESS, "jpeg"])
def test_a_file_cut_off_is_an_error(path, codec):
    write(path, noise("uint8"), codec, rowsperstrip=16)
    with open(path, "rb") as file:
        content = file.read()
    for length in range(0, len(content) - 1, 97):
        os.unlink(path)
        with open(path, "wb") as file:
            file.write(content[:length])
        with pytest.raises(ImageError, match="well A01.tif: "):
            phenoscale.read_image(path)


@pytest.mark.parametrize(("content", "words"), [
    (b"", "is empty"), (b"Well,Site\nA01,1\n", "not a TIFF file; convert it"),
    (b"\x89PNG\r\n\x1a\n" + bytes(99), "is a PNG file"), (b"\xff\xd8\xff\xe0", "is a JPEG file"),
    (b"PK\x03\x04", "is a zip archive"), (b"II", "not a TIFF file"), (bytes(4096), "not a TIFF"),
    (b"II*\0\xff\xff\xff\x7f", "cut off before page 0"), (b"II*\0\x04\0\0\0", "page 0 is damaged"),
    (b"MM\0+\0\x08\0\0" + b"\xff" * 8, "cut off before page 0")])
def test_files_that_are_no_tiff(path, content, words):
    with open(path, "wb") as file:
        file.write(content)
    for function in (phenoscale.read_image, _core.image_info):
        with pytest.raises(ImageError, match=f"well A01.tif: .*{words}"):
            function(path)


def test_things_that_are_no_file(tmp_path):
    os.mkfifo(tmp_path / "pipe.tif")
    os.symlink("circle.tif", tmp_path / "circle.tif")
    os.mkdir(tmp_path / "folder.tif")
    start = time.thread_time()
    for name in ("pipe.tif", "circle.tif", "folder.tif", "missing.tif", "/dev/zero", "/dev/tty",
                 "folder.tif/a.tif"):
        with pytest.raises(OSError, match=name):
            phenoscale.read_image(str(tmp_path / name))
    assert time.thread_time() - start < 0.5


def test_a_circle_of_pages(path):
    write(path, noise("uint8", (4, 9, 9)), metadata=None)
    with tifffile.TiffFile(path) as file:
        offsets = [page.offset for page in file.pages]
    for target in offsets:
        with open(path, "r+b") as file:
            file.seek(offsets[3])
            file.seek(offsets[3] + 2 + 12 * int.from_bytes(file.read(2), "little"))
            file.write(target.to_bytes(4, "little"))
        with pytest.raises(ImageError, match="runs in a circle"):
            phenoscale.read_image(path)


def test_any_file_name(tmp_path):
    pixels = noise("uint8")
    for name in ("naïve 細胞 %s%n.tif", "x" * 240 + ".tif", os.fsdecode(b"\xff\xfe.tif")):
        target = str(tmp_path / name)
        tifffile.imwrite(target, pixels)
        assert_same(phenoscale.read_image(target), pixels[None])
        with open(target, "wb") as file:
            file.write(b"no")
        with pytest.raises(ImageError, match="not a TIFF"):
            phenoscale.read_image(target)


# ---- mutants and real collections ----------------------------------------------------------------


def mutants(content, count, random):
    """Copies with a few bytes changed, most of them in the directory at the end or the start."""
    special = [0, 1, 2, 3, 7, 8, 16, 127, 128, 254, 255]
    for _ in range(count):
        mutant = bytearray(content)
        for _ in range(random.integers(1, 5)):
            edge = min(300, len(mutant))
            at = [random.integers(len(mutant)), random.integers(edge),
                  len(mutant) - 1 - random.integers(edge)][random.integers(3)]
            mutant[at] = [mutant[at] ^ 1 << random.integers(8), random.choice(special),
                          random.integers(256)][random.integers(3)]
        yield bytes(mutant[:random.integers(8, len(mutant))] if random.random() < 0.05 else mutant)


def test_mutants(path):
    """Pixels or an ImageError, memory as before, whatever the bytes."""
    random, seeds = np.random.default_rng(1), []
    for dtype, codec, layout in itertools.product(DTYPES, LOSSLESS, LAYOUTS.values()):
        write(path, noise(dtype), codec, predictor=codec == "zlib", **layout)
        with open(path, "rb") as file:
            seeds.append(file.read())
    outcomes, memory = {"pixels": 0, "error": 0}, None
    for seed in seeds:
        for mutant in mutants(seed, 60, random):
            os.unlink(path)
            with open(path, "wb") as file:
                file.write(mutant)
            try:
                phenoscale.read_image(path)
                outcomes["pixels"] += 1
            except ImageError:
                outcomes["error"] += 1
        memory = memory or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert min(outcomes.values()) > 300, outcomes
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory < 64_000  # KiB


def test_planes_behind_one_page(path):
    """MetaMorph's stack: one directory, several planes behind it; one plane is an image."""
    for n in (1, 5):
        times = (33629, 5, n, (0, 1) * n, True)  # a RATIONAL a plane
        tifffile.imwrite(path, noise("uint16"), extratags=[times])
        if n == 1:
            assert_same(phenoscale.read_image(path), noise("uint16")[None])
            continue
        with pytest.raises(UnsupportedImage, match="is a volume in one page; save its planes"):
            phenoscale.read_image(path)


def test_a_directory_without_end(path):
    """150 million entries in a sparse file are not read one by one."""
    with open(path, "wb") as file:
        file.write(struct.pack("<2sHHHQQ", b"II", 43, 8, 0, 16, 150_000_000))
        file.truncate(3_000_000_000)
    begun = time.thread_time()
    with pytest.raises(ImageError, match="the directory of page 0 is damaged"):
        phenoscale.read_image(path)
    assert time.thread_time() - begun < 1


def by_tifffile(file):
    """(pixels, page), or twice None where tifffile cannot read it."""
    try:
        with tifffile.TiffFile(file) as tiff:
            return planes(tiff.pages[0]), tiff.pages[0]
    except Exception:  # noqa: BLE001 - of many kinds
        return None, None


@pytest.mark.parametrize("collection", ["tiff_compat", "tiff_hostile"])
def test_real_files(shared_data, collection):
    """Every file gives pixels or an ImageError at once; pixels are tifffile's."""
    pytest.importorskip("imagecodecs")
    files = sorted(p for p in shared_data(collection).rglob("*")
                   if p.is_file() and p.suffix != ".md")
    n_read = 0
    for file in files:
        start = time.thread_time()
        try:
            read = phenoscale.read_image(str(file))
        except ImageError as error:
            assert file.name in str(error)
            continue
        finally:
            assert time.thread_time() - start < 1, file
        n_read += 1
        expected, page = by_tifffile(file)
        if page is None:
            continue
        if page.compression == 7:
            assert np.abs(read.astype(int) - expected).max() <= 2, file
        elif page.photometric != 3:
            assert np.array_equal(read, expected), file
            assert read.dtype == expected.dtype or expected.dtype == bool, file
    assert n_read >= (170 if collection == "tiff_compat" else 1), n_read
