# SPDX-License-Identifier: BSD-3-Clause
"""The classes of a table: their names, the keys of their columns, how many there are."""

from __future__ import annotations

import re
from collections import Counter

from phenoscale.errors import InputError
from phenoscale.tables.table import Table

__all__ = ["Labels", "class_key", "class_names"]


def class_key(name: str) -> str:
    """The letters and digits of a class name, for column names.

    >>> class_key("Eg5 inhibitors")
    'Eg5inhibitors'
    """
    return re.sub(r"[^0-9A-Za-z]", "", name)


_TAKEN = ("Phenoscale_", "Image_Phenoscale_", "Image_FileName_", "Image_PathName_")


def class_names(names, label: str = "") -> list[str]:
    """The classes among the labels, sorted; InputError where two would share a column of
    probabilities, or the labels one with what a run writes."""
    if label.startswith(_TAKEN) or label == "Split":
        raise InputError(f"column {label} cannot be the label, a run writes another of that "
                         "name: rename it")
    classes = sorted(set(names) - {""})
    keys = {}
    for name in classes:
        key = class_key(name)
        if not key or key in keys:
            raise InputError(
                (f"column {label}: " if label else "")
                + f"the class '{name}' has no letters or digits of its own"
                + (f" beside '{keys[key]}'" if key else "") + ": rename one")
        keys[key] = name
    return classes


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
        names, plate = table.column(label).tolist(), table.role("plate")
        order = sorted(set(names), key=lambda name: (name == "", name))
        wells = {name: set() for name in order}
        self.fields, self.plates = Counter(names), {name: Counter() for name in order}
        self.fields = {name: self.fields[name] for name in order}
        for row, name in enumerate(names):
            wells[name].add(table.well_name(row))
            if plate is not None:
                self.plates[name][plate.iloc[row]] += 1
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
