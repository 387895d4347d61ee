# SPDX-License-Identifier: BSD-3-Clause
"""Pictures of other kinds than TIFF: the file's own numbers, or an error that says why not."""

import io
import struct
import sys
import time
import zlib

import numpy as np
import pandas
import pytest
import tifffile
from PIL import Image

import phenoscale
from phenoscale import ImageError, UnsupportedImage
from phenoscale.images.fields import open_fields
from phenoscale.images.read import image_info, is_tiff
from phenoscale.images.survey import survey
from phenoscale.tables.read import read_table

imagecodecs = pytest.importorskip("imagecodecs")


def noise(shape, dtype="uint8"):
    return np.random.default_rng(0).integers(0, np.iinfo(dtype).max + 1, shape).astype(dtype)


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
@pytest.mark.parametrize("samples", [1, 2, 3, 4])
def test_png(tmp_path, samples, dtype):
    """16 bits stay 16 bits, of colours too."""
    pixels = noise((19, 37, samples), dtype).squeeze()
    path = tmp_path / "a.png"
    path.write_bytes(imagecodecs.png_encode(pixels))
    expected = pixels[None] if samples == 1 else np.moveaxis(pixels, -1, 0)
    read = phenoscale.read_image(path)
    assert read.dtype == dtype and np.array_equal(read, expected) and read.flags.c_contiguous
    about = image_info(path)
    assert (about["samples"], about["height"], about["width"], about["dtype"], about["kind"]) == (
        samples, 19, 37, dtype, "PNG")
    assert not is_tiff(path)


@pytest.mark.parametrize(("kind", "mode"), [("JPEG", "L"), ("JPEG", "RGB"), ("BMP", "RGB"),
                                            ("PPM", "L"), ("PPM", "RGB"), ("PPM", "I;16")])
def test_other_kinds(tmp_path, kind, mode):
    samples = 3 if mode == "RGB" else 1
    pixels = noise((48, 64, samples), "uint16" if mode == "I;16" else "uint8").squeeze()
    path = tmp_path / f"a.{kind.lower()}"
    if kind == "PPM" and pixels.dtype == np.uint16:  # which old Pillow only reads
        path.write_bytes(b"P5 64 48 65535\n" + pixels.astype(">u2").tobytes())
    else:
        Image.fromarray(pixels).save(path, kind)
    read = phenoscale.read_image(path)
    if kind == "JPEG":
        with Image.open(path) as picture:
            pixels = np.asarray(picture)
        assert abs(read.astype(int) - np.moveaxis(pixels.reshape(48, 64, -1), -1, 0)).max() <= 2
    else:
        assert np.array_equal(read, np.moveaxis(pixels.reshape(48, 64, -1), -1, 0))
    assert image_info(path)["kind"] == kind


def test_palettes(tmp_path):
    """A gray ramp as its gray; colours are refused."""
    picture = Image.fromarray(noise((20, 30))).convert("P")
    ramp = np.repeat(np.arange(256, dtype=np.uint8)[::-1, None], 3, axis=1)
    picture.putpalette(ramp.tobytes())
    picture.save(tmp_path / "gray.png")
    assert np.array_equal(phenoscale.read_image(tmp_path / "gray.png")[0], 255 - noise((20, 30)))
    ramp[7, 1] = 200
    picture.putpalette(ramp.tobytes())
    picture.save(tmp_path / "colour.png")
    with pytest.raises(UnsupportedImage, match="colour.png: its palette is not a linear gray"):
        phenoscale.read_image(tmp_path / "colour.png")
    Image.fromarray(noise((20, 30, 4)), "CMYK").save(tmp_path / "cmyk.jpg")
    with pytest.raises(UnsupportedImage, match="JPEG file of pixels 'CMYK', which are no counts"):
        phenoscale.read_image(tmp_path / "cmyk.jpg")


def chunk(kind, content):
    return (struct.pack(">I", len(content)) + kind + content
            + struct.pack(">I", zlib.crc32(kind + content)))


def bomb(width, height, depth=8, colour=0):
    """A PNG of few bytes that claims many pixels."""
    return (b"\x89PNG\r\n\x1a\n"
            + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
            + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b""))


