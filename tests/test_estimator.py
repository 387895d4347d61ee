# SPDX-License-Identifier: BSD-3-Clause
"""The classifier with scikit-learn manners, on arrays and on tables."""

import inspect
import os
from dataclasses import fields

import numpy as np
import pytest

pandas = pytest.importorskip("pandas")
pytest.importorskip("tifffile")
import screens
from phenoscale import InputError, WholeImageClassifier, read_image, read_table
from phenoscale.training.recipe import Recipe

LABEL = "Metadata_Class"


def classifier(**options):
    return WholeImageClassifier(**{"network": "mcnn-gap", "epochs": 1, "batch": 4, "threads": 2,
                                   **options})


@pytest.fixture(scope="module")
def data():
    return screens.draw_fields(6)


@pytest.fixture(scope="module")
def fitted(data):
    return classifier().fit(*data)


@pytest.fixture(scope="module")
def screen(tmp_path_factory):
    return screens.write_screen(tmp_path_factory.mktemp("screen"), 2, 4, 1)


# ---- manners --------------------------------------------------------------------------------


def test_parameters_are_those_of_the_recipe():
    ours = inspect.signature(WholeImageClassifier).parameters
    theirs = {field.name: field.default for field in fields(Recipe)}
    assert {name: p.default for name, p in ours.items()} == {
        **theirs, "threads": None, "progress": None}
    assert WholeImageClassifier().get_params() == {name: p.default for name, p in ours.items()}


def test_parameters_can_be_changed():
    one = classifier()
    assert one.set_params(epochs=3, augment=("flip", "turn")) is one
    assert one.epochs == 3 and one.get_params()["augment"] == ("flip", "turn")
    with pytest.raises(ValueError, match="no parameter 'speed'"):
        one.set_params(speed=9)


def test_scikit_learn_takes_it(data):
    pytest.importorskip("sklearn")
    from sklearn.base import clone, is_classifier
    from sklearn.model_selection import cross_val_score

    one = classifier(seed=3)
    assert clone(one) is not one and clone(one).get_params() == one.get_params()
    assert is_classifier(one)
    for names in (data[1], [screens.CLASSES.index(name) for name in data[1]]):
        scores = cross_val_score(one, data[0], np.array(names), cv=2)
        assert len(scores) == 2 and all(0 <= score <= 1 for score in scores)


# ---- arrays ---------------------------------------------------------------------------------


def test_what_fit_leaves(data, fitted):
    images, names = data
    assert fitted.classes_.tolist() == ["coarse", "fine"]
    assert len(fitted.log_) == 1 and fitted.log_[0]["images"] == 6
    assert fitted.model_.channels == ["channel1", "channel2"] and fitted.model_.size == [128, 128]
    probabilities = fitted.predict_proba(images)
    assert probabilities.shape == (6, 2) and probabilities.dtype == np.float32
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-6)
    predicted = fitted.predict(images)
    assert predicted.tolist() == [["coarse", "fine"][k] for k in probabilities.argmax(axis=1)]
    assert fitted.transform(images).shape == (6, 2048)
    assert fitted.score(images, names) == np.mean(predicted == names)
    assert fitted.score(images, predicted) == 1


def test_the_same_again(data, fitted):
    assert classifier(threads=1).fit(*data).model_.digest() == fitted.model_.digest()
    assert classifier(seed=1).fit(*data).model_.digest() != fitted.model_.digest()


def test_classes_may_be_numbers_and_missing(data):
    images = data[0]
    one = classifier().fit(images, [0, 1, 0, 1, None, float("nan")])
    assert one.classes_.tolist() == [0, 1] and one.log_[0]["images"] == 4
    predicted = one.predict(images)
    assert one.score(images, [int(name) for name in predicted]) == 1
    assert one.score(images, [int(predicted[0]), *[None] * 5]) == 1
    assert one.score(images, [1 - int(predicted[0]), *[None] * 5]) == 0


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("labels", [
    np.array([10, 2] * 3), np.array([1.0, 0.0] * 3), np.array([True, False] * 3),
    np.array(["b", "a"] * 3), [10, 2] * 3, ["b", "a"] * 3, [True, False] * 3,
    pandas.Series([10, 2] * 3, index=list("fedcba")),
    pandas.Series(["b", "a"] * 3, dtype="category"),
    pandas.Series([10, 2] * 3, dtype="Int64"), np.array([0.1, 1e-5] * 3, np.float32)], ids=repr)
