# SPDX-License-Identifier: BSD-3-Clause
"""What a training says of counts, and what its model keeps of them."""

import json

import numpy as np
import pytest

pandas = pytest.importorskip("pandas")
pytest.importorskip("tifffile")
import tifffile

import screens
from calls import train_run
from phenoscale import WholeImageClassifier, load
from phenoscale.images.counts import looks_at
from phenoscale.prediction.counts import counts_of
from phenoscale.tables.read import read_table
from phenoscale.training.recipe import Recipe

RECIPE = Recipe(network="mcnn-gap", epochs=1, batch=4, seed=5)


def screen(folder, change=lambda row, c, pixels: pixels):
    table = read_table(screens.write_screen(folder, 2, 8, 0))
    for row, files in enumerate(table.paths):
        for c, path in enumerate(files):
            tifffile.imwrite(path, change(table.frame.iloc[row], c, tifffile.imread(path) // 16))
    return read_table(folder / "screen.csv")


def run(table, folder, **words):
    """(model, warnings) of a training that holds plate P2 out."""
    events = []
    model, _ = train_run(table, "Metadata_Class", folder, RECIPE,
                         holdout={"Metadata_Plate": ["P2"]}, val_fraction=0.25,
                         progress=events.append, **words)
    return model, [event["words"] for event in events if event["stage"] == "warning"]


def test_the_model_keeps_the_counts_of_its_training_fields(tmp_path):
    table = screen(tmp_path / "screen")
    model, said = run(table, tmp_path / "run")
    split = pandas.read_csv(tmp_path / "run" / "split.csv")["Split"]
    fields = [[tifffile.imread(path) for path in table.paths[row]]
              for row in np.flatnonzero(split == "train")]
    assert model.counts == counts_of([looks_at(field) for field in fields]) and said == []
    assert load(tmp_path / "run" / "model.safetensors").counts == model.counts


def test_a_plate_held_out_from_another_camera_is_said(tmp_path):
    table = screen(tmp_path / "screen", lambda row, c, pixels: pixels * np.uint16(
        16 if row["Metadata_Plate"] == "P2" else 1))
    _, said = run(table, tmp_path / "run")
    assert len(said) == 2 and said[0].startswith("plate P2: DNA has counts 1")
    assert said[0] in json.loads((tmp_path / "run" / "config.json").read_text())["notes"]


def test_a_channel_that_is_blank_in_one_class_is_said(tmp_path):
    table = screen(tmp_path / "screen", lambda row, c, pixels: pixels * np.uint16(
        0 if c == 1 and row["Metadata_Class"] == "fine" else 1))
    _, said = run(table, tmp_path / "run")
    assert any("blank in every field of class fine and in no other" in words for words in said)


def test_a_word_for_none_is_no_class_of_that_sentence(tmp_path):
    """In a training and in a check."""
    from phenoscale.checks.check import check

    def dark(row, c, pixels):
        return pixels * np.uint16(0 if c == 1 and row["Metadata_Well"] == "A08" else 1)

    table = screen(tmp_path / "screen", dark)
    table.frame.loc[table.frame["Metadata_Well"] == "A08", "Metadata_Class"] = "NA"
    _, said = run(table, tmp_path / "run")
    assert not any("blank in every field" in words for words in said)
    found = check(table, label="Metadata_Class").findings
    assert not [finding for finding in found if finding.kind == "confounded"]


def test_the_estimator_keeps_them_too():
    images, names = screens.draw_fields(8)
    classifier = WholeImageClassifier(network="mcnn-gap", epochs=1, batch=4).fit(images, names)
    assert classifier.model_.counts == counts_of([looks_at(field) for field in images])
    with pytest.warns(UserWarning, match="these fields: channel1 has counts 1/1"):
        classifier.predict(images // 16)
