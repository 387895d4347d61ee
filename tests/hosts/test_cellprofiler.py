# SPDX-License-Identifier: BSD-3-Clause
"""The modules inside the real CellProfiler: in its own Python, through a worker, in pieces.

CellProfiler ends with status 0 where a plugin could not be loaded, so every test looks at status,
table, columns and numbers.
"""

import csv
import dataclasses
import shutil
import subprocess

import numpy as np
import pytest
import tifffile

import cellprofilers as cp
import phenoscale
from phenoscale.hosts.install_plugin import install
from phenoscale.images.counts import looks_at
from phenoscale.models.controls import controls_of
from phenoscale.prediction.counts import counts_of
from phenoscale.tables.class_keys import class_key
from screens import CLASSES, make_model, write_screen

CHANNELS = ["DNA", "Actin", "Tubulin"]
IMAGES = {name: name for name in CHANNELS}
#: what the models of these tests were made for: (height, width), dtype
NF1, HUMAN = ((904, 1224), "uint16"), ((512, 512), "uint8")

pytestmark = cp.needs_cellprofiler


@pytest.fixture(scope="module")
def plugins(tmp_path_factory):
    """A plugins folder of CellProfiler with ours, and nothing of phenoscale beside them."""
    folder = tmp_path_factory.mktemp("plugins of a user")
    install("cellprofiler", folder)
    return folder


@pytest.fixture(scope="module")
def screen(tmp_path_factory):
    """(folder with screen.csv and model.safetensors, model): a path that invites mistakes."""
    folder = tmp_path_factory.mktemp("screens") / "Bücher, 2. Lauf's #3"
    folder.mkdir()
    write_screen(folder, plates=2, wells=2, unlabelled=0, channels=CHANNELS)
    model = make_model("mcnn", channels=CHANNELS)  # its embedding has 512 columns, not 2048
    model.controls = controls_of(np.random.default_rng(0).normal(
        size=(5, model.embedding["size"])))
    model.save(folder / "model.safetensors")
    return folder, model


def expected(model, files):
    """{measurement: values} of fields, each a list of files."""
    fields = np.stack([np.concatenate([phenoscale.read_image(file) for file in field])
                       for field in files])
    found = phenoscale.predict(model, fields)
    wanted = {"Phenoscale_Class": [model.classes[k] for k in found.logits.argmax(axis=1)]}
    wanted.update({f"Phenoscale_Prob_{class_key(name)}": found.probabilities[:, k]
                   for k, name in enumerate(model.classes)})
    if model.controls:
        wanted["Phenoscale_ControlDistance"] = model.distances(found.embeddings)
    return wanted, {f"Phenoscale_Emb{k:04d}": column for k, column in enumerate(
        found.embeddings.T)}


def check_rows(rows, wanted):
    """Rows of Image.csv have these columns of ours, and these numbers."""
    assert {name for name in rows[0] if name.startswith("Phenoscale_")} == set(wanted)
    assert [row["Phenoscale_Class"] for row in rows] == wanted["Phenoscale_Class"]
    for name in set(wanted) - {"Phenoscale_Class"}:
        np.testing.assert_allclose([float(row[name]) for row in rows], wanted[name], rtol=0,
                                   atol=1e-6, err_msg=name)


def files_of(folder):
    """Files of each field of a screen, in the order of its table."""
    with open(folder / "screen.csv", newline="") as file:
        return [[folder / row[f"Image_PathName_{name}"] / row[f"Image_FileName_{name}"]
                 for name in CHANNELS] for row in csv.DictReader(file)]


# ---- in one process ------------------------------------------------------------------------------


def test_both_back_ends_at_once_on_the_screen(screen, plugins, tmp_path):
    """The pipeline of the tutorial, here and through a worker, side by side on one folder; images
    that a module made count as their files do; embeddings."""
    folder, model = screen
    plain, more = expected(model, files_of(folder))
    tutorial = cp.put(cp.TUTORIAL.read_text(),
                      {"Model folder": "Default Input Folder|", "Measure the embedding?": "Yes"})
    crop = cp.block("GaussianFilter", {"Select the input image": "Actin",
                                       "Name the output image": "Same", "Sigma": 0})
    changed = cp.pipeline_of([cp.load_data(), crop, cp.measure(
        folder / "model.safetensors", {**IMAGES, "Actin": "Same"}, command=cp.WORKER), cp.export()])
    runs = [cp.start(tutorial, folder, tmp_path / "Löwe, here", plugins),
            cp.start(changed, folder, tmp_path / "worker", plugins, here=False)]
    check_rows(runs[0].result()[0], {**plain, **more})
    check_rows(runs[1].result()[0], plain)


