# SPDX-License-Identifier: BSD-3-Clause
"""CSV files as cells of text: in with line numbers, out whole and safe for spreadsheets.

Below table.py, which gives the cells their meaning; every CSV of the package is written here.
"""

from __future__ import annotations

import csv
import gzip
import io
import re
import zlib
from typing import TYPE_CHECKING

from phenoscale.atomic import write_atomically
from phenoscale.errors import InputError

if TYPE_CHECKING:
    import pandas

__all__ = ["FORMULA", "read_csv", "write_csv"]

_ROWS = 256  # made into text at a time: embeddings are wide
_FILE = re.compile(r"(?:Image_)?(?:FileName|PathName)_.+")
#: What a spreadsheet takes for the beginning of a formula.
FORMULA = ("=", "+", "-", "@", "\t", "\r", "＝", "＋", "－", "＠")


def read_csv(path: str) -> tuple[list[str], list[list[str]], list[int]]:
    """Header, rows of stripped cells, and the line where each row begins.

    UTF-8 with or without a mark, LF, CRLF or CR; lines without content are left out, and so are
    columns without name and content (spreadsheets leave some at the right).  InputError names
    the line of anything else.
    """
    content = _read_bytes(path)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = len(content[: error.start].splitlines()) or 1
        raise InputError(f"{path} line {line} is not UTF-8: save it as 'CSV UTF-8'") from None
    if "\0" in text:
        line = text[: text.index("\0")].count("\n") + 1
        raise InputError(f"{path} line {line} has a zero byte: this is not a CSV of text")
    return _parse(path, text)


def _parse(path: str, text: str) -> tuple[list[str], list[list[str]], list[int]]:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True, skipinitialspace=True)
    header, rows, lines, begin = [], [], [], 1
    try:
        for row in reader:
            cells, line = [cell.strip() for cell in row], begin
            begin = reader.line_num + 1
            if not any(cells):
                continue
            if not header:
                header = cells
                if len(header) == 1 and (";" in header[0] or "\t" in row[0].strip(" ")):
                    raise InputError(
                        f"{path} line {line} has no commas: save the table with commas "
                        "between the cells"
                    )
                continue
            if len(cells) != len(header):
                raise InputError(
                    f"{path} line {line} has {len(cells)} cells where the header has "
                    f"{len(header)}: a comma or a quote is missing or too many"
                )
            rows.append(cells)
            lines.append(line)
    except csv.Error as error:
        raise InputError(f"{path} line {begin} is not well-formed CSV: {error}") from None
    empty = [c for c, name in enumerate(header) if not name and not any(row[c] for row in rows)]
    for c in reversed(empty):
        del header[c]
        for row in rows:
            del row[c]
    return header, rows, lines


def write_csv(frame: pandas.DataFrame, path) -> None:
    """Write a frame as CSV, whole or not at all.

    Text that a spreadsheet would take for a formula gets an apostrophe before it; numbers, and
    the file names that must be found again, stay as they are.
    """
    safe = frame.copy(deep=False)
    for name in frame.columns:
        if frame[name].dtype.kind not in "biuf" and not _FILE.fullmatch(name):
            safe[name] = frame[name].map(_defuse)
    write_atomically(path, (
        safe.iloc[at : at + _ROWS].to_csv(index=False, header=at == 0, lineterminator="\n").encode()
        for at in range(0, max(len(safe), 1), _ROWS)))


def _defuse(cell):
    if not isinstance(cell, str) or not cell.startswith(FORMULA):
        return cell
    try:
        float(cell)
    except ValueError:
        return "'" + cell
    return cell


def _read_bytes(path: str) -> bytes:
    """The file, unpacked when it is a .gz."""
    try:
        with open(path, "rb") as file:
            content = file.read()
        return gzip.decompress(content) if path.endswith(".gz") else content
    except FileNotFoundError:
        raise InputError(f"{path} does not exist: give the path of a LoadData CSV") from None
    except IsADirectoryError:
        raise InputError(
            f"{path} is a folder: make its table with "
            "'phenoscale check FOLDER --preset NAME --write TABLE.csv'"
        ) from None
    except (OSError, EOFError, zlib.error) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise InputError(f"{path} cannot be read: {why}") from error
