# SPDX-License-Identifier: BSD-3-Clause
"""Damage that a format can show is never read as pixels; what a disk does not give is no damage."""

import errno
import itertools
import os
import shutil
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
import tifffile

import phenoscale
from phenoscale import _core
from phenoscale._core import ImageError, UnsupportedImage
from tiffs import DTYPES, LAYOUTS, assert_same, noise, retag, write

pytestmark = pytest.mark.usefixtures("quiet")

#: kinds of Deflate: of types, predictors, layouts, orders of bytes
KINDS = list(itertools.product([*DTYPES, "float64"], [0, 1], LAYOUTS.values(), "<>"))


def rewrite(path, content):
    os.unlink(path)
    with open(path, "wb") as file:
        file.write(content)


def test_one_bit_within_deflate(path, amount):
    """Wherever it is: an error, or the same pixels; the decoder alone passes one in nine."""
    random, outcomes = np.random.default_rng(3), {"same": 0, "other": 0, "error": 0}
    for dtype, predictor, layout, order in KINDS:
        pixels = noise("float32").astype(dtype) if dtype[0] == "f" else noise(dtype)
        write(path, pixels, "zlib", predictor=bool(predictor), byteorder=order, **layout)
        with tifffile.TiffFile(path) as file:
            spans = list(zip(file.pages[0].dataoffsets, file.pages[0].databytecounts))
        whole = Path(path).read_bytes()
        assert_same(phenoscale.read_image(path), pixels[None])
        for _ in range(amount(21, 2000)):
            mutant = bytearray(whole)
            at, n = spans[random.integers(len(spans))]
            mutant[at + random.integers(n)] ^= 1 << random.integers(8)
            rewrite(path, mutant)
            try:
                is_same = np.array_equal(phenoscale.read_image(path)[0], pixels)
                outcomes["same" if is_same else "other"] += 1
            except ImageError as error:
                outcomes["error"] += 1
                assert "damaged" in str(error)
    assert outcomes["other"] == 0 and outcomes["error"] > 900, outcomes


def strip(content, width=8, height=4, **tags):
    """A TIFF of 8 bits whose one strip of Deflate is `content`."""
    entries = {256: (4, width), 257: (4, height), 258: (3, 8), 259: (3, 8), 262: (3, 1),
               273: (4, 200), 277: (3, 1), 278: (4, height), 279: (4, len(content)),
               **{int(tag[1:]): (3, value) for tag, value in tags.items()}}
    head = struct.pack("<2sHIH", b"II", 42, 8, len(entries)) + b"".join(
        struct.pack("<HHII", tag, kind, 1, value) for tag, (kind, value) in sorted(
            entries.items())) + bytes(4)
    return head.ljust(200, b"\0") + content


def test_streams_of_unusual_writers(path):
    """Bytes behind the stream, rows that nobody wants, mirrored bits: read, and still checked."""
    counts = np.arange(64, dtype=np.uint8).reshape(8, 8)
    mirrored = bytes(int(f"{byte:08b}"[::-1], 2) for byte in zlib.compress(counts.tobytes()))
    for content, tags in ((zlib.compress(counts.tobytes()) + b"\0\0\0", {}),
                          (zlib.compress(counts.tobytes()), {}),
                          (zlib.compress(counts[:4].tobytes(), 0), {}), (mirrored, {"t266": 2})):
        Path(path).write_bytes(strip(content, **tags))
        assert_same(phenoscale.read_image(path), counts[None, :4])
    for content in (zlib.compress(counts.tobytes())[:-4], zlib.compress(counts.tobytes())[:-4]
                    + b"none", zlib.compress(bytes(1 << 20))):
        rewrite(path, strip(content))
        with pytest.raises(ImageError, match="A01.tif: strip 0 is damaged"):
            phenoscale.read_image(path)


def test_a_last_strip_that_is_filled_up(path):
    """To the rows of the others, as some writers do: far more than are wanted."""
    counts = np.random.default_rng(0).integers(0, 255, (1024, 900), dtype=np.uint8)
    tifffile.imwrite(path, counts, compression="zlib", rowsperstrip=512)
    retag(path, 257, 520)
    assert_same(phenoscale.read_image(path), counts[None, :520])


def test_a_palette_that_is_missing_or_short(path):
    """Refused, where libtiff takes the indices for gray."""
    ramp = np.array([np.arange(256) * 257] * 3, "uint16")
    for order in "<>":
        write(path, noise("uint8"), photometric="palette", colormap=ramp, byteorder=order)
        whole = Path(path).read_bytes()
        entry = struct.pack(f"{order}HHI", 320, 3, 768)
        assert phenoscale.read_image(path).shape == (1, 43, 61)
        for other in (struct.pack(f"{order}HHI", 65000, 3, 768),
                      struct.pack(f"{order}HHI", 320, 3, 300)):
            rewrite(path, whole.replace(entry, other))
            for function in (phenoscale.read_image, _core.image_info):
                with pytest.raises(ImageError, match="A01.tif: .*palette is missing, or too short"):
                    function(path)
    with tifffile.TiffFile(path) as file:
        assert file.pages[0].photometric == 3


