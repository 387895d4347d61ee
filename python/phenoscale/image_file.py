# SPDX-License-Identifier: BSD-3-Clause
"""Image files of every kind that is read: TIFF by the C library, others by Pillow and imagecodecs.

Pictures (PNG, JPEG, ...) are looked at before they are decoded, as TIFFs are: kind, size and
depth first, so that nothing large is made of a small file, and nothing deep is made shallow.
"""

from __future__ import annotations

import json
import os
import re
import stat
import struct

import numpy as np

from phenoscale import _core
from phenoscale._core import ImageError, UnsupportedImage

__all__ = ["axes", "image_info", "is_tiff", "read_image"]

LIMIT_PIXELS = 178956970  # of one plane, as csrc/phenoscale.h has it
LIMIT_BYTES = 1 << 29  # of a file that is read whole
_CURE = "save it as 8- or 16-bit TIFF"
_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
#: first bytes of a file -> the name by which Pillow knows its kind
_PICTURES = {b"\x89PNG\r\n\x1a\n": "PNG", b"\xff\xd8\xff": "JPEG", b"BM": "BMP", b"P5": "PPM",
             b"P6": "PPM", b"RIFF": "WEBP", b"\0\0\0\x0cjP  ": "JPEG2000"}
#: mode of Pillow -> samples a pixel and their type; other modes are not counts
_MODES = {"L": (1, "uint8"), "RGB": (3, "uint8"), "RGBA": (4, "uint8"), "LA": (2, "uint8"),
          "P": (1, "uint8"), "I;16": (1, "uint16"), "I;16B": (1, "uint16"), "I": (1, "uint16")}


def image_info(path) -> dict:
    """What the header of a file says; no pixel is decoded.

    Returns
    -------
    dict
        pages, samples, height, width; dtype (of a field: "uint8", "uint16" or "float32"), native
        (of `read_image`); is_min_white; description (of the first page of a TIFF); kind ("TIFF",
        "PNG", ...).

    Raises
    ------
    OSError
        For a file that cannot be opened.
    ImageError
        For one that is damaged, over a limit or (UnsupportedImage) of a kind that is not read.
    """
    path = os.fspath(path)
    kind = _picture_kind(path)
    if kind is None:
        return {**_core.image_info(path), "kind": "TIFF"}
    with _opened(path, kind) as picture:
        samples, dtype = _samples(path, kind, picture)
        width, height = picture.size
    return {"pages": 1, "samples": samples, "height": height, "width": width, "dtype": dtype,
            "native": dtype, "is_min_white": False, "description": "", "kind": kind}


def read_image(path, page: int = 0) -> np.ndarray:
    """Pixels of an image file, (samples, height, width), as the file has them.

    Parameters
    ----------
    path : str or path
    page : int
        Of a TIFF with several, from 0.

    Returns
    -------
    ndarray
        Of the type that holds the file's numbers exactly: uint8 for up to 8 bits, uint16 for up
        to 16, int16, float32, float64, ...; a gray palette as its gray; min-is-white as stored.

    Raises
    ------
    OSError
        For a file that cannot be opened.
    ImageError
        For one that is damaged, over a limit or (UnsupportedImage) of a kind that is not read; a
        ValueError.
    ValueError
        For a page that is not there.
    """
    path = os.fspath(path)
    kind = _picture_kind(path)
    if kind is None:
        return _core.read_image(path, page)
    if page != 0:
        raise ValueError(f"{path}: has 1 page, counted from 0: there is no page {page}")
    with _opened(path, kind) as picture:
        samples, dtype = _samples(path, kind, picture)
        try:
            if _deep_samples(path, kind):
                pixels = _decode_deep(path)
            else:
                pixels = _gray(path, picture) if picture.mode == "P" else np.asarray(picture)
        except ImageError:
            raise
        except Exception as error:  # of as many kinds as there are ways to damage a file
            raise ImageError(f"{path}: is a {kind} file, but damaged ({error}); copy it again from "
                             "its source") from None
    pixels = pixels.astype(dtype, copy=False)
    return np.ascontiguousarray(pixels[None] if samples == 1 else np.moveaxis(pixels, -1, 0))


def is_tiff(path) -> bool:
    """Whether the C library reads the file itself."""
    return _picture_kind(os.fspath(path)) is None


# ---- pictures ------------------------------------------------------------------------------------


def _picture_kind(path: str) -> str | None:
    """The kind of a picture; None for what the C library looks at: TIFFs, and what is no image."""
    try:
        number = os.open(path, os.O_RDONLY | os.O_NONBLOCK | getattr(os, "O_NOCTTY", 0))
        try:
            if not stat.S_ISREG(os.fstat(number).st_mode):
                return None
            start = os.read(number, 16)
        finally:
            os.close(number)
    except OSError:
        return None
    return next((kind for magic, kind in _PICTURES.items() if start.startswith(magic)), None)


