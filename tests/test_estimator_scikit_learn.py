# SPDX-License-Identifier: BSD-3-Clause
"""The classifier within scikit-learn: its checks, clones, folds with groups, grids."""

import os
import subprocess
import sys

import numpy as np
import pytest

pandas = pytest.importorskip("pandas")
pytest.importorskip("sklearn"), pytest.importorskip("tifffile")
import sklearn.exceptions
from sklearn.base import clone, is_classifier
from sklearn.model_selection import GridSearchCV, GroupKFold, cross_val_predict, cross_val_score
from sklearn.utils.estimator_checks import check_estimator

import screens
from phenoscale import InputError, WholeImageClassifier
from phenoscale.models import networks

LABEL = "Metadata_Class"

#: Checks of scikit-learn that are not of images, and why.
NOT_OF_IMAGES = {
    "check_fit_score_takes_y": "`fit(table, label)`: a label is a column as well as classes",
    "check_n_features_in_after_fitting": "an image has channels, height and width: `model_`",
    "check_n_features_in": "an image has channels, height and width: `model_`",
    "check_complex_data": "refused, in our words",
    "check_dtype_object": "refused: pixels are numbers",
    "check_estimators_empty_data_messages": "refused, in our words",
    "check_estimator_sparse_tag": "images are not sparse",
    "check_estimator_sparse_array": "images are not sparse",
    "check_estimator_sparse_matrix": "images are not sparse",
    "check_classifier_data_not_an_array": "images are an array or a table, nothing like one",
    "check_transformer_data_not_an_array": "images are an array or a table, nothing like one",
    "check_classifiers_train": "gives lists of numbers: images are an array or a table",
    "check_classifiers_regression_target": "doses, which are numbers, may be classes",
    "check_supervised_y_2d": "refused: one label for each field",
    "check_transformer_general": "`fit_transform` is not there: whoever trains wants a model",
    "check_fit2d_1sample": "refused, in our words",
    "check_fit2d_predict1d": "refused, in our words",
    "check_requires_y_none": "refused, in our words",
}


class Rows(WholeImageClassifier):
    """Rows of numbers, which the checks of scikit-learn give, as images of one line."""

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = True
        return tags

    @staticmethod
    def _images(rows):
        return rows[:, None, None] if isinstance(rows, np.ndarray) and rows.ndim == 2 else rows

    def fit(self, table, label):
        return super().fit(self._images(table), label)

    def _predictions(self, table, measures=None):
        return super()._predictions(self._images(table), measures)


def tiny(channels, height, width, classes, fc_relu):
    """A network for the manners, which do not depend on it."""
    return [f"field: input channels={channels} height={height} width={width}",
            "mix: conv filters=4 kernel=1", "gap: gap rectify=1", f"classes: dense units={classes}"]


def classifier(**options):
    return WholeImageClassifier(**{"network": "mcnn-gap", "epochs": 1, "threads": 1, **options})


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setitem(networks.NETWORKS, "mcnn-gap", tiny)


@pytest.fixture(scope="module")
def frame(tmp_path_factory):
    """The labelled fields of a screen, whose index tells nothing of their order."""
    path = screens.write_screen(tmp_path_factory.mktemp("screen"), 3, 4, 1)
    frame = pandas.read_csv(path)
    for channel in screens.CHANNELS:
        frame[f"Image_PathName_{channel}"] = [
            os.path.join(path.parent, name) for name in frame[f"Image_PathName_{channel}"]]
    frame = frame[frame[LABEL].notna()]
    return frame.set_axis([f"row {3 * k % 7}.{k}" for k in range(len(frame))])


@pytest.mark.filterwarnings("ignore")
def test_checks_of_scikit_learn():
    """Every check passes, but those listed; and none is listed in vain."""
    found = check_estimator(Rows(network="mcnn-gap", epochs=1, threads=1), on_fail=None,
                            on_skip=None, expected_failed_checks=NOT_OF_IMAGES)
    failed = {one["check_name"]: str(one["exception"]) for one in found
              if one["status"] == "failed"}
    assert not failed
    assert {one["check_name"] for one in found if one["status"] == "xfail"} == {*NOT_OF_IMAGES}
    assert sum(one["status"] == "passed" for one in found) > 35


def test_importing_needs_no_scikit_learn():
    code = ("import sys, phenoscale; phenoscale.WholeImageClassifier()\n"
            "sys.exit('sklearn' in sys.modules)")
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_older_scikit_learn_asks_otherwise():
    one = classifier()
    assert one._estimator_type == "classifier" and one._more_tags()["requires_y"]
    assert is_classifier(one)