def test_a_pipeline_of_an_earlier_version(screen, plugins, tmp_path):
    """Its settings had no measures, and nothing of what it records changes."""
    folder, model = screen
    module = cp.measure(folder / "model.safetensors", IMAGES)
    old = module.replace("variable_revision_number:2", "variable_revision_number:1").replace(
        "    Record the measures?:No\n", "")
    assert old.count("\n") == module.count("\n") - 1
    run = cp.start(cp.pipeline_of([cp.load_data(), old, cp.export()]), folder, tmp_path, plugins)
    check_rows(run.result()[0], expected(model, files_of(folder))[0])


def test_in_public_pipelines(shared_data, plugins, tmp_path):
    """In ExampleHuman through a worker, files and sent pixels; and on 16-bit fields of a screen,
    odd sizes, with "Rescale intensities" off."""
    human = shared_data("cellprofiler") / "ExampleHuman"
    images = {"DNA": "DNA", "PH3": "PH3", "cellbody": "cellbody"}
    model = make_model(size=HUMAN[0], channels=images, dtype=HUMAN[1])
    model.save(tmp_path / "human.safetensors")
    text = (human / "ExampleHuman.cppipe").read_text()
    modules = [block for block in cp.blocks(text) if not block.startswith("SaveImages")]
    at = [k for k, module in enumerate(modules) if module.startswith("ExportTo")][0]
    modules.insert(at, cp.measure(tmp_path / "human.safetensors", images, command=cp.WORKER,
                                  here=tmp_path, there=tmp_path))
    runs = [cp.start(cp.pipeline_of(modules), human / "images", tmp_path / "a", plugins, False)]

    nf1 = shared_data("nf1_16bit")
    model_16 = make_model(size=NF1[0], channels=CHANNELS, dtype=NF1[1])
    model_16.save(tmp_path / "nf1.safetensors")
    fields = [sorted(nf1.glob(f"{well}_*.tif")) for well in ("B7", "D6", "D7")]
    with open(tmp_path / "screen.csv", "w", newline="") as file:
        lines = csv.writer(file)
        lines.writerow([f"Image_{what}_{name}" for name in CHANNELS
                        for what in ("PathName", "FileName")])
        lines.writerows([part for path in field for part in (path.parent, path.name)]
                        for field in fields)
    runs.append(cp.start(cp.pipeline_of([cp.load_data(rescale=False), cp.measure(
        tmp_path / "nf1.safetensors", IMAGES), cp.export()]), tmp_path, tmp_path / "b", plugins))

    rows, log = runs[0].result()
    if rows is None:
        rows, = [list(csv.DictReader(open(path))) for path in (tmp_path / "a").glob("*Image.csv")]
    check_rows(rows, expected(model, [[human / "images" / f"AS_09125_050116030001_D03f00d{k}.tif"
                                       for k in (0, 1, 2)]])[0])
    check_rows(runs[1].result()[0], expected(model_16, fields)[0])


# ---- in pieces -----------------------------------------------------------------------------------


def test_analyze_with_workers_measures_and_trains(screen, plugins, tmp_path):
    """Two worker processes; the training at the end has the fields of both."""
    folder, model = screen
    text = cp.pipeline_of([
        cp.load_data(), cp.measure(folder / "model.safetensors", IMAGES),
        cp.train(CHANNELS, "Default Output Folder|", control="Class")])
    found, log = cp.driver({"plugins": str(plugins), "source": str(folder), "out": str(tmp_path),
                            "pipelines": {"one": text}, "workers": 2})
    found = found["one"]
    plain = expected(model, files_of(folder))[0]
    classes = [CLASSES[k] for k in (0, 1, 1, 0)]
    assert found["errors"] == [] and set(found["columns"]) == set(found["rows"])
    assert found["rows"].pop("Phenoscale_TrainingClass") == classes
    assert found["rows"].pop("Phenoscale_Class") == plain.pop("Phenoscale_Class")
    assert set(found["rows"]) == set(plain)
    for name, values in plain.items():
        np.testing.assert_allclose(found["rows"][name], values, rtol=0, atol=1e-6)
    assert "Worker 0" in log and "Worker 1" in log
    assert "TrainWholeImage: no score: no field was held out, and there are no validation" in log
    trained = phenoscale.load(tmp_path / "run" / "model.safetensors")
    assert trained.channels == CHANNELS and trained.classes == CLASSES and trained.controls
    assert (tmp_path / "run" / "report.html").stat().st_size > 1000


