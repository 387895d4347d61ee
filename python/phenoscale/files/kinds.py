# SPDX-License-Identifier: BSD-3-Clause
"""What a file is by its first bytes, whatever its name: the words for those that are no table."""

from __future__ import annotations

import io
import re
import zipfile

from phenoscale.errors import InputError

__all__ = ["is_parquet", "refuse_other_kinds"]

_PACKED = "is packed ({}): unpack it with '{}'"
#: First bytes -> what is said of such a file, and done about it.
_KINDS = {
    b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1": "is an .xls workbook of Excel 97-2003, or one with a "
                                         "password: save it as .xlsx or 'CSV UTF-8'",
    b"BZh": _PACKED.format("bzip2", "bunzip2"),
    b"\x28\xb5\x2f\xfd": _PACKED.format("Zstandard, .zst", "unzstd"),
    b"\xfd7zXZ\0": _PACKED.format("xz", "unxz"),
    b"7z\xbc\xaf\x27\x1c": _PACKED.format("7-Zip", "7z x"),
    b"Rar!\x1a\x07": _PACKED.format("RAR", "unrar x"),
    b"SQLite format 3\0": "is a SQLite database: write the table of its images as CSV with "
                          "'sqlite3 -header -csv FILE \"SELECT * FROM Per_Image\" > table.csv' "
                          "('.tables' lists the names)",
    b"\x89HDF\r\n\x1a\n": "is an HDF5 file: write its table of images as CSV (CellProfiler: "
                          "ExportToSpreadsheet)",
    b"ARROW1": "is an Arrow (Feather) file: write it as CSV or Parquet, in Python with "
               "pandas.read_feather(FILE).to_csv('table.csv', index=False)",
    b"\x93NUMPY": "is a NumPy array: WholeImageClassifier takes arrays, a table is a CSV",
    b"II*\0": "is a TIFF image", b"MM\0*": "is a TIFF image", b"II+\0": "is a TIFF image",
    b"MM\0+": "is a TIFF image",
    b"\x89PNG\r\n\x1a\n": "is a PNG image", b"\xff\xd8\xff": "is a JPEG image",
    b"%PDF": "is a PDF: save the table itself as 'CSV UTF-8'",
    b"version https://git-lfs": "is a pointer of Git LFS, not the file: fetch it with 'git lfs "
                                "pull'",
}
#: A file within a ZIP -> the same.
_IN_ZIP = {"xl/workbook.bin": "is an .xlsb workbook: save it as .xlsx or 'CSV UTF-8'",
           "content.xml": "is an OpenDocument file (.ods): save it as .xlsx or 'CSV UTF-8'",
           "Index/Document.iwa": "is a Numbers document: export it as CSV"}
_WEB = re.compile(rb"\s*(?:<!doctype html|<html)", re.IGNORECASE)


def is_parquet(content: bytes) -> bool:
    """Whether a file is one of Parquet."""
    return content.startswith(b"PAR1")


def refuse_other_kinds(path: str, content: bytes) -> None:
    """InputError, with the cure, for a file that is known to be something else than a table."""
    start = content[:64]
    words = next((words for magic, words in _KINDS.items() if start.startswith(magic)), None)
    if words and words.endswith("image"):
        words += ": give the table of the images, or their folder with --preset or --pattern"
    if start.startswith(b"PK\x03\x04"):
        words = _of_zip(content)
    if _WEB.match(content[:256]):
        words = "is a web page: download the file itself, or save the table as 'CSV UTF-8'"
    if words:
        raise InputError(f"{path} {words.replace('FILE', path)}")


def _of_zip(content: bytes) -> str | None:
    """Words for a ZIP that is no .xlsx."""
    try:
        names = zipfile.ZipFile(io.BytesIO(content)).namelist()
    except zipfile.BadZipFile:
        return None  # its reader knows better words
    if "xl/workbook.xml" in names:
        return None
    return next((words for name, words in _IN_ZIP.items() if name in names),
                _PACKED.format("ZIP", "unzip"))
