# SPDX-License-Identifier: BSD-3-Clause
"""Plates whose counts a model does not know are said; plates that differ as plates do are not."""

import re
import warnings

import numpy as np
import pandas
import pytest

import phenoscale
import screens
from phenoscale.images.counts import looks_at
from phenoscale.models.model import load
from phenoscale.prediction.counts import (
    blank_in,
    counts_of,
    far_from,
    most_like_all,
    plates_of,
    sentences_of,
)
from phenoscale.prediction.file import Writing, predict_to_file
from phenoscale.prediction.predict import predict_table
from phenoscale.ranks.crew import Crew
from phenoscale.simulation.simulate import Screen, simulate
from phenoscale.tables.read import read_table

tifffile = pytest.importorskip("tifffile")
CHANNELS = ["DNA", "Actin", "Tubulin"]


@pytest.fixture(scope="module")
def simulated(tmp_path_factory):
    """Fields (n, 3, h, w) of a simulated screen of three plates, and their plates."""
    folder = tmp_path_factory.mktemp("simulated")
    simulate(folder, Screen(plates=3, phenotypes=4, size=(192, 192), wells=24, seed=5))
    table = read_table(folder / "screen.csv")
    fields = np.stack([[tifffile.imread(path) for path in row] for row in table.paths])
    return fields, plates_of(table)


def levels(fields):
    return np.array([looks_at(field) for field in fields])


def of_plate(simulated, name):
    fields, plates = simulated
    found = fields[[plate == name for plate in plates]]
    assert len(found) == 24
    return found


def far(simulated, change=lambda fields: fields, trained="plate Plate01", asked="plate Plate03"):
    kept = counts_of(levels(of_plate(simulated, trained)))
    fields = change(of_plate(simulated, asked))
    return far_from(kept, CHANNELS, levels(fields), [asked] * len(fields))


@pytest.mark.parametrize("asked", ["plate Plate01", "plate Plate02", "plate Plate03"])
@pytest.mark.parametrize("trained", ["plate Plate01", "plate Plate02", "plate Plate03"])
def test_plates_of_one_assay_are_near(simulated, trained, asked):
    """One plate was trained on, another is asked for: as a whole, and field by field."""
    assert far(simulated, trained=trained, asked=asked) == []
    kept = counts_of(levels(of_plate(simulated, trained)))
    for field in of_plate(simulated, asked)[:12]:
        assert far_from(kept, CHANNELS, levels([field]), [""]) == []


