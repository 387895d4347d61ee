# SPDX-License-Identifier: BSD-3-Clause
"""Keys of classes: one for each name, whatever the names are."""

import random
import re

import pytest

from phenoscale.tables.class_keys import class_key, class_keys, keys_by_class


@pytest.mark.parametrize(("classes", "keys"), [
    (["Eg5 inhibitors", "DMSO", "0.1"], ["Eg5inhibitors", "DMSO", "01"]),
    (["TNFα", "TNFβ"], ["TNFalpha", "TNFbeta"]),
    (["TNF", "TNFα", "TNFalpha"], ["TNF", "TNFalpha_2", "TNFalpha"]),
    (["+DOX", "-DOX"], ["plusDOX", "minusDOX"]),
    (["DMSO (+)", "DMSO (-)"], ["DMSOplus", "DMSOminus"]),
    (["+", "-"], ["plus", "minus"]),
    (["0.1", "01", "1", "10"], ["01_2", "01", "1", "10"]),
    (["IL-6", "IL6"], ["IL6_2", "IL6"]),
    (["A+B", "A-B", "AB"], ["AplusB", "AB_2", "AB"]),
    (["対照", "処理"], ["Class1", "Class2"]),
    (["Class2", "処理"], ["Class2", "Class2_2"]),
    (["10 µM", "10 μM"], ["10muM", "10muM_2"]),
    (["Käse", "Kse"], ["Kase", "Kse"]),
])
def test_keys(classes, keys):
    assert class_keys(classes) == keys
    assert keys_by_class(classes) == dict(zip(classes, keys))


def test_letters_and_digits_stay_where_they_suffice():
    classes = ["Eg5 inhibitors", "a-b_c.d", "7", "TNFα", "<b>x</b>", "1,2-x/y"]
    assert class_keys(classes) == list(map(class_key, classes))


def test_any_names_have_keys_of_their_own():
    """Names of few letters collide in every way."""
    rng = random.Random(0)
    for _ in range(300):
        names = sorted({"".join(rng.choices("aAα+-_ .2対", k=rng.randint(1, 4)))
                        for _ in range(12)})
        keys = class_keys(names)
        assert len(set(keys)) == len(names) and keys == class_keys(names)
        assert all(re.fullmatch("[0-9A-Za-z_]+", key) for key in keys)


def test_keys_of_a_run_come_before_the_rule():
    assert keys_by_class(["+a", "-a"], ["up", "down"]) == {"+a": "up", "-a": "down"}
    assert keys_by_class(["+a", "-a"], ["up"]) == {"+a": "plusa", "-a": "minusa"}
