# SPDX-License-Identifier: BSD-3-Clause
"""The plugin in the real ImageJ gives the numbers of `phenoscale.predict`."""

import csv
import json
import os
import re
import runpy
import sys
import zipfile

import numpy as np
import pytest
import tifffile

import phenoscale
from host_imagej import (
    COMMAND,
    JAVA,
    PLUGINS,
    batch,
    build_jar,
    headless,
    make_home,
    started,
)
from phenoscale.hosts.install_plugin import install
from phenoscale.images.counts import looks_at
from phenoscale.prediction.counts import counts_of
from phenoscale.prediction.evidence import Explainer
from phenoscale.prediction.predict import predict
from phenoscale.tables.folders import PRESETS
from screens import draw_field, write_screen


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return make_home(tmp_path_factory.mktemp("imagej"))


def rows_of(path):
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def expected(home, model, *planes):
    """What phenoscale itself says of a field, as the row of the table."""
    model = phenoscale.load(home / f"{model}.safetensors")
    found = predict(model, np.stack(planes)[None], 1)
    values = {"Prob_coarse": found.probabilities[0, 0], "Prob_fine": found.probabilities[0, 1],
              "Distance": model.distances(found.embeddings)[0]}
    return model.classes[int(found.logits[0].argmax())], values


# ---- classify image ------------------------------------------------------------------------------

