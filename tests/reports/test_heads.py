# SPDX-License-Identifier: BSD-3-Clause
"""The bars of network, measures and both: what heads.csv says, marked, ordered, or one sentence."""

import html
import json
import re

import pytest

pandas = pytest.importorskip("pandas")
pytest.importorskip("matplotlib"), pytest.importorskip("jinja2")

from phenoscale import InputError
from phenoscale.evaluation.run import read_run
from phenoscale.files.csv import write_csv
from phenoscale.reports import pictures
from phenoscale.reports.report import write_report
from phenoscale.reports.sections import heads
from phenoscale.scores.intervals import wilson

RIGHT = {"both": 19, "untrained network": 9, "network": 17, "measures": 18, "cell count alone": 4}
WHY = "the classes come from network and measures, without watched fields to choose by"


def row(name, right, **more):
    low, high = wilson(right, 20)
    return {"Head": name, "Side": "test", "Chosen": name == "both", "FieldsRight": 2 * right,
            "Fields": 40, "WellsRight": right, "Wells": 20, "Accuracy": right / 20, "Low": low,
            "High": high, **more}


@pytest.fixture
def give(tmp_path):
    """Writes a run folder with such rows of heads.csv: its path."""
    def write(rows):
        config = {"classes": ["a", "b"], "notes": ["another <b>", WHY]}
        (tmp_path / "config.json").write_text(json.dumps(config))
        if rows is not None:
            write_csv(pandas.DataFrame(rows), tmp_path / "heads.csv")
        return tmp_path
    return write


def page(folder):
    """The page, and of its section the text."""
    with open(write_report(folder), encoding="utf-8") as file:
        source = file.read()
    part = source.partition('<section id="heads">')[2].partition("</section>")[0]
    return source, html.unescape(" ".join(re.sub("<[^>]+>", " ", part).split()))


def test_each_head_is_said_in_its_order(give):
    source, words = page(give([row(*item) for item in RIGHT.items()]))
    at = [words.index(f"{name} {2 * RIGHT[name]} of 40 {RIGHT[name]} of 20 {5 * RIGHT[name]}.0 %")
          for name in ("network", "measures", "cell count alone", "untrained network")]
    assert at == sorted(at) and "both (chosen) 38 of 40 19 of 20 95.0 % 76 to 99 %" in words
    assert "held-out wells" in words and WHY[1:] in words and "untrained network." in words
    assert "Of the training: the cl" not in source and "training: another &lt;b&gt;" in source


def test_bars_and_whiskers_are_the_shares_and_intervals(give):
    found = heads.section(read_run(give([row(*item) for item in RIGHT.items()])))
    axes = pictures.heads(found["rows"], 3, found["unit"]).axes[0]
    assert [bar.get_height() for bar in axes.patches] == [
        17 / 20, 18 / 20, 19 / 20, 4 / 20, 9 / 20]
    assert [bar.get_linewidth() > 0 for bar in axes.patches] == [False, False, True, False, False]
    greys = {bar.get_facecolor() for bar in axes.patches[3:]}
    assert len(greys) == 1 and not greys & {bar.get_facecolor() for bar in axes.patches[:3]}
    ends = [tuple(bars.get_segments()[0][:, 1]) for bars in axes.collections]
    assert ends == [pytest.approx(wilson(RIGHT[entry["name"]], 20)) for entry in found["rows"]]
    assert "both\n(chosen)" in [text.get_text() for text in axes.get_xticklabels()]


def test_all_right_and_none_have_whiskers(give):
    """An interval that ends at the share, give or take a last digit."""
    rows = [row("network", 20, High=0.9999999999), row("measures", 0, Low=1e-12), row("both", 20)]
    _, words = page(give(rows))
    assert "20 of 20 100.0 %" in words and "0 of 20 0.0 %" in words and "Grey" not in words


def test_without_wells_fields_count(give):
    rows = [row(*item) for item in RIGHT.items()]
    for one in rows:
        del one["Wells"], one["WellsRight"]
    _, words = page(give(rows))
    assert "held-out fields the network alone" in words and "share of fields" in words


def test_without_the_file_one_line(give):
    _, words = page(give(None))
    assert words == ("Network, measures, both The folder holds no heads.csv: the network alone was "
                     "asked, or no labelled field was kept out of the training.")


@pytest.mark.parametrize("column, value", [
    ("Head", "<script>alert(1)</script>"), ("Side", "train"), ("Fields", "many"),
    ("Fields", "-1"), ("WellsRight", "21"), ("Accuracy", "1e999"), ("Low", "nan"), ("High", ""),
    ("Chosen", "True"), ("Head", "network")])
def test_what_train_did_not_write_is_one_sentence(give, column, value):
    """One row of them all with another value."""
    rows = [row(*item) for item in RIGHT.items()]
    rows[3][column] = value
    with pytest.raises(InputError, match="heads.csv.*(give a|one of them chosen)") as error:
        write_report(give(rows))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("lost", ["network", "both"])
def test_a_head_that_is_not_there(give, lost):
    rows = [row(*item) for item in RIGHT.items() if item[0] != lost]
    with pytest.raises(InputError, match="does not have each of network, measures, both once"):
        write_report(give(rows))
