# SPDX-License-Identifier: BSD-3-Clause
"""The same files through the command line, Python, CellProfiler and ImageJ: the same numbers."""

import csv
from dataclasses import replace

import numpy as np
import pandas
import pytest
import tifffile

import cellprofilers
import host_imagej
import phenoscale
from phenoscale.hosts.install_plugin import install
from phenoscale.hosts.tasks import execute
from phenoscale.images.measures import measure_names
from phenoscale.models.averaged import joined
from phenoscale.models.certainty import Certainty, set_words
from phenoscale.models.controls import controls_of
from phenoscale.models.head import Head
from phenoscale.models.novelty import Novelty
from screens import CLASSES, draw_field, make_model

#: what the head of the models measures, of a channel that is no nuclei's by its name
MEASURES = measure_names(["Gray"], 0)
TEXTS = ["Class", "Quality", "Set", "Set90"]
PLAIN = [name.removeprefix("Image_") for name in MEASURES]  # as hosts call them
COLUMNS = [*(f"Prob_{name}" for name in CLASSES), "ControlDistance", "Novelty"]
NOVEL = {"uint8": 1e6, "uint16": 500.0}  # limits
RAMP = np.tile(np.arange(256, dtype=np.uint16) * 257, (3, 1))
RNG = np.random.default_rng(0)
GRAY8, GRAY16 = (draw_field("fine", RNG, channels=1, dtype=dtype)[0]
                 for dtype in ("uint8", "uint16"))
#: model -> {file: (pixels, words of tifffile.imwrite)}; 12 bits with their maximum named, and not
FILES = {
    "uint8": {
        "gray 8.tif": (GRAY8, {}),
        "palette.tif": (GRAY8[::-1], {"photometric": "palette", "colormap": RAMP}),
        "white, 8.tif": (GRAY8[:, ::-1], {"photometric": "miniswhite"})},
    "uint16": {
        "gray 16.tif": (GRAY16, {}),
        "12 in 16.tif": (GRAY16 // 16, {}),
        "12 in 16, said.tif": (GRAY16[::-1] // 16, {
            "extratags": [(281, "H", 1, 4095, True)]}),
        "big endian.tif": (GRAY16[:, ::-1], {"byteorder": ">"}),
        "lzw.tif": (GRAY16.T, {"compression": "lzw", "predictor": True}),
        "white.tif": (GRAY16.T[::-1], {"photometric": "miniswhite"})}}


def both_of():
    """A head of network and measures that nobody fitted."""
    rng, n = np.random.default_rng(5), len(MEASURES)
    return Head("both", MEASURES, "Gray", 1.0, "made up", np.zeros(n, np.float32),
                np.full(n, 0.1, np.float32), rng.normal(0, 0.1, (n + 1, 2)).astype(np.float32))


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """The folder of an ImageJ, with files, tables and models too."""
    home = host_imagej.make_home(tmp_path_factory.mktemp("parity"))
    for kind, files in FILES.items():
        model = make_model(channels=["Gray"], dtype=kind)
        model.controls = controls_of(phenoscale.predict(
            model, np.stack([draw_field(name, RNG, channels=1, dtype=kind)
                             for name in CLASSES])).embeddings)
        model.head = both_of()
        model.novelty = Novelty(NOVEL[kind], "made up", np.eye(len(MEASURES), dtype=np.float32),
                                np.zeros((2, len(MEASURES)), np.float32))
        model.certainty = Certainty(0.7, {"95": [0.2, 0.3], "90": [0.4, 0.5]}, "made up", 1.5)
        if kind == "uint16":  # of several networks, in all views
            others = [make_model(channels=["Gray"], dtype=kind, seed=seed) for seed in (2, 3)]
            model = replace(joined(model, [one.parameters for one in others]), views="all")
            model.controls = controls_of(phenoscale.predict(
                model, np.stack([draw_field(name, RNG, channels=1, dtype=kind)
                                 for name in CLASSES])).embeddings)
        model.save(home / f"{kind}.safetensors")
        for name, (pixels, words) in files.items():
            tifffile.imwrite(home / name, pixels, **{"photometric": "minisblack"} | words)
        with open(home / f"{kind}.csv", "w", newline="", encoding="utf-8") as file:
            lines = csv.writer(file)
            lines.writerow(["Image_FileName_Gray", "Image_PathName_Gray", "Metadata_Well"])
            lines.writerows([name, home, f"A{k + 1:02d}"] for k, name in enumerate(files))
    return home


