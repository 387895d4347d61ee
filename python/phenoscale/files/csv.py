# SPDX-License-Identifier: BSD-3-Clause
"""CSV files as cells of text: in with line numbers, out whole, as they are or safe for
spreadsheets.

Below tables/table.py, which gives the cells their meaning; every CSV of the package is written
here.
"""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import numbers
import os
import re
import zipfile
import zlib
from itertools import chain

from phenoscale.errors import InputError, cure_of
from phenoscale.files.atomic import write_atomically
from phenoscale.files.kinds import is_parquet, refuse_other_kinds
from phenoscale.files.names import check_name

__all__ = ["as_table", "cell_text", "check_packed", "delimiter_of", "plain_cell", "read_cells",
           "read_csv", "read_parquet", "table_bytes", "write_csv"]

_LIMIT_BYTES = 1 << 32  # of a table
_LIMIT_SMALL, _EXPANSION = 1 << 26, 100  # unpacked bytes that always may be; times the packed ones
_LIMIT_BOOK, _LIMIT_CELLS = 1 << 24, 2_000_000  # bytes of XML, cells of a sheet
_LIMIT_CELL = 1 << 20  # characters
_LIMIT_ROWS, _LIMIT_COLUMNS = 10**7, 10**4
_ROWS = 256  # made into text at a time: embeddings are wide
_FILE = re.compile(r"(?:Image_)?(?:FileName|PathName)_.+")
_INDEX = re.compile(r"__index_level_\d+__")  # of pandas, without a name
#: What a spreadsheet takes for the beginning of a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "＝", "＋", "－", "＠")


def read_csv(path: str) -> tuple[list[str], list[list[str]], list[int]]:
    """Header, rows of stripped cells, and the line where each row begins.

    As `read_cells`; the first line with content is the header.  Columns without name and content
    are left out (spreadsheets leave some at the right).
    """
    rows, lines = read_cells(path)
    return as_table(path, rows, lines) if rows else ([], [], [])


def as_table(path: str, rows, lines) -> tuple[list[str], list[list[str]], list[int]]:
    """The same of cells that are read already."""
    header = rows[0]
    for cells, line in zip(rows, lines):
        if len(cells) != len(header):
            raise InputError(
                f"{path} line {line} has {len(cells)} cells where the header has {len(header)}: a "
                "comma or a quote is missing or too many")
    rows, lines = rows[1:], lines[1:]
    kept = [c for c, name in enumerate(header) if name or any(row[c] for row in rows)]
    if len(kept) < len(header):
        header, *rows = ([row[c] for c in kept] for row in (header, *rows))
    return header, rows, lines


def read_cells(path: str) -> tuple[list[list[str]], list[int]]:
    """Rows of stripped cells, those without content left out, and the line where each begins.

    A CSV with commas, semicolons or tabs, UTF-8 with or without a mark or UTF-16 with one, LF,
    CRLF or CR, plain or gzip; the first sheet of an .xlsx; or Parquet.  InputError names the line
    of anything else, and what a file of another kind is.
    """
    content = table_bytes(path)
    if is_parquet(content):
        return read_parquet(path, content)
    if content.startswith(b"PK\x03\x04"):
        return _read_sheet(path, content)
    encoding = "utf-16" if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) \
        else "utf-8-sig"
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        line = len(content[: error.start].splitlines()) or 1
        raise InputError(f"{path} line {line} is not UTF-8: save it as 'CSV UTF-8'") from None
    if "\0" in text:
        line = text[: text.index("\0")].count("\n") + 1
        raise InputError(f"{path} line {line} has a zero byte: this is not a CSV of text")
    return _parse(path, text)


def _parse(path: str, text: str) -> tuple[list[list[str]], list[int]]:
    before = csv.field_size_limit(_LIMIT_CELL)
    mark = re.match(r"sep=([,;\t])(?:\r\n?|\n)", text)  # Excel's own, before the header
    text = text[mark.end() :] if mark else text
    rows, lines, skipped, seen = [], [], 1 if mark else 0, {}
    begin = skipped + 1
    try:
        reader = csv.reader(io.StringIO(text, newline=""), strict=True, skipinitialspace=True,
                            delimiter=mark[1] if mark else delimiter_of(text))
        for row in reader:
            # a plate or a folder stands in a thousand rows: one text for all
            cells, line = [seen.setdefault(cell, cell) for cell in map(plain_cell, row)], begin
            begin = skipped + reader.line_num + 1
            if len(cells) > _LIMIT_COLUMNS or len(rows) > _LIMIT_ROWS:
                raise InputError(f"{path} line {line}: a table has at most {_LIMIT_COLUMNS:,} "
                                 f"columns and {_LIMIT_ROWS:,} rows: split it")
            if any(cells):
                rows.append(cells)
                lines.append(line)
    except csv.Error as error:
        raise InputError(f"{path} line {begin} is not well-formed CSV: {error}") from None
    finally:
        csv.field_size_limit(before)
    return rows, lines


def plain_cell(cell: str) -> str:
    """A cell without blanks around it, and as it was before `write_csv` made it safe."""
    cell = cell.strip()
    return cell[1:] if cell.startswith("'") and cell.lstrip("'").startswith(_FORMULA) else cell