RNG = np.random.default_rng(0)
GRAY8 = draw_field("fine", RNG, channels=1, dtype="uint8")[0]
GRAY16, OTHER16 = draw_field("coarse", RNG)
FLOAT = draw_field("fine", RNG, channels=1, dtype="float32")[0]
RGB = draw_field("fine", RNG, channels=3, dtype="uint8")
STACK = np.stack([draw_field("fine", RNG) for _ in range(3)])  # (z, channels, height, width)
NEGATIVE = (GRAY16 // 2).astype(np.int16) - 9000
LARGE = RNG.integers(0, 65536, (2, 2112, 2112)).astype(np.uint16)
COLORS = np.stack([np.arange(256), 255 - np.arange(256), np.full(256, 9)]).astype(np.uint16) * 257

#: file -> (words of tifffile.imwrite)
FILES = {
    "gray8.tif": (GRAY8, {}),
    "gray16.tif": (GRAY16, {}),
    "other16.tif": (OTHER16, {}),
    "big endian.tif": (GRAY16, {"byteorder": ">"}),
    "lzw.tif": (GRAY16, {"compression": "lzw", "predictor": True}),
    "palette.tif": (GRAY8, {"photometric": "palette", "colormap": COLORS}),
    "white8.tif": (GRAY8, {"photometric": "miniswhite"}),
    "white16.tif": (GRAY16, {"photometric": "miniswhite"}),
    "float.tif": (FLOAT, {}),
    "signed.tif": ((GRAY16 // 2).astype(np.int16), {}),
    "negative.tif": (NEGATIVE, {}),
    "rgb.tif": (np.moveaxis(RGB, 0, -1), {"photometric": "rgb"}),
    "stack, z.tif": (STACK, {"imagej": True, "metadata": {"axes": "ZCYX"}}),
    "large.tif": (LARGE, {"imagej": True, "metadata": {"axes": "CYX"}}),
}
#: name -> (lines of a macro, model, more options, planes, how each channel was sent)
CASES = {
    "gray8": ('open(d + "gray8.tif");', "gray8", "", [GRAY8], "file"),
    "gray16": ('open(d + "gray16.tif");', "gray16", "", [GRAY16], "file"),
    "big endian": ('open(d + "big endian.tif");', "gray16", "", [GRAY16], "file"),
    "lzw": ('open(d + "lzw.tif");', "gray16", "", [GRAY16], "file"),
    "palette": ('open(d + "palette.tif");', "gray8", "", [GRAY8], "uint8"),
    "white8": ('open(d + "white8.tif");', "gray8", "", [GRAY8], "file"),
    "white8, inverted there and back": ('open(d + "white8.tif"); run("Invert LUT"); run("Add...", '
                                        '"value=1");', "gray8", "", [GRAY8 + 1], "uint8"),
    "white16": ('open(d + "white16.tif");', "gray16", "", [GRAY16], "file"),
    "float": ('open(d + "float.tif");', "float", "", [FLOAT], "file"),
    "float, changed": ('open(d + "float.tif"); run("Multiply...", "value=2");', "float", "",
                       [FLOAT * 2], "float32"),
    "changed": ('open(d + "gray16.tif"); run("Add...", "value=700");', "gray16", "",
                [GRAY16 + 700], "uint16"),
    "changed, and nobody says so": ('open(d + "gray16.tif"); setPixel(3, 4, 9); updateDisplay();',
                                    "gray16", "", [np.where(
                                        np.arange(128**2).reshape(128, 128) == 4 * 128 + 3,
                                        np.uint16(9), GRAY16)], "uint16"),
    "only looked at": ('open(d + "gray16.tif"); setMinAndMax(9, 99); makeRectangle(3, 4, 5, 6);',
                       "gray16", "", [GRAY16], "file"),
    "signed, changed": ('open(d + "signed.tif"); run("Flip Vertically");', "gray16", "",
                        [GRAY16[::-1] // 2], "uint16"),
    "signed": ('open(d + "signed.tif");', "gray16", "", [GRAY16 // 2], "uint16"),
    "negative": ('open(d + "negative.tif");', "float", "", [NEGATIVE.astype(np.float32)],
                 "float32"),
    "rgb": ('open(d + "rgb.tif");', "rgb", "", list(RGB), "uint8"),
    "hyperstack": ('open(d + "stack, z.tif"); Stack.setPosition(1, 2, 1);', "pair", "",
                   list(STACK[1]), "uint16"),
    "windows": ('open(d + "gray16.tif"); open(d + "other16.tif");', "pair",
                "channel_1=gray16.tif channel_2=other16.tif", [GRAY16, OTHER16], "file"),
    "windows, the other way": ('open(d + "gray16.tif"); open(d + "other16.tif");', "pair",
                               "channel_1=other16.tif channel_2=gray16.tif", [OTHER16, GRAY16],
                               "file"),
    "more than a line holds": ('open(d + "large.tif");', "pair", "", list(LARGE), None),
}


@pytest.fixture(scope="module")
def classified(home):
    """Every case in one ImageJ: {name: (row, request)}."""
    for name, (pixels, words) in FILES.items():
        tifffile.imwrite(home / name, pixels, **{"photometric": "minisblack"} | words)
    macro = "".join(
        f'{lines}\nrun("Phenoscale Classify Image...", "model=[" + d + "{model}.safetensors] '
        f'{more}");\n'
        'run("Close All");\n' for lines, model, more, _, _ in CASES.values())
    printed = batch(home, macro + 'selectWindow("phenoscale");\n'
                    'saveAs("Results", d + "results.csv");\n')
    assert (home / "results.csv").exists(), printed
    requests = [json.loads(line) for line in (home / "requests").read_text().splitlines()]
    fields = [r["inputs"]["fields"][0] for r in requests if r["script"] == "predict"]
    rows = rows_of(home / "results.csv")
    assert len(rows) == len(fields) == len(CASES)
    return dict(zip(CASES, zip(rows, fields)))


@pytest.mark.parametrize("name", CASES)
def test_an_image_has_the_numbers_of_predict(home, classified, name):
    _, model, _, planes, sent = CASES[name]
    row, field = classified[name]
    best, values = expected(home, model, *planes)
    assert row.pop("Class") == best and row.pop("Label")
    assert set(row) == set(values)
    for column, value in values.items():
        assert float(row[column]) == pytest.approx(value, abs=1e-6), column
    kinds = ["file" if isinstance(one, str) else one["dtype"] for one in field]
    assert kinds == ([sent] * len(planes) if sent else ["uint16", "file"])
    if not sent:
        assert not os.path.exists(field[1])  # the temporary file


def test_one_worker_for_all(home, classified):
    assert len(started(home)) == 1


def test_warnings_of_counts_are_in_the_log(home):
    """Of a field of twelve bits, by a model of sixteen; of none that is as in the training."""
    model = phenoscale.load(home / "gray16.safetensors")
    model.counts = counts_of([looks_at(plane[None]) for plane in (GRAY16, GRAY16 + 300)])
    model.save(home / "counted.safetensors")
    headless(home, "Phenoscale Options", f"command=[{COMMAND}]")
    for name, plane, is_warned in (("bright", GRAY16, False), ("dim", GRAY16 // 16, True)):
        tifffile.imwrite(home / f"{name}.tif", plane)
        status, said = headless(home, "Phenoscale Classify Image",
                                f"model=[{home}/counted.safetensors]", home / "counted.csv",
                                home / f"{name}.tif")
        assert status == 0
        assert said.startswith("phenoscale: warning: this field: DNA has counts 1/") == is_warned


# ---- evidence ------------------------------------------------------------------------------------


def test_evidence(home):
    tifffile.imwrite(home / "field.tif", np.stack([GRAY16, OTHER16]), imagej=True,
                     metadata={"axes": "CYX"})
    call = 'run("Phenoscale Evidence Map...", "model=[" + d + "pair.safetensors] class=fine'
    printed = batch(home, f'''open(d + "field.tif");
{call} show=Overlay opacity=90"); {call} show=Overlay opacity=100");
print("overlays " + Overlay.size);
run("Flatten", "slice"); saveAs("Tiff", d + "flat.tif");
selectWindow("field.tif"); {call} show=[Heat map]"); saveAs("Tiff", d + "heat.tif");
''')
    assert "overlays 1\n" in printed
    model = phenoscale.load(home / "pair.safetensors")
    heat = Explainer(model, (128, 128), 1).explain(np.stack([GRAY16, OTHER16]), "fine").heat()
    shown = tifffile.imread(home / "heat.tif")
    assert np.abs(shown - heat).max() < 1e-6
    flat = tifffile.imread(home / "flat.tif").astype(int)
    for place, is_for in ((heat.argmax(), True), (heat.argmin(), False)):
        red, _, blue = flat.reshape(-1, 3)[place]
        if abs(heat.flat[place]) > 0.2:
            assert (red > blue) == is_for


def test_a_macro_with_a_mistake_ends_and_does_not_wait(home):
    tifffile.imwrite(home / "one.tif", GRAY16)
    printed = batch(home, '''open(d + "one.tif");
run("Phenoscale Evidence Map...", "model=[" + d + "gray16.safetensors] opacity=much");
print("went on");
''')
    assert "phenoscale: error: Opacity (%): 'much' is given" in printed
    assert "went on" not in printed


# ---- classify folder -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def screen(home):
    write_screen(home / "a screen", size=(64, 64))
    return home / "a screen"


def test_folder(home, screen, call, tmp_path):
    status, printed = headless(home, "Phenoscale Options", f"command=[{COMMAND}]")
    assert status == 0 and f"phenoscale {phenoscale.__version__} answers" in printed
    options = (f"model=[{home}/pair.safetensors] folder=[{screen}/screen.csv] "
               f"output=[{home}/predictions.csv]")
    printed = batch(home, PLUGINS / "phenoscale_folder.ijm", options)
    assert printed.endswith("status=ok fields=18\n"), printed
    call("predict", home / "pair.safetensors", screen / "screen.csv", "--out", tmp_path / "p.csv")
    assert (home / "predictions.csv").read_text() == (tmp_path / "p.csv").read_text()
    for name in ("coarse", "fine"):
        n = sum(row["Phenoscale_Class"] == name for row in rows_of(tmp_path / "p.csv"))
        assert (f"{name}={n}" in printed) == (n > 0)


def test_folder_of_files_that_a_pattern_explains(home, screen):
    status, printed = headless(
        home, "Phenoscale Classify Folder", f"model=[{home}/pair.safetensors] "
        f"folder=[{screen}/P1/] " r"pattern=[(?P<Well>[A-H]\d+)_(?P<Channel>\w+)\.tif] "
        f"channels=[DNA,Actin] output=[{home}/p1.csv]", home / "table.csv")
    assert status == 0, printed
    shown, written = rows_of(home / "table.csv"), rows_of(home / "p1.csv")
    assert len(shown) == len(written) == 9
    for one, other in zip(shown, written):
        assert one["Metadata_Well"] == other["Metadata_Well"]
        assert float(one["Phenoscale_Prob_fine"]) == pytest.approx(
            float(other["Phenoscale_Prob_fine"]), abs=1e-8)
        assert not any("Emb" in name for name in one)


def test_fiji_script(home, screen):
    """Run by Python in place of Jython: its one call reaches the plugin."""
    script = PLUGINS / "phenoscale_classify.py"
    names = re.findall(r"^#@ \w+\(.*\) (\w+)$", script.read_text(), re.MULTILINE)
    assert names == ["model", "source", "preset", "output"]
    path = lambda words: type("File", (), {"getPath": lambda self: str(words)})()
    calls = []
    fake = type(sys)("ij")
    fake.IJ = type("IJ", (), {"run": staticmethod(lambda *words: calls.append(words))})
    sys.modules["ij"] = fake
    try:
        given = {"model": path(home / "pair.safetensors"), "source": path(screen / "screen.csv"),
                 "preset": "none", "output": path(home / "fiji.csv")}
        runpy.run_path(str(script), given)
    finally:
        del sys.modules["ij"]
    status, printed = headless(home, *calls[0])
    assert status == 0 and len(rows_of(home / "fiji.csv")) == 18, printed


# ---- as it is installed --------------------------------------------------------------------------

CONFIG = re.findall(r'^Plugins>phenoscale, "(.*)", phenoscale\.(\w+)$',
                    (PLUGINS / "plugins.config").read_text(), re.MULTILINE)
LIST = "List.setCommands; print(List.getList());"


@pytest.fixture(scope="module")
def installed(home, tmp_path_factory):
    """An ImageJ folder that `install-plugin` filled, over what an earlier version left there."""
    folder = tmp_path_factory.mktemp("installed")
    (folder / "plugins").mkdir()
    build_jar(PLUGINS / "phenoscale_.jar")
    install("imagej", folder)
    return folder


def test_the_menu_has_the_commands_of_the_plugin_and_nothing_else(installed, tmp_path):
    """In the real menu; their names are nobody else's, and those of dialogs end in dots."""
    (installed / "list.ijm").write_text(LIST)
    (tmp_path / "plain/plugins").mkdir(parents=True)
    ours = {name: kind for name, _, kind in (
        line.partition("=") for line in batch(installed, installed / "list.ijm").splitlines())}
    without = {line.partition("=")[0]
               for line in batch(tmp_path / "plain", installed / "list.ijm").splitlines()}
    assert {name: ours[name] for name in ours.keys() - without} == {
        name: f"phenoscale.{kind}" for name, kind in CONFIG}
    assert all(name.startswith("Phenoscale ") for name, _ in CONFIG)
    titles = set(re.findall(r'TITLE = "(.*)"', "".join(
        path.read_text() for path in JAVA.glob("*.java"))))
    assert {name[:-3] for name, _ in CONFIG if name.endswith("...")} == titles
    assert [name for name, _ in CONFIG if not name.endswith("...")] == ["Phenoscale Help"]


def test_help_is_a_page_of_the_jar_that_knows_the_dialogs(installed):
    (installed / "help.ijm").write_text('run("Phenoscale Help"); print("shown");')
    assert batch(installed, installed / "help.ijm") == "shown\n"
    with zipfile.ZipFile(installed / "plugins/phenoscale_.jar") as jar:
        page = jar.read("phenoscale/help.html").decode()
    assert page.startswith("<html>")  # else ImageJ takes it for an address
    for name, kind in CONFIG[:4]:
        assert f"<h3>{name[len('Phenoscale '):-3]}</h3>" in page
        rows = re.findall(r'Kind\.\w+,\s+"(\w+)', (JAVA / f"{kind}.java").read_text())
        assert [row for row in rows if f"<i>{row}</i>" not in page] == [], kind


def test_the_command_is_that_of_the_phenoscale_that_installed(installed, home):
    """Unless another is typed; emptied it is that again, and it is never remembered."""
    run = lambda options: headless(installed, "Phenoscale Options", options)
    answers = f"phenoscale {phenoscale.__version__} answers"
    status, printed = run("threads=1")
    assert status == 0 and answers in printed
    preferences = next((installed / "settings").rglob("IJ_Prefs.txt"))
    assert ".phenoscale.threads=1" in preferences.read_text()
    assert "phenoscale.command" not in preferences.read_text()
    for command, words in (("no-such-program", "'no-such-program' cannot be started"),
                           ("", answers), (f'"{home}/worker"', answers)):
        assert words in run(f"command=[{command}]")[1]
    assert "phenoscale.command" in preferences.read_text()


# ---- the plugin itself ---------------------------------------------------------------------------


def test_the_jar_is_of_java_8_and_the_same_each_time(home):
    build_jar(home / "again.jar")
    content = (home / "again.jar").read_bytes()
    assert content == (home / "plugins/phenoscale_.jar").read_bytes()
    with zipfile.ZipFile(home / "again.jar") as jar:
        versions = {jar.read(name)[7] for name in jar.namelist() if name.endswith(".class")}
    assert versions == {52}


def test_the_presets_are_those_of_the_package():
    text = (JAVA / "ClassifyFolder.java").read_text()
    names = re.search(r"PRESETS = \{NO_PRESET, (.*?)\}", text, re.DOTALL).group(1)
    assert re.findall(r'"(\w+)"', names) == list(PRESETS)
