# SPDX-License-Identifier: BSD-3-Clause
"""Labels of a notebook, text, numbers or booleans: to names of classes, and back."""

from __future__ import annotations

import numpy as np

from phenoscale.errors import InputError
from phenoscale.files.csv import cell_text
from phenoscale.tables.labels import is_no_class

__all__ = ["TypedLabels", "as_data"]


class TypedLabels:
    """Labels by name, and what each name was.

    Parameters
    ----------
    labels : sequence
        None, NaN and words for none are no class.

    Attributes
    ----------
    cells : list of str
        As a table would have them; "" for None and NaN.
    names : list of str
        Those of classes; "" where there is none.
    values : dict of str to object
        Name to the label.

    Raises
    ------
    InputError
        For labels that differ and are written alike, such as 1 and "1"; that are equal and written
        in two ways, such as 1 and True; that are neither text, numbers nor booleans; and for what
        has no order, or no label for each field.
    """

    def __init__(self, labels):
        import pandas

        array = _array(labels)
        self._kind = array.dtype if array.dtype.kind in "biufU" else None
        self.cells = ["" if is_none else cell_text(value)
                      for value, is_none in zip(array, pandas.isna(array))]
        self.names, self.values = ["" if is_no_class(cell) else cell for cell in self.cells], {}
        for value, name in zip(array, self.names):
            if name and _is_other(self.values.setdefault(name, value), value):
                raise InputError(f"the labels {self.values[name]!r} and {value!r} are written "
                                 "alike: give labels of one type, without blanks at their ends")

        equal = {}
        for value in self.values.values():
            if _is_other(equal.setdefault(value, value), value):
                raise InputError(f"the labels {equal[value]!r} and {value!r} are equal: give "
                                 "labels of one type")

    def is_text(self) -> bool:
        """Whether any label is text, which a table says as well."""
        return any(isinstance(value, str) for value in self.values.values())

    def sorted(self, names) -> list[str]:
        """Names of classes in the order of their labels: 2 before 10."""
        try:
            return sorted(names, key=self.values.__getitem__)
        except (KeyError, TypeError):
            return sorted(names)

    def array(self, names) -> np.ndarray:
        """The labels of some names, of the type that they were given in."""
        values = [self.values.get(name, name) for name in names]
        is_text = any(isinstance(value, str) for value in values)
        array = np.array(values, dtype=object if is_text else None)
        return array if self._kind is None else array.astype(self._kind)


def _array(labels) -> np.ndarray:
    """Labels of one kind in their order, (n,)."""
    import pandas

    kind = type(labels).__name__
    if (isinstance(labels, (str, bytes, dict, set, frozenset, np.ma.MaskedArray))
            or hasattr(labels, "columns") or not hasattr(labels, "__iter__")):
        raise InputError(f"labels in a {kind}: give a list, an array or a Series, one for each "
                         "field")
    if not hasattr(labels, "dtype"):
        labels = pandas.Series(list(labels), dtype=object)
    array = np.asarray(labels)
    if array.ndim != 1:
        raise InputError(f"labels of shape {array.shape}: give one for each field")
    for value in array if array.dtype == object else array[:1]:
        is_long = isinstance(value, np.floating) and value.dtype.itemsize > 8
        if isinstance(value, (tuple, list, dict, set, bytes, complex, np.ndarray)) or is_long:
            raise InputError(f"the label {value!r} is a {type(value).__name__}: give text, numbers "
                             "or booleans")
    return array


def _is_other(first, second) -> bool:
    """Whether two labels are not the same: True is not 1."""
    booleans = [isinstance(value, (bool, np.bool_)) for value in (first, second)]
    return first != second or booleans[0] != booleans[1]


def as_data(labels: np.ndarray) -> dict:
    """Labels as JSON can hold them, `Model.labels`; {} for those that only have names."""
    if labels.dtype.kind not in "biufU":
        return {}
    name = "str" if labels.dtype.kind == "U" else labels.dtype.newbyteorder("=").name
    return {"dtype": name, "values": labels.tolist()}