def _opened(path: str, kind: str):
    """The picture as Pillow sees it before decoding, its size within the limits."""
    try:
        from PIL import Image
    except ModuleNotFoundError:
        raise UnsupportedImage(f"{path}: is a {kind} file, which needs Pillow: pip install "
                               f"'phenoscale[all]', or {_CURE}") from None
    if os.path.getsize(path) > LIMIT_BYTES:
        raise ImageError(f"{path}: is a {kind} file of more than {LIMIT_BYTES:,} bytes; cut it "
                         "into fields")
    try:
        picture = Image.open(path, formats=[kind])
    except Image.DecompressionBombError:
        raise ImageError(f"{path}: more than {LIMIT_PIXELS} pixels; cut it into fields") from None
    except Exception:
        raise ImageError(f"{path}: is a {kind} file, but damaged; copy it again from its "
                         "source") from None
    width, height = picture.size
    if width * height > LIMIT_PIXELS:  # as Pillow's, unless somebody has changed that
        picture.close()
        raise ImageError(f"{path}: more than {LIMIT_PIXELS} pixels; cut it into fields")
    return picture


def _samples(path: str, kind: str, picture) -> tuple[int, str]:
    """Samples a pixel, and their type."""
    deep = _deep_samples(path, kind)
    if deep:
        return deep, "uint16"
    if picture.mode not in _MODES:
        raise UnsupportedImage(f"{path}: is a {kind} file of pixels '{picture.mode}', which are no "
                               f"counts; {_CURE}")
    return _MODES[picture.mode]


def _deep_samples(path: str, kind: str) -> int:
    """Samples of a PNG of 16 bits that has several, which Pillow would cut to 8; 0 of others."""
    if kind != "PNG":
        return 0
    with open(path, "rb") as file:
        start = file.read(26)
    if len(start) < 26:
        raise ImageError(f"{path}: is cut off; copy the file again from its source")
    depth, colour = struct.unpack(">BB", start[24:26])
    return {2: 3, 4: 2, 6: 4}.get(colour, 0) if depth == 16 else 0


def _decode_deep(path: str) -> np.ndarray:
    try:
        import imagecodecs
    except ModuleNotFoundError:
        raise UnsupportedImage(f"{path}: is a 16-bit colour PNG, which needs imagecodecs: pip "
                               f"install 'phenoscale[all]', or {_CURE}") from None
    with open(path, "rb") as file:
        return imagecodecs.png_decode(file.read())


def _gray(path: str, picture) -> np.ndarray:
    """A palette that is a linear gray scale, as its gray."""
    colours = np.array(picture.getpalette("RGB"), np.int64).reshape(-1, 3)
    ramp, last = colours[:, 0], len(colours) - 1
    line = ramp[0] + (ramp[-1] - ramp[0]) * np.arange(last + 1) / max(1, last)
    if (colours != ramp[:, None]).any() or ramp[0] == ramp[-1] or abs(ramp - line).max() > 1:
        raise UnsupportedImage(f"{path}: its palette is not a linear gray scale; save it as 8-bit "
                               "gray")
    return ramp.astype(np.uint8)[np.asarray(picture)]


# ---- what the pages of a file are ----------------------------------------------------------------


def axes(info: dict) -> dict[str, int] | None:
    """How many channels, z-planes and times the pages are, and in which order they follow.

    Returns
    -------
    dict of str to int
        "C", "Z" and "T", the one that runs fastest over the pages first; None where the file
        does not say, or says what does not fit its pages.
    """
    text = info["description"]
    found = (_imagej_axes(text) or _ome_axes(text, info["samples"])
             or _tifffile_axes(text, info["samples"]))
    if found is None or np.prod(list(found.values()), dtype=float) != info["pages"]:
        return None
    return found


def _imagej_axes(text: str) -> dict[str, int] | None:
    """ImageJ's description: a line each for channels, slices, frames that are not 1."""
    if not text.startswith("ImageJ="):
        return None
    numbers = dict(re.findall(r"^(channels|slices|frames|images)=(\d{1,9})\s*$", text, re.M))
    if not {"channels", "slices", "frames"} & set(numbers):
        return {"Z": int(numbers.get("images", 1))}
    return {"C": int(numbers.get("channels", 1)), "Z": int(numbers.get("slices", 1)),
            "T": int(numbers.get("frames", 1))}


def _tifffile_axes(text: str, samples: int) -> dict[str, int] | None:
    """tifffile's description: the shape of the whole, and the names of its axes if it was told."""
    try:
        about = json.loads(text) if text.startswith('{"shape"') else {}
        shape, names = about.get("shape"), about.get("axes", "")
        sizes = dict(zip(names, shape or ()))
        if len(names) != len(shape or ()) or not set(names) <= set("TZCSYX") or not names:
            return None
        if any(type(size) is not int or size < 1 for size in shape):
            return None
    except (ValueError, TypeError, AttributeError):
        return None
    if sizes.get("C") == samples > 1 and "S" not in names:
        del sizes["C"]  # the samples of a pixel
    return {name: sizes[name] for name in reversed(names) if name in "TZC" and name in sizes}


def _ome_axes(text: str, samples: int) -> dict[str, int] | None:
    """OME-XML: the attributes of the first Pixels; files that share a set are not read so."""
    pixels = re.search(r"<(?:\w+:)?Pixels\b([^>]*)>", text)
    if not pixels or "<OME" not in text.replace("ome:", ""):
        return None
    about = dict(re.findall(r"""(\w+)\s*=\s*["']([^"']*)["']""", pixels[1]))
    order, sizes = about.get("DimensionOrder", ""), {}
    if sorted(order) != sorted("XYZCT"):
        return None
    for axis in order[2:]:
        size = about.get(f"Size{axis}", "")
        if not size.isdecimal() or len(size) > 9:
            return None
        sizes[axis] = int(size)
    sizes["C"] = sizes["C"] // samples if sizes["C"] % samples == 0 else sizes["C"]
    return sizes