def test_not_fitted_is_known_to_both():
    with pytest.raises(sklearn.exceptions.NotFittedError, match="not trained: call fit or load"):
        classifier().predict(np.zeros((1, 1, 8, 8), np.uint8))
    with pytest.raises(InputError):
        classifier().save("nowhere")


def test_folds_of_groups_on_a_table(frame):
    """Whole plates are left out; the classes are a Series beside the DataFrame, whose rows folds
    take in any order."""
    names, plates = frame[LABEL], frame["Metadata_Plate"]
    scores = cross_val_score(classifier(), frame, names, groups=plates, cv=GroupKFold(3))
    assert len(scores) == 3 and np.isfinite(scores).all()
    numbers = names.map({name: k for k, name in enumerate(screens.CLASSES)}).astype(np.int8)
    found = cross_val_predict(classifier(), frame, numbers, groups=plates, cv=GroupKFold(3))
    assert found.dtype == np.int8 and set(found) <= {0, 1}


def test_grid_on_a_table(frame):
    grid = GridSearchCV(classifier(), {"smoothing": [0.0, 0.2]}, cv=GroupKFold(3))
    grid.fit(frame, frame[LABEL], groups=frame["Metadata_Plate"])
    assert grid.best_params_["smoothing"] in (0.0, 0.2)
    assert grid.best_estimator_.predict(frame).shape == (len(frame),)
    assert "WholeImageClassifier" in grid._repr_html_()


def test_a_series_beside_a_frame_is_never_misaligned(frame):
    wanted = classifier().fit(frame, LABEL).model_
    numbered = frame.reset_index(drop=True)
    for table, label in ((frame, frame[LABEL]), (frame, frame[LABEL].tolist()),
                         (frame, frame[LABEL].reset_index(drop=True)), (numbered, frame[LABEL])):
        model = classifier().fit(table, label).model_
        assert model.digest() == wanted.digest() and model.label == "Label"
    with pytest.raises(InputError, match=r"have the rows of the table in another order: give "
                                         r"label.loc\[table.index\], or label.to_numpy"):
        classifier().fit(frame, frame[LABEL].sort_index())
    shifted = numbered[LABEL].set_axis(numbered.index + 1)
    with pytest.raises(InputError, match="have some rows of the table only: give label.loc"):
        classifier().fit(numbered, shifted)
    with pytest.raises(InputError, match=f"2 labels for {len(frame)} fields: give one each"):
        classifier().fit(frame, frame[LABEL].iloc[:2])
    with pytest.raises(InputError, match="fields in a list: give a table, an array"):
        classifier().fit(["a.tif", "b.tif"], ["a", "b"])


def test_a_loaded_classifier_is_what_was_fitted(tmp_path):
    images, names = screens.draw_fields(6)
    given = {"network": "mcnn-gap", "epochs": 2, "batch": 3, "augment": ("flip", "turn"),
             "smoothing": 0.2, "seed": 7, "rate": 0.02}
    for change in ({}, {"rate": None}):
        one = WholeImageClassifier(**{**given, **change}).fit(images, names)
        one.save(tmp_path / "model")
        again = WholeImageClassifier.load(tmp_path / "model")
        assert again.get_params() == one.get_params()
        assert clone(again).fit(images, names).model_.digest() == one.model_.digest()


@pytest.mark.parametrize("labels", [
    [7, -3] * 3, [True, False] * 3, np.array([7, 200] * 3, np.uint8), [0.1, 1e-5] * 3,
    np.array([0.1, 1e-5] * 3, np.float32), [np.int16(4), np.int16(2)] * 3, ["b", "a"] * 3,
    np.array(["b", "a"] * 3)], ids=repr)
def test_labels_come_back_from_the_file(tmp_path, labels):
    images, _ = screens.draw_fields(6)
    one = classifier().fit(images, labels)
    one.save(tmp_path / "model")
    again = WholeImageClassifier.load(tmp_path / "model")
    assert again.classes_.dtype == one.classes_.dtype
    assert again.classes_.tolist() == one.classes_.tolist() == sorted(set(labels))
    assert again.predict(images).dtype == np.asarray(labels).dtype or isinstance(labels[0], str)


def test_it_says_what_it_is():
    one = WholeImageClassifier(network="mcnn-gap", epochs=1, augment=("flip", "turn"))
    assert repr(one) == ("WholeImageClassifier(network='mcnn-gap', epochs=1, "
                         "augment=('flip', 'turn'))")
    assert repr(WholeImageClassifier()) == "WholeImageClassifier()"
    assert one._repr_html_().endswith("<br>not trained")
    images, names = screens.draw_fields(4)
    trained = classifier().fit(images, ["<b>", "a"] * 2)._repr_html_()
    assert "2 classes, channels channel1, channel2, fields of 128 x 128" in trained
    assert len(trained) < 300
