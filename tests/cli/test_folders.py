# SPDX-License-Identifier: BSD-3-Clause
"""Folders on the command line: every verb that takes fields reads them as it reads a table."""

import os

import pandas
import pytest
import tifffile

import screens
from phenoscale.cli.verbs import cli

FAST = ["--network", "mcnn-gap", "--epochs", "1", "--batch", "4", "--threads", "2", "--quiet"]
PATTERN = ["--pattern", r"(?P<Plate>P\d)/(?P<Well>[A-H]\d\d)_(?P<Channel>\w+)\.tif"]
READING = {"--preset", "--pattern", "--channels", "--role", "--join", "--root", "--path-map"}


@pytest.mark.parametrize("verb", ["check", "train", "predict", "evidence"])
def test_verbs_that_take_fields_read_them_by_the_same_words(verb):
    words = {word for option in cli.get_command(None, verb).params for word in option.opts}
    assert words >= READING
    assert ("--z" in words) == (verb in ("check", "train"))  # a model knows


def features(path):
    """What was predicted, by plate and well."""
    frame = pandas.read_csv(path, dtype=str).set_index(["Metadata_Plate", "Metadata_Well"])
    return frame[[name for name in frame if "Phenoscale_" in name]].sort_index()


def test_from_a_folder_to_maps_of_evidence(call, tmp_path):
    """Trained, predicted and explained without a table; the numbers are those of the table."""
    folder, run, classes = tmp_path / "screen", tmp_path / "run", tmp_path / "classes.csv"
    table = screens.write_screen(folder, 2, 4, 1)
    frame = pandas.read_csv(table, dtype=str, keep_default_na=False)
    frame[["Metadata_Plate", "Metadata_Well", "Metadata_Class"]].to_csv(classes, index=False)
    status, out, err = call("train", folder, *PATTERN, "--join", classes, "--channels",
                            "DNA,Actin", "--label", "Metadata_Class", "--out", run, *FAST,
                            "--holdout", "Metadata_Plate=P2")
    assert (status, out) == (0, f"{run / 'report.html'}\n"), err
    model, found = run / "model.safetensors", tmp_path / "predictions.csv"
    for source, words in ((folder, PATTERN), (table, [])):
        status, out, err = call("predict", model, source, *words, "--out", found, "--quiet")
        assert (status, out) == (0, f"{found}\n"), err
        ours, scored = features(found), features(run / "predictions.csv")
        assert len(ours) == 10 and 5 <= len(scored) < 10
        pandas.testing.assert_frame_equal(ours.loc[scored.index], scored)
    maps = tmp_path / "maps"
    status, out, err = call("evidence", model, folder, *PATTERN, "--out", maps, "--quiet")
    assert (status, out) == (0, f"{maps / 'evidence.csv'}\n"), err
    evidence = pandas.read_csv(maps / "evidence.csv")
    assert sorted(evidence["Metadata_Plate"] + evidence["Metadata_Well"]) == [
        plate + well for plate, well in ours.index]
    assert all(tifffile.imread(maps / name).shape == (128, 128)
               for name in evidence["Phenoscale_Map"])


@pytest.mark.parametrize("words", [
    ["check"], ["train", "--label", "Class", "--out", "run"],
    ["predict", "model", "--out", "p.csv"], ["evidence", "model", "--out", "maps"]])
def test_a_pattern_is_for_folders(call, tmp_path, monkeypatch, words):
    """Said in one sentence, before anything is made."""
    monkeypatch.chdir(tmp_path)
    screens.write_screen(tmp_path, 1, 2, 0)
    screens.make_model().save("model")
    before = sorted(os.listdir())
    status, out, err = call(*words, "screen.csv", *PATTERN, "--quiet")
    assert (status, out) == (1, "") and "screen.csv is no folder: a preset or pattern" in err
    status, out, err = call(*words, ".", "--quiet")
    assert (status, out) == (1, "") and "say with --preset" in err
    assert sorted(os.listdir()) == before
