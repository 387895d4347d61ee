# SPDX-License-Identifier: BSD-3-Clause
"""A table against its files: every header read, no pixel decoded.

After table.py; `train` and `predict` ask here for the one shape and depth of all fields.
"""

from __future__ import annotations

import os
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from phenoscale.errors import InputError, listed
from phenoscale.table import Table

__all__ = ["Problem", "Survey", "field_shape", "size_words", "survey"]

_DEPTHS = ("uint8", "uint16", "float32")  # each holds the counts of those before it
_KINDS = ("missing", "unreadable", "samples", "size", "depth")
_MOST = 20  # offenders in one message


class Problem(NamedTuple):
    """A file that stops its field: `row` counts from 0 in the table, `line` as in its source."""

    kind: str  # "missing", "unreadable", "samples", "size" or "depth"
    row: int
    line: object
    well: str
    file: str
    sentence: str


@dataclass
class Survey:
    """What the headers of all files say.

    Attributes
    ----------
    shape : tuple of int or None
        (c, h, w) of most fields; None where no file can be read.
    dtype : str or None
        Widest of the channels: "uint8", "uint16" or "float32".
    sizes : Counter of (h, w)
        Files of each size.
    dtypes : dict of str to Counter
        Channel to the number of its files of each depth.
    several_pages, white_zero : int
        Files with more than one page; files where 0 is white.
    problems : list of Problem
        In the order of the table; at most one a file.
    """

    shape: tuple[int, int, int] | None
    dtype: str | None
    sizes: Counter
    dtypes: dict[str, Counter]
    several_pages: int
    white_zero: int
    problems: list[Problem]


def image_info(path: str) -> dict:
    """Header of a TIFF, as `phenoscale._core.image_info`."""
    from phenoscale import _core

    return _core.image_info(path)


def survey(table: Table, threads: int | None = None, progress=None) -> Survey:
    """Read the header of every file of the table.

    Parameters
    ----------
    table : Table
    threads : int, optional
        Files read at a time; by default the number of processors.
    progress : callable, optional
        Called with (fields done, fields in all).
    """
    infos, problems = [], []
    with ThreadPoolExecutor(threads or os.cpu_count() or 1) as pool:
        for row, found in enumerate(pool.map(_read_headers, table.paths)):
            infos.append([info if isinstance(info, dict) else None for info in found])
            for c, info in enumerate(found):
                if not isinstance(info, dict):
                    problems.append(_problem(table, row, c, *info))
            if progress is not None:
                progress(row + 1, len(table))
    good = [info for row in infos for info in row if info]
    sizes = Counter((info["height"], info["width"]) for info in good)
    dtypes = {
        channel: Counter(row[c]["dtype"] for row in infos if row[c])
        for c, channel in enumerate(table.channels)
    }
    shape = dtype = None
    if sizes:
        shape = (len(table.channels), *sizes.most_common(1)[0][0])
        usual = [depths.most_common(1)[0][0] for depths in dtypes.values() if depths]
        dtype = max(usual, key=_DEPTHS.index)
        problems += _compare(table, infos, shape, dtypes)
    problems.sort(key=lambda problem: problem.row)
    several = sum(info["pages"] > 1 for info in good)
    white_zero = sum(bool(info["is_min_white"]) for info in good)
    return Survey(shape, dtype, sizes, dtypes, several, white_zero, problems)


def _read_headers(paths: list[str]) -> list:
    """For each path its header, or (kind, words) of what is wrong with it."""
    found = []
    for path in paths:
        if not os.path.exists(path):
            found.append(("missing", "does not exist: restore it, or correct its path"))
            continue
        try:
            info = dict(image_info(path))
        except (OSError, ValueError) as error:
            sentence = str(error).removeprefix(f"{path}: ").rstrip(".")
            found.append(("unreadable", f"cannot be read ({sentence}): replace it"))
            continue
        info["dtype"] = np.dtype(info["dtype"]).name
        if info["samples"] > 1:
            words = (
                f"has {info['samples']} samples a pixel (a colour image): "
                "save each channel as a gray TIFF of its own"
            )
            found.append(("samples", words))
        else:
            found.append(info)
    return found


