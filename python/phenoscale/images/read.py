# SPDX-License-Identifier: BSD-3-Clause
"""Image files of every kind that is read: TIFF by the C library, others by Pillow and imagecodecs.

Pictures (PNG, JPEG, ...) are looked at before they are decoded, as TIFFs are: kind, size and
depth first, so that nothing large is made of a small file, and nothing deep is made shallow.
Numbers come as the file has them or not at all; a PNG's checksums are checked, and a JPEG must
reach its end.
"""

from __future__ import annotations

import os
import stat
from contextlib import contextmanager

import numpy as np

from phenoscale import _core
from phenoscale._core import ImageError, UnsupportedImage
from phenoscale.errors import cure_of
from phenoscale.images.disk import PatientFile, of_disk

__all__ = ["as_counts", "image_info", "is_tiff", "read_image"]

_LIMITS = _core.limits()  # those of TIFFs hold for all
LIMIT_BYTES = 1 << 29  # of a file that is read whole
_CURE = "save it as 8- or 16-bit TIFF"
_TOO_LARGE = f"more than {_LIMITS['pixels']} pixels; cut it into fields"
#: first bytes of a file -> the name by which Pillow knows its kind
_PICTURES = {b"\x89PNG\r\n\x1a\n": "PNG", b"\xff\xd8\xff": "JPEG", b"BM": "BMP", b"P5": "PPM",
             b"P6": "PPM"}
#: mode of Pillow -> samples a pixel and their type; other modes are not counts
_MODES = {"L": (1, "uint8"), "RGB": (3, "uint8"), "RGBA": (4, "uint8"), "LA": (2, "uint8"),
          "P": (1, "uint8"), "I;16": (1, "uint16"), "I;16B": (1, "uint16"), "I": (1, "uint16")}
_PNG_SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # by the kind of colour in its header


def image_info(path, page: int = 0) -> dict:
    """What the header of a file says; no pixel is decoded.

    Parameters
    ----------
    path : str or path
    page : int
        Of a TIFF with several, from 0.

    Returns
    -------
    dict
        pages, reduced (numbers of those that are thumbnails, smaller copies or masks of others);
        samples, height, width; dtype (of a field: "uint8", "uint16" or "float32"; counts of int16
        are those of uint16, see `as_counts`), native (of `read_image`); is_min_white; description
        (of the page of a TIFF); kind ("TIFF", "PNG", ...).

    Raises
    ------
    OSError
        For a file that cannot be opened.
    ImageError
        For one that is damaged, over a limit or (UnsupportedImage) of a kind that is not read.
    ValueError
        For a page that is not there.
    """
    path = os.fspath(path)
    kind = _picture_kind(path)
    if kind is None:
        info = {"reduced": (), **_core.image_info(path, page), "kind": "TIFF"}
        return {**info, "dtype": "uint16"} if info["native"] == "int16" else info
    _check_page(path, page)
    with _opened(path, kind) as picture:
        samples, dtype = _samples(path, kind, picture)
        width, height = picture.size
    return {"pages": 1, "reduced": (), "samples": samples, "height": height, "width": width,
            "dtype": dtype, "native": dtype, "is_min_white": False, "description": "", "kind": kind}


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
    _check_page(path, page)
    with _opened(path, kind) as picture:
        samples, dtype = _samples(path, kind, picture)
        gray = _gray_map(path, picture) if picture.mode == "P" else None
        pixels = _decoded(path, kind, picture)
    if gray is not None:  # decoded to its colours, which are gray, or not: then to its indices
        pixels = pixels[..., 0] if pixels.ndim == 3 else gray[pixels]
    if pixels.shape[2:] != ((samples,) if samples > 1 else ()):
        raise UnsupportedImage(f"{path}: is a {kind} file with a transparent colour; {_CURE}")
    pixels = pixels.astype(dtype, copy=False)
    return np.ascontiguousarray(pixels[None] if samples == 1 else np.moveaxis(pixels, -1, 0))


def as_counts(pixels: np.ndarray) -> np.ndarray:
    """Signed 16-bit pixels as the counts they are, uint16; others as they come.

    Raises
    ------
    ImageError
        Where one is negative.
    """
    if pixels.dtype.newbyteorder("=") != np.int16:
        return pixels
    if (negative := int((pixels < 0).sum())) > 0:
        raise ImageError(f"{negative} of its {pixels.size} pixels are negative, which counts are "
                         "not; add an offset, or save it as 32-bit float")
    return pixels.astype(np.uint16)


def is_tiff(path) -> bool:
    """Whether the C library reads the file itself."""
    return _picture_kind(os.fspath(path)) is None


# ---- pictures ------------------------------------------------------------------------------------


def _picture_kind(path: str) -> str | None:
    """The kind of a picture; None for what the C library looks at: TIFFs, and what is no image."""
    try:
        with PatientFile(path) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                return None
            start = file.read(16)
    except (OSError, ValueError):
        return None
    return next((kind for magic, kind in _PICTURES.items() if start.startswith(magic)), None)