def test_bombs_are_refused_before_they_are_decoded(tmp_path):
    for size in ((20000, 20000), (2**31 - 1, 2**31 - 1), (178956971, 1)):
        for depth, colour in ((8, 0), (16, 2)):
            (tmp_path / "bomb.png").write_bytes(bomb(*size, depth, colour))
            start = time.thread_time()
            for function in (image_info, phenoscale.read_image):
                with pytest.raises(ImageError, match="bomb.png: more than 178956970 pixels; cut"):
                    function(tmp_path / "bomb.png")
            assert time.thread_time() - start < 0.3
    (tmp_path / "bomb.png").write_bytes(bomb(9000, 9000, 8, 0))
    for function in (image_info, phenoscale.read_image):
        with pytest.raises(ImageError, match="claims 81000000 pixels, more than 1100 times its"):
            function(tmp_path / "bomb.png")


@pytest.mark.soak
def test_damaged_pictures(tmp_path, amount):
    """Pixels or an ImageError that names the file, for every cut and many changes."""
    random, outcomes = np.random.default_rng(0), {"pixels": 0, "error": 0}
    for kind in ("PNG", "JPEG", "BMP", "PPM"):
        buffer = io.BytesIO()
        Image.fromarray(noise((32, 40, 3))).save(buffer, kind)
        whole = buffer.getvalue()
        if kind == "PNG":
            deep = imagecodecs.png_encode(noise((32, 40, 3), "uint16"))
        for turn in range(amount(120, 30_000)):
            content = bytearray(deep if kind == "PNG" and turn % 2 else whole)
            if turn < 30:
                content = content[: random.integers(3, len(content))]
            else:
                for _ in range(random.integers(1, 5)):
                    content[random.integers(len(content))] = random.integers(256)
            path = tmp_path / "a.png"
            path.write_bytes(content)
            try:
                assert phenoscale.read_image(path).ndim == 3
                outcomes["pixels"] += 1
            except ImageError as error:
                outcomes["error"] += 1
                assert "a.png: " in str(error) and "\n" not in str(error)
    assert min(outcomes.values()) > 50, outcomes


def pictures():
    """(kind, bytes, its pixels) of every kind and mode that is read."""
    yield "PNG", imagecodecs.png_encode(noise((32, 40, 3), "uint16")), True
    for kind, mode in (("PNG", "L"), ("PNG", "RGB"), ("PNG", "P"), ("PNG", "LA"), ("JPEG", "L"),
                       ("JPEG", "RGB"), ("BMP", "L"), ("BMP", "RGB"), ("BMP", "P"), ("PPM", "L"),
                       ("PPM", "RGB")):
        picture, buffer = Image.fromarray(noise((32, 40))).convert(mode), io.BytesIO()
        if mode == "P":
            picture.putpalette(np.repeat(np.arange(256, dtype=np.uint8)[::-1], 3).tobytes())
        picture.save(buffer, kind)
        yield kind, buffer.getvalue(), kind == "PNG"


def test_mutants_of_every_kind_of_picture(tmp_path, amount):
    """Changed bits, bytes, cuts and parts left out: pixels or an ImageError from the header and
    from the pixels, and where the format has checksums never other pixels."""
    random, path = np.random.default_rng(2), tmp_path / "a.png"
    for number, (kind, whole, is_checked) in enumerate(pictures()):
        path.write_bytes(whole)
        pixels, outcomes = phenoscale.read_image(path), {"same": 0, "other": 0, "error": 0}
        for turn in range(amount(60, 20_000)):
            content, at = bytearray(whole), random.integers(len(whole))
            at = random.integers(min(80, len(whole))) if turn % 2 else at  # of the header
            if turn % 6 < 4:
                content[at] ^= 1 << random.integers(8)
            elif turn % 6 == 4:
                del content[at:]
            else:
                del content[at : at + random.integers(1, 40)]
            path.unlink()
            path.write_bytes(content)
            try:
                image_info(path)
                is_same = np.array_equal(phenoscale.read_image(path), pixels)
                outcomes["same" if is_same else "other"] += 1
            except ImageError as error:
                outcomes["error"] += 1
                assert "a.png: " in str(error) and "\n" not in str(error)
        assert outcomes["error"] > 5, (kind, number, outcomes)
        assert not (is_checked and outcomes["other"]), (kind, number, outcomes)


