# SPDX-License-Identifier: BSD-3-Clause
"""The section "What changed" of a report: planted words are there, or one line why not."""

import re

import numpy as np
import pytest

pandas = pytest.importorskip("pandas")
pytest.importorskip("matplotlib"), pytest.importorskip("jinja2")

from phenoscale.evaluation.run import read_run
from phenoscale.files.csv import write_csv
from phenoscale.images.measures import measure_names
from phenoscale.reports import pictures
from phenoscale.reports.report import write_report
from phenoscale.reports.sections.changed import section
from phenoscale.tables.class_keys import class_key
from phenoscale.training.run_folder import RunFolder

CLASSES = ["dead", "<b>fine</b>"]


def write_run(folder, measures=True, controls=8, label=True):
    """A run of one plate: 8 wells trained on, then controls and wells of two classes."""
    rng, names = np.random.default_rng(0), measure_names(["DNA", "Actin"], 0)
    kinds = ["dead"] * 8 + [CLASSES[1]] * 20 + ["dead"] * 20
    frame = pandas.DataFrame({
        "Metadata_Plate": "P1", "Metadata_Well": [f"{'ABCD'[k // 12]}{k % 12 + 1:02d}" for k in
                                                  range(48)],
        "Metadata_Control": ["negative" if 8 <= k < 8 + controls else "" for k in range(48)],
        "class": kinds if label else "", "Phenoscale_Field": [f"field {k}" for k in range(48)]})
    folder.mkdir()
    write_csv(frame.assign(Split=["train"] * 8 + ["test"] * 40), folder / "split.csv")
    frame["Phenoscale_Class"] = kinds
    for name in CLASSES:
        frame["Phenoscale_Prob_" + class_key(name)] = (frame["Phenoscale_Class"] == name) * 1.0
    numbers = pandas.DataFrame(rng.normal(10, 1, (48, len(names))), columns=names)
    numbers.loc[frame["Phenoscale_Class"] == "dead", "Image_Cells_Count_DNA"] = 1.0
    numbers.loc[:7] = 1e6  # trained on: heard of nowhere
    frame = pandas.concat([frame, numbers], axis=1) if measures else frame
    write_csv(frame.iloc[::-1], folder / "predictions.csv")
    RunFolder(folder).write_config({"label": "class", "classes": CLASSES, "channels": ["DNA"],
                                    "roles": {}, "table": "t.csv", "network": "mcnn"})
    return read_run(folder)


def test_planted_words_are_said(tmp_path):
    found = section(write_run(tmp_path / "run"))
    assert [row[:2] for row in found["rows"]] == [("dead", 20), (CLASSES[1], 20)]
    assert found["rows"][0][2].startswith("fewer cells (-9")
    assert found["rows"][1][2] == "like the controls"
    assert found["image"].startswith("data:image/svg+xml") and not found["is_called"]
    assert len(found["wells"]) == 40 and not found["more"]
    words = {where: (mark, said) for where, mark, said in found["wells"]}
    assert words["P1 A09"][0] == "-" and words["P1 D12"][1].startswith("fewer cells")


def test_the_page_has_the_words(tmp_path):
    write_run(tmp_path / "run")
    with open(write_report(tmp_path / "run"), encoding="utf-8") as file:
        part = file.read().partition('<section id="changed">')[2].partition("</section>")[0]
    assert "fewer cells (-9" in part and "data:image/svg+xml" in part
    assert "&lt;b&gt;fine" in part and "<b>fine" not in part
    assert part.count("<tr>") == 2 + 2 + 40 and "compared: 40 wells each with the 8" in part


def test_by_predicted_class_where_nothing_has_a_label(tmp_path):
    found = section(write_run(tmp_path / "run", label=False))
    assert found["is_called"] and found["rows"][0][2].startswith("fewer cells")


@pytest.mark.parametrize("options, why", [
    ({"measures": False}, "predictions.csv has no measures: predict again with --measures all"),
    ({"controls": 2}, "2 wells of negative controls, and it takes 3"),
    ({"controls": 0}, "0 wells of negative controls")])
def test_why_nothing_is_said(tmp_path, options, why):
    assert why in section(write_run(tmp_path / "run", **options))["why"]


def test_the_bars_are_the_effects():
    figure = pictures.effect_bars({"dead": [("fewer cells", -4.5), ("DNA $brighter", 2.0)],
                                   "fine": []})
    bars, empty = figure.axes
    assert [patch.get_width() for patch in bars.patches] == [-4.5, 2.0]
    assert [text.get_text() for text in bars.get_yticklabels()] == ["fewer cells",
                                                                     r"DNA \$brighter"]
    assert not empty.patches and re.search("like the controls", empty.texts[0].get_text())
