# SPDX-License-Identifier: BSD-3-Clause
"""Files that a verb writes: nothing that is needed is lost, and skipped fields are listed."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING

from phenoscale.errors import InputError
from phenoscale.files.atomic import real_file
from phenoscale.files.csv import write_csv
from phenoscale.tables.keys import KEY

if TYPE_CHECKING:
    from phenoscale.tables.table import Table

__all__ = ["errors_beside", "refuse_to_lose", "write_errors"]

_LONGEST = 255 - len(".tmp.4194304")  # bytes of a name, with what it has until it is whole
_COLUMNS = ("Line", "Well", "Files", "Error", KEY)
_OLD = _COLUMNS[:4]  # of a list of an earlier version


def refuse_to_lose(*outputs, inputs=(), table=None, errors=None) -> None:
    """Before the work: a file that cannot be written, or at which another lies that is needed.

    Parameters
    ----------
    outputs : path
    inputs : sequence of path
        What is read.
    table : Table, optional
        Its images are read too.
    errors : path, optional
        A list of skipped fields that may come to be written; only another such list may lie there.

    Raises
    ------
    InputError
        Which names the file.
    """
    if errors is not None:
        outputs = *outputs, errors
    for path in outputs:
        if not os.access(os.path.dirname(real_file(path)), os.W_OK):
            raise InputError(f"{path} cannot be written: give a file in a folder that is there and "
                             "yours to write")
        if len(os.fsencode(os.path.basename(real_file(path)))) > _LONGEST:
            raise InputError(f"{path} cannot be written: its name has more than {_LONGEST} bytes: "
                             "choose a shorter one")
        if sum(os.path.realpath(path) == os.path.realpath(other) for other in outputs) > 1:
            raise InputError(f"{path} would be written twice: choose another name")
    inputs = [os.fspath(path) for path in inputs]
    if table is not None:
        inputs += {plane.path for row in table.planes for planes in row for plane in planes}
    there = {key: path for path in outputs if (key := _identity(path))}
    for path in inputs if there else ():
        if _identity(path) in there:
            raise InputError(f"{there[_identity(path)]} is a file to read: choose another to write")
    if errors is not None and os.path.exists(errors) and os.path.getsize(errors):
        if not _is_errors(errors):
            raise InputError(f"{errors} is not a list of skipped fields, and would be replaced by "
                             "one: move it, or write to another folder")


def _identity(path: str):
    """What tells a file from others whatever its name; None where there is none."""
    try:
        about = os.stat(path)
    except (OSError, ValueError):
        return None
    return about.st_dev, about.st_ino


def errors_beside(out) -> str:
    """Path of the list of skipped fields of a file: its own, whatever else lies beside it."""
    return f"{os.fspath(out).removesuffix('.csv')}.errors.csv"


def write_errors(table: Table, skipped: dict[int, str], path: str) -> str | None:
    """List the skipped fields, row to reason.

    Returns the path; None where nothing was skipped, and a list of an earlier time is removed.
    """
    import pandas

    rows = sorted(skipped)
    if not rows:
        if _is_errors(path):
            with suppress(OSError):
                os.remove(path)
        return None
    cells = ([table.lines[row] for row in rows], [table.well_name(row) for row in rows],
             [" ".join(table.paths[row]) for row in rows], [skipped[row] for row in rows],
             [table.keys[row] for row in rows])
    write_csv(pandas.DataFrame(dict(zip(_COLUMNS, cells))), path)
    return path


def _is_errors(path: str) -> bool:
    """Whether a file is such a list."""
    try:
        with open(path, "rb") as file:
            return file.readline(100).strip().decode() in map(",".join, (_COLUMNS, _OLD))
    except (OSError, UnicodeDecodeError):
        return False
