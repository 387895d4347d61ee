# SPDX-License-Identifier: BSD-3-Clause
"""The tasks that other programs ask for: the same numbers as everywhere, errors as sentences."""

import base64
import os
import shutil
import zlib

import numpy as np
import pandas
import pytest
import tifffile

import phenoscale
import screens
from phenoscale import InputError
from phenoscale.hosts import tasks
from phenoscale.hosts.task_fields import pack, unpack
from phenoscale.hosts.tasks import execute, update_of
from phenoscale.images.counts import looks_at
from phenoscale.models.controls import controls_of
from phenoscale.prediction.counts import counts_of
from phenoscale.prediction.evidence import Explainer


@pytest.fixture(scope="module")
def screen(tmp_path_factory):
    """(folder, path of a model that knows its controls, fields as arrays, fields as files)."""
    folder = tmp_path_factory.mktemp("scrëen, 1")
    screens.write_screen(folder, 1, 6, 0)
    model = screens.make_model()
    files = [[str(folder / "P1" / f"A{k:02d}_{name}.tif") for name in screens.CHANNELS]
             for k in range(1, 7)]
    fields = np.stack([[tifffile.imread(path) for path in one] for one in files])
    model.controls = controls_of(phenoscale.predict(model, fields[:4]).embeddings)
    model.save(folder / "m.safetensors")
    return folder, str(folder / "m.safetensors"), fields, files


def test_predictions_are_those_of_the_library(screen):
    """From files by order and by name, from pixels, from both; for any threads; to the bit."""
    folder, path, fields, files = screen
    model = phenoscale.load(path)
    wanted = phenoscale.predict(model, fields)
    by_name = [dict(zip(screens.CHANNELS, one)) for one in files]
    mixed = [[{"path": one[0]}, pack(field[1])] for one, field in zip(files, fields)]
    pixels = [[pack(plane) for plane in field] for field in fields]
    told = []
    for given, threads in ((files, None), (by_name, 1), (mixed, 2), (pixels, 3),
                           ([list(field) for field in fields], 2)):
        found = execute("predict", {"model": path, "fields": given, "threads": threads,
                                    "embeddings": True},
                        lambda event: told.append(update_of("predict", event)))
        assert found["classes"] == screens.CLASSES and found["skipped"] == {}
        assert (np.array(found["probabilities"], np.float32) == wanted.probabilities).all()
        assert (np.array(found["embeddings"], np.float32) == wanted.embeddings).all()
        assert found["class"] == [screens.CLASSES[k] for k in wanted.logits.argmax(axis=1)]
        assert found["distance"] == model.distances(wanted.embeddings).tolist()
    assert told[:2] == [(1, 6, "1 of 6 fields"), (2, 6, "2 of 6 fields")]
    assert "embeddings" not in execute("predict", {"model": path, "fields": files[:1]})


def test_distances_are_one_for_the_controls_themselves(screen):
    folder, path, fields, files = screen
    model = phenoscale.load(path)
    near = model.distances(phenoscale.predict(model, fields[:4]).embeddings)
    assert np.sqrt((near**2).mean()) == pytest.approx(1)
    far = fields.astype(np.uint32) // 3
    assert model.distances(phenoscale.predict(model, far.astype(np.uint16)).embeddings).min() > 2
    assert controls_of(np.ones((1, 4))) is None and controls_of(np.ones((3, 4))) is None