def without(content, name, keep=0):
    """A PNG whose chunk of that name is gone, or cut to some bytes."""
    at = content.index(name) - 4
    n = int.from_bytes(content[at : at + 4], "big")
    cut = chunk(name, content[at + 8 : at + 8 + keep]) if keep else b""
    return content[:at] + cut + content[at + 12 + n :]


def test_palettes_that_are_missing_or_short(tmp_path, call):
    """One sentence in every verb; never black where a colour is missing."""
    buffer, picture = io.BytesIO(), Image.fromarray(noise((32, 40))).convert("P")
    picture.putpalette(np.repeat(np.arange(256, dtype=np.uint8), 3).tobytes())
    picture.save(buffer, "PNG")
    for content in (without(buffer.getvalue(), b"PLTE"), without(buffer.getvalue(), b"PLTE", 300)):
        (tmp_path / "a.png").write_bytes(content)
        with pytest.raises(ImageError, match="a.png: .*(palette|PLTE|damaged)"):
            phenoscale.read_image(tmp_path / "a.png")
    for n in range(16):
        (tmp_path / f"{n}a.png").write_bytes(content)
    pandas.DataFrame({"FileName_DNA": [f"{n}a.png" for n in range(16)],
                      "Metadata_Well": [f"A{n:02}" for n in range(1, 17)],
                      "Metadata_Compound": ["x", "y"] * 8}).to_csv(tmp_path / "t.csv", index=False)
    status, out, err = call("check", tmp_path / "t.csv")
    assert status == 1 and "a.png: its palette is missing, or too short: 100 colours where" in out
    status, out, err = call("train", tmp_path / "t.csv", "--label", "Metadata_Compound", "--out",
                            tmp_path / "run")
    assert status == 1 and "palette is missing, or too short" in err and "Traceback" not in err


@pytest.mark.parametrize("size", [64, 256, 700])
def test_the_end_is_not_missed(tmp_path, size):
    """A file whose rest is zeros, as after a copy that broke: never half a black image."""
    for kind, samples in (("PNG", 1), ("PNG", 3), ("JPEG", 1), ("JPEG", 3)):
        buffer, path = io.BytesIO(), tmp_path / f"a.{kind.lower()}"
        Image.fromarray(noise((size, size, samples)).squeeze()).save(buffer, kind)
        whole = buffer.getvalue()
        for part in (0.2, 0.5, 0.9, 0.99):
            cut = int(part * len(whole))
            path.write_bytes(whole[:cut] + bytes(len(whole) - cut))
            with pytest.raises(ImageError, match=f"is a {kind} file, but damaged"):
                phenoscale.read_image(path)


def png(bits, colour, pixels):
    """A PNG of few bits a pixel, rows as they are packed."""
    rows = b"".join(b"\0" + np.packbits(row[:, None] >> np.arange(bits)[::-1] & 1).tobytes()
                    for row in pixels)
    chunks = ((b"IHDR", struct.pack(">IIBBBBB", *pixels.shape[::-1], bits, colour, 0, 0, 0)),
              (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(words)) + name + words + struct.pack(">I", zlib.crc32(name + words))
        for name, words in chunks)


def test_numbers_that_a_library_would_change_are_refused(tmp_path):
    """Scaled to the whole range, or cut to 8 bits: not the file's own numbers."""
    pixels = noise((6, 9)) % 4
    for bits in (1, 2, 4):
        (tmp_path / "few.png").write_bytes(png(bits, 0, pixels))
        with pytest.raises(UnsupportedImage, match=f"PNG file of {bits} bits a pixel; save it as"):
            phenoscale.read_image(tmp_path / "few.png")
    for head, depth, is_read in ((b"P5\n4 4\n255\n", ">u1", True), (b"P5\n4 4\n63\n", ">u1", False),
                                 (b"P5\n4 4\n65535\n", ">u2", True),
                                 (b"P5\n4 4\n4095\n", ">u2", False),
                                 (b"P6\n4 2\n65535\n", ">u2", False)):
        counts = (np.arange(24) % 60).astype(depth)
        (tmp_path / "a.pgm").write_bytes(head + counts.tobytes())
        if is_read:
            assert np.array_equal(phenoscale.read_image(tmp_path / "a.pgm").ravel(), counts[:16])
            continue
        with pytest.raises(UnsupportedImage, match="whose largest count is neither 255 nor"):
            phenoscale.read_image(tmp_path / "a.pgm")