def test_labels_keep_their_type(data, labels):
    """`classes_` is sorted as scikit-learn sorts; predictions compare equal to the labels."""
    one = classifier().fit(data[0], labels)
    truth = np.asarray(labels)
    assert one.classes_.tolist() == np.unique(truth).tolist()
    predicted = one.predict(data[0])
    assert set(predicted.tolist()) <= set(truth.tolist())
    assert one.score(data[0], labels) == (predicted == truth).mean()
    assert one.score(data[0], predicted) == 1
    if isinstance(labels, np.ndarray):
        assert predicted.dtype == labels.dtype
    probabilities = one.predict_proba(data[0])
    assert (one.classes_[probabilities.argmax(axis=1)] == predicted).all()


def test_scorers_of_scikit_learn_agree(data):
    metrics = pytest.importorskip("sklearn.metrics")
    for labels in (np.array([10, 2] * 3), np.array([True, False] * 3), np.array(["b", "a"] * 3)):
        one = classifier().fit(data[0], labels)
        assert metrics.get_scorer("accuracy")(one, data[0], labels) == one.score(data[0], labels)
        assert 0 <= metrics.get_scorer("roc_auc")(one, data[0], labels) <= 1
        assert 0 <= metrics.get_scorer("balanced_accuracy")(one, data[0], labels) <= 1


def test_words_for_none_are_no_class_with_a_warning(data):
    labels = ["a", "b", "a", "b", "NA", "#N/A"]
    with pytest.warns(UserWarning, match="2 fields without a class, since its cell says none"):
        one = classifier().fit(data[0], labels)
    assert one.classes_.tolist() == ["a", "b"] and one.log_[0]["images"] == 4
    with pytest.warns(UserWarning, match="differ in case only"):
        classifier().fit(data[0], ["a", "A"] * 3)


@pytest.mark.parametrize("labels, words", [
    (["a"] * 6, "at least two classes"),
    (["a", "b"], "2 labels for 6 images"),
    (["1", 1, "a", "b", "a", "b"], "the labels '1' and 1 are written alike: give labels of one"),
    ([""] * 6, "at least two classes"),
])
def test_labels_that_will_not_do(data, labels, words):
    with pytest.raises(InputError, match=words):
        classifier().fit(data[0], labels)


@pytest.mark.parametrize("options, words", [
    ({"network": "resnet"}, "no network 'resnet'"), ({"epochs": 0}, "epochs=0"),
    ({"augment": 3}, "no augmentation .3."), ({"threads": 0}, "threads=0"),
    ({"augment": ("turn", "twist")}, "no augmentation 'twist'"),
])
def test_parameters_are_looked_at_in_fit(data, options, words):
    with pytest.raises(InputError, match=words):
        classifier(**options).fit(*data)


def test_other_fields_are_refused(data, fitted):
    images, names = data
    with pytest.raises(InputError, match="have 1 channels, the model needs 2"):
        fitted.predict(images[:, :1])
    with pytest.raises(InputError, match="are float32, the model was trained on uint16"):
        fitted.predict(images.astype(float))
    with pytest.raises(InputError, match="not uint16 .128, 128."):
        fitted.predict(images[0, 0])
    with pytest.raises(InputError, match="3 labels for 6 fields"):
        fitted.score(images, names[:3])
    with pytest.raises(InputError, match="no field has a class"):
        fitted.score(images, [""] * 6)
    with pytest.raises(InputError, match="all labels are other: no class of the model, which has"):
        fitted.score(images, ["other"] * 5 + [None])
    with pytest.warns(UserWarning, match="2 fields of other: no class of the model"):
        fitted.score(images, [*names[:4], "other", "other"])


