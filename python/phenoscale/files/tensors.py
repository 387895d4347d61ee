# SPDX-License-Identifier: BSD-3-Clause
"""Files of tensors in the safetensors layout, with JSON of ours in their metadata.

    8 bytes: length n of the header | n bytes: JSON of names, shapes, places | the tensors

Under models/model.py, training/checkpoint.py and prediction/blocks.py.  Written as it streams,
whole or not at all; a model is read with the package safetensors, after the header has been found
to be ours; checkpoints and blocks are checked by checksums of their own, and read to where their
numbers belong, so that no second copy is in memory beside a network.
"""

from __future__ import annotations

import json
import math
import os
import struct
import zlib

import numpy as np

from phenoscale.errors import InputError
from phenoscale.files.atomic import write_atomically

__all__ = ["Stored", "checksums", "read_about", "read_header", "read_tensors", "write_tensors"]

FORMAT = 1
_LIMIT_HEADER = 1 << 20  # bytes of JSON in front of the weights
_BLOCK = 1 << 20  # bytes in memory while a tensor of `Stored` is read


def write_tensors(path, program: str, about: dict, tensors) -> None:
    """Write a file, whole or not at all; the numbers go to it from where they lie.

    Parameters
    ----------
    path : path
    program : str
        What the file is, the first word of its format: "phenoscale", ...
    about : dict
        What JSON can hold.
    tensors : list of (str, tuple of int, ndarray of float32)
        Name, shape, and that many numbers, flat.
    """
    header, end = {"__metadata__": {"format": f"{program} {FORMAT}",
                                    program: json.dumps(about)}}, 0
    for name, shape, _ in tensors:
        begin, end = end, end + 4 * math.prod(shape)
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [begin, end]}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    parts = [np.ascontiguousarray(numbers, "<f4") for *_, numbers in tensors]
    write_atomically(path, [struct.pack("<Q", len(text)) + text, *parts])


def read_about(path: str, program: str, what: str) -> dict:
    """The JSON of our metadata, from the header alone; for the rest see `read_header`."""
    return read_header(path, program, what)[0]


def read_header(path: str, program: str, what: str, limit: int = _LIMIT_HEADER):
    """The JSON of our metadata, and where the tensors lie.

    Parameters
    ----------
    path : str
    program : str
        As it was written.
    what : str
        What should have been given, for messages: "the model.safetensors of a ... run".
    limit : int
        Bytes of header that are read.

    Returns
    -------
    about : dict
    places : dict of str to (int, int)
        Tensor to its first byte in the file, and its length in float32.

    Raises
    ------
    InputError
        For a file that is missing, damaged, of another program, or of a later format.
    """
    try:
        if os.path.exists(path) and not os.path.isfile(path):
            raise InputError(f"{path} is no file: give {what}")
        with open(path, "rb") as file:
            start = file.read(8)
            length = struct.unpack("<Q", start)[0] if len(start) == 8 else 0
            text = file.read(length) if 2 <= length <= limit else b""
    except FileNotFoundError:
        raise InputError(f"{path} does not exist: give {what}") from None
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from None
    try:
        header = json.loads(text.decode("utf-8"), object_pairs_hook=_once)
        metadata = header.pop("__metadata__")
        name, _, number = metadata["format"].rpartition(" ")
        if name != program:
            raise KeyError(name)
        if int(number) > FORMAT:
            raise InputError(f"{path} was written by a later phenoscale: install that version")
        about = json.loads(metadata[program], object_pairs_hook=_once)
        if not isinstance(about, dict):
            raise KeyError(program)
        places = {name: _place(entry, 8 + length) for name, entry in header.items()}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path} is no {program} file, or is damaged: give {what}") from None
    return about, places


def _place(entry: dict, start: int) -> tuple[int, int]:
    """First byte and length of a tensor; KeyError for what `write_tensors` does not write."""
    (begin, end), shape = entry["data_offsets"], entry["shape"]
    if not (entry["dtype"] == "F32" and type(begin) is type(end) is int and 0 <= begin <= end
            and all(type(side) is int and side >= 0 for side in shape)
            and end - begin == 4 * math.prod(shape)):
        raise KeyError("data_offsets")
    return start + begin, (end - begin) // 4


def _once(pairs: list) -> dict:
    """An object of JSON; KeyError where a key is there twice."""
    if len(dict(pairs)) < len(pairs):
        raise KeyError("twice")
    return dict(pairs)


def read_tensors(path: str, wanted, out: np.ndarray) -> None:
    """Read all tensors of a file, one after the other into a flat array.

    Parameters
    ----------
    path : str
    wanted : list of (str, tuple of int)
        Names and shapes; the file must have these and no others.
    out : ndarray of float32
        As long as all of them.

    Raises
    ------
    InputError
        For a file that is damaged, or has other tensors.
    """
    from safetensors import SafetensorError, safe_open

    at = 0
    try:
        with safe_open(path, framework="np") as file:
            if set(file.keys()) != {name for name, _ in wanted}:
                raise InputError(f"{path} is damaged: its tensors are not those of its network")
            for name, shape in wanted:
                found = file.get_slice(name)
                if found.get_dtype() != "F32" or tuple(found.get_shape()) != tuple(shape):
                    raise InputError(f"{path} is damaged: the tensor {name} is "
                                     f"{found.get_dtype()} {found.get_shape()}, not F32 "
                                     f"{list(shape)}")
                tensor = file.get_tensor(name)
                out[at : at + tensor.size] = tensor.ravel()
                at += tensor.size
    except (SafetensorError, OSError) as error:
        raise InputError(f"{path} is damaged: {error}") from None


def checksums(tensors) -> dict[str, int]:
    """Name to the CRC-32 of a tensor as `write_tensors` writes it, of (name, ndarray) pairs."""
    return {name: zlib.crc32(np.ascontiguousarray(numbers, "<f4")) for name, numbers in tensors}


class Stored:
    """The tensors of a file, on disk until they are read to where they belong.

    Parameters
    ----------
    path, places
        As `read_header` takes and gives them.

    Attributes
    ----------
    lengths : dict of str to int
    """

    def __init__(self, path: str, places: dict):
        self._path, self._places = path, places
        self.lengths = {name: count for name, (_, count) in places.items()}

    def read(self, name: str, out: np.ndarray) -> None:
        """Read a tensor into a flat array of float32, as long as it is."""
        flat, at = memoryview(out).cast("B"), 0
        for block in self._blocks(name):
            flat[at : at + len(block)] = block
            at += len(block)

    def check(self, sums) -> None:
        """InputError where the tensors are not those that `checksums` gave `sums` of."""
        if not (isinstance(sums, dict) and set(sums) == set(self.lengths)):
            raise self._damaged("it has no checksums of its tensors")
        for name in self.lengths:
            crc = 0
            for block in self._blocks(name):
                crc = zlib.crc32(block, crc)
            if crc != sums[name]:
                raise self._damaged("its checksums do not agree")

    def _blocks(self, name: str):
        at, count = self._places[name]
        left = 4 * count
        try:
            with open(self._path, "rb") as file:
                file.seek(at)
                while left:
                    block = file.read(min(left, _BLOCK))
                    if not block:
                        raise self._damaged("its end is missing")
                    yield block
                    left -= len(block)
        except OSError as error:
            raise self._damaged(error.strerror) from None

    def _damaged(self, why: str) -> InputError:
        return InputError(f"{self._path} is damaged: {why}")
