# SPDX-License-Identifier: BSD-3-Clause
"""The fields that other programs ask about: files, read as everywhere, or pixels in the request.

Needs numpy alone, as tasks.py does.
"""

from __future__ import annotations

import base64
import zlib

import numpy as np

from phenoscale import _core
from phenoscale.errors import InputError
from phenoscale.images.read import as_counts, read_image
from phenoscale.images.survey import look_at
from phenoscale.models.model import Model
from phenoscale.tables.columns import Channel
from phenoscale.tables.table import DEPTHS, Plane
from phenoscale.words import listed, size_words

__all__ = ["field_of", "pack", "unpack"]

LIMIT_PIXELS = 1 << 30  # bytes of a field that comes with a request
_HOW = ("pixels come as {dtype: uint8, uint16 or float32, shape: [height, width], data: base64 of "
        "the zlib stream of their bytes}")


def field_of(model: Model, given) -> np.ndarray:
    """Counts (channels, height, width) of one field of a request.

    Parameters
    ----------
    model : Model
    given : list or dict
        One entry a channel, in the order of the model or by its name: a path; an object of `path`
        and, where they are needed, `page` and `sample`, from 0; or pixels, see `unpack`.

    Raises
    ------
    InputError
        Which names the channel or the file.
    """
    if isinstance(given, dict):
        missing = [name for name in model.channels if name not in given]
        if missing:
            raise InputError(f"the field has no channel {missing[0]}: the model needs "
                             f"{', '.join(model.channels)}, the field has {listed(given)}")
        given = [given[name] for name in model.channels]
    if not isinstance(given, list) or len(given) != len(model.channels):
        raise InputError(f"a field is a list of {len(model.channels)} channels: "
                         f"{', '.join(model.channels)}")
    given = [{"path": one} if isinstance(one, str) else one for one in given]
    is_file = [isinstance(one, dict) and "path" in one for one in given]
    planes = [None if known else unpack(one, len(given)) for one, known in zip(given, is_file)]
    files = [(name, one) for name, one, known in zip(model.channels, given, is_file) if known]
    read = iter(_read(files, model.z))
    planes = [next(read) if plane is None else plane for plane in planes]
    if len({plane.shape for plane in planes}) > 1:
        sizes = listed([f"{name} {size_words(*plane.shape)}"
                        for name, plane in zip(model.channels, planes)])
        raise InputError(f"the channels of one field are of several sizes: {sizes}")
    widest = max((plane.dtype.newbyteorder("=").name for plane in planes), key=_depth)
    return np.stack([plane.astype(widest) for plane in planes])


def _depth(name: str) -> int:
    if name not in DEPTHS:
        raise InputError(f"pixels of type {name}: at hand are {listed(DEPTHS)}")
    return DEPTHS.index(name)


def _read(files, z: str | None) -> list[np.ndarray]:
    """Planes of the channels (name, {path, page, sample}) that come as files."""
    sources, field = [], []
    for name, one in files:
        path, page, sample = one["path"], one.get("page"), one.get("sample")
        if not isinstance(path, str) or "\0" in path or not all(
                n is None or type(n) is int and 0 <= n < 1 << 31 for n in (page, sample)):
            raise InputError(f"channel {name}: a file is {{path: text, page: number from 0, "
                             "sample: number from 0}")
        sources.append(Channel(name, name))
        field.append((Plane(path, page, sample),))
    found, pages = look_at(field, sources, z), {}
    for planes, one in zip(field, found):
        if one.fault:
            raise InputError(f"{planes[0].path or 'the file of a channel'} {one.fault[1]}")
    for path, page in {(plane.path, plane.page) for one in found for plane in one.planes}:
        pages[path, page] = read_image(path, page)
    stacks = [[_as_counts(pages[path, page][sample]) for path, page, sample in one.planes]
              for one in found]
    return [_core.z(z, np.stack(stack)) if len(stack) > 1 else stack[0] for stack in stacks]


def _as_counts(plane: np.ndarray) -> np.ndarray:
    """As the loader gives them: of a type with no depth of its own, as float32."""
    plane = as_counts(plane)
    return plane if plane.dtype.name in DEPTHS else plane.astype(np.float32)


def unpack(about, channels: int = 1) -> np.ndarray:
    """Pixels (height, width) of a request: an array, or {dtype, shape, data} as `_HOW` says, the
    numbers little-endian and in row-major order; one of `channels`."""
    if isinstance(about, np.ndarray):
        return about
    try:
        dtype, (height, width) = about["dtype"], about["shape"]
        if dtype not in DEPTHS or not type(height) is type(width) is int:
            raise InputError(_HOW)
        size = np.dtype(dtype).itemsize * height * width
        if min(height, width) < 1 or size > LIMIT_PIXELS // channels:
            raise InputError(f"pixels of {size_words(height, width)}: at most "
                             f"{LIMIT_PIXELS // channels:,} bytes a channel")
        stream = zlib.decompressobj()
        content = stream.decompress(base64.b64decode(about["data"], validate=True), size)
        if len(content) != size:
            raise InputError(f"pixels of {size_words(height, width)} {dtype} are {size:,} bytes, "
                             f"the data has {len(content):,}")
        return np.frombuffer(content, np.dtype(dtype).newbyteorder("<")).reshape(height, width)
    except InputError:
        raise
    except (KeyError, TypeError, ValueError, zlib.error):
        raise InputError(_HOW) from None


def pack(pixels: np.ndarray) -> dict:
    """An array (height, width) as an output; see `unpack`."""
    content = np.ascontiguousarray(pixels, pixels.dtype.newbyteorder("<"))
    return {"dtype": pixels.dtype.name, "shape": list(pixels.shape),
            "data": base64.b64encode(zlib.compress(content.data, 1)).decode()}