def test_jobs_of_a_batch(screen, plugins, tmp_path):
    """CreateBatchFiles, then two jobs, moved to where another computer has the same files."""
    folder, model = screen
    moved = tmp_path / "cluster"
    shutil.copytree(folder, moved)
    text = cp.pipeline_of([cp.load_data(), cp.measure(folder / "model.safetensors", IMAGES),
                           cp.export(), cp.batch(folder, moved)])
    cp.start(text, folder, tmp_path / "made", plugins).result(status=1)  # it does end so
    made = tmp_path / "made" / "Batch_data.h5"
    jobs = [cp.start(made, moved, tmp_path / f"job {first}", plugins, words=(
        "-f", first, "-l", first + 1)) for first in (1, 3)]
    rows = [row for job in jobs for row in job.result()[0]]
    check_rows(rows, expected(model, files_of(folder))[0])
    assert all(str(moved) in row["PathName_DNA"] for row in rows)


def test_train_without_a_window_through_a_worker_but_not_in_pieces(screen, plugins, tmp_path):
    folder, _ = screen
    modules = [cp.load_data(), cp.train(CHANNELS, tmp_path, command=cp.WORKER), cp.export()]
    whole = cp.start(cp.pipeline_of(modules), folder, tmp_path / "whole", plugins, here=False)
    modules[1] = cp.train(CHANNELS, tmp_path, name="piece", command=cp.WORKER)
    piece = cp.start(cp.pipeline_of(modules), folder, tmp_path / "part", plugins, here=False,
                     words=("-f", 1, "-l", 2, "-d", tmp_path / "done.txt"))
    rows, _ = whole.result()
    assert [row["Phenoscale_TrainingClass"] for row in rows] == [CLASSES[k] for k in (0, 1, 1, 0)]
    assert (tmp_path / "run" / "report.html").exists()
    assert phenoscale.load(tmp_path / "run" / "model.safetensors").classes == CLASSES
    _, log = piece.result(status=255)
    assert "this one had 2 of 4; use Analyze Images" in log
    assert not (tmp_path / "piece" / "model.safetensors").exists()
    assert (tmp_path / "done.txt").read_text() == "Failure\n"


def test_train_behind_names_and_types(shared_data, screen, plugins, tmp_path):
    """Metadata out of file names, of which the pipeline knows before it runs."""
    human = shared_data("cellprofiler") / "ExampleHuman" / "ExampleHuman.cppipe"
    images, metadata, names, groups = cp.blocks(human.read_text())[:4]
    at = metadata.index("    Metadata extraction method:")
    wells = cp.put(metadata[at:], {
        "Regular expression to extract from file name": "^(?P<Well>[A-H][0-9]{2})_"})
    metadata = cp.put(metadata, {
        "Extract metadata?": "Yes", "Extraction method count": 2, "Metadata source": "Folder name",
        "Regular expression to extract from folder name": r".*[\\\\/](?P<Plate>P[0-9])$"})
    for k, name in enumerate(CHANNELS):
        names = names.replace(f'"d{k}.tif"', f'"_{name}.tif"')
    names = names.replace(":PH3", ":Actin").replace(":cellbody", ":Tubulin")
    train = cp.train(CHANNELS, "Default Output Folder|", label="Plate")
    cp.start(cp.pipeline_of([images, f"{metadata}\n{wells}", names, groups, train, cp.export()]),
             screen[0], tmp_path / "out", plugins).result()
    model = phenoscale.load(tmp_path / "out/run/model.safetensors")
    assert model.channels == CHANNELS and model.classes == ["P1", "P2"]


# ---- bad input -----------------------------------------------------------------------------------