def _check_page(path: str, page: int) -> None:
    if page != 0:
        raise ValueError(f"{path}: has 1 page, counted from 0: there is no page {page}")


@contextmanager
def _opened(path: str, kind: str):
    """The picture as Pillow sees it before decoding, its size within the limits; what goes wrong
    with it from here on is damage of the file, or the disk's."""
    try:
        import imagecodecs  # noqa: F401  later, and said now
        from PIL import Image
    except ModuleNotFoundError as error:
        raise UnsupportedImage(f"{path}: is a {kind} file, which needs {error.name}: "
                               f"{cure_of(error)}, or {_CURE}") from None
    try:
        with PatientFile(path) as raw, Image.open(raw, formats=[kind]) as picture:
            _check_size(path, kind, picture.size)
            yield picture
    except (ImageError, MemoryError):
        raise
    except Image.DecompressionBombError:
        raise ImageError(f"{path}: {_TOO_LARGE}") from None
    except Exception as error:  # of as many kinds as there are ways to damage a file
        if isinstance(error, OSError) and error.errno:  # not one of Pillow's
            raise of_disk(path, error) from None
        why = "" if isinstance(error, Image.UnidentifiedImageError) else f" ({error})"
        raise ImageError(f"{path}: is a {kind} file, but damaged{why}; copy it again from its "
                         "source") from None


def _check_size(path: str, kind: str, size: tuple[int, int]) -> None:
    pixels, content = size[0] * size[1], os.path.getsize(path)
    fault = None
    if content > LIMIT_BYTES:
        fault = f"is a {kind} file of more than {LIMIT_BYTES:,} bytes; cut it into fields"
    elif pixels > _LIMITS["pixels"]:  # as Pillow's, unless somebody has changed that
        fault = _TOO_LARGE
    elif _LIMITS["small"] < pixels > _LIMITS["expansion"] * content:
        fault = (f"claims {pixels} pixels, more than {_LIMITS['expansion']} times its size; save "
                 "it again, uncompressed")
    if fault:
        raise ImageError(f"{path}: {fault}")


def _samples(path: str, kind: str, picture) -> tuple[int, str]:
    """Samples a pixel, and their type."""
    if kind == "PNG":
        return _png_samples(path)
    if picture.mode not in _MODES:
        raise UnsupportedImage(f"{path}: is a {kind} file of pixels '{picture.mode}', which are no "
                               f"counts; {_CURE}")
    if kind == "PPM" and picture.tile[0][0] != "raw":
        raise UnsupportedImage(f"{path}: is a {kind} file whose largest count is neither 255 nor, "
                               f"in gray, 65535; {_CURE}")
    return _MODES[picture.mode]


def _png_samples(path: str) -> tuple[int, str]:
    """Of its header: Pillow would make 16-bit colours 8-bit, and others larger."""
    with PatientFile(path) as file:
        start = file.read(26)
    if len(start) < 26:
        raise ImageError(f"{path}: is cut off; copy the file again from its source")
    bits, colour = start[24], start[25]
    if bits < 8 and colour == 0 or colour not in _PNG_SAMPLES:
        raise UnsupportedImage(f"{path}: is a PNG file of {bits} bits a pixel; {_CURE}")
    return _PNG_SAMPLES[colour], "uint16" if bits == 16 else "uint8"


def _decoded(path: str, kind: str, picture) -> np.ndarray:
    """Pixels (height, width) or (height, width, samples)."""
    import imagecodecs

    if kind not in ("PNG", "JPEG"):
        return _loaded(picture)
    with PatientFile(path) as file:
        content = file.read()
    if kind == "PNG":
        return imagecodecs.png_decode(content)
    if content.rfind(b"\xff\xd9") < content.rfind(b"\xff\xda"):  # libjpeg fills up what is missing
        raise ValueError("its end is missing")
    return _loaded(picture)


def _loaded(picture) -> np.ndarray:
    """Its pixels; first of all its own errors, which NumPy before 1.24 takes for no array."""
    picture.load()
    return np.asarray(picture)


def _gray_map(path: str, picture) -> np.ndarray:
    """A palette that is a linear gray scale, index to gray; (256,) uint8."""
    colours = np.array(picture.getpalette("RGB") or (), np.int64).reshape(-1, 3)
    most = int(np.asarray(picture).max())
    if most >= len(colours):
        raise ImageError(f"{path}: its palette is missing, or too short: {len(colours)} colours "
                         f"where a pixel has number {most}; {_CURE}")
    ramp, last = colours[:, 0], len(colours) - 1
    line = ramp[0] + (ramp[-1] - ramp[0]) * np.arange(last + 1) / max(1, last)
    if (colours != ramp[:, None]).any() or ramp[0] == ramp[-1] or abs(ramp - line).max() > 1:
        raise UnsupportedImage(f"{path}: its palette is not a linear gray scale; save it as 8-bit "
                               "gray")
    return np.concatenate([ramp, np.zeros(256 - len(ramp), np.int64)]).astype(np.uint8)
