# SPDX-License-Identifier: BSD-3-Clause
"""The fields that other programs ask about: files, read as everywhere, or pixels in the request.

Needs numpy alone, as tasks.py does.
"""

from __future__ import annotations

import base64
import math
import zlib

import numpy as np

from phenoscale import _core
from phenoscale.errors import InputError
from phenoscale.hosts.task_schema import PIXELS
from phenoscale.images.fields import check_plane
from phenoscale.images.read import as_counts, read_image
from phenoscale.images.survey import look_at
from phenoscale.models.model import Model
from phenoscale.tables.columns import Channel
from phenoscale.tables.table import DEPTHS, Plane
from phenoscale.words import count, listed, size_words

__all__ = ["field_of", "pack", "unpack"]

LIMIT_PIXELS = 1 << 30  # bytes of a field that comes with a request


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
        sources.append(Channel(name, name))
        field.append((Plane(path, page, sample),))
    found, pages = look_at(field, sources, z), {}
    for planes, one in zip(field, found):
        if one.fault:
            raise InputError(f"{planes[0].path or 'the file of a channel'} {one.fault[1]}")
    for path, page in {(plane.path, plane.page) for one in found for plane in one.planes}:
        pages[path, page] = read_image(path, page)
    stacks = [[check_plane(_as_counts(pages[path, page][sample]), path)
               for path, page, sample in one.planes] for one in found]
    return [_core.z(z, np.stack(stack)) if len(stack) > 1 else stack[0] for stack in stacks]


def _as_counts(plane: np.ndarray) -> np.ndarray:
    """As the loader gives them: of a type with no depth of its own, as float32."""
    plane = as_counts(plane)
    return plane if plane.dtype.name in DEPTHS else plane.astype(np.float32)


def unpack(about, channels: int = 1) -> np.ndarray:
    """Pixels (height, width) of a request: an array, or {dtype, shape, data} as `PIXELS` of
    task_schema.py says, the numbers little-endian and in row-major order; one of `channels`."""
    if isinstance(about, np.ndarray):
        return about
    PIXELS.check(about, "pixels")
    dtype, shape = np.dtype(about["dtype"]), about["shape"]
    if len(shape) != 2:
        raise InputError(f"the input 'shape' of pixels has {count(len(shape), 'number')}: give "
                         "[height, width]")
    what, size = f"pixels of {size_words(*shape)} {dtype}", dtype.itemsize * math.prod(shape)
    if size > LIMIT_PIXELS // channels:
        raise InputError(f"{what}: at most {LIMIT_PIXELS // channels:,} bytes a channel")
    content = _inflated(about["data"], size, what)
    return np.frombuffer(content, dtype.newbyteorder("<")).reshape(shape)


def _inflated(data: str, size: int, what: str) -> bytes:
    """The bytes of a zlib stream in base64, whole and as many as there should be; no more than one
    beyond them is made."""
    stream = zlib.decompressobj()
    try:
        content = stream.decompress(base64.b64decode(data, validate=True), size + 1)
    except ValueError:
        raise InputError(f"{what}: the input 'data' is no base64") from None
    except zlib.error as error:
        raise InputError(f"{what}: the input 'data' is no whole zlib stream: {error}") from None
    if len(content) != size:
        more = "more" if len(content) > size else f"{len(content):,}"
        raise InputError(f"{what} are {size:,} bytes, the input 'data' has {more}")
    if not stream.eof:
        raise InputError(f"{what}: the input 'data' ends before the checksum of its zlib stream")
    if stream.unused_data:
        raise InputError(f"{what}: the input 'data' has {len(stream.unused_data):,} bytes behind "
                         "the end of its zlib stream")
    return content


def pack(pixels: np.ndarray) -> dict:
    """An array (height, width) as an output; see `unpack`."""
    content = np.ascontiguousarray(pixels, pixels.dtype.newbyteorder("<"))
    return {"dtype": pixels.dtype.name, "shape": list(pixels.shape),
            "data": base64.b64encode(zlib.compress(content.data, 1)).decode()}
