# SPDX-License-Identifier: BSD-3-Clause
"""A run by plate: its model knows a plate with another lamp and camera, resumes to the same bits,
and keeps what was taken for controls."""

import numpy as np
import pytest

pandas = pytest.importorskip("pandas")
tifffile = pytest.importorskip("tifffile")
pytest.importorskip("sklearn")
import screens
from calls import stop_at, train_run
from phenoscale import InputError, WholeImageClassifier
from phenoscale.prediction.predict import predict_table
from phenoscale.signals import Stopped
from phenoscale.tables.predictions import probability_column
from phenoscale.tables.read import read_table
from phenoscale.training.recipe import Recipe
from phenoscale.training.run_folder import RunFolder

LABEL, CONTROLS = "Metadata_Class", {"Metadata_Control": ["solvent"]}
RECIPE = Recipe(network="mcnn-gap", epochs=3, batch=2, seed=2, normalise="plate")
HOLDOUT = {"Metadata_Plate": ["P2"]}


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """Of two plates, the second with six times the counts and a fog over them."""
    path = screens.write_screen(tmp_path_factory.mktemp("screen"), 2, 10, 1)
    for first in (path.parent / "P1").iterdir():
        tifffile.imwrite(first, tifffile.imread(first) // 16)
        other = path.parent / "P2" / first.name
        tifffile.imwrite(other, (tifffile.imread(other) // 16 * 6 + 9000).astype(np.uint16))
    frame = pandas.read_csv(path, dtype=str)
    frame["Metadata_Control"] = np.where(frame["Metadata_Well"] < "A05", "solvent", "none")
    frame.to_csv(path, index=False)
    return read_table(path)


def run(table, out, recipe=RECIPE, controls=CONTROLS, **options):
    return train_run(table, LABEL, out, recipe, controls, holdout=HOLDOUT, threads=2,
                     **{"val_fraction": 0, "checkpoint_s": 0, **options})


@pytest.fixture(scope="module")
def whole(table, tmp_path_factory):
    return RunFolder(run(table, tmp_path_factory.mktemp("whole") / "run")[1])


def test_the_model_says_how_it_is_fed_and_the_folder_what_it_found(table, whole):
    model = whole.model()
    assert model.feeding.normalise == "plate" and model.feeding.controls == CONTROLS
    assert model.scale == model.offset == []
    config = whole.config()
    found = config["normalisation"]["plates"]
    for plate, rows in (("plate P1", range(4)), ("plate P2", range(11, 15))):
        seen = np.array([[tifffile.imread(path) for path in table.paths[row]] for row in rows])
        np.testing.assert_allclose(found[plate]["scale"], 1 / seen.std(axis=(0, 2, 3)), rtol=1e-6)
    assert any("measured by their negative controls" in note for note in config["notes"])


def test_the_measures_know_the_held_out_plate(whole):
    heads = pandas.read_csv(whole.file(whole.HEADS)).set_index("Head")
    assert heads.loc["measures", "FieldsRight"] == heads.loc["measures", "Fields"] == 10


def test_counts_like_no_other_plate_s_are_what_such_a_model_is_for(table, whole, recwarn):
    predict_table(whole.model(), table.select(range(11, 22)), 1)
    assert not recwarn.list


def test_predictions_csv_is_what_predict_table_says(table, whole):
    frame, model = pandas.read_csv(whole.file(whole.PREDICTIONS)), whole.model()
    held = table.select(np.flatnonzero(table.matches(HOLDOUT)))
    found = predict_table(model, held, 1)
    mine = frame[frame["Metadata_Plate"] == "P2"]
    for k, key in enumerate(model.keys):
        np.testing.assert_allclose(mine[probability_column(key)], found.probabilities[:, k],
                                   rtol=1e-6)


@pytest.mark.parametrize("step", [2, 9])
def test_stopped_it_ends_in_the_same_bits(table, whole, tmp_path, step):
    with pytest.raises(Stopped):
        run(table, tmp_path / "run", progress=stop_at(step))
    model, _ = run(table, tmp_path / "run", resume=True)
    assert model.digest() == whole.model().digest()


def test_other_controls_are_another_training(table, tmp_path):
    with pytest.raises(Stopped):
        run(table, tmp_path / "run", progress=stop_at(2))
    with pytest.raises(InputError, match="controls"):
        run(table, tmp_path / "run", controls={"Metadata_Well": ["A01", "A02"]}, resume=True)


def test_a_classifier_is_fed_by_plate_from_tables_and_refuses_arrays(table):
    classifier = WholeImageClassifier(network="mcnn-gap", epochs=1, normalise="plate", threads=2)
    with pytest.raises(InputError, match="predict tables of whole plates"):
        classifier.fit(np.zeros((4, 1, 128, 128), np.uint16), ["a", "a", "b", "b"])
    classifier.fit(table, LABEL)
    assert classifier.model_.feeding.normalise == "plate"
    found = classifier.predict_proba(table)
    wanted = predict_table(classifier.model_, table, 1).probabilities
    assert found.tobytes() == wanted.tobytes()
    is_labelled = (table.column(LABEL) != "").to_numpy()
    assert classifier.score(table, LABEL) == (
        np.array(classifier.classes_, object)[found.argmax(axis=1)] == table.column(LABEL)
        .to_numpy())[is_labelled].mean()