def test_before_fit(data):
    for method in ("predict", "predict_proba", "transform"):
        with pytest.raises(InputError, match="not trained: call fit or load first"):
            getattr(classifier(), method)(data[0])
    with pytest.raises(InputError, match="not trained: call fit or load first"):
        classifier().save("nowhere")


@pytest.mark.parametrize("progress", [True, False])
def test_progress_by_bars(data, capsys, progress):
    """True is a bar for each stage, through tqdm.auto; a line an epoch."""
    one = classifier(progress=progress, epochs=2).fit(*data)
    said = "".join(capsys.readouterr())
    assert ("training: 100%" in said) == ("epoch 2/2: loss" in said) == progress
    assert one.get_params()["progress"] is progress


# ---- tables ---------------------------------------------------------------------------------


def test_table_path_and_frame_are_one(screen):
    table = read_table(screen)
    of_path = classifier().fit(str(screen), LABEL)
    frame = pandas.read_csv(screen)
    for channel in screens.CHANNELS:
        frame[f"Image_PathName_{channel}"] = [
            os.path.join(screen.parent, name) for name in frame[f"Image_PathName_{channel}"]]
    for source in (table, frame, screen):
        assert classifier().fit(source, LABEL).model_.digest() == of_path.model_.digest()
    assert of_path.model_.label == LABEL and of_path.model_.table_digest == table.digest()
    images = np.stack([np.concatenate([read_image(p) for p in row]) for row in table.paths])
    probabilities = of_path.predict_proba(images)
    for source in (str(screen), table, frame):
        assert of_path.predict_proba(source).tobytes() == probabilities.tobytes()
    known = (table.column(LABEL) != "").to_numpy()
    right = of_path.predict(images)[known] == table.column(LABEL)[known]
    assert of_path.score(screen, LABEL) == right.mean()
    assert of_path.score(table, table.column(LABEL)) == right.mean()


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("to", [{"coarse": 10, "fine": 2}, {"coarse": True, "fine": False},
                                {"coarse": 0.5, "fine": 1e-3}])
def test_columns_keep_their_type(screen, to):
    """Of a DataFrame; the fields without a class are NaN."""
    frame = pandas.read_csv(screen)
    for channel in screens.CHANNELS:
        frame[f"PathName_{channel}"] = [
            os.path.join(screen.parent, name) for name in frame.pop(f"Image_PathName_{channel}")]
    frame = frame.rename(columns=lambda name: name.removeprefix("Image_"))
    frame["answer"] = frame[LABEL].map(to)
    one, known = classifier().fit(frame, "answer"), frame["answer"].notna()
    assert one.classes_.tolist() == sorted(to.values())
    right = (one.predict(frame)[known] == frame["answer"][known]).mean()
    assert one.score(frame, "answer") == one.score(frame, frame["answer"]) == right
    part = frame[known].iloc[::-1]
    assert one.score(part, part["answer"].reset_index(drop=True)) == right
    with pytest.raises(InputError, match="the rows of the table in another order: give "
                                         r"label.loc\[table.index\], or label.to_numpy"):
        one.score(part, frame["answer"][known])


def test_channels_are_never_taken_by_order(screen):
    one = classifier().fit(screen, LABEL)
    frame = pandas.read_csv(screen).rename(columns=lambda name: name.replace("DNA", "w1").replace(
        "Actin", "w2"))
    for source in (frame, read_table(frame, root=screen.parent)):
        with pytest.raises(InputError, match="has no channel DNA"):
            one.predict_proba(source)


def test_a_channel_alone(screen):
    one = classifier().fit(read_table(screen, channels=["Actin"]), LABEL)
    assert one.model_.channels == ["Actin"]
    assert one.predict_proba(screen).tobytes() == one.predict_proba(
        read_table(screen, channels=["DNA", "Actin"])).tobytes()


