# SPDX-License-Identifier: BSD-3-Clause
"""A table against its files: every header read, every plane found, no pixel decoded.

After tables/table.py; `train` and `predict` ask here for the one shape and depth of all fields.
"""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass, field, replace
from functools import partial
from typing import NamedTuple

import numpy as np

from phenoscale.errors import sentence_of
from phenoscale.images.disk import patiently
from phenoscale.images.pages import axes, full_pages, is_of_set
from phenoscale.images.read import image_info
from phenoscale.images.survey_ranks import Found, look_at_all
from phenoscale.tables.columns import Channel
from phenoscale.tables.table import DEPTHS, Plane, Table
from phenoscale.words import count, size_words

__all__ = ["Problem", "Survey", "look_at", "survey"]

#: what is done to files, in words, and whether it is done to one of this header
_SAID = {
    "of signed 16-bit numbers (int16): taken as counts (uint16), a negative one is an error":
        lambda info: info["native"] == "int16",
    "with thumbnails, smaller copies or masks beside their pages: those are left out":
        lambda info: bool(info.get("reduced")),
    "of one page with a description by OME of several: each is read as the one page that it is":
        is_of_set,
}
KINDS = ("missing", "unreadable", "channels", "stack", "size", "depth")


class Problem(NamedTuple):
    """A file that stops its field: `row` counts from 0 in the table, `line` as in its source."""

    kind: str  # one of KINDS, or "pixels"
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
    planes : list of list of list of Plane
        (fields, channels): the planes to read, page and sample known; empty where there is a
        problem.
    kinds, natives : Counter of str
        Files of each kind ("TIFF", "PNG", ...), and of each type of number in them.
    sizes : Counter of (h, w)
        Files of each size.
    rows_of_size : dict of (h, w) to list of int
        Fields whose first file that can be read has that size.
    dtypes : dict of str to Counter
        Channel to the number of its files of each depth.
    white_zero : int
        Files where 0 is white.
    problems : list of Problem
        In the order of the table; at most one a file.
    notes : list of str
        What the user should know about how files are read.
    """

    shape: tuple[int, int, int] | None
    dtype: str | None
    planes: list
    kinds: Counter
    natives: Counter
    sizes: Counter
    dtypes: dict[str, Counter]
    white_zero: int
    problems: list[Problem]
    notes: list[str] = field(default_factory=list)
    rows_of_size: dict = field(default_factory=dict)

    def select(self, rows) -> Survey:
        """The same of these rows of the table, for reading them."""
        return replace(self, planes=[self.planes[row] for row in rows], problems=[])

    def for_loader(self) -> tuple[list[str], np.ndarray, np.ndarray]:
        """files, planes (p, 3) and ends (n * c) as `phenoscale._core.Loader` wants them.

        A field with a problem gets its first planes of a file that is not there: whoever asks for
        it gets an error.
        """
        numbers, files, planes, ends = {}, [], [], []
        for row in self.planes:
            for found in row:
                for path, page, sample in found or [Plane("/", 0, 0)]:
                    if path not in numbers:
                        numbers[path] = len(files)
                        files.append(path)
                    planes.append((numbers[path], page, sample))
                ends.append(len(planes))
        return files, np.array(planes, np.int64).reshape(-1, 3), np.array(ends, np.int64)


def survey(table: Table, threads: int | None = None, progress=None, ranks=None) -> Survey:
    """Read the header of every file of the table.

    Parameters
    ----------
    table : Table
    threads : int, optional
        Files read at a time; by default the number of processors.
    progress : callable, optional
        Takes events of `phenoscale.progress`, of the stage "check".
    ranks : object, optional
        Processes that share the work, as `phenoscale.ranks.alone.Alone`; all get the same.
    """
    rows, infos, problems = [], [], []
    look = partial(look_at, sources=table.sources, z=table.z)
    for row, found in enumerate(look_at_all(table.planes, look, threads, progress, ranks)):
        for c, one in enumerate(found):
            if one.fault:
                problems.append(_problem(table, row, c, *one.fault))
        infos.append([one.info for one in found])
        rows.append([one.planes for one in found])
    good = [info for row in infos for info in row if info]
    sizes = Counter((info["height"], info["width"]) for info in good)
    dtypes = {
        channel: Counter(row[c]["dtype"] for row in infos if row[c])
        for c, channel in enumerate(table.channels)
    }
    said = Counter(words for info in good for words in info["said"])
    notes = [f"{count(n, 'file')} {words}" for words, n in said.items()]
    shape = dtype = None
    if sizes:
        shape = (len(table.channels), *sizes.most_common(1)[0][0])
        usual = [depths.most_common(1)[0][0] for depths in dtypes.values() if depths]
        dtype = max(usual, key=DEPTHS.index)
        problems += _compare(table, infos, shape, dtypes)
    problems.sort(key=lambda problem: problem.row)
    for problem in problems:
        rows[problem.row] = [[] for _ in table.channels]
    return Survey(shape, dtype, rows, Counter(info["kind"] for info in good),
                  Counter(info["native"] for info in good), sizes, dtypes,
                  sum(bool(info["is_min_white"]) for info in good), problems, notes,
                  _rows_of_size(infos))


def _rows_of_size(infos) -> dict:
    """Size of the first file that can be read to the rows of the fields."""
    found = {}
    for row, files in enumerate(infos):
        info = next(filter(None, files), None)
        if info:
            found.setdefault((info["height"], info["width"]), []).append(row)
    return found


# ---- one file ------------------------------------------------------------------------------------


def look_at(field, sources, z: str | None) -> list[Found]:
    """Each channel of one field; `field` holds the planes of each, as a `Table` does."""
    headers = {}
    for planes in field:
        for plane in planes:
            if plane.path not in headers:
                headers[plane.path] = _read_header(plane.path)
    return [_find(z, channel, planes, headers) for channel, planes in zip(sources, field)]


def _read_header(path: str, page: int = 0):
    """The header, or (kind, words) of what is wrong with the file."""
    if not path:
        return "missing", "is not named: give the file"
    try:
        patiently(lambda: os.stat(path))
        info = image_info(path, page)
        full = full_pages(info)
        if page == 0 != full[0]:  # a thumbnail comes first
            info = {**image_info(path, full[0]), "description": info["description"]}
        return info
    except (FileNotFoundError, NotADirectoryError):
        return "missing", "does not exist: restore it, or correct its path"
    except OSError as error:  # of the disk or its permissions: the file may be whole
        sentence = sentence_of(error).removeprefix(f"{path}: ")
        return "unreadable", sentence if sentence.startswith("cannot be ") else \
            f"cannot be read: {sentence}"
    except ValueError as error:
        sentence = str(error).removeprefix(f"{path}: ").rstrip(".")
        return "unreadable", f"cannot be read ({sentence}): replace it"


def _find(z: str | None, channel: Channel, planes, headers) -> Found:
    found = []
    if len(planes) > 1 and not planes[-1].path:
        return Found(None, [], ("missing", f"is one of {len(planes)} planes of z, of which not all "
                                           "are named: give the files"))
    for plane in planes:
        info = headers[plane.path]
        if isinstance(info, tuple):
            return Found(None, [], info)
        try:
            chosen = _pages(z, channel, plane, info, len(planes) > 1)
            for page in {one.page for one in chosen} - {full_pages(info)[0]}:
                _check_page(plane.path, page, info)
        except _Fault as fault:
            return Found(None, [], fault.args)
        found += chosen
    infos = [headers[plane.path] for plane in planes]
    said = [words for words, is_so in _SAID.items() if any(map(is_so, infos))]
    return Found({**infos[0], "said": said}, found, None)


def _check_page(path: str, page: int, first: dict) -> None:
    """A page must be like the first of its file."""
    info = _read_header(path, page)
    if isinstance(info, tuple):
        raise _Fault(*info)
    for key, words in (("samples", "{} samples a pixel"), ("height", "{} rows"),
                       ("width", "{} columns"), ("dtype", "{}")):
        if info[key] != first[key]:
            raise _Fault("stack", f"has {words.format(info[key])} on page {page} where its first "
                                  f"page has {words.format(first[key])}: save the pages as files")


class _Fault(Exception):
    """(kind, words) of what keeps a file from being used."""


def _pages(z: str | None, channel: Channel, plane: Plane, info: dict,
           is_part: bool) -> list[Plane]:
    """The planes of a file that a channel is made of, page and sample known."""
    samples = info["samples"]
    full = full_pages(info)
    if plane.page is not None:
        if plane.page >= info["pages"]:
            raise _Fault("unreadable", f"has {info['pages']} pages, counted from 0: there is no "
                                       f"page {plane.page}: correct the column of frames")
        order = {"C": 1}
    else:
        try:
            order = axes(info, os.path.basename(plane.path))
        except ValueError as error:
            raise _Fault("stack", f"{error}: export it again, or name its pages in a column "
                                  f"Frame_{channel.column}") from None
    if order is None:
        order = _reading(z, channel, plane, info, is_part)
    at = {"C": _channel_page(channel, plane, samples, order.get("C", 1)), "T": 0}
    if order.get("T", 1) > 1:
        raise _Fault("stack", f"has {order['T']} time points: export one of them, or name its page "
                              f"in a column Frame_{channel.column}")
    number, sample = divmod(at["C"], samples)
    at["C"] = number
    heights = _heights(z, order.get("Z", 1), is_part)
    found = []
    for at["Z"] in heights:
        page, step = 0, 1
        for axis, size in order.items():
            page += step * at[axis]
            step *= size
        found.append(Plane(plane.path, full[page] if plane.page is None else plane.page, sample))
    return found


def _reading(z: str | None, channel: Channel, plane: Plane, info: dict, is_part: bool) -> dict:
    """What pages are that nothing in the file explains: as the user says, or a question."""
    pages, is_numbered = len(full_pages(info)), channel.number(plane.sample) is not None
    if pages == 1:
        return {"C": 1}
    if info["samples"] > 1:  # the samples are channels
        return {"Z": pages}
    if is_numbered == (z is not None) and not (is_numbered and is_part):
        words = ", not both" if is_numbered else ""
        raise _Fault("stack", f"has {pages} pages that nothing explains: --channels "
                              f"{_named(channel, min(pages, 2))} if they are channels, --z max if "
                              f"they are planes{words}, or name its page in a column "
                              f"Frame_{channel.column}")
    return {"C" if is_numbered else "Z": pages}


def _named(channel: Channel, count: int) -> str:
    """ "A=file:0,B=file:1": the word for channels of one file."""
    return ",".join(f"{word}={channel.column}:{k}" for k, word in zip(range(count), "ABC"))


def _channel_page(channel: Channel, plane: Plane, samples: int, pages: int) -> int:
    """Which of the channels of a file, those of one pixel first."""
    wanted, total = channel.number(plane.sample), samples * pages
    if wanted is None:
        if total > 1:
            raise _Fault("channels", f"has {total} channels: name those wanted, --channels "
                                     f"{_named(channel, total)}")
        return 0
    if wanted >= total:
        raise _Fault("channels", f"has {total} channel{'s' * (total > 1)}, counted from 0: there "
                                 f"is no channel {wanted}")
    return wanted


def _heights(z: str | None, planes: int, is_part: bool) -> list[int]:
    """Which planes of z."""
    if planes == 1 and not (z or "").isdigit():
        return [0]
    if is_part:
        raise _Fault("stack", f"has {planes} planes, and is itself one of a stack: export one "
                              "plane a file")
    if z is None:
        raise _Fault("stack", f"has {planes} planes of z: say with --z how they become one: max, "
                              f"mean, or a number from 0 to {planes - 1}")
    if z.isdigit():
        if int(z) >= planes:
            raise _Fault("stack", f"has {planes} plane{'s' * (planes > 1)} of z, counted from 0: "
                                  f"there is no plane {z}")
        return [int(z)]
    return list(range(planes))


# ---- files compared ------------------------------------------------------------------------------


def _problem(table: Table, row: int, c: int, kind: str, words: str) -> Problem:
    path, site = table.planes[row][c][0].path, table.role("site")
    if not path and site is not None:
        words = words.replace("give the file", f"give the file of site {site.iloc[row]}")
    sentence = (f"{table.place(row)}, column {table.file_column(c)}: "
                f"{path or 'the file of ' + table.channels[c]} {words}, or leave the row out")
    return Problem(kind, row, table.lines[row], table.well_name(row), path, sentence)


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
                    f"{size_words(*shape[1:])} (height x width): crop all to one size, or "
                    "make a table of each"
                )
                problems.append(_problem(table, row, c, "size", words))
            elif info["dtype"] != usual[c][0][0]:
                words = (
                    f"is {info['dtype']} where most of channel {table.channels[c]} are "
                    f"{usual[c][0][0]}: export all fields of a channel with one depth"
                )
                problems.append(_problem(table, row, c, "depth", words))
    return problems