def delimiter_of(text: str) -> str:
    """Comma, semicolon or tab: what cuts the first line that any of them cuts into the most
    cells."""
    lines = (re.sub(r'"[^"]*"', "", line) for line in re.split(r"[\r\n]+", text, maxsplit=_ROWS))
    line = next((line for line in lines if re.search("[,;\t]", line.strip())), "")
    return max(",;\t", key=line.count)


def _read_sheet(path: str, content: bytes) -> tuple[list[list[str]], list[int]]:
    """The first sheet of a workbook that is not hidden: numbers as a CSV would have them, merged
    cells all filled."""
    import openpyxl

    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            if sum(part.file_size for part in archive.infolist()) > _LIMIT_BOOK:
                raise InputError(f"{path} unpacks to more than {_LIMIT_BOOK:,} bytes: save its "
                                 "sheet as CSV")
            merged = sum(_merged(archive.read(part)) for part in archive.infolist())
        if merged > _LIMIT_CELLS:  # its reader makes a cell of each
            raise InputError(f"{path} has {merged:,} merged cells: save its sheet as CSV")
        sheets = openpyxl.load_workbook(io.BytesIO(content)).worksheets
        at = next((at for at, one in enumerate(sheets) if one.sheet_state == "visible"), 0)
        sheet = sheets[at]
        if sheet.max_row * sheet.max_column > _LIMIT_CELLS:
            raise InputError(f"{path} has a sheet of {sheet.max_row} x {sheet.max_column} cells: "
                             "save it as CSV")
        results = openpyxl.load_workbook(io.BytesIO(content), data_only=True).worksheets[at]
        found = [[_sheet_text(path, cell, results) for cell in row] for row in sheet.iter_rows()]
        for area in sheet.merged_cells.ranges:
            text = found[area.min_row - 1][area.min_col - 1]
            for row in found[area.min_row - 1 : area.max_row]:
                if sum(map(bool, row)) > bool(row[area.min_col - 1]):  # a title stays one cell
                    row[area.min_col - 1 : area.max_col] = [text] * (
                        area.max_col - area.min_col + 1)
    except InputError:
        raise
    except Exception as error:  # whatever a broken workbook makes its reader raise
        raise InputError(f"{path} cannot be read as an .xlsx workbook ({error}): save its sheet "
                         "as CSV") from None
    kept = [(row, line) for line, row in enumerate(found, 1) if any(row)]
    return [row for row, _ in kept], [line for _, line in kept]


def _merged(part: bytes) -> int:
    """Cells that a part of a workbook, where it is XML, merges."""
    from openpyxl.utils import range_boundaries

    refs = re.findall(rb"mergeCell\s[^>]*?ref\s*=\s*[\"']\s*([A-Za-z0-9:$]+)", part)
    bounds = (range_boundaries(ref.decode()) for ref in refs)
    return sum((right - left + 1) * (bottom - top + 1) for left, top, right, bottom in bounds)


def read_parquet(path: str, content: bytes, leave=None) -> tuple[list[list[str]], list[int]]:
    """The rows of a file of Parquet as a CSV would have them; the header counts as line 1.

    leave : callable, optional
        Whether the column of a name is left out.
    """
    try:
        import pyarrow
        import pyarrow.parquet
    except ModuleNotFoundError as error:
        raise InputError(f"{path} is Parquet, which pyarrow reads: {cure_of(error)}, or save it "
                         "as CSV") from None
    try:
        about = pyarrow.parquet.ParquetFile(io.BytesIO(content)).metadata
        if about.num_columns > _LIMIT_COLUMNS or about.num_rows > _LIMIT_ROWS:
            raise InputError(f"{path}: a table has at most {_LIMIT_COLUMNS:,} columns and "
                             f"{_LIMIT_ROWS:,} rows: split it")
        groups = (about.row_group(at).total_byte_size for at in range(about.num_row_groups))
        if max(8 * about.num_columns * about.num_rows, sum(groups)) > max(
                _LIMIT_SMALL, _EXPANSION * len(content)):
            raise InputError(f"{path} unpacks to more than {_EXPANSION} times its size, as no "
                             "table does: write it again, or as CSV")
        names = [name for name in about.schema.to_arrow_schema().names
                 if not (_INDEX.fullmatch(name) or leave and leave(name))]
        table = pyarrow.parquet.read_table(io.BytesIO(content), columns=names)
        columns, seen = [], {}
        for name in names:
            cells = map(cell_text, table.column(name).to_pylist())
            columns.append([seen.setdefault(cell, cell) for cell in cells])
    except (pyarrow.ArrowException, OSError) as error:
        raise InputError(f"{path} cannot be read as Parquet ({error}): write it again, or as CSV"
                         ) from None
    rows = [(list(row), line) for line, row in enumerate(zip(*columns), 2) if any(row)]
    return ([[name.strip() for name in names], *(row for row, _ in rows)],
            [1, *(line for _, line in rows)])


