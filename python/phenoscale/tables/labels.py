# SPDX-License-Identifier: BSD-3-Clause
"""The classes of a table: their names, what is none, how many there are."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from typing import TYPE_CHECKING

import numpy as np

from phenoscale.errors import InputError
from phenoscale.tables.doses import parse_dose
from phenoscale.words import count, listed

if TYPE_CHECKING:
    from phenoscale.tables.table import Table

__all__ = ["Labels", "class_cells", "class_names", "class_numbers", "is_no_class", "label_words",
           "same_spelling", "single_homes"]

_TAKEN = ("Phenoscale_", "Image_Phenoscale_", "Image_FileName_", "Image_PathName_")
#: What stands in a cell for none, in small letters: of R, pandas, SQL, spreadsheets, screens.
_NONE = frozenset(("", "na", "n/a", "n.a.", "#n/a", "#na", "<na>", "nan", "-nan", "nat", "null",
                   "(null)", "#null!", "none", "nil", "-666", "-666.0", "#ref!", "#value!",
                   "#name?", "#div/0!", "#num!"))
_MONTH = (r"(?:jan|feb|mar|mär|mrz|apr|may|mai|jun|jul|aug|sep|sept|oct|okt|nov|dec|dez)\.?")
_DATE = re.compile(rf"\d{{4}}-\d\d-\d\d(?:[ T]\d\d:\d\d(?::\d\d(?:\.\d+)?)?)?|\d\d?[- .]{{1,2}}"
                   rf"{_MONTH}(?:[- ]\d{{2,4}})?|{_MONTH}[- ]\d{{2,4}}|\d\d?[/.]\d\d?[/.]\d{{2,4}}",
                   re.IGNORECASE)
_NUMBER = re.compile(r"(?<![\w.,])(?<!\w-)\d+(?:[.,]\d+)?(?:[eE][-+]?\d+)?")
_THOUSANDS = re.compile(r"[1-9]\d{0,2},\d{3}")
_DASHES = str.maketrans("‐‑‒–—−’", "------'")
_HIDDEN = re.compile("[\\s\u00ad\u200b-\u200f\u2060\ufeff]+")
_MOST = 5  # sentences of a kind


def is_no_class(name: str) -> bool:
    """Whether a cell says that there is no class.

    >>> [is_no_class(name) for name in ("", "NaN", "#N/A", "-666", "DMSO")]
    [True, True, True, True, False]
    """
    return name.lower() in _NONE


def class_cells(table: Table, label: str) -> np.ndarray:
    """The class of every field, object (fields,): "" where the cell of the column says none."""
    cells = table.column(label).to_numpy(dtype=object)
    none = {name for name in set(cells) if is_no_class(name)} - {""}
    if not none:
        return cells
    return np.array(["" if name in none else name for name in cells], dtype=object)


def class_names(names, label: str = "") -> list[str]:
    """The classes among the labels, sorted; InputError where the column is one that a run
    writes."""
    if label.startswith(_TAKEN) or label == "Split":
        raise InputError(f"column {label} cannot be the label, a run writes another of that "
                         "name: rename it")
    return sorted(set(names) - {""})


def class_numbers(classes, names) -> np.ndarray:
    """The number of the class of each name, (n,) int64; -1 for none."""
    number = {"": -1, **{name: k for k, name in enumerate(classes)}}
    return np.array([number[name] for name in names], np.int64)


def single_homes(names, groups) -> dict:
    """Class to its group, of the classes that lie in one of several groups alone.

    >>> single_homes(["a", "a", "b", "b", ""], ["P1", "P2", "P1", "", "P2"])
    {'b': 'P1'}
    """
    homes = {}
    for name, group in zip(names, groups):
        if name and group:
            homes.setdefault(name, set()).add(group)
    is_one = len(set().union(*homes.values())) < 2
    return {} if is_one else {name: next(iter(of)) for name, of in homes.items() if len(of) == 1}


# ---- what should be known of names ---------------------------------------------------------------


def label_words(cells, label: str = "") -> list[str]:
    """Sentences on the names of classes, of a column `label`: words that are none, names that
    differ in their spelling only, and names that a spreadsheet made dates of."""
    fields = Counter(cells)
    begin = f"column {label}" if label else "the labels"
    return [f"{begin}: {words}" for words in (*_of_none(fields), *_of_variants(fields),
                                              *_of_dates(fields))]


def _of_none(fields: Counter):
    none = {name: n for name, n in fields.items() if name and is_no_class(name)}
    if none:
        yield (f"{count(sum(none.values()), 'field')} without a class, since its cell says none "
               f"({_counted(none)}): rename what is a class")


def _of_variants(fields: Counter):
    groups = {}
    for name in fields:
        if not is_no_class(name):
            groups.setdefault(_folded(name), []).append(name)
    groups = [sorted(names) for names in groups.values() if len(names) > 1]
    for names in groups[:_MOST]:
        same = _counted({name: fields[name] for name in names})
        yield (f"{same} are {len(names)} classes and differ in {_difference(names)} only: write "
               "them alike if they are one")
    if len(groups) > _MOST:
        yield f"{len(groups) - _MOST:,} more groups of names differ in their spelling only"


def _of_dates(fields: Counter):
    dates = {name: n for name, n in fields.items() if _DATE.fullmatch(name)}
    if dates:
        what = "is a date" if len(dates) == 1 else "are dates"
        yield (f"{_counted(dates)} {what}: a spreadsheet "
               "makes dates of names such as MARCH1, SEPT2 or 1-2; type them again in a column of "
               "the format text")


def _counted(fields: dict) -> str:
    return listed([f"{_shown(name)} ({count(n, 'field')})" for name, n in fields.items()], None,
                  _MOST)


def _shown(name: str) -> str:
    """A name in quotes, what would not be seen in it as its number."""
    name = re.sub("[^\\S ]|[\u00ad\u200b-\u200f\u2060\ufeff\u0300-\u036f\u00b5\u03bc]",
                  lambda match: f"<U+{match[0].encode('utf-16-be').hex().upper()}>", name)
    return f"'{name if len(name) < 80 else name[:77] + '...'}'"


def _plain_letters(name: str) -> str:
    """Letters that look alike in one form; blanks, which are another matter, as they are."""
    return re.sub(r"\S+", lambda match: unicodedata.normalize("NFKC", match[0]),
                  name).translate(_DASHES)


def _plain_numbers(name: str) -> str:
    dose = parse_dose(name)
    if dose is not None and dose[1]:
        return f"{dose[0]:.12g} uM"
    return _NUMBER.sub(lambda match: match[0] if _THOUSANDS.fullmatch(match[0]) else
                       f"{float(match[0].replace(',', '.')):.12g}", name)


#: In what two spellings of one name may differ, to what makes them alike.
_FOLDS = {"case": str.lower, "blanks": lambda name: _HIDDEN.sub("", name),
          "the form of a letter (Unicode)": _plain_letters,
          "the spelling of a number": _plain_numbers}


def same_spelling(name: str) -> str:
    """A name without all that spellings of it differ in: case, blanks, form, numbers."""
    return _folded(name)


def _folded(name: str, without: str | None = None) -> str:
    for what in ("the form of a letter (Unicode)", "the spelling of a number", "case", "blanks"):
        if what != without:
            name = _FOLDS[what](name)
    return name


def _difference(names) -> str:
    """In what some spellings differ."""
    for what, fold in _FOLDS.items():
        if len(set(map(fold, names))) == 1:
            return what
    needed = [what for what in _FOLDS if len({_folded(name, what) for name in names}) > 1]
    return " and ".join(needed or ["their spelling"])


# ---- how many ------------------------------------------------------------------------------------


class Labels:
    """The classes of a table, sorted, the unlabelled ("") last.

    Attributes
    ----------
    fields, wells : dict of str to int
        Class to how many it has.
    plates : dict of str to Counter of str
        Class to its fields on each plate; empty counters where the table has no plates.
    """

    def __init__(self, table: Table, label: str):
        names, plate = class_cells(table, label).tolist(), table.role("plate")
        plate = None if plate is None else plate.tolist()
        order = sorted(set(names), key=lambda name: (name == "", name))
        wells = {name: set() for name in order}
        self.fields, self.plates = Counter(names), {name: Counter() for name in order}
        self.fields = {name: self.fields[name] for name in order}
        for row, (name, well) in enumerate(zip(names, table.well_names())):
            wells[name].add(well)
            if plate is not None:
                self.plates[name][plate[row]] += 1
        self.wells = {name: len(of - {""}) for name, of in wells.items()}

    def classes(self) -> list[str]:
        """Names of those that are labelled."""
        return [name for name in self.fields if name]

    def cells(self, most_plates: int, most_classes: int) -> list[list[str]]:
        """Rows of text, a header first: fields, wells, and fields on each plate, or how many
        plates."""
        plates = sorted(set().union(*self.plates.values()))
        is_wide = len(plates) > most_plates
        rows = [["fields", "wells", *(["plates"] if is_wide else plates)]]
        rows[0].insert(0, "")
        for name in list(self.fields)[:most_classes]:
            mine = self.plates[name]
            spread = [len(mine)] if is_wide else [mine[plate] for plate in plates]
            rows.append([name or "(none)", *map(str, (self.fields[name], self.wells[name],
                                                      *spread))])
        return rows
