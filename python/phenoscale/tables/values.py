# SPDX-License-Identifier: BSD-3-Clause
"""A value that a user writes -> the cells that mean the same; how many values were given; the cells
of rows.

Below table.py: wells and doses are compared as they are read, numbers as numbers.  Whatever of the
package takes values or a sequence of them asks here.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from numbers import Number
from typing import TYPE_CHECKING

from phenoscale.errors import InputError
from phenoscale.tables.doses import parse_dose, same_dose, tidy_doses
from phenoscale.tables.wells import normalise_well

if TYPE_CHECKING:
    import pandas

__all__ = ["pairs_of", "row_tuples", "same_cells", "values_of", "words_of"]

_NUMBER = re.compile(r"[-+]?(\d+(\.\d*)?|\.\d+)([eE][-+]?\d+)?", re.ASCII)


def values_of(given, what: str) -> list:
    """The values that are given under a name: a text, a number or a path is one.

    InputError where they are nothing of the kind.

    >>> values_of("12", "holdout"), values_of(("P1", 2), "holdout")
    (['12'], ['P1', 2])
    """
    if isinstance(given, (str, os.PathLike, Number)):
        return [given]
    if isinstance(given, (bytes, Mapping)) or not isinstance(given, Iterable):
        raise InputError(f"{what}={_shown(given)}: give a value, or a list of values")
    values = list(given)
    for value in values:
        if value is None or isinstance(value, (bytes, Mapping)) or (
                isinstance(value, Iterable) and not isinstance(value, (str, os.PathLike))):
            raise InputError(f"{what}={_shown(given)}: {_shown(value)} in it is no value: give a "
                             "text or a number")
    return values


def pairs_of(given, what: str) -> dict[str, list]:
    """Column to its values; InputError for anything but a dict of them, and for no value.

    >>> pairs_of({"Metadata_Plate": "12"}, "holdout")
    {'Metadata_Plate': ['12']}
    """
    found = {}
    for column, values in words_of(given, what).items():
        found[column] = values_of(values, f"{what} of column {column}")
        if not found[column]:
            raise InputError(f"{what} of column {column} names no value: give one, or leave the "
                             "column out")
    return found


def words_of(given, what: str) -> dict:
    """A dict whose names are text; InputError for anything else."""
    if not isinstance(given, Mapping) or not all(isinstance(name, str) for name in given):
        raise InputError(f"{what}={_shown(given)}: give a dict, its names are text")
    return dict(given)


def _shown(given) -> str:
    words = repr(given)
    return words if len(words) < 80 else words[:77] + "..."


def row_tuples(frame: pandas.DataFrame) -> list[tuple]:
    """The cells of every row; () for each where there is no column, which `itertuples` leaves out
    before pandas 3."""
    columns = (frame.iloc[:, at].tolist() for at in range(frame.shape[1]))
    return list(zip(*columns)) or [()] * len(frame)


def same_cells(role: str, value: str, cells) -> list[str]:
    """Those of some distinct cells that a value means.

    Parameters
    ----------
    role : str
        Of the column, or "".
    value : str
        As the user writes it.
    cells : sequence of str
        Distinct.

    Returns
    -------
    list of str
        The cell itself where there is one, else the well or the number; of doses all that are
        equal; of other numbers one, since 12 and 012 may be two plates.

    >>> same_cells("well", "a1", ["A01", "B01"]), same_cells("concentration", "30 nM", ["0.03"])
    (['A01'], ['0.03'])
    >>> same_cells("plate", "12", ["0012", "0013"]), same_cells("plate", "12", ["0012", "012"])
    (['0012'], [])
    """
    if role == "concentration" and value:
        return _same_doses(value, cells)
    for word in (value, value.strip(), normalise_well(value) if role == "well" else value):
        if word in cells:
            return [word]
    if not _NUMBER.fullmatch(value.strip()):
        return []
    same = [cell for cell in cells if _NUMBER.fullmatch(cell) and float(cell) == float(value)]
    return same if len(same) == 1 else []


def _same_doses(value: str, cells) -> list[str]:
    try:
        (word,) = tidy_doses([value])
    except ValueError as error:
        raise InputError(f"concentration {error.args[1]}") from None
    dose = parse_dose(word)
    if dose is None:
        return [word] if word in cells else []
    others = ((cell, parse_dose(cell)) for cell in cells)
    return [cell for cell, other in others if other and same_dose(dose[0], other[0])]
