# SPDX-License-Identifier: BSD-3-Clause
"""One predict for every host: the same field, the same numbers; what does not fit is refused."""

import os
import shutil
from dataclasses import replace

import numpy as np
import pytest

pandas = pytest.importorskip("pandas")
tifffile = pytest.importorskip("tifffile")
import screens
from calls import verb
from phenoscale import InputError, WholeImageClassifier, load, read_image
from phenoscale.prediction.evidence import Explainer
from phenoscale.prediction.frame import prediction_frame
from phenoscale.prediction.predict import predict, predict_table
from phenoscale.tables.outputs import write_errors
from phenoscale.tables.read import read_table
from phenoscale.tables.table import Plane

PROBABILITIES = ["Phenoscale_Prob_coarse", "Phenoscale_Prob_fine"]


@pytest.fixture(scope="module")
def screen(tmp_path_factory):
    """(path of the table, its images as one array)."""
    path = screens.write_screen(tmp_path_factory.mktemp("screen"), 1, 6, 1)
    paths = read_table(path).paths
    return path, np.stack([np.concatenate([read_image(p) for p in row]) for row in paths])


@pytest.fixture(scope="module")
def model():
    return screens.make_model()


def same(a, b):
    return np.asarray(a, np.float32).tobytes() == np.asarray(b, np.float32).tobytes()


# ---- the same numbers -----------------------------------------------------------------------


@pytest.mark.parametrize("network", ["mcnn-gap", "mcnn"])
def test_table_arrays_estimator_and_command_line_agree_to_the_bit(screen, tmp_path, network):
    path, images = screen
    model = screens.make_model(network)
    model.save(tmp_path / "model.safetensors")
    expected = predict(model, images, threads=1)
    assert expected.logits.shape == (7, 2) and len(np.unique(expected.logits)) == 14
    for threads in (1, 2, 3, 8):  # odd numbers leave a rest; more threads than fields
        assert same(predict(model, images, threads).logits, expected.logits)
    one_by_one = [predict(model, images[i : i + 1], 2) for i in range(7)]
    assert same(np.concatenate([p.embeddings for p in one_by_one]), expected.embeddings)
    of_table = predict_table(model, read_table(path), 2)
    assert same(of_table.logits, expected.logits)
    assert same(of_table.embeddings, expected.embeddings)
    classifier = WholeImageClassifier.load(tmp_path / "model.safetensors")
    assert same(classifier.predict_proba(str(path)), expected.probabilities)
    assert same(classifier.transform(images), expected.embeddings)
    assert verb("predict", tmp_path / "model.safetensors", path, "--out", tmp_path / "p.csv",
                "--quiet") == 0
    found = pandas.read_csv(tmp_path / "p.csv", dtype={p: np.float32 for p in PROBABILITIES})
    assert same(found[PROBABILITIES], expected.probabilities)
    embeddings = [name for name in found if "Emb" in name]
    assert same(found[embeddings].to_numpy(np.float32), expected.embeddings)


def test_probabilities_are_the_softmax_of_the_logits(screen, model):
    found = predict(model, screen[1], 2)
    powers = np.exp(found.logits.astype(float))
    np.testing.assert_allclose(found.probabilities, powers / powers.sum(axis=1, keepdims=True),
                               rtol=1e-6)


def test_no_fields(model):
    found = predict(model, np.zeros((0, 2, 128, 128), np.uint16), 2)
    assert found.probabilities.shape == (0, 2) and found.embeddings.shape == (0, 2048)


def test_channels_are_found_by_name(screen, model, tmp_path):
    path, images = screen
    expected = predict(model, images, 2).logits
    for channels in (["Actin", "DNA"], ["DNA", "Actin"]):
        assert same(predict_table(model, read_table(path, channels=channels), 2).logits, expected)
    frame = pandas.read_csv(path, dtype=str, keep_default_na=False)
    more = frame.assign(Image_FileName_Extra=frame["Image_FileName_DNA"],
                        Image_PathName_Extra=frame["Image_PathName_DNA"])
    more = read_table(more[sorted(more.columns)], root=path.parent)  # Actin, DNA, Extra
    assert same(predict_table(model, more, 2).logits, expected)
    model.save(tmp_path / "model.safetensors")
    classifier = WholeImageClassifier.load(tmp_path / "model.safetensors")
    assert same(classifier.transform(more), predict(model, images, 2).embeddings)
    renamed = frame.rename(columns=lambda name: name.replace("Actin", "Phalloidin"))
    for channels in (None, ["DNA", "Phalloidin"]):  # never by order
        by_order = read_table(renamed, channels=channels, root=path.parent)
        with pytest.raises(InputError, match="has no channel Actin of the model: its .*; "
                           "theirs are .*: say .* --channels DNA=COLUMN,Actin=COLUMN"):
            predict_table(model, by_order)
    by_name = read_table(renamed, channels=["Actin=Phalloidin", "DNA"], root=path.parent)
    assert same(predict_table(model, by_name, 2).logits, expected)