def bad_pipelines(folder, tmp_path):
    """name -> (pipeline, words that its error has to have)."""
    model, no_file = folder / "model.safetensors", tmp_path / "no such" / "model.safetensors"
    for name, size, channels in (("two", (128, 128), CHANNELS[:2]), ("size", (256, 256), CHANNELS)):
        make_model("mcnn", size, channels).save(tmp_path / f"{name}.safetensors")
    make_model("mcnn-gap", dtype="uint8", channels=CHANNELS).save(tmp_path / "depth.safetensors")
    (tmp_path / "text.safetensors").write_text("no model")
    twice = {**IMAGES, "Actin": "DNA"}
    measures = {
        "missing": (no_file, IMAGES, str(no_file)),
        "damaged": (tmp_path / "text.safetensors", IMAGES, "text.safetensors"),
        "channels": (tmp_path / "two.safetensors", IMAGES, "choose the model file again"),
        "size": (tmp_path / "size.safetensors", IMAGES, "256"),
        "depth": (tmp_path / "depth.safetensors", IMAGES, "uint8"),
        "twice": (model, twice, "DNA is chosen for several channels"),
    }
    for name, (file, images, words) in measures.items():
        yield name, [cp.load_data(), cp.measure(file, images)], words
    yield "worker", [cp.load_data(), cp.measure(model, IMAGES, command="/no/such serve")], \
        "'/no/such serve' cannot be started"
    yield "two modules", [cp.load_data(), *[cp.measure(model, IMAGES)] * 2], "has one Measure"
    trains = {
        "label": (cp.train(CHANNELS, tmp_path, label="Klasse"),
                  "there is no metadata Klasse: choose one of Plate, Well, Site, Compound, "),
        "one class": (cp.train(CHANNELS, tmp_path, label="Compound"),
                      "the metadata Compound has one class only, drug, in all fields: two or more"),
        "controls": (cp.train(CHANNELS, tmp_path, control="Control"), "no metadata Control: "),
        "their value": (cp.train(CHANNELS, tmp_path, control="Class", value="kontrol"),
                        "no field has 'kontrol' as its metadata Class: 'Its value for controls' is "
                        "one of coarse, fine"),
        "name": (cp.train(CHANNELS, tmp_path, name="a/b"), "is the name of one folder, without /"),
        "file": (cp.train(CHANNELS, folder / "screen.csv"), "screen.csv is no folder that can be"),
        "read only": (cp.train(CHANNELS, "/proc/here"), "choose another output folder"),
        "done": (cp.train(CHANNELS, folder.parent, name=folder.name), "holds a finished training"),
    }
    for name, (module, words) in trains.items():
        yield name, [cp.load_data(), module], words
    yield "batch", [cp.load_data(), cp.train(CHANNELS, tmp_path), cp.batch(folder, folder)], \
        "take CreateBatchFiles away"
    changed = cp.block("GaussianFilter", {"Select the input image": "DNA",
                                          "Name the output image": "Soft", "Sigma": 1})
    yield "changed", [cp.load_data(), changed, cp.train(["Soft", "Actin"], tmp_path)], \
        "the image Soft is made by a module, and a training reads files"
    yield "two trainings", [cp.load_data(), *[cp.train(CHANNELS, tmp_path)] * 2], "has one Train"


#: of the bad pipelines those that the window marks red, and at which setting; the others show only
#: once the images are loaded
MARKED = {"missing": "Model file", "damaged": "Model file", "channels": "Model file",
          "twice": "Image for channel DNA", "worker": "Worker command", "two modules": "Model file",
          "label": "Metadata of the class", "controls": "Metadata of the controls",
          "name": "Name of the run folder", "file": "Output folder",
          "done": "Name of the run folder", "batch": "Images to train on",
          "changed": "Images to train on", "two trainings": "Images to train on"}


def test_mistakes_are_said_in_a_sentence(screen, plugins, tmp_path):
    folder, _ = screen
    cases = {name: (cp.pipeline_of(modules), words)
             for name, modules, words in bad_pipelines(folder, tmp_path)}
    found, _ = cp.driver({
        "plugins": str(plugins), "source": str(folder), "out": str(tmp_path), "workers": 0,
        "pipelines": {name: text for name, (text, _) in cases.items()}})
    for name, (_, words) in cases.items():
        errors, marks = found[name]["errors"], found[name]["marks"]
        assert errors and words in errors[0] and "\n" not in errors[0], (name, errors)
        assert found[name]["rows"].keys() <= {"Phenoscale_TrainingFields"}, name
        assert marks == ([[MARKED[name], errors[0]]] if name in MARKED else []), name


