# SPDX-License-Identifier: BSD-3-Clause
"""TIFFs of every legal kind for the tests of the reader, written and read by tifffile."""

import numpy as np
import pytest
import tifffile

DTYPES = ["uint8", "uint16", "float32"]
LOSSLESS = [None, "lzw", "zlib", "packbits", "zstd"]
LAYOUTS = {"one strip": {}, "strips": {"rowsperstrip": 7}, "tiles": {"tile": (16, 32)}}


def noise(dtype, shape=(43, 61)):
    """Smooth enough to be compressed, all values of the type possible."""
    values = np.random.default_rng(0).normal(0, 9, shape).cumsum(axis=-1) * 50
    if dtype == "float32":
        return values.astype("float32")
    return (values.astype("int64") % np.iinfo(dtype).max).astype(dtype)


def write(path, pixels, codec=None, **words):
    if codec or words.get("predictor"):
        pytest.importorskip("imagecodecs")
    words.setdefault("photometric", "minisblack")
    tifffile.imwrite(path, pixels, compression=codec, **words)


def retag(path, tag, value):
    with tifffile.TiffFile(path, mode="r+") as file:
        file.pages[0].tags[tag].overwrite(value)


def planes(page):
    """What tifffile reads, as (samples, h, w)."""
    pixels = page.asarray()
    if page.samplesperpixel == 1:
        return pixels.reshape(1, *page.shape[-2:])
    return np.moveaxis(pixels, -1, 0) if page.planarconfig == 1 else pixels


def assert_same(read, pixels):
    assert read.dtype == pixels.dtype
    assert read.shape == pixels.shape
    assert np.array_equal(read, pixels)
