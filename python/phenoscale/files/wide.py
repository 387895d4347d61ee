# SPDX-License-Identifier: BSD-3-Clause
"""Tables with thousands of columns of numbers: those asked for as float32, a few others as text.

As csv.py reads them, but a row at a time: 100,000 rows of 2,048 numbers are 0.8 GB, where their
cells as text would be twenty times as much.
"""

from __future__ import annotations

import codecs
import csv
import gzip
import os
from itertools import chain, islice
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from phenoscale.errors import InputError, cure_of
from phenoscale.files.csv import cell_text, check_packed, delimiter_of, plain_cell
from phenoscale.files.kinds import refuse_other_kinds
from phenoscale.machine import free_memory
from phenoscale.words import count

if TYPE_CHECKING:
    import pandas

__all__ = ["Wide", "read_wide"]

_HEAD = 100  # rows looked at to tell numbers from text
_ROWS = 1 << 10  # made into numbers at a time
_START = 1 << 16  # bytes that tell what a file is
_LIMIT_ROWS, _LIMIT_COLUMNS = 10**7, 10**5
#: What stands in a cell for no number, in small letters, beside the spellings of NaN and infinity
_NONE = frozenset(("", "na", "n/a", "#n/a", "<na>", "null", "none"))


class Wide(NamedTuple):
    """A table of numbers.

    Attributes
    ----------
    text : dict of str to list of str
        Column to its cells.
    numbers : numpy.ndarray
        float32 (rows, columns asked for), nan where a cell has none.
    lines : list of int
        The line of each row, or its row in a DataFrame.
    unit : str
        "line" or "row".
    """

    text: dict[str, list[str]]
    numbers: np.ndarray
    lines: list[int]
    unit: str


def read_wide(source, choose) -> Wide:
    """Read a table of numbers.

    Parameters
    ----------
    source : str, path or pandas.DataFrame
        CSV with commas, semicolons or tabs, UTF-8 or UTF-16, plain or gzip; Parquet.
    choose : callable
        Takes column to whether it holds numbers (by its first 100 rows, or its type), a dict in
        the order of the table; gives the names of those to be read as numbers, and of those to be
        read as text.

    Raises
    ------
    InputError
        For a file that is no such table, naming the line and the column.
    """
    if hasattr(source, "columns"):
        return _of_frame(source, choose)
    if not isinstance(source, (str, os.PathLike)):
        raise InputError(f"a table is read from a path or a DataFrame, not {type(source).__name__}")
    path = os.fspath(source)
    try:
        with open(path, "rb") as file:
            start = file.read(_START)
        if start.startswith(b"PAR1"):
            return _of_parquet(path, choose)
        is_packed = start.startswith(b"\x1f\x8b")
        if is_packed:
            check_packed(path)
            with gzip.open(path) as file:
                start = file.read(_START)
        refuse_other_kinds(path, start)
        if start.startswith(b"PK\x03\x04"):
            raise InputError(f"{path} is a workbook: save its sheet of profiles as 'CSV UTF-8'")
        return _of_csv(path, start, gzip.open if is_packed else open, choose)
    except (OSError, EOFError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise InputError(f"{path} cannot be read: {why}") from None


class _Numbers:
    """Rows of numbers as they come, within the memory that there is."""

    def __init__(self, path: str, width: int):
        self.path, self.width, self.parts, self.rows = path, width, [], 0
        self.most = free_memory() // 3  # once more for all in one, once more at unit length

    def add(self, part) -> None:
        """Some rows, float32 (rows, width)."""
        self.parts.append(part)
        self.rows += len(part)
        if 4 * self.rows * self.width > self.most or self.rows > _LIMIT_ROWS:
            raise InputError(f"{self.path} has more numbers than fit into memory ({self.rows:,} "
                             f"rows of {count(self.width, 'feature')}, and more follow): name "
                             "fewer features, or split it")

    def whole(self) -> np.ndarray:
        """All rows; the parts are let go one after the other, so that they are not there twice."""
        found, at = np.empty((self.rows, self.width), np.float32), 0
        self.parts.reverse()
        while self.parts:
            part = self.parts.pop()
            found[at : at + len(part)] = part
            at += len(part)
        return found


# ---- CSV -----------------------------------------------------------------------------------------


def _of_csv(path: str, start: bytes, opener, choose) -> Wide:
    encoding = "utf-16" if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) \
        else "utf-8-sig"
    rows = _csv_rows(path, opener, encoding, delimiter_of(start.decode(encoding, "ignore")))
    header = list(map(plain_cell, next(rows, (0, []))[1]))
    _check_header(path, header)
    head = list(islice(rows, _HEAD))
    is_number = {name: all(_number(row[at]) is not None for _, row in head)
                 for at, name in enumerate(header)}
    numbers, texts = choose(is_number)
    at, kept = [header.index(name) for name in numbers], [header.index(name) for name in texts]
    cells, lines, found, seen = [[] for _ in texts], [], _Numbers(path, len(at)), {}
    rows = chain(head, rows)
    while block := list(islice(rows, _ROWS)):
        found.add(np.array([_row_numbers(path, line, row, at, header) for line, row in block],
                           np.float32).reshape(len(block), len(at)))
        lines += [line for line, _ in block]
        for column, k in zip(cells, kept):
            column += [seen.setdefault(row[k], row[k]) for _, row in block]
    return Wide({name: list(map(plain_cell, column)) for name, column in zip(texts, cells)},
                found.whole(), lines, "line")


