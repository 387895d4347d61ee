# SPDX-License-Identifier: BSD-3-Clause
"""Labels of a notebook to names of classes and back."""

import numpy as np
import pytest

pandas = pytest.importorskip("pandas")
from phenoscale.errors import InputError
from phenoscale.tables.typed_labels import TypedLabels


@pytest.mark.parametrize(("labels", "names"), [
    ([1, 2.0, None, float("nan"), pandas.NA, "x "], ["1", "2", "", "", "", "x"]),
    (np.array([0.5, np.nan, 3]), ["0.5", "", "3"]),
    (np.array([True, False]), ["True", "False"]),
    (np.array([0.1], np.float32), ["0.1"]),
    (np.array([-666, 4]), ["", "4"]),
    (pandas.Series([1, None], dtype="Int64"), ["1", ""]),
    (["NA", "nan", "a"], ["", "", "a"]),
])
def test_names(labels, names):
    assert TypedLabels(labels).names == names


def test_order_and_type():
    given = TypedLabels(np.array([10, 2], np.int16))
    assert given.sorted(["10", "2"]) == ["2", "10"] and not given.is_text()
    assert given.array(["2", "10"]).dtype == np.int16
    mixed = TypedLabels([10, "a", 2])
    assert mixed.sorted(["10", "a", "2"]) == ["10", "2", "a"] and mixed.is_text()
    assert mixed.array(["10", "a"]).tolist() == [10, "a"]
    assert TypedLabels([]).array(["b", "a"]).tolist() == ["b", "a"]


@pytest.mark.parametrize("labels", [[1, "1"], ["a", "a "], [True, "True"]])
def test_labels_that_are_written_alike(labels):
    with pytest.raises(InputError, match="are written alike: give labels of one type"):
        TypedLabels(labels)


def test_labels_of_a_shape():
    with pytest.raises(InputError, match=r"labels of shape \(2, 2\): give one for each field"):
        TypedLabels(np.ones((2, 2)))


@pytest.mark.parametrize(("labels", "words"), [
    ({0: "a", 1: "b"}, "labels in a dict: give a list"), ({"a", "b"}, "labels in a set"),
    (np.ma.array(["a", "b"], mask=[0, 1]), "labels in a MaskedArray"),
    (pandas.DataFrame({"y": ["a", "b"]}), "labels in a DataFrame"), (5, "labels in a int"),
    (None, "labels in a NoneType"), ([(1, 2), (3, 4)], "is a tuple: give text, numbers"),
    (np.array([1, 2], np.longdouble), "give text, numbers or booleans"),
    ([True, 1, 0], "True and 1 are equal"),
])
def test_labels_that_no_file_could_hold(labels, words):
    with pytest.raises(InputError, match=words):
        TypedLabels(labels)