def test_what_is_no_picture_goes_to_the_reader_of_tiffs(tmp_path):
    (tmp_path / "a.png").write_text("no picture")
    with pytest.raises(ImageError, match="a.png: is of an unknown kind, not a TIFF"):
        phenoscale.read_image(tmp_path / "a.png")
    with pytest.raises(OSError, match="none.png"):
        image_info(tmp_path / "none.png")
    (tmp_path / "b.png").write_bytes(imagecodecs.png_encode(noise((4, 4))))
    with pytest.raises(ValueError, match="has 1 page, counted from 0: there is no page 1"):
        phenoscale.read_image(tmp_path / "b.png", page=1)


@pytest.mark.parametrize(("module", "depth"), [("PIL", "uint8"), ("imagecodecs", "uint16")])
def test_a_library_that_is_missing_is_named(tmp_path, monkeypatch, module, depth):
    (tmp_path / "a.png").write_bytes(imagecodecs.png_encode(noise((4, 4, 3), depth)))
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(UnsupportedImage, match="which needs .*pip install"):
        phenoscale.read_image(tmp_path / "a.png")


def test_fields_of_pictures(tmp_path):
    """Three channels of one RGB file beside a gray one, in any order, binned, a bad one named."""
    rgb, gray = noise((4, 32, 48, 3)), noise((4, 32, 48))
    for n in range(4):
        (tmp_path / f"rgb{n}.png").write_bytes(imagecodecs.png_encode(rgb[n]))
        (tmp_path / f"gray{n}.png").write_bytes(imagecodecs.png_encode(gray[n]))
    frame = pandas.DataFrame({"FileName_RGB": [f"rgb{n}.png" for n in range(4)],
                              "FileName_Gray": [f"gray{n}.png" for n in range(4)]})
    table = read_table(frame, channels=["DNA=RGB:2", "Gray", "Actin=RGB:0"], root=tmp_path)
    found = survey(table)
    assert (found.shape, found.dtype, found.kinds["PNG"]) == ((3, 32, 48), "uint8", 12)
    source = open_fields(table, found, 2, bin=2)
    assert source.shape == (3, 16, 24) and source.size == (32, 48)
    order = [3, 0, 0, 2, 1, 3]
    for _ in range(2):
        source.start(order)
        for n in order:
            planes = [rgb[n, ..., 2], gray[n], rgb[n, ..., 0]]
            means = [plane.reshape(16, 2, 24, 2).mean((1, 3)) for plane in planes]
            assert np.array_equal(source.next(), np.floor(np.array(means) + 0.5))
            source.release(1)
    (tmp_path / "gray2.png").write_bytes((tmp_path / "gray2.png").read_bytes()[:200])
    (tmp_path / "rgb1.png").write_bytes(imagecodecs.png_encode(noise((32, 47, 3))))
    source.start(range(4))
    for n in range(4):
        if n in (1, 2):
            with pytest.raises(ValueError, match=f"row {n}: .*{['', 'rgb1', 'gray2'][n]}.png"):
                source.next()
        else:
            source.next()
        source.release(1)


def test_codes_for_missing_pixels_beside_pictures(tmp_path):
    """A float TIFF in a table with PNGs goes another way than the loader's: refused there too."""
    pixels = noise((32, 48)).astype("float32")
    pixels[3, 5:9] = -9999
    tifffile.imwrite(tmp_path / "a.tif", pixels)
    (tmp_path / "b.png").write_bytes(imagecodecs.png_encode(noise((32, 48))))
    frame = pandas.DataFrame({"FileName_A": ["a.tif"], "FileName_B": ["b.png"]})
    table = read_table(frame, root=tmp_path)
    source = open_fields(table, survey(table), 1)
    source.start([0])
    with pytest.raises(ValueError, match="row 0: .*a.tif: 4 of its 1536 pixels are -9999, all oth"):
        source.next()


def test_real_pictures(shared_data):
    """Fields of BBBC021 as their publisher made them: one RGB PNG each."""
    folder = shared_data("bbbc021_fields")
    for n in range(3):
        read = phenoscale.read_image(folder / f"bbbc021v1_{n}.png")
        with Image.open(folder / f"bbbc021v1_{n}.png") as picture:
            assert np.array_equal(read, np.moveaxis(np.asarray(picture), -1, 0))
        assert read.shape == (3, 256, 256)
