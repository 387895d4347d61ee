# SPDX-License-Identifier: BSD-3-Clause
"""Frames to a file of Parquet, by pyarrow, as they come; csv.py reads it again.

Text is text, and numbers have the types that they have in the frame: those of an embedding are
float32, where a CSV has their digits.
"""

from __future__ import annotations

import io
import json

from phenoscale.errors import InputError, cure_of
from phenoscale.files.atomic import write_atomically

__all__ = ["about_parquet", "check_parquet", "write_parquet"]

_ABOUT = b"phenoscale"  # key of the metadata of the schema
_ROWS = 1 << 13  # of a group, which readers take whole; of 600 columns 20 MB


def check_parquet(path) -> None:
    """InputError where nothing is there that could write the file."""
    try:
        import pyarrow.parquet  # noqa: F401
    except ModuleNotFoundError as error:
        raise InputError(f"{path}: Parquet is written by pyarrow: {cure_of(error)}, or give a "
                         "name with .csv") from None


def write_parquet(frames, path, about: dict | None = None) -> None:
    """Write some frames with the same columns as one file, whole or not at all.

    frames: iterable of pandas.DataFrame.
    about: where its numbers come from, in types of JSON, as `about_parquet` gives it back.
    """
    check_parquet(path)
    write_atomically(path, _groups(frames, about))


def about_parquet(path) -> dict:
    """What `write_parquet` was told of the numbers of a file; {} of any other."""
    import pyarrow.parquet

    words = (pyarrow.parquet.read_schema(path).metadata or {}).get(_ABOUT, b"{}")
    try:
        about = json.loads(words)
    except ValueError:  # of another program
        return {}
    return about if isinstance(about, dict) else {}


class _Sink(io.RawIOBase):
    """A file that keeps what is written to it until that is taken."""

    def __init__(self):
        self._parts, self._at = [], 0

    def writable(self) -> bool:
        """Always."""
        return True

    def tell(self) -> int:
        """How much was written so far."""
        return self._at

    def write(self, content) -> int:
        """Keep a copy: whose memory it is will be used again."""
        self._parts.append(bytes(content))
        self._at += len(self._parts[-1])
        return len(self._parts[-1])

    def taken(self) -> list[bytes]:
        """What was written since the last time."""
        parts, self._parts = self._parts, []
        return parts


def _groups(frames, about):
    """The bytes of the file, a group of rows at a time."""
    import pyarrow
    import pyarrow.parquet

    sink, writer = _Sink(), None
    for frame in _gathered(frames):
        if writer is None:
            schema = pyarrow.schema([(name, _kind(frame[name].dtype)) for name in frame.columns],
                                    {_ABOUT: json.dumps(about)} if about else None)
            texts = [entry.name for entry in schema if entry.type == pyarrow.string()]
            # a dictionary of floats, hardly two of which are the same, is half as large again
            writer = pyarrow.parquet.ParquetWriter(sink, schema, use_dictionary=texts)
        writer.write_table(pyarrow.Table.from_pandas(frame, schema, preserve_index=False))
        yield from sink.taken()
    writer.close()
    yield from sink.taken()


def _kind(dtype):
    """A type of Parquet for one of a frame; whatever is no number is text."""
    import pyarrow

    plain = getattr(dtype, "numpy_dtype", dtype)  # Int64 may lack some
    return pyarrow.from_numpy_dtype(plain) if plain.kind in "biuf" else pyarrow.string()


def _gathered(frames):
    """Frames of as many rows as a group has, or more."""
    import pandas

    parts = []
    for frame in frames:
        parts.append(frame)
        if sum(map(len, parts)) >= _ROWS:
            yield pandas.concat(parts, ignore_index=True)
            parts = []
    if parts:
        yield pandas.concat(parts, ignore_index=True)
