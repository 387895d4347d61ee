# SPDX-License-Identifier: BSD-3-Clause
"""The page of an evaluation: the headline first, every table below it, many classes in short."""

import math

import pandas
import pytest

from phenoscale.evaluation.evaluate import Evaluation
from phenoscale.evaluation.text import page_of
from phenoscale.scores.probabilities import NAMES


def evaluation(classes=2, interval=(0.5, 1.0), **tables):
    names = [f"c{k}" for k in range(classes)]
    low, high = interval
    rows = [("well", 8, name, 0.75, "well", 8, low, high, "bootstrap") for name in NAMES]
    rows += [("field", 16, name, 0.625, "well", 8, low, high, "bootstrap") for name in NAMES]
    scores = pandas.DataFrame(rows, columns=["level", "n", "score", "value", "unit", "groups",
                                             "low", "high", "interval"])
    confusion = pandas.DataFrame(0, index=range(classes), columns=names)
    confusion.iloc[0, 1] = 2
    confusion.insert(0, "class", names)
    head = {"level": "well", "n": 8, "right": 6, "unit": "well", "groups": 8,
            "interval": "bootstrap", **{name: (0.75, low, high) for name in NAMES}}
    return Evaluation("run", "moa", "test", names, head, ["A note. " * 20],
                      {"scores": scores, "confusion_well": confusion, **tables})


def test_the_headline_comes_first():
    lines = page_of(evaluation()).split("\n")
    assert lines[:3] == [
        "run: 16 held-out fields, classes of moa: 2",
        "By well: 6 of 8 wells right, 75.0 % (95 % interval 50.0 % to 100.0 %, bootstrap over 8 "
        "wells)",
        "balanced accuracy 0.750, AUC 0.750, calibration error 0.750"]
    assert max(map(len, lines)) <= 100
    table = lines[lines.index(next(line for line in lines if line.startswith("score "))):]
    assert table[0].split() == ["score", *"by well, over 8 wells".split(),
                                *"by field, over 8 wells".split()]
    assert table[1].split() == ["accuracy", "0.750", "(0.500", "to", "1.000)", "0.625", "(0.500",
                                "to", "1.000)"]


def test_no_interval_is_said():
    assert "75.0 % (no interval)" in page_of(evaluation(interval=(math.nan, math.nan)))


@pytest.mark.parametrize("classes, words", [(12, "true classes in rows"),
                                            (13, "Called wrongly, by well\nclass  called  wells\n"
                                                 "c0     c1          2")])
def test_many_classes_are_said_in_short(classes, words):
    page = page_of(evaluation(classes))
    assert words in page and ("c11" in page) == (classes == 12)


def test_tables_say_numbers_to_the_right_and_what_is_left_out():
    plates = pandas.DataFrame({"Metadata_Plate": [f"P{k}" for k in range(50)], "wells": 8,
                               "low": 1 / 3, "ok": True, "high": math.nan})
    lines = page_of(evaluation(plates=plates)).split("\n")
    at = lines.index("By plate")
    assert lines[at + 1] == "Metadata_Plate  wells    low  ok   high"
    assert lines[at + 2] == "P0                  8  0.333  yes     -"
    assert lines[at + 42] == "and 10 more"


def test_reasons_are_shown_where_a_fit_is_not_ok():
    row = {"compound": "x", "curve": "cells", "is_rank": False, "n": 9, "spearman": 1.0, "v": 0.5,
           "v_reason": "", "fit_ok": True, "reason": "", "doses": 3, "ec50": 1.0, "ec50_low": 0.5,
           "ec50_high": 2.0, "is_outside": False, "bottom": 0.0, "top": 1.0, "hill": 1.0,
           "r2": 0.9}
    good = page_of(evaluation(doses=pandas.DataFrame([row])))
    assert "reason" not in good
    bad = {**row, "fit_ok": False, "reason": "3 doses: 4 needed"}
    assert "3 doses: 4 needed" in page_of(evaluation(doses=pandas.DataFrame([row, bad])))