# ---- what fits ------------------------------------------------------------------------------


def test_other_sizes(screen):
    images = np.zeros((2, 2, 100, 300), np.uint16)
    found = predict(screens.make_model("mcnn-gap"), images, 2)
    assert np.isfinite(found.logits).all()
    with pytest.raises(InputError, match="100 x 300 pixels, the mcnn model was trained on 128 x "
                                         "128 and takes no other size: .*--network mcnn-gap"):
        predict(screens.make_model("mcnn"), images)


def test_other_channels_and_depths(model):
    with pytest.raises(InputError, match="have 1 channels, the model needs 2: DNA, Actin; choose "
                                         "them by --channels"):
        predict(model, np.zeros((1, 1, 128, 128), np.uint16))
    for dtype in ("uint8", "float32"):
        with pytest.raises(InputError, match=f"are {dtype}, the model was trained on uint16"):
            predict(model, np.zeros((1, 2, 128, 128), dtype))


def test_sizes_beyond_the_network(model):
    images = np.broadcast_to(np.zeros((), np.uint16), (1, 2, 20000, 20000))
    with pytest.raises(InputError, match="no network for fields of 20000 x 20000: "):
        predict(model, images)
    with pytest.raises(InputError, match="no network for fields of 0 x 128"):
        predict(model, np.zeros((1, 2, 0, 128), np.uint16))


def test_threads_out_of_range(screen, model):
    for threads in (0, -1, 1025):
        with pytest.raises(InputError, match=f"threads={threads}: give a number from 1 to 1024"):
            predict(model, screen[1], threads)


# ---- fields that cannot be read -------------------------------------------------------------


@pytest.fixture
def broken(screen, tmp_path):
    """The screen with four bad fields in seven: (path, {row: words of its error})."""
    shutil.copytree(screen[0].parent, tmp_path / "screen")
    table = read_table(tmp_path / "screen" / "screen.csv")
    os.remove(table.paths[1][0])
    screens.spoil(table.paths[3][1])
    tifffile.imwrite(table.paths[4][0], np.zeros((64, 64), np.uint16))
    tifffile.imwrite(table.paths[6][1], np.zeros((128, 128, 3), np.uint16), photometric="rgb")
    return table.source, {1: "does not exist", 3: "A04_Actin.tif", 4: "is 64 x 64",
                          6: "has 3 channels"}


def test_skipping_keeps_the_rest_and_names_each(broken, screen, model, tmp_path):
    path, errors = broken
    table = read_table(path)
    found = predict_table(model, table, 2, on_error="skip")
    assert found.skipped.keys() == errors.keys()
    for row, words in errors.items():
        assert words in found.skipped[row] and f"line {row + 2}" in found.skipped[row]
        assert np.isnan(found.logits[row]).all() and np.isnan(found.embeddings[row]).all()
    kept = [0, 2, 5]
    assert same(found.logits[kept], predict(model, screen[1], 2).logits[kept])
    frame = prediction_frame(model, table, found)
    assert frame["Metadata_Well"].tolist() == ["A01", "A03", "A06"]
    listed = pandas.read_csv(write_errors(table, found.skipped, tmp_path / "e.csv"), dtype=str)
    assert listed["Line"].tolist() == ["3", "5", "6", "8"]
    assert listed["Well"].tolist() == ["P1 A02", "P1 A04", "P1 A05", "P1 A07"]
    assert listed.columns.tolist() == ["Line", "Well", "Files", "Error", "Phenoscale_Field"]


def test_stopping_is_the_default(broken, model):
    with pytest.raises(InputError, match="line 3 .*does not exist"):
        predict_table(model, read_table(broken[0]))
    table = read_table(broken[0])
    with pytest.raises(InputError, match=r"line 5 \(well P1 A04\): .*A04_Actin.tif.*leave the row"):
        predict_table(model, table.select([2, 3]))


