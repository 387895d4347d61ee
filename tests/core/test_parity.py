# SPDX-License-Identifier: BSD-3-Clause
"""The same files through the command line, Python, CellProfiler and ImageJ: the same numbers."""

import csv

import numpy as np
import pandas
import pytest
import tifffile

import cellprofilers
import host_imagej
import phenoscale
from phenoscale.hosts.install_plugin import install
from phenoscale.models.controls import controls_of
from screens import CLASSES, draw_field, make_model

COLUMNS = ["Class", *(f"Prob_{name}" for name in CLASSES), "ControlDistance"]
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


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """The folder of an ImageJ, with files, tables and models too."""
    home = host_imagej.make_home(tmp_path_factory.mktemp("parity"))
    for kind, files in FILES.items():
        model = make_model(channels=["Gray"], dtype=kind)
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
    """{model: rows} of the library, from the pixels themselves."""
    rows = {}
    for kind, files in FILES.items():
        model = phenoscale.load(home / f"{kind}.safetensors")
        fields = np.stack([pixels for pixels, _ in files.values()])[:, None]
        found = phenoscale.predict(model, fields)
        rows[kind] = [[CLASSES[int(logits.argmax())], *probabilities, distance]
                      for logits, probabilities, distance in zip(
                          found.logits, found.probabilities, model.distances(found.embeddings))]
    return rows


def check(rows, wanted):
    assert [row[0] for row in rows] == [row[0] for row in wanted]
    numbers = [np.array([row[1:] for row in some], float) for some in (rows, wanted)]
    assert np.abs(numbers[0] - numbers[1]).max() < 1e-6
    assert np.ptp(numbers[1][:, 0]) > 1e-4  # the files are not all alike to the model


@pytest.mark.parametrize("kind", FILES)
def test_command_line(home, wanted, call, tmp_path, kind):
    out = tmp_path / "p.csv"
    status, _, err = call("predict", home / f"{kind}.safetensors", home / f"{kind}.csv", "--out",
                          out, "--quiet")
    assert status == 0, err
    check(pandas.read_csv(out)[[f"Phenoscale_{c}" for c in COLUMNS]].to_numpy().tolist(),
          wanted[kind])


def test_imagej(home, wanted):
    for kind, files in FILES.items():
        macro = "".join(f'open(d + "{name}"); run("Phenoscale Classify Image...", '
                        f'"model=[" + d + "{kind}.safetensors]"); run("Close All");\n'
                        for name in files)
        said = host_imagej.batch(home, macro + 'selectWindow("phenoscale");\n'
                                 f'saveAs("Results", d + "{kind} results.csv");\n')
        assert (home / f"{kind} results.csv").exists(), said
        found = pandas.read_csv(home / f"{kind} results.csv")
        names = [{"ControlDistance": "Distance"}.get(name, name) for name in COLUMNS]
        check(found[names].to_numpy().tolist(), wanted[kind])


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
            cellprofilers.measure(home / f"{kind}.safetensors", {"Gray": "Gray"},
                                  **{} if here else {"command": cellprofilers.WORKER,
                                                     "here": home, "there": there}),
            cellprofilers.export()])
        runs[kind] = cellprofilers.start(pipeline, home, tmp_path / kind, plugins, here)
    for kind, run in runs.items():
        rows, said = run.result()
        assert rows, said[-3000:]
        check([[row[f"Phenoscale_{c}"] for c in COLUMNS] for row in rows], wanted[kind])
