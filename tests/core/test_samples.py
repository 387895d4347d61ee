# SPDX-License-Identifier: BSD-3-Clause
"""Samples of every width and format: tifffile's numbers, and float32 of them in a loader."""

import itertools

import numpy as np
import pytest
import tifffile

import phenoscale
from phenoscale import _core
from phenoscale._core import ImageError
from tiffs import LAYOUTS, assert_same, planes, retag, write

pytestmark = pytest.mark.usefixtures("quiet")


EDGES = {"int8": [-128, 127], "int16": [-32768, 32767], "int32": [-2**31, 2**31 - 1],
         "int64": [-2**63, 2**63 - 1], "uint32": [0, 2**32 - 1], "uint64": [0, 2**64 - 1],
         "float16": [-65504, 6e-8], "float64": [-1e-300, 3e38]}


@pytest.mark.parametrize("dtype", EDGES)
def test_types_beyond_the_three(path, dtype):
    """As they are in read_image; as float32, rounded once where it must be, in a loader, which
    takes no edge that lies alone for a count."""
    pixels = (np.random.default_rng(0).normal(0, 40, (43, 61))).astype(dtype)
    is_alone = dtype.endswith(("32", "64"))
    pixels[0, :2] = EDGES[dtype]
    for layout, order in itertools.product(LAYOUTS.values(), "<>"):
        write(path, pixels, byteorder=order, **layout)
        assert_same(phenoscale.read_image(path), pixels[None])
        about = _core.image_info(path)
        assert (about["dtype"], about["native"]) == ("float32", dtype)
        loader = _core.Loader([path], [[0, 0, 0]], [1], (1, 43, 61), np.float32)
        loader.start([0])
        if is_alone:
            with pytest.raises(ImageError, match="A01.tif: .* pixels are .*replace them by numb"):
                loader.next()
            middle = np.clip(pixels, 0, 100)
            write(path, middle, byteorder=order, **layout)
            loader.release(1)
            loader.start([0])
            assert_same(loader.next(), middle[None].astype(np.float32))
        else:
            assert_same(loader.next(), pixels[None].astype(np.float32))
        rgb = np.stack([pixels, pixels[::-1], -pixels if dtype[0] != "u" else pixels])
        write(path, np.moveaxis(rgb, 0, -1), photometric="rgb", byteorder=order, **layout)
        assert_same(phenoscale.read_image(path), rgb)


@pytest.mark.parametrize("bits", [1, 2, 3, 4, 5, 6, 7, 9, 10, 11, 12, 13, 14, 15, 24])
def test_packed_bits(path, bits):
    """Rows of whole bytes, the highest bit first."""
    rng = np.random.default_rng(bits)
    for samples, order in itertools.product([1, 3], "<>"):
        counts = rng.integers(0, 2**bits, (9, 7 * samples))
        digits = (counts[..., None] >> np.arange(bits - 1, -1, -1)) & 1
        packed = np.packbits(digits.reshape(9, -1).astype(bool), axis=1).tobytes()
        write(path, np.zeros((9, 7) + (3,) * (samples == 3), "uint16"), byteorder=order,
              photometric="rgb" if samples == 3 else "minisblack")
        with tifffile.TiffFile(path) as file:
            at = file.pages[0].dataoffsets[0]
        with open(path, "r+b") as file:
            file.seek(at)
            file.write(packed)
            file.truncate(max(at + 9 * 7 * samples * 2, at + len(packed)))
        retag(path, 258, (bits,) * samples if samples == 3 else bits)
        retag(path, 279, len(packed))
        read = phenoscale.read_image(path)
        dtype = "uint8" if bits < 8 else "uint16" if bits < 16 else "uint32"
        assert_same(read, np.moveaxis(counts.reshape(9, 7, samples), -1, 0).astype(dtype))
        with tifffile.TiffFile(path) as file:  # which takes these 24 bits for 32
            assert (bits, order) == (24, ">") or np.array_equal(read, planes(file.pages[0]))