def test_the_verb_skips_with_status_3(broken, model, tmp_path, capsys):
    model.save(tmp_path / "m")
    words = ["predict", tmp_path / "m", broken[0], "--out", tmp_path / "p.csv"]
    assert verb(*words, "--on-error", "skip", "--embedding", "none") == 3
    out, err = capsys.readouterr()
    assert out.split() == [str(tmp_path / "p.csv"), str(tmp_path / "p.errors.csv")]
    assert err.splitlines()[-1].startswith("4 fields were skipped: see ")
    assert len(pandas.read_csv(tmp_path / "p.errors.csv")) == 4
    assert len(pandas.read_csv(tmp_path / "p.csv")) == 3


@pytest.mark.parametrize("network", ["mcnn", "mcnn-gap"])
def test_numbers_that_overflow_are_an_error_that_names_the_model(screen, tmp_path, network):
    """Weights that are finite and huge: no class of the biases, nor embeddings, nor evidence."""
    table = read_table(screen[0])
    model = screens.make_model(network)
    model.parameters *= 1e25
    model.save(tmp_path / "huge")
    model = load(tmp_path / "huge")
    words = "huge: within the network the numbers of .* too large for float32: its weights"
    with pytest.raises(InputError, match=words):
        predict_table(model, table)
    with pytest.raises(InputError, match=words):
        predict(model, np.ones((3, 2, 128, 128), np.uint16), on_error="skip")
    with pytest.raises(InputError, match=words):
        Explainer(model, (128, 128)).explain(np.ones((2, 128, 128), np.uint16))


def test_a_field_that_overflows_is_skipped_alone():
    model = screens.make_model(dtype="float32")
    model.parameters *= 1e7
    fields = np.zeros((3, 2, 128, 128), np.float32)
    fields[1] = 9e14  # the largest that is no code for missing pixels
    found = predict(model, fields, on_error="skip")
    assert list(found.skipped) == [1] and "or the field's counts" in found.skipped[1]
    assert found.skipped[1].startswith("image 1: the model: within the network")
    with pytest.raises(InputError, match="^image 1: the model: within the network"):
        predict(model, fields)
    assert np.isfinite(found.logits[[0, 2]]).all() and np.isnan(found.logits[1]).all()


def test_every_field_unreadable_is_an_error(screen, model):
    table = read_table(screen[0]).select([0, 1])
    table.planes = [[(Plane(path + ".gone"),) for path in row] for row in table.paths]
    with pytest.raises(InputError, match="does not exist"):
        predict_table(model, table, on_error="skip")


# ---- what comes out -------------------------------------------------------------------------


def test_columns_of_the_predictions_file(screen, model):
    table = read_table(screen[0])
    table.frame["Other"] = "not this one"
    found = predict_table(model, table, 2)
    frame = prediction_frame(model, table, found)
    head = [
        "Metadata_Plate", "Metadata_Well", "Metadata_Site", "Metadata_Compound",
        "Metadata_Concentration", "Metadata_Class", "Image_FileName_DNA", "Image_PathName_DNA",
        "Image_FileName_Actin", "Image_PathName_Actin", "Phenoscale_Field", "Phenoscale_Class",
        *PROBABILITIES, "Phenoscale_Model"]
    features = [f"Image_Phenoscale_Emb{k:04d}" for k in range(2048)]
    assert frame.columns.tolist() == head + features
    assert prediction_frame(model, table, found, "none").columns.tolist() == head
    assert frame["Phenoscale_Class"].tolist() == [
        screens.CLASSES[k] for k in found.logits.argmax(axis=1)]
    for row, paths in enumerate(table.paths):
        assert os.path.join(frame["Image_PathName_Actin"][row],
                            frame["Image_FileName_Actin"][row]) == paths[1]
    assert len(set(frame["Phenoscale_Model"])) == 1


def test_a_label_without_metadata_in_its_name_is_kept(screen, model):
    table = read_table(screen[0])
    table.frame["moa"] = table.frame.pop("Metadata_Class")
    frame = prediction_frame(replace(model, label="moa"), table, predict_table(model, table, 2))
    assert frame["moa"].tolist() == table.frame["moa"].tolist()


def test_progress_counts_to_the_end(screen, model):
    seen = []
    predict(model, screen[1], 2, progress=seen.append)
    assert seen == [{"stage": "predict", "done": n, "of": 7} for n in range(1, 8)]


def test_a_model_file_is_all_that_is_needed(screen, model, tmp_path):
    model.save(tmp_path / "model.safetensors")
    assert same(predict(load(tmp_path / "model.safetensors"), screen[1], 2).logits,
                predict(model, screen[1], 2).logits)