def dimmed(folder):
    """The screen again with twelve-bit counts, its first class without DNA: (table, files)."""
    table = write_screen(folder, plates=1, wells=4, unlabelled=1, channels=CHANNELS)
    fields = files_of(folder)
    for number, field in enumerate(fields):
        for path in field:
            blank = number % 2 == 0 and "DNA" in path.name
            tifffile.imwrite(path, tifffile.imread(path) * (not blank) // 16)
    return table, fields


def test_warnings_of_counts_reach_the_log(screen, plugins, tmp_path):
    """Of MeasureWholeImage for each image set, from files, and from counts through a worker; of
    TrainWholeImage; fields without a class are classified in the run, not trained on."""
    folder, model = screen
    model = dataclasses.replace(model, counts=counts_of(
        [looks_at(np.concatenate([phenoscale.read_image(path) for path in field]))
         for field in files_of(folder)]))
    table, fields = dimmed(tmp_path / "dim")
    model.save(tmp_path / "dim/model.safetensors")
    made = cp.block("GaussianFilter", {"Select the input image": "Actin",
                                       "Name the output image": "Same", "Sigma": 0})
    found, log = cp.driver({
        "plugins": str(plugins), "source": str(table.parent), "out": str(tmp_path), "workers": 0,
        "pipelines": {
            "bright": cp.pipeline_of([cp.put(cp.load_data(folder / "screen.csv"), {
                "Base image location": f"Elsewhere...|{folder}"}), cp.measure(
                    tmp_path / "dim/model.safetensors", IMAGES)]),
            "dim": cp.pipeline_of([cp.load_data(), made, cp.measure(
                tmp_path / "dim/model.safetensors", {**IMAGES, "Actin": "Same"},
                command=cp.WORKER)]),
            "train": cp.pipeline_of([cp.load_data(), cp.train(CHANNELS, tmp_path)])}})
    assert [one["errors"] for one in found.values()] == [[], [], []]
    said = [line.partition("MeasureWholeImage, ")[2] for line in log.splitlines()
            if "MeasureWholeImage, " in line]
    assert len(said) == 3 * len(fields)
    assert said[1].startswith("image set 1: this field: Actin has counts 1/1"), said
    assert "TrainWholeImage: channel DNA is blank in every field of class coarse" in log
    with open(tmp_path / "run/predictions.csv", newline="") as file:
        row, = csv.DictReader(file)
    assert row["Metadata_Well"] == "A05" and row["Phenoscale_Class"] in CLASSES
    assert found["train"]["rows"]["Phenoscale_TrainingClass"] == ["coarse", "fine"] * 2 + [""]
    with open(tmp_path / "run_fields.csv", newline="") as file:
        assert [row["Metadata_Class"] for row in csv.DictReader(file)] == ["coarse", "fine"] * 2 + [
            ""]


def test_pipelines_of_an_earlier_version_and_choices(screen, plugins, tmp_path):
    """Metadata that were typed, with Metadata_ or without; none for the controls."""
    folder, _ = screen
    old = {"typed": cp.train(CHANNELS, tmp_path, label=" Metadata_Class", control="", revision=1,
                             name="typed"),
           "plain": cp.train(CHANNELS, tmp_path, control="Class", revision=1, name="plain")}
    found, _ = cp.driver({
        "plugins": str(plugins), "source": str(folder), "out": str(tmp_path), "workers": 0,
        "pipelines": {name: cp.pipeline_of([cp.load_data(), module])
                      for name, module in old.items()}})
    there = ["Plate", "Well", "Site", "Compound", "Concentration", "Class"]
    for name in old:
        assert found[name]["marks"] == found[name]["errors"] == []
        assert found[name]["choices"]["Metadata of the class"] == there
        assert found[name]["choices"]["Metadata of the controls"] == ["None", *there]
        model = phenoscale.load(tmp_path / name / "model.safetensors")
        assert model.classes == CLASSES and bool(model.controls) == (name == "plain")


def test_loads_on_the_numpy_of_cellprofiler():
    """The built extension on numpy 1.23, in a Python that lacks what the command line needs."""
    text = ("import numpy; from phenoscale.hosts.tasks import execute; "
            "print(numpy.__version__, execute('version', {})['isa'])")
    done = subprocess.run([cp.HOME / "bin/python", "-c", text], env=cp.environment(True), text=True,
                          capture_output=True, check=True)
    assert done.stdout.startswith("1.23.5 ")