def _problem(table: Table, row: int, c: int, kind: str, words: str) -> Problem:
    path, column = table.paths[row][c], _column(table, c)
    sentence = f"{table.place(row)}, column {column}: {path} {words}, or leave the row out"
    return Problem(kind, row, table.lines[row], table.well_name(row), path, sentence)


def _column(table: Table, c: int) -> str:
    channel = table.channels[c]
    return table.file_columns.get(channel, f"Image_FileName_{channel}")


def _compare(table: Table, infos, shape, dtypes) -> list[Problem]:
    """Fields of another size than most, files of another depth than most of their channel."""
    problems = []
    usual = {c: dtypes[name].most_common(1) for c, name in enumerate(table.channels)}
    for row, files in enumerate(infos):
        for c, info in enumerate(files):
            if not info:
                continue
            if (info["height"], info["width"]) != shape[1:]:
                words = (
                    f"is {size_words(info['height'], info['width'])} where most are "
                    f"{size_words(*shape[1:])} (height x width): crop all to one size"
                )
                problems.append(_problem(table, row, c, "size", words))
            elif info["dtype"] != usual[c][0][0]:
                words = (
                    f"is {info['dtype']} where most of channel {table.channels[c]} are "
                    f"{usual[c][0][0]}: export all fields of a channel with one depth"
                )
                problems.append(_problem(table, row, c, "depth", words))
    return problems


def size_words(height: int, width: int) -> str:
    """A size as every message has it, "1024 x 1280"."""
    return f"{height} x {width}"


def field_shape(table: Table, skip: bool = False, threads: int | None = None, progress=None):
    """The shape and depth that all fields share.

    Parameters
    ----------
    table : Table
    skip : bool
        Give the fields that cannot be used instead of raising.
    threads, progress : optional
        As for `survey`.

    Returns
    -------
    shape : tuple of int
        (c, h, w).
    dtype : str
        "uint8", "uint16" or "float32": the widest of the channels.
    problems : list of Problem
        Only with `skip`: what is wrong, file by file; their `row`s are the fields to leave out.

    Raises
    ------
    InputError
        Without `skip` for files that are missing, unreadable, of several samples a pixel, of
        another size than most, or of another depth than most of their channel; with it only
        where no field is left.
    """
    found = survey(table, threads, progress)
    problems = found.problems
    if skip and len({problem.row for problem in problems}) < len(table):
        return found.shape, found.dtype, problems
    if problems:
        raise InputError(_one_sentence(table, found))
    return (found.shape, found.dtype, problems) if skip else (found.shape, found.dtype)


def _one_sentence(table: Table, found: Survey) -> str:
    """The gravest kind of problem: its first file, or for sizes and depths the offenders."""
    kind = min((problem.kind for problem in found.problems), key=_KINDS.index)
    same = [problem for problem in found.problems if problem.kind == kind]
    if kind not in ("size", "depth"):
        more = f" ({len(same) - 1} more files have the same fault)" if len(same) > 1 else ""
        return same[0].sentence + more
    if len(same) == 1:
        return same[0].sentence
    if kind == "size":
        spread = {"": Counter({size_words(*size): n for size, n in found.sizes.items()})}
        cure = "crop all to one size (height x width)"
    else:
        spread = {f" in channel {c}": n for c, n in found.dtypes.items() if len(n) > 1}
        cure = "export all fields of a channel with one depth"
    counts = "; ".join(
        ", ".join(f"{name} ({n} files)" for name, n in kinds.most_common(4)) + where
        for where, kinds in spread.items()
    )
    places = listed([f"{table.place(p.row)} {os.path.basename(p.file)}" for p in same], None, _MOST)
    return (
        f"the {kind}s of the files differ, {counts}; not as most are: {places}; "
        f"{cure}, or leave these rows out"
    )