@pytest.mark.parametrize(("code", "words"), [
    (3e38, "larger than any count .up to 3e.38"), (-3e38, "larger than any count .up to -3e.38"),
    (1e20, "larger than any count"), (2.0**31, "around 2.14748e.09, all others at most 500"),
    (-9999, "-9999, all others from 0 to 500")])
@pytest.mark.parametrize("n", [1, 1500])
def test_codes_for_missing_pixels(path, code, words, n):
    """Refused in a loader, in an array and in words that say how many."""
    pixels = np.linspace(100, 500, 43 * 61, dtype=np.float32)
    pixels[-n - 1:-1] = code
    pixels = pixels.reshape(43, 61)
    write(path, pixels)
    assert_same(phenoscale.read_image(path), pixels[None])  # as the file has them
    loader = _core.Loader([path], [[0, 0, 0]], [1], (1, 43, 61), np.float32)
    loader.start([0])
    with pytest.raises(ImageError, match=f"A01.tif: {n} of its 2623 pixels are .*{words}"):
        loader.next()
    with pytest.raises(ImageError, match=f"^{n} of its 2623 pixels are .*{words}"):
        _core.check_floats(pixels)


def test_floats_that_are_no_codes():
    """Hot pixels, a background taken away, masks, a field of one number, large sums."""
    plain = np.random.default_rng(0).normal(300, 20, (43, 61)).astype(np.float32)
    hot, minus, few, sums = plain.copy(), plain - 300, plain - 300, plain * 1e6
    hot[3, 3:9] = 65535
    few[4, 4] = -5000
    for field in (plain, hot, minus, few, sums, plain > 300, np.zeros_like(plain),
                  np.full_like(plain, 1e9), np.where(plain > 300, 1e5, 0)):
        _core.check_floats(field.astype(np.float32))


def test_other_kinds_of_pictures_stay_refused(path):
    write(path, noise("uint8"))
    retag(path, 262, 32803)
    with pytest.raises(UnsupportedImage, match="colour space 32803"):
        phenoscale.read_image(path)


# ---- disks that fail -----------------------------------------------------------------------------

READ = """
import sys, zlib
import phenoscale
try:
    print(zlib.crc32(phenoscale.read_image(sys.argv[1]).tobytes()))
except Exception as error:
    print(type(error).__name__, error)
"""


@pytest.fixture(scope="module")
def fail_read(tmp_path_factory):
    """A function that reads an image in a process of its own, whose reads fail: its output."""
    if not shutil.which("gcc"):
        pytest.skip("needs gcc")
    target = tmp_path_factory.mktemp("io") / "fail_read.so"
    source = Path(__file__).parents[1] / "c/fail_read.c"
    subprocess.run(["gcc", "-shared", "-fPIC", "-O1", source, "-o", target, "-ldl"], check=True)

    def read(path, how, times, after=0):
        environment = {**os.environ, "LD_PRELOAD": str(target), "FAIL_HOW": str(how),
                       "FAIL_TIMES": str(times), "FAIL_AFTER": str(after)}
        return subprocess.run([sys.executable, "-c", READ, path], env=environment, text=True,
                              capture_output=True, check=True).stdout.strip()

    return read


@pytest.mark.parametrize(("name", "how"), [("ailing.tif", errno.EIO), ("ailing.png", errno.EIO),
                                           ("ailing.tif", errno.ESTALE)])
def test_a_disk_that_fails(fail_read, tmp_path, name, how):
    """For a moment: the pixels. On and on: an error of the disk that says which; never damage."""
    target, pixels = tmp_path / name, noise("uint8")
    if name.endswith("png"):
        pytest.importorskip("imagecodecs")
        pytest.importorskip("PIL.Image").fromarray(pixels).save(target)
    else:
        write(target, pixels, "zlib")
    good = str(zlib.crc32(pixels.tobytes()))
    for after in (0, 5):
        assert fail_read(target, how, 2, after) == good
        said = fail_read(target, how, 1000, after)
        assert said.startswith("OSError ")
        assert f"{name}: cannot be read from its disk: {os.strerror(how)}; " in said
        assert "damage" not in said
    assert fail_read(target, errno.EINTR, 50) == good


OUTAGE = """
import os, sys
from phenoscale import _core
for after in range(120):
    if not os.fork():
        os.environ["FAIL_AFTER"] = str(after)
        try:
            about = _core.image_info(sys.argv[1])
            os.write(1, f"{about['pages']} {about.get('reduced')}\\n".encode())
        except OSError:
            os.write(1, b"OSError\\n")
        os._exit(0)
for after in range(120):
    os.wait()
"""


def test_a_disk_that_fails_for_longer_than_is_waited(fail_read, tmp_path, monkeypatch):
    """At any read of its list of pages: an error, never fewer pages, or some for copies."""
    target = tmp_path / "ailing.tif"
    tifffile.imwrite(target, np.stack([noise("uint8")] * 3), photometric="minisblack")
    monkeypatch.setitem(globals(), "READ", OUTAGE)
    said = fail_read(target, errno.EIO, 4).splitlines()
    assert len(said) == 120 and set(said) == {"OSError", "3 ()"}


def test_a_file_cut_while_it_is_read(fail_read, tmp_path):
    write(tmp_path / "ailing.tif", noise("uint8"), "zlib")
    assert "ailing.tif: has lost its end while it was read; wait" in fail_read(
        tmp_path / "ailing.tif", "cut", 1000, 4)