def _csv_rows(path: str, opener, encoding: str, delimiter: str):
    """(line, cells) of the rows that have content; the header is the first."""
    width, line = None, 1
    with opener(path, "rt", encoding=encoding, newline="") as file:
        reader = csv.reader(file, strict=True, skipinitialspace=True, delimiter=delimiter)
        try:
            for row in reader:
                begin, line = line, reader.line_num + 1
                if not any(map(str.strip, row)):
                    continue
                width = width or len(row)
                if len(row) != width:
                    raise InputError(f"{path} line {begin} has {len(row)} cells where the header "
                                     f"has {width}: a comma or a quote is missing or too many")
                yield begin, row
        except csv.Error as error:
            raise InputError(f"{path} line {line} is not well-formed CSV: {error}") from None
        except UnicodeError:
            raise InputError(f"{path} line {line} or later is not UTF-8: save it as 'CSV UTF-8'"
                             ) from None


def _check_header(path: str, header) -> None:
    if not header:
        raise InputError(f"{path} has no rows: it needs a header and one row for each profile")
    if len(header) > _LIMIT_COLUMNS:
        raise InputError(f"{path}: a table has at most {_LIMIT_COLUMNS:,} columns: split it")
    twice = {name for name in header if name and header.count(name) > 1} if len(
        set(header)) < len(header) else ()
    if twice:
        raise InputError(f"{path} line 1: column {min(twice)} is there twice: remove or rename one")


def _row_numbers(path: str, line: int, row, at, header) -> list[float]:
    try:
        return [float(row[k]) for k in at]
    except ValueError:  # an empty cell, mostly
        numbers = [_number(row[k]) for k in at]
    if None in numbers:
        k = at[numbers.index(None)]
        raise InputError(f"{path} line {line}, column {header[k]}: '{row[k][:40]}' is no number: "
                         "correct it, or leave the column out with --features")
    return numbers


def _number(cell: str) -> float | None:
    """Of a cell, nan where it says that there is none; None for other text."""
    try:
        return float(cell)
    except ValueError:
        return np.nan if cell.strip().lower() in _NONE else None


# ---- Parquet, frames -----------------------------------------------------------------------------


def _of_parquet(path: str, choose) -> Wide:
    try:
        import pyarrow
        import pyarrow.parquet
    except ModuleNotFoundError as error:
        raise InputError(f"{path} is Parquet, which pyarrow reads: {cure_of(error)}, or save it "
                         "as CSV") from None
    try:
        file = pyarrow.parquet.ParquetFile(path)
        schema = file.schema_arrow
        _check_header(path, schema.names)
        numbers, texts = choose({entry.name: _is_number(entry.type) for entry in schema})
        cells, found = {name: [] for name in texts}, _Numbers(path, len(numbers))
        for batch in file.iter_batches(_ROWS, columns=[*numbers, *texts]):
            part = np.empty((len(batch), len(numbers)), np.float32)
            for k, name in enumerate(numbers):
                part[:, k] = batch.column(name).to_numpy(zero_copy_only=False)
            found.add(part)
            for name in texts:
                cells[name] += map(cell_text, batch.column(name).to_pylist())
    except (pyarrow.ArrowException, OSError, TypeError) as error:
        raise InputError(f"{path} cannot be read as Parquet ({error}): write it again, or as CSV"
                         ) from None
    return Wide(cells, found.whole(), list(range(1, found.rows + 1)), "row")


def _is_number(kind) -> bool:
    import pyarrow

    return pyarrow.types.is_integer(kind) or pyarrow.types.is_floating(kind)


def _of_frame(frame: pandas.DataFrame, choose) -> Wide:
    """Columns of numbers by their type, or, of text, by their first cells as of a CSV."""
    frame = frame.set_axis([str(name).strip() for name in frame.columns], axis=1)
    _check_header("the DataFrame", list(frame.columns))
    numbers, texts = choose({name: _holds_numbers(frame[name]) for name in frame.columns})
    found = np.empty((len(frame), len(numbers)), np.float32)
    for k, name in enumerate(numbers):
        try:
            found[:, k] = frame[name].to_numpy(dtype=np.float32, na_value=np.nan)
        except (TypeError, ValueError):
            raise InputError(f"the DataFrame, column {name}: not all of it are numbers: correct "
                             "it, or leave the column out with --features") from None
    cells = {name: list(map(cell_text, frame[name].astype(object).where(frame[name].notna(), "")))
             for name in texts}
    return Wide(cells, found, list(range(len(frame))), "row")


def _holds_numbers(cells) -> bool:
    if isinstance(cells.dtype, np.dtype) and cells.dtype.kind in "iuf":
        return True
    head = cells.iloc[:_HEAD].dropna()
    return cells.dtype != bool and all(
        not isinstance(cell, bool) and _number(str(cell)) is not None for cell in head)