@pytest.fixture(scope="module")
def wanted(home):
    """{model: rows} of the library, from the pixels themselves: class, quality, and numbers."""
    rows = {}
    for kind, files in FILES.items():
        model = phenoscale.load(home / f"{kind}.safetensors")
        fields = np.stack([pixels for pixels, _ in files.values()])[:, None]
        found = phenoscale.predict(model, fields)
        rows[kind] = [
            [CLASSES[int(one.argmax())], quality, *sets, *one, distance, novelty, cells, *numbers]
            for one, quality, sets, distance, novelty, cells, numbers in zip(
                found.probabilities, found.quality,
                zip(*(set_words(model.keys, found.sets[name]) for name in ("95", "90"))),
                model.distances(found.embeddings), found.novelty, found.cells, found.numbers)]
    return rows


def check(rows, wanted):
    n = len(TEXTS)
    assert [row[:n] for row in rows] == [row[:n] for row in wanted]
    found, right = (np.array([row[n:] for row in some], float) for some in (rows, wanted))
    np.testing.assert_allclose(found, right, rtol=1e-6, atol=1e-6)
    assert np.ptp(right[:, 0]) > 1e-4  # the files are not all alike to the model


def named(frame, prefix, cells, measures):
    """Rows of a table whose columns are called so."""
    names = [*(f"{prefix}{name}" for name in (*TEXTS, *COLUMNS)), cells, *measures]
    frame = frame[names].astype({f"{prefix}Quality": object})
    return frame.fillna({f"{prefix}Quality": ""}).to_numpy().tolist()


@pytest.mark.parametrize("kind", FILES)
def test_command_line(home, wanted, call, tmp_path, kind):
    out = tmp_path / "p.csv"
    status, _, err = call("predict", home / f"{kind}.safetensors", home / f"{kind}.csv", "--out",
                          out, "--quiet")
    assert status == 0, err
    frame = pandas.read_csv(out)
    check(named(frame, "Phenoscale_", "Metadata_CellCount", MEASURES), wanted[kind])


@pytest.mark.parametrize("kind", FILES)
def test_serve_and_python(home, wanted, kind):
    model = str(home / f"{kind}.safetensors")
    found = execute("predict", {"model": model, "measures": True, "fields": [
        [str(home / name)] for name in FILES[kind]]})
    assert found["measure_names"] == MEASURES
    check([[name, quality, *sets, *chances, distance, novelty, cells, *numbers]
           for name, quality, *sets, chances, distance, novelty, cells, numbers in zip(
               *(found[word] for word in ("class", "quality", "set", "set90", "probabilities",
                                          "distance", "novelty", "cells", "measures")))],
          wanted[kind])
    one = phenoscale.WholeImageClassifier.load(model)
    fields = np.stack([pixels for pixels, _ in FILES[kind].values()])[:, None]
    described, names = one.transform(fields, measures=True), one.get_feature_names_out(
        measures=True)
    assert described.shape[1] == len(names) and list(names[-len(MEASURES):]) == MEASURES
    np.testing.assert_array_equal(described[:, -len(MEASURES):].astype(float), np.array(
        [row[-len(MEASURES):] for row in wanted[kind]], float))
    assert one.predict(fields).tolist() == [row[0] for row in wanted[kind]]


def test_imagej(home, wanted):
    for kind, files in FILES.items():
        macro = "".join(f'open(d + "{name}"); run("Phenoscale Classify Image...", '
                        f'"model=[" + d + "{kind}.safetensors] measures"); run("Close All");\n'
                        for name in files)
        said = host_imagej.batch(home, macro + 'selectWindow("phenoscale");\n'
                                 f'saveAs("Results", d + "{kind} results.csv");\n')
        assert (home / f"{kind} results.csv").exists(), said
        found = pandas.read_csv(home / f"{kind} results.csv")
        found = found.rename(columns={"Distance": "ControlDistance"})
        check(named(found, "", "CellCount", PLAIN), wanted[kind])


@cellprofilers.needs_cellprofiler
@pytest.mark.parametrize("here", [True, False])
def test_cellprofiler(home, wanted, tmp_path, here):
    """In its own Python; and through a worker to which the files lie in another folder."""
    plugins, there = tmp_path / "plugins", tmp_path / "there"
    plugins.mkdir()
    there.symlink_to(home)
    install("cellprofiler", plugins)
    runs = {}
    for kind in FILES:
        pipeline = cellprofilers.pipeline_of([
            cellprofilers.load_data(f"{kind}.csv"),
            cellprofilers.measure(home / f"{kind}.safetensors", {"Gray": "Gray"}, measures=True,
                                  **{} if here else {"command": cellprofilers.WORKER,
                                                     "here": home, "there": there}),
            cellprofilers.export()])
        runs[kind] = cellprofilers.start(pipeline, home, tmp_path / kind, plugins, here)
    for kind, run in runs.items():
        rows, said = run.result()
        assert rows, said[-3000:]
        check(named(pandas.DataFrame(rows), "Phenoscale_", "Count_WholeImageCells", PLAIN),
              wanted[kind])
