# SPDX-License-Identifier: BSD-3-Clause
"""Where the pages and strips of a TIFF lie, whatever it says of their sizes; signed counts."""

import struct

import numpy as np
import pytest
import tifffile

import phenoscale
from phenoscale import _core
from phenoscale._core import ImageError
from tiffs import assert_same, noise, retag, write

pytestmark = pytest.mark.usefixtures("quiet")


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("counts", [None, 0, 4000, 4 * 96 * 64, 2**32 - 16])
def test_wrong_lengths_of_a_plain_strip(path, counts, order):
    """Missing, 0, too short, too large, negative: tifffile's pixels, where they are in the file."""
    pixels = noise("uint16", (48, 64))
    tags = [(256, 4, 64), (257, 4, 48), (258, 3, 16), (259, 3, 1), (262, 3, 1), (273, 4, 8),
            (277, 3, 1), (278, 4, 48), (279, 4, counts)]
    tags = [tag for tag in tags if tag[2] is not None]
    value = {3: f"{order}HHIHH", 4: f"{order}HHII"}
    directory = struct.pack(f"{order}H", len(tags)) + b"".join(
        struct.pack(value[kind], tag, kind, 1, number, *[0] * (kind == 3))
        for tag, kind, number in tags) + bytes(4)
    data = pixels.astype(f"{order}u2").tobytes()
    for short in (0, 512):  # with 512 missing the directory would lie among the pixels
        held = data[:len(data) - short]
        with open(path, "wb") as file:
            file.write(struct.pack(f"{order}2sHI", b"II" if order == "<" else b"MM", 42,
                                   8 + len(held)) + held + directory)
        if short == 0:
            assert_same(phenoscale.read_image(path), pixels[None])
            with tifffile.TiffFile(path) as file:
                assert np.array_equal(file.pages[0].asarray(), pixels)
            continue
        if counts == 4 * 96 * 64:
            continue
        with pytest.raises(ImageError, match="A01.tif: the size of its strips is wrong"):
            phenoscale.read_image(path)


def test_wrong_lengths_of_several_strips(path):
    """Read where they follow each other; refused where the rows of one would be another's."""
    pixels = noise("uint16", (48, 64))
    write(path, pixels, rowsperstrip=16)
    with tifffile.TiffFile(path) as file:
        offsets = list(file.pages[0].dataoffsets)
    retag(path, 279, (2048, 100, 2048))
    assert_same(phenoscale.read_image(path), pixels[None])
    for wrong in ((offsets[0], offsets[1], offsets[1] + 100),
                  (offsets[1], offsets[0], offsets[2]), (8, offsets[1], offsets[2]),
                  (offsets[0], offsets[1], 2**32 - 9)):
        retag(path, 273, wrong)
        with pytest.raises(ImageError, match="A01.tif: .*; "):
            phenoscale.read_image(path)


def test_reduced_pages_are_told(path):
    """Thumbnails, copies of half the size and less, masks; where all say so, none is."""
    with tifffile.TiffWriter(path) as file:
        for shape, kind in (((40, 60), 0), ((20, 30), 0), ((40, 60), 4), ((39, 60), 2),
                            ((21, 30), 0), ((30, 50), 1)):
            plane = noise("uint8", shape) > 9 if kind == 4 else noise("uint8", shape)
            file.write(plane, subfiletype=kind, metadata=None, contiguous=False)
    assert _core.image_info(path)["reduced"] == (1, 2, 5)
    assert phenoscale.read_image(path, page=1).shape == (1, 20, 30)
    write(path, noise("uint8", (3, 9, 9)), subfiletype=1, metadata=None)
    assert _core.image_info(path)["reduced"] == ()


def test_signed_numbers_as_counts(path):
    """A loader of uint16 takes int16 where none is negative."""
    pixels = np.abs(noise("uint16").astype("int32") % 32768).astype("int16")
    write(path, pixels, byteorder=">", rowsperstrip=7)
    loader = _core.Loader([path], [[0, 0, 0]], [1], (1, 43, 61), np.uint16)
    loader.start([0])
    assert_same(loader.next(), pixels[None].astype("uint16"))
    pixels[7, 5] = -1
    write(path, pixels)
    loader.start([0])
    with pytest.raises(ImageError, match="1 of its 2623 pixels are negative, .*add an offset"):
        loader.next()