FAR = {
    "x16": (lambda f: f * np.uint16(16), "has counts 1[0-9] times those of the training .mean .*, "
            "all multiples of 16: export the images as they were for training"),
    "/16": (lambda f: f // 16, "has counts 1/1[0-9] of those of the training"),
    "x4": (lambda f: f * np.uint16(4), r"has counts \d\.\d times .* multiples of 4"),
    "to 0-65535": (lambda f: (f * (65535 / 4095)).astype(np.uint16), "has counts 1[0-9] times"),
    "each stretched": (lambda f: ((f - f.min(axis=(2, 3), keepdims=True)) * (65535 / np.ptp(
        f, axis=(2, 3), keepdims=True))).astype(np.uint16), "has counts .* times"),
    "min is white": (lambda f: 65535 - f, "has counts .* times|has an offset"),
    "an offset": (lambda f: f + np.uint16(3000), "has an offset, its darkest pixels have [23],... "
                  "counts more .3,1.* where the training had 1"),
    "blank": (lambda f: f * np.uint16(0), "is blank, all pixels are 0, where the training had a "
              "mean of"),
}


@pytest.mark.parametrize("change", FAR)
def test_what_is_far(simulated, change):
    function, words = FAR[change]
    found = far(simulated, function)
    assert [one.channel for one in found] == [0, 1, 2]
    for one, channel in zip(found, CHANNELS):
        assert one.sentence.startswith(f"plate Plate03: {channel} ") and "\n" not in one.sentence
        assert re.search(words, one.sentence), one.sentence
    kept = counts_of(levels(of_plate(simulated, "plate Plate01")))
    one = function(of_plate(simulated, "plate Plate03")[:1])
    assert "this field: DNA" in far_from(kept, CHANNELS, levels(one), [""])[0].sentence


@pytest.mark.parametrize("order", [[1, 0, 2], [2, 1, 0], [1, 2, 0]])
def test_exchanged_channels(simulated, order):
    found = far(simulated, lambda fields: fields[:, order])
    assert [one.channel for one in found] == [c for c in range(3) if order[c] != c]
    for one in found:
        assert (f"{CHANNELS[one.channel]} looks like {CHANNELS[order[one.channel]]} of the training"
                in one.sentence)


def test_a_channel_alone(simulated):
    def change(fields):
        fields = fields.copy()
        fields[:, 1] *= 16
        return fields

    assert [one.channel for one in far(simulated, change)] == [1]


def test_nothing_is_known(simulated):
    fields = levels(of_plate(simulated, "plate Plate01"))
    assert far_from(None, CHANNELS, fields, [""] * len(fields)) == []
    kept = counts_of(fields)
    assert far_from(kept, CHANNELS, fields[:0], []) == []
    assert far_from(kept, CHANNELS, np.full_like(fields, np.nan), [""] * len(fields)) == []
    assert far_from(counts_of(fields * 0), CHANNELS, fields, [""] * len(fields)) == []


def test_many_plates_are_a_few_sentences(simulated):
    kept = counts_of(levels(of_plate(simulated, "plate Plate01")))
    dark = levels(of_plate(simulated, "plate Plate02") // 16)
    found = far_from(kept, CHANNELS, dark, [f"plate {k}" for k in range(len(dark))])
    sentences = sentences_of(found)
    assert len(found) == 3 * len(dark) and len(sentences) == 9
    assert sentences[-1].startswith(f"{len(found) - 8} more channels whose counts lie as far: ")


def test_the_usual_plate_is_one_of_most(simulated):
    fields, plates = simulated
    numbers = levels(fields)
    numbers[: len(plates) // 3, :, :3] *= 16  # the first plate of three
    assert most_like_all(numbers, plates) in (1, 2)


def test_blank_in_a_class():
    numbers = np.ones((12, 2, 5))
    classes = np.array(["a"] * 4 + ["b"] * 4 + ["c"] * 3 + [""])
    assert blank_in(numbers, ["DNA", "Actin"], classes) == []
    numbers[4:8, 1] = 0
    (words,) = blank_in(numbers, ["DNA", "Actin"], classes)
    assert words.startswith("channel Actin is blank in every field of class b and in no other: the "
                            "network would learn that")
    numbers[6, 1] = 1
    assert "in 3 of 4 fields of class b" in blank_in(numbers, ["DNA", "Actin"], classes)[0]
    numbers[4:8, 1], numbers[::2, 1] = 1, 0  # anywhere
    assert blank_in(numbers, ["DNA", "Actin"], classes) == []


# ---- where a user sees it ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def screen(tmp_path_factory):
    """(folder, model that knows plate P1, table whose second plate is in the upper bits)."""
    folder = tmp_path_factory.mktemp("screen")
    path, model = screens.write_screen(folder, wells=6, unlabelled=0), screens.make_model()
    table = read_table(path)
    fields = []
    for row, files in enumerate(table.paths):
        planes = [tifffile.imread(file) // 16 for file in files]
        for file, plane in zip(files, planes):
            tifffile.imwrite(file, plane * np.uint16(16 if row >= 6 else 1))
        fields.append(np.stack(planes))
    model.counts = counts_of([looks_at(field) for field in fields[:6]])
    model.save(folder / "m")
    return folder, load(folder / "m"), read_table(path), np.stack(fields)


def test_python_warns_and_a_listener_is_told(screen):
    folder, model, table, fields = screen
    with pytest.warns(UserWarning, match="plate P2: DNA has counts 1. times those of the tr"
                      ) as seen:
        predict_table(model, table)
    assert len(seen) == 2 and seen[0].filename == __file__
    for nobody in (None, False):
        with pytest.warns(UserWarning, match="these fields: DNA") as seen:
            phenoscale.predict(model, fields * np.uint16(16), progress=nobody)
        assert seen[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        phenoscale.predict(model, fields)
        told = []
        predict_table(model, table, progress=told.append)
    assert [event["words"][:13] for event in told if event["stage"] == "warning"] == [
        "plate P2: DNA", "plate P2: Act"]


@pytest.mark.parametrize("block", [2, 64])
def test_a_file_and_one_that_is_resumed(screen, tmp_path, monkeypatch, block):
    """The blocks of a stopped prediction are judged, too."""
    monkeypatch.setattr("phenoscale.prediction.stream.BLOCK", block)
    folder, model, table, _ = screen
    told = []

    def run(stop):
        told.clear()

        def hear(event):
            told.append(event)
            if event["stage"] == "predict" and event["done"] == stop:
                raise KeyboardInterrupt

        predict_to_file(model, folder / "screen.csv", tmp_path / "p.csv",
                        writing=Writing(resume=True), crew=Crew(progress=hear))

    with pytest.raises(KeyboardInterrupt):
        run(stop=11)
    run(stop=0)
    assert [event["words"][:23] for event in told if event["stage"] == "warning"] == [
        "plate P2: DNA has count", "plate P2: Actin has cou"]
    assert len(pandas.read_csv(tmp_path / "p.csv")) == 12


def test_plates_have_batches():
    frame = pandas.DataFrame({"file": [f"{k}.tif" for k in range(4)], "plate": ["1", "1", "", "2"],
                              "batch": ["x", "y", "x", "x"]})
    assert plates_of(read_table(frame)) == ["plate 1 of batch x", "plate 1 of batch y",
                                            "fields without a plate", "plate 2"]
    assert plates_of(read_table(frame[["file"]])) == [""] * 4