def _sheet_text(path: str, cell, results) -> str:
    """A cell of a sheet, a formula's result from the sheet of `results`."""
    value, shown = cell.value, cell.number_format
    if cell.data_type == "f":
        result = results[cell.coordinate]
        value = result.value
        if result.data_type == "e":
            value = None if value == "#N/A" else value  # which says: not available
        elif value is None and result.data_type == "n":
            raise InputError(f"{path}: cell {cell.coordinate} is a formula without its result: "
                             "open and save it in a spreadsheet, or save its sheet as CSV")
    if isinstance(value, int) and re.fullmatch("0+", shown or ""):
        return str(value).zfill(len(shown))  # as the plate 0012 is shown
    return cell_text(value)


def cell_text(cell) -> str:
    """A cell of a sheet or frame as a CSV would have it: whole floats without ".0"."""
    if cell is None:
        return ""
    if isinstance(cell, numbers.Real) and not isinstance(cell, numbers.Integral):
        if cell != cell:
            return ""
        return str(int(cell)) if float(cell).is_integer() else str(cell)
    return str(cell).strip()


def write_csv(frame, path, safe: bool = False, before: str = "") -> None:
    """Write a frame as CSV, .gz where the name says so, whole or not at all.

    Parameters
    ----------
    frame : pandas.DataFrame
        Or an iterable of them with the same columns, written as they come.
    path : path
    safe : bool
        Whether text that a spreadsheet would take for a formula gets an apostrophe before it,
        which reading takes away again; numbers, and the file names that other programs must find,
        stay as they are.  By default every cell is as it is.
    before : str
        A line before the header, for programs that want one.
    """
    path = os.fspath(path)
    check_name(path, "table")
    parts = _texts([frame] if hasattr(frame, "columns") else frame, _defuse if safe else _escape)
    if before:
        parts = chain([before + "\n"], parts)
    try:
        is_packed = path.lower().endswith(".gz")
        write_atomically(path, _zipped(parts) if is_packed else map(str.encode, parts))
    except UnicodeEncodeError as error:
        cell = re.search("[^\n,]*[\ud800-\udfff][^\n,]*", error.object)
        raise InputError(f"{path} cannot be written: {cell[0]!r} is not UTF-8: rename that file or "
                         "folder") from None


def _texts(frames, write_cell):
    """The lines of some frames, a few at a time, below one header."""
    is_first = True
    for frame in frames:
        safe = frame.copy(deep=False)
        for name in frame.columns:
            if frame[name].dtype.kind not in "biuf":
                safe[name] = frame[name].map(_escape if _FILE.fullmatch(name) else write_cell)
        safe.columns = [write_cell(name) for name in frame.columns]
        for at in range(0, max(len(safe), is_first), _ROWS):
            yield safe.iloc[at : at + _ROWS].to_csv(index=False, header=is_first,
                                                    lineterminator="\n")
            is_first = False


def _zipped(parts):
    pack = zlib.compressobj(wbits=31)
    for part in parts:
        yield pack.compress(part.encode())
    yield pack.flush()


def _escape(cell):
    """So that `plain_cell` gives it back; lines within a cell end in LF."""
    if not isinstance(cell, str):
        return cell
    if "\r" in cell[1:]:
        cell = re.sub("\r\n?", "\n", cell)
    return "'" + cell if cell.startswith("'") and plain_cell(cell) != cell else cell


def _defuse(cell):
    if not isinstance(cell, str) or not cell.startswith(_FORMULA):
        return _escape(cell)
    try:
        float(cell)
    except ValueError:
        return "'" + cell
    return cell


def _blocks(file, most: int):
    """What a file holds, up to `most` bytes and a little more."""
    while most >= 0 and (block := file.read(1 << 22)):
        most -= len(block)
        yield block


def check_packed(path: str) -> None:
    """InputError for a packed file that holds far too much; nothing of it is kept.  A table shrinks
    to a tenth or so, a bomb to nothing."""
    most = min(_LIMIT_BYTES, max(_LIMIT_SMALL, _EXPANSION * os.path.getsize(path)))
    with gzip.open(path, "rb") as file:
        if sum(map(len, _blocks(file, most))) > most:
            raise InputError(f"{path} unpacks to more than {_EXPANSION} times its size, as no "
                             "table does: unpack it with 'gunzip', look at it, and give the CSV")


def table_bytes(path: str) -> bytes:
    """A file that may be a table, unpacked when it is one of gzip, whatever its name; InputError
    for any other, and for more than can be one."""
    try:
        if os.path.exists(path) and not (os.path.isfile(path) or os.path.isdir(path)):
            raise InputError(f"{path} is a device or a pipe: give a file")
        with open(path, "rb") as file:
            is_packed = path.endswith(".gz") or file.read(2) == b"\x1f\x8b"
        if is_packed:
            check_packed(path)
        with (gzip.open if is_packed else open)(path, "rb") as file:
            content = b"".join(_blocks(file, _LIMIT_BYTES))
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
    if len(content) > _LIMIT_BYTES:
        raise InputError(f"{path} is larger than {_LIMIT_BYTES:,} bytes: split the table")
    refuse_other_kinds(path, content)
    return content
