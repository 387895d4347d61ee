# SPDX-License-Identifier: BSD-3-Clause
"""Which wells are controls: a closed list of columns and words; any other word is said, not taken.

After table.py; for the marks of a report and the notes of `check` and `train`.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING

from phenoscale.tables.roles import column_key
from phenoscale.words import count, listed

if TYPE_CHECKING:
    import pandas

__all__ = ["ANY", "NEGATIVE", "POSITIVE", "control_columns", "control_marks", "control_notes",
           "sign_of"]

NEGATIVE, POSITIVE, ANY, NO = "-", "+", "c", ""  # ANY: a control of unknown sign
#: What is said of controls, in lower case with one blank between words, and what it means.  The
#: endings of `_FAMILIES` are for JUMP's kinds: poscon_cp, poscon_diverse, ...
_WORDS = {
    NEGATIVE: ("negcon", "negative", "neg", "negative control", "neg control", "control negative",
               "neg ctrl", "negative ctrl", "negctrl", "nc", "vehicle", "vehicle control", "dmso",
               "dmso control", "solvent", "solvent control", "mock", "mock control", "untreated",
               "untreated control", "non targeting", "non targeting control", "scrambled",
               "ctl vehicle", "ctl untrt", "ctl vector", "low control"),
    POSITIVE: ("poscon", "positive", "pos", "positive control", "pos control", "control positive",
               "pos ctrl", "positive ctrl", "posctrl", "pc", "trt poscon", "high control"),
    ANY: ("control", "controls", "ctrl", "ctl", "reference", "yes", "y", "true", "1"),
    NO: ("", "trt", "treated", "treatment", "treatments", "perturbation", "perturbed", "pert",
         "compound", "sample", "samples", "test", "library", "drug", "trt cp", "trt sh", "trt oe",
         "trt xpr", "trt lig", "trt si", "unmarked", "no control", "not control", "non control",
         "none", "no", "false", "0", "empty", "blank", "na", "n/a", "nan", "null", "#n/a"),
}
_MEANING = {word: mark for mark, words in _WORDS.items() for word in words}
_FAMILIES = re.compile(r"(negcon|poscon)(?: (?:cp|diverse|orf|crispr|sirna|\d+))?")
#: Columns that say it, in any case, with Metadata_ or without; the first that has a sign decides.
_COLUMNS = ("control", "control type", "controls", "control status", "is control", "pert type",
            "well type", "well role")
_MOST = 5  # unknown words named


def control_columns(names) -> list[str]:
    """Those of some columns that say which wells are controls, the surest first."""
    known = [column.replace(" ", "") for column in _COLUMNS]
    found = {name: column_key(name) for name in names}
    return sorted((name for name in found if found[name] in known),
                  key=lambda name: known.index(found[name]))


def sign_of(word: str) -> str | None:
    """What a cell says: NEGATIVE, POSITIVE, ANY, "" for no control; None for an unknown word.

    >>> sign_of("Neg_Control"), sign_of("poscon_diverse"), sign_of("TRT"), sign_of("n?")
    ('-', '+', '', None)
    """
    plain = _plain(word)
    family = _FAMILIES.fullmatch(plain)
    return _MEANING.get(family[1] if family else plain)


def control_marks(frame: pandas.DataFrame) -> tuple[list[str], dict]:
    """The mark of each row, and (column, word) to the rows of each word that is not known.

    frame: cells of text.  A column that says "control" leaves the sign to the next that has one.
    """
    marks, unknown = [NO] * len(frame), {}
    for column in control_columns(frame.columns):
        cells = frame[column].tolist()
        signs = {word: sign_of(word) for word in set(cells)}
        unknown.update({(column, word): n for word, n in Counter(cells).items()
                        if signs[word] is None})
        marks = [mark if mark in (NEGATIVE, POSITIVE) else signs[word] or mark
                 for mark, word in zip(marks, cells)]
    return marks, unknown


def control_notes(frame: pandas.DataFrame) -> list[str]:
    """A sentence for each column with words that are not known: they mark no control."""
    notes = []
    unknown = control_marks(frame)[1]
    for column in dict.fromkeys(column for column, _ in unknown):
        mine = {word: n for (of, word), n in unknown.items() if of == column}
        words = listed((f"'{word}' ({count(n, 'field')})" for word, n in sorted(
            mine.items(), key=lambda item: (-item[1], item[0]))), limit=_MOST)
        notes.append(f"column {column}: {words}: not known as a word for a control or for none, "
                     "taken as none; write negcon, poscon, trt, or give --controls "
                     f"{column}=VALUE for negative controls")
    return notes


def _plain(word: str) -> str:
    """Lower case, one blank for all that stands between words; whole numbers without ".0"."""
    plain = " ".join(re.sub(r"[\s_]+|(?<=\w)-(?=\w)", " ", word.lower()).split())
    return re.sub(r"^([01])\.0+$", r"\1", plain) or word.strip()