@pytest.mark.parametrize("label, words", [
    ("Metadata_Clas", "no column Metadata_Clas: it has Metadata_Class"),
    ("Metadata_Compound", "has one class only, drug"),
    ("Image_FileName_DNA", "one field to train on|to train on"),
    (["coarse"] * 10, "10 labels for 4 fields: give one each"),
    (7, "for a table give the name of its column of classes, or the classes themselves"),
    (None, "label: give the name of the column of classes, or the class of each field"),
])
def test_columns_that_will_not_do(screen, label, words):
    table = read_table(screen)
    with pytest.raises(InputError, match=words):
        classifier().fit(table.select([0, 1, 2, 3]), label)


# ---- files ----------------------------------------------------------------------------------


def test_save_and_load(data, fitted, tmp_path):
    fitted.save(tmp_path / "model.safetensors")
    again = WholeImageClassifier.load(tmp_path / "model.safetensors")
    assert again.network == "mcnn-gap" and again.classes_.tolist() == fitted.classes_.tolist()
    assert again.predict_proba(data[0]).tobytes() == fitted.predict_proba(data[0]).tobytes()
    assert os.listdir(tmp_path) == ["model.safetensors"]
    with pytest.raises(InputError, match="none does not exist"):
        WholeImageClassifier.load(tmp_path / "none")
    with pytest.raises(InputError, match="cannot be written"):
        fitted.save(tmp_path / "no" / "model")


def test_several_networks_are_those_of_their_seeds(data, tmp_path):
    images, labels = data[0], data[1]
    few = {"network": "mcnn-gap", "epochs": 1, "seed": 4, "views": "all", "head": "network"}
    both = WholeImageClassifier(**few, members=2).fit(images, labels)
    singles = [WholeImageClassifier(**{**few, "seed": seed}).fit(images, labels)
               for seed in (4, 5)]
    chances = np.mean([one.predict_proba(images) for one in singles], axis=0)
    np.testing.assert_allclose(both.predict_proba(images), chances, atol=1e-6)
    np.testing.assert_array_equal(both.model_.parameters, np.concatenate(
        [one.model_.parameters for one in singles]))
    assert both.log_[0]["loss"] == singles[0].log_[0]["loss"] and len(both.log_) == 2
    both.save(tmp_path / "model.safetensors")
    again = WholeImageClassifier.load(tmp_path / "model.safetensors")
    assert again.get_params() == both.get_params()
    assert len(again.get_feature_names_out()) == again.transform(images[:1]).shape[1] == 4096


def test_views_are_those_of_the_file(data, fitted, tmp_path):
    images = data[0][:2]
    fitted.save(tmp_path / "one.safetensors")
    all_of_them = WholeImageClassifier.load(tmp_path / "one.safetensors")
    all_of_them.model_.views = "all"
    all_of_them.save(tmp_path / "all.safetensors")
    again = WholeImageClassifier.load(tmp_path / "all.safetensors")
    assert (again.views, fitted.views) == ("all", "one")
    turned = np.flip(images, 2)
    np.testing.assert_allclose(again.transform(images), again.transform(turned), atol=1e-4)
    assert np.abs(fitted.transform(images) - fitted.transform(turned)).max() > 1e-3


def test_measures_beside_embeddings(data, fitted):
    images = data[0][:3]
    plain, both = fitted.transform(images), fitted.transform(images, measures=True)
    names = fitted.get_feature_names_out(measures=True)
    assert len(fitted.get_feature_names_out()) == plain.shape[1] == 2048
    assert (both[:, :2048] == plain).all() and both.shape == (3, len(names))
    mean = both[:, names.tolist().index("Image_Intensity_MeanIntensity_channel2")]
    np.testing.assert_allclose(mean, images[:, 1].mean(axis=(1, 2)) / 65535, rtol=1e-5)
