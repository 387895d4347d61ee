# SPDX-License-Identifier: BSD-3-Clause
"""The keys of classes: what their columns of probabilities are called by.

A model file keeps the keys of its classes, and config.json those of a run: whoever looks for a
column takes them from there.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter

from phenoscale.tables.values import values_of

__all__ = ["class_key", "class_keys", "keys_by_class"]

#: where letters and digits do not suffice: a minus between two of them is a hyphen
_SIGNS = ((r"\+", "plus"), (r"(?<![0-9A-Za-z])[-−]|[-−](?![0-9A-Za-z])", "minus"))


def class_key(name: str) -> str:
    """The letters and digits of a class name.

    >>> class_key("Eg5 inhibitors")
    'Eg5inhibitors'
    """
    return re.sub(r"[^0-9A-Za-z]", "", name)


def class_keys(classes) -> list[str]:
    """A key for each of some different names: its letters and digits where no other name has the
    same, else with Greek letters and signs in words, and where that is no key of its own with a
    number.

    >>> class_keys(["TNFα", "TNFβ", "+DOX", "-DOX", "IL-6", "IL6", "対照", "処理"])
    ['TNFalpha', 'TNFbeta', 'plusDOX', 'minusDOX', 'IL6_2', 'IL6', 'Class7', 'Class8']
    """
    classes = values_of(classes, "classes")
    plain = [class_key(name) for name in classes]
    shared = Counter(plain)
    keys = {name: key for name, key in zip(classes, plain)
            if key and (shared[key] == 1 or name == key)}
    taken = set(keys.values())
    for number, name in enumerate(classes, 1):
        if name not in keys:
            keys[name] = _free(_spelled(name) or f"Class{number}", taken)
            taken.add(keys[name])
    return [keys[name] for name in classes]


def keys_by_class(classes, keys=None) -> dict[str, str]:
    """Class to key, in the order of the classes; `class_keys` where none were written down."""
    classes = values_of(classes, "classes")
    is_whole = keys is not None and len(keys) == len(classes)
    return dict(zip(classes, keys if is_whole else class_keys(classes)))


def _spelled(name: str) -> str:
    """Letters and digits, with Greek letters and signs in words, and accents off."""
    name = "".join(map(_latin, unicodedata.normalize("NFKD", name)))
    for sign, word in _SIGNS:
        name = re.sub(sign, word, name)
    return class_key(name)


def _latin(letter: str) -> str:
    """The name of a Greek letter; any other as it is."""
    words = unicodedata.name(letter, "").split()
    if words[:1] != ["GREEK"] or len(words) < 4 or words[2] != "LETTER":
        return letter
    word = words[3].lower().replace("lamda", "lambda")
    return word.capitalize() if words[1] == "CAPITAL" else word


def _free(key: str, taken: set) -> str:
    number, free = 2, key
    while free in taken:
        number, free = number + 1, f"{key}_{number}"
    return free