def test_stacks_pages_and_samples(screen, tmp_path):
    """As the model's training had them."""
    model, fields = screens.make_model(), screen[2]
    model.z = "max"
    model.save(tmp_path / "m")
    stack = np.stack([fields[0, 0] // 2, fields[0, 0], fields[0, 0] // 3])
    tifffile.imwrite(tmp_path / "z.tif", stack, imagej=True, metadata={"axes": "ZYX"})
    tifffile.imwrite(tmp_path / "rgb.tif", np.stack([fields[1, 0], fields[0, 1], fields[2, 0]], -1),
                     photometric="rgb")
    found = execute("predict", {"model": str(tmp_path / "m"), "fields": [[
        {"path": str(tmp_path / "z.tif")}, {"path": str(tmp_path / "rgb.tif"), "sample": 1}],
        [{"path": str(tmp_path / "z.tif"), "page": 1},
         {"path": str(tmp_path / "rgb.tif"), "sample": 1}]]})
    wanted = phenoscale.predict(model, fields[:1]).probabilities.tolist()
    assert found["probabilities"] == wanted * 2


def test_bins(screen, tmp_path):
    """A model of binned pixels bins what it gets."""
    model = screens.make_model(size=(64, 64))
    model.bin, model.size = 2, [128, 128]
    model.save(tmp_path / "m")
    found = execute("predict", {"model": str(tmp_path / "m"), "fields": screen[3]})
    wanted = phenoscale.predict(model, screen[2]).probabilities
    assert (np.array(found["probabilities"], np.float32) == wanted).all()
    evidence = execute("evidence", {"model": str(tmp_path / "m"), "field": screen[3][0]})
    assert unpack(evidence["heat"]).shape == (128, 128)
    with pytest.raises(InputError, match="no network for fields of 1 x 1"):
        execute("predict", {"model": str(tmp_path / "m"),
                            "fields": [[pack(np.zeros((1, 1), np.uint16))] * 2]})


def test_evidence(screen):
    folder, path, fields, files = screen
    wanted = Explainer(phenoscale.load(path), (128, 128)).explain(fields[2], "fine")
    found = execute("evidence", {"model": path, "field": files[2], "class": "fine"})
    assert (unpack(found["heat"]) == wanted.heat()).all()
    assert found["logit"] == wanted.logit and found["is_coarse"] is False
    assert sum(found["scales"].values()) + found["bias"] == pytest.approx(found["logit"], abs=1e-4)
    assert execute("evidence", {"model": path, "field": files[2]})["class"] in screens.CLASSES


def test_about_and_version(screen):
    about = execute("about", {"model": screen[1]})
    assert about["channels"] == screens.CHANNELS and about["keys"] == screens.CLASSES
    assert about["has_controls"] and about["size"] == [128, 128] and about["embedding"] == 2048
    assert execute("version", {})["phenoscale"] == phenoscale.__version__


def test_a_model_is_read_once_and_again_when_it_changes(screen, tmp_path, monkeypatch):
    reads = []
    monkeypatch.setattr(tasks, "load", lambda path: reads.append(path) or phenoscale.load(path))
    path = str(tmp_path / "m")
    shutil.copy(screen[1], path)
    for _ in range(3):
        execute("predict", {"model": path, "fields": screen[3][:1]})
    assert reads == [path]
    screens.make_model(seed=2).save(path)
    os.utime(path, (1, 1))
    first = execute("predict", {"model": screen[1], "fields": screen[3][:1]})
    other = execute("predict", {"model": path, "fields": screen[3][:1]})
    assert reads.count(path) == 2 and other["probabilities"] != first["probabilities"]
    assert len(tasks._loaded) <= 2 and len(tasks._networks) <= 2


def test_warnings_of_counts_that_the_model_does_not_know(screen, tmp_path):
    """As a sentence in the outputs of both tasks, and in an update."""
    folder, path, fields, files = screen
    model = phenoscale.load(path)
    model.counts = counts_of([looks_at(field) for field in fields])
    model.save(tmp_path / "m")
    task, dark = {"model": str(tmp_path / "m")}, [[pack(plane // 16) for plane in field]
                                                  for field in fields]
    assert execute("predict", {**task, "fields": files})["warnings"] == []
    dna, actin = execute("predict", {**task, "fields": dark})["warnings"]
    assert dna.startswith("these fields: DNA has counts 1/16 of those of the training (mean 1,")
    assert execute("predict", {**task, "fields": dark[:1]})["warnings"][1].startswith(
        "this field: Actin has counts 1/")
    for number, field in enumerate(fields):
        for name, plane in zip(screens.CHANNELS, field // 16):
            tifffile.imwrite(tmp_path / f"{number}_{name}.tif", plane)
    pandas.DataFrame([{**{f"FileName_{name}": f"{k}_{name}.tif" for name in screens.CHANNELS},
                       "Metadata_Plate": "P9"} for k in range(6)]).to_csv(
        tmp_path / "t.csv", index=False)
    told = []
    found = execute("table", {**task, "source": str(tmp_path / "t.csv"),
                              "out": str(tmp_path / "p.csv")},
                    lambda event: told.append(update_of("table", event)))
    assert found["warnings"][0].startswith("plate P9: DNA has counts 1/16 of those of the training")
    assert (0, 0, f"warning: {found['warnings'][0]}") in told


def test_a_table(screen, tmp_path):
    """The file of `phenoscale predict`, with its list of skipped fields."""
    folder, path, fields, files = screen
    rows = pandas.DataFrame([{"FileName_DNA": a, "FileName_Actin": b} for a, b in files])
    rows.loc[1, "FileName_DNA"] = "gone.tif"
    rows.to_csv(tmp_path / "t.csv", index=False)
    found = execute("table", {"model": path, "source": str(tmp_path / "t.csv"),
                              "out": str(tmp_path / "p.csv")})
    assert found == {"out": str(tmp_path / "p.csv"), "fields": 5,
                     "errors": str(tmp_path / "p.errors.csv"), "warnings": []}
    frame = pandas.read_csv(tmp_path / "p.csv")
    wanted = phenoscale.predict(phenoscale.load(path), fields[[0, 2, 3, 4, 5]])
    assert np.abs(frame["Phenoscale_Prob_fine"] - wanted.probabilities[:, 1]).max() < 1e-7
    assert (frame["Phenoscale_ControlDistance"] > 0).all()
    table = str(tmp_path / "t.csv")
    with pytest.raises(InputError, match="is a file to read: choose another to write"):
        execute("table", {"model": path, "source": table, "out": table})
    with pytest.raises(InputError, match="give a name that ends in .csv"):
        execute("table", {"model": path, "source": table, "out": path})
    with pytest.raises(InputError, match="there is no input 'shell' of 'how': channels,"):
        execute("table", {"model": path, "source": "a", "out": "b", "how": {"shell": "rm"}})


def test_a_training(screen, tmp_path):
    told = []
    inputs = {"table": str(screen[0] / "screen.csv"), "label": "Metadata_Class",
              "out": str(tmp_path / "run"), "recipe": {"network": "mcnn-gap", "epochs": 1},
              "controls": {"Metadata_Class": ["fine"]}, "threads": 2}
    found = execute("train", inputs, lambda event: told.append(update_of("train", event)))
    assert phenoscale.load(found["model"]).controls is not None
    assert os.path.getsize(found["report"]) > 10000
    assert {words.split(",")[0].split(" ")[0] for *_, words in told} >= {"checking", "training"}
    with pytest.raises(InputError, match="holds a run already"):
        execute("train", inputs)
    with pytest.raises(InputError, match="there is no input 'epoch' of 'recipe': epochs,"):
        execute("train", {**inputs, "recipe": {"epoch": 1}})


def test_a_training_on_a_folder(tmp_path):
    """By the words of the command line; what cannot be used stops it, or is left out."""
    table, told = screens.write_screen(tmp_path / "screen", 1, 8, 0), []
    pandas.read_csv(table)[["Metadata_Well", "Metadata_Class"]][:7].to_csv(
        tmp_path / "classes.csv", index=False)
    screens.ruin(tmp_path / "screen/P1/A02_DNA.tif")
    how = {"pattern": r"(?P<Well>[A-H]\d\d)_(?P<Channel>\w+)\.tif", "channels": ["DNA"],
           "join": [str(tmp_path / "classes.csv")]}
    inputs = {"table": str(tmp_path / "screen"), "label": "Metadata_Class", "how": how,
              "out": str(tmp_path / "run"), "recipe": {"network": "mcnn-gap", "epochs": 1},
              "threads": 2}
    with pytest.raises(InputError, match="A02_DNA.tif cannot be read"):
        execute("train", inputs)
    found = execute("train", {**inputs, "on_error": "skip"},
                    lambda event: told.append(update_of("train", event)))
    assert (1, 1, "predicting") in told  # the one field without a class
    model = phenoscale.load(found["model"])
    assert model.channels == ["DNA"] and model.classes == ["coarse", "fine"]
    assert len(pandas.read_csv(tmp_path / "run/errors.csv")) == 1
    with pytest.raises(InputError, match="there is no input 'z' of 'how'"):  # the recipe says it
        execute("train", {**inputs, "how": {"z": "max"}})


PIXELS = pack(np.zeros((4, 5), np.uint16))


@pytest.mark.parametrize(("name", "change", "words"), [
    ("nothing", {}, "no task 'nothing': the tasks are version, about"),
    ("predict", {"model": None}, "the input 'model' is None, of the wrong kind: give a path"),
    ("predict", {"model": "gone"}, "gone"),
    ("predict", {"model": "a\0b"}, "the input 'model' is .* has characters that no path"),
    ("predict", {"fields": "x"}, "the input 'fields' is 'x'"),
    ("predict", {"threads": True}, "the input 'threads' is True"),
    ("predict", {"threads": 0}, "'threads' is 0, .*: give a whole number from 1"),
    ("predict", {"fields": [["a.tif"]]}, "a field is a list of 2 channels: DNA, Actin"),
    ("predict", {"fields": [{"DNA": "a.tif", "RNA": "b"}]}, "no channel Actin: .* has DNA, RNA"),
    ("predict", {"fields": [["gone.tif", "b.tif"]]}, "gone.tif does not exist: restore it"),
    ("predict", {"fields": [["", "b.tif"]]}, "the file of a channel is not named: give the file"),
    ("predict", {"fields": [[{"path": "a", "page": -1}, "b"]]}, r"'fields\[0\]\[0\].page' is -1"),
    ("predict", {"fields": [[{"path": ["a"]}, "b"]]}, r"'fields\[0\]\[0\].path' is \['a'\]"),
    ("predict", {"fields": [[PIXELS, {**PIXELS, "dtype": "object"}]]}, "give uint8, uint16 or"),
    ("predict", {"fields": [[PIXELS, {**PIXELS, "shape": [4, 5, 1]}]]}, "'shape' of pixels has 3"),
    ("predict", {"fields": [[PIXELS, {**PIXELS, "shape": [40000, 50000]}]]}, "at most 536,870,912"),
    ("predict", {"fields": [[PIXELS, {**PIXELS, "shape": [4, 6]}]]}, "48 bytes, the input"),
    ("predict", {"fields": [[PIXELS, {**PIXELS, "data": "%%"}]]}, "'data' is no base64"),
    ("predict", {"fields": [[PIXELS, {**PIXELS, "data": "aaaa"}]]}, "'data' is no whole zlib"),
    ("predict", {"fields": [[PIXELS, 7]]}, r"'fields\[0\]\[1\]' is 7, .* give a path, a file"),
    ("predict", {"fields": [[PIXELS, pack(np.zeros((4, 6), np.uint8))]]}, "of several sizes: DNA"),
    ("predict", {"embedding": True}, "there is no input 'embedding': embeddings, "),
    ("evidence", {"field": [PIXELS]}, "a field is a list of 2 channels"),
    ("evidence", {"field": None}, "the input 'field' is None"),
    ("evidence", {"field": [PIXELS, PIXELS], "class": ["fine"]}, "the input 'class' is"),
    ("evidence", {}, "the input 'field' is missing"),
])
def test_bad_inputs(screen, name, change, words):
    fields = {"fields": screen[3][:1]} if name == "predict" else {}
    inputs = {"model": screen[1], **fields, **change}
    with pytest.raises(InputError, match=words):
        execute(name, inputs)


@pytest.mark.parametrize(("spoil", "words"), [
    (lambda whole: zlib.compress(bytes(21)), "are 20 bytes, the input 'data' has more"),
    (lambda whole: zlib.compress(bytes(10**7)), "are 20 bytes, the input 'data' has more"),
    (lambda whole: zlib.compress(bytes(19)), "are 20 bytes, the input 'data' has 19"),
    (lambda whole: whole + b"more", "'data' has 4 bytes behind the end of its zlib stream"),
    (lambda whole: whole[:-4], "'data' ends before the checksum"),
    (lambda whole: whole[:-1], "'data' ends before the checksum"),
    (lambda whole: whole[:-1] + b"!", "'data' is no whole zlib stream: .* incorrect data check"),
    (lambda whole: b"", "are 20 bytes, the input 'data' has 0"),
])
def test_pixels_are_as_many_as_the_shape_says_and_whole(spoil, words):
    stream = spoil(zlib.compress(bytes(20)))
    about = {"dtype": "uint8", "shape": [4, 5], "data": base64.b64encode(stream).decode()}
    with pytest.raises(InputError, match=words):
        unpack(about)


def test_codes_for_missing_pixels(tmp_path):
    """Are refused with the name of the file, or of the channel whose pixels came."""
    pixels = np.full((128, 128), 300, np.float32)
    pixels[3, 5:9] = -9999
    tifffile.imwrite(tmp_path / "s.tif", pixels)
    path = str(tmp_path / "m")
    screens.make_model(channels=["DNA"], dtype="float32").save(path)
    for name, field in (("predict", "fields"), ("evidence", "field")):
        for plane, words in ((str(tmp_path / "s.tif"), "s.tif: 4 of its"),
                             (pixels, "channel (0|DNA): 4 of its")):
            given = [plane] if field == "field" else [[plane]]
            with pytest.raises(InputError, match=words):
                execute(name, {"model": path, field: given})


def test_other_bad_files(screen, tmp_path):
    """Another depth, a broken file; with "skip" the others are answered."""
    folder, path, fields, files = screen
    (tmp_path / "x.tif").write_bytes(b"II*\0 this is no image")
    tifffile.imwrite(tmp_path / "8.tif", np.zeros((128, 128), np.uint8))
    eight, broken = str(tmp_path / "8.tif"), str(tmp_path / "x.tif")
    found = execute("predict", {"model": path, "on_error": "skip", "fields": [
        [eight, eight], files[0], [broken, files[0][1]]]})
    assert sorted(found["skipped"]) == ["0", "2"]
    assert "the fields are uint8, the model was trained on uint16" in found["skipped"]["0"]
    assert "x.tif cannot be read" in found["skipped"]["2"]
    assert found["class"][0] is None and found["probabilities"][1] is not None


def test_measures_where_they_are_wanted_or_needed(screen, tmp_path):
    """Of a model whose classes do not come from them only where they are asked for."""
    folder, path, fields, files = screen
    about = execute("about", {"model": path})
    found = execute("predict", {"model": path, "fields": files, "measures": True})
    wanted = phenoscale.predict(phenoscale.load(path), fields, measures="all")
    assert about["head"] == "network" and about["measure_names"] == wanted.measures
    assert found["measure_names"] == wanted.measures and found["quality"] == wanted.quality
    assert found["cells"] == wanted.cells.tolist()
    np.testing.assert_array_equal(np.array(found["measures"], np.float32), wanted.numbers)
    plain = execute("predict", {"model": path, "fields": files})
    assert plain["cells"] == plain["quality"] == [None] * 6 and "measures" not in plain
    assert plain["probabilities"] == found["probabilities"]


@pytest.mark.parametrize("measures", [None, True, False])
def test_measures_of_a_table(screen, tmp_path, measures):
    folder, path, fields, files = screen
    out = str(tmp_path / "p.csv")
    execute("table", {"model": path, "source": str(folder / "screen.csv"), "out": out,
                      "measures": measures})
    there = {"Metadata_CellCount", "Phenoscale_Quality", "Image_Cells_Count_DNA"}
    assert there & set(pandas.read_csv(out)) == (there if measures else set())
