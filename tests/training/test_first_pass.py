# SPDX-License-Identifier: BSD-3-Clause
"""The classes of a training: any names train, report and predict; those without fields are gone."""

import json

import pytest

pandas = pytest.importorskip("pandas")
pytest.importorskip("tifffile")
import screens
from calls import verb
from phenoscale import load
from phenoscale.hosts.tasks import execute

LABEL = "Metadata_Class"


def screen_with(folder, change, **options):
    """A screen whose table `change` has edited."""
    path = screens.write_screen(folder, **options)
    frame = pandas.read_csv(path, dtype=str, keep_default_na=False)
    change(frame)
    frame.to_csv(path, index=False)
    return path


def train(path, run):
    return verb("train", path, "--label", LABEL, "--network", "mcnn-gap", "--epochs", "1", "--out",
                run, "--holdout", "Metadata_Plate=P2", "--val-fraction", "0")


@pytest.mark.parametrize(("names", "keys"), [
    (["+DOX", "-DOX"], ["plusDOX", "minusDOX"]), (["対照", "処理"], ["Class2", "Class1"]),
    (["0.1", "01"], ["01_2", "01"]), (["=a" * 150, "<b>,/\""], ["a" * 150, "b"]),
    (["TNFα", "TNFβ"], ["TNFalpha", "TNFbeta"])], ids=repr)
def test_any_names_train_report_and_predict(tmp_path, names, keys):
    new = dict(zip(screens.CLASSES, names))
    path = screen_with(tmp_path, lambda frame: frame.update(frame[LABEL].map(new)), wells=4)
    assert train(path, tmp_path / "run") == 0
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert dict(zip(config["classes"], config["keys"])) == dict(zip(names, keys))
    model = tmp_path / "run" / "model.safetensors"
    assert load(model).keys == config["keys"]
    assert execute("about", {"model": str(model)})["keys"] == config["keys"]
    page = (tmp_path / "run" / "report.html").read_text()
    assert "<b>,/" not in page and "No prediction is used" not in page
    assert verb("predict", model, path, "--out", tmp_path / "p.csv", "--embedding", "none") == 0
    for file in (tmp_path / "p.csv", tmp_path / "run" / "predictions.csv"):
        found = pandas.read_csv(file, dtype=str, keep_default_na=False)
        assert [c for c in found if c.startswith("Phenoscale_Prob_")] == [
            f"Phenoscale_Prob_{key}" for key in config["keys"]]
        assert set(found["Phenoscale_Class"]) <= set(names)
        assert set(found[LABEL]) - {""} == set(names)  # as they are


def test_safe_cells_are_there_on_request(tmp_path):
    new = dict(zip(screens.CLASSES, ["=cmd", "-x"]))
    path = screen_with(tmp_path, lambda frame: frame.update(frame[LABEL].map(new)), wells=2)
    screens.make_model().save(tmp_path / "m")
    assert verb("predict", tmp_path / "m", path, "--out", tmp_path / "p.csv", "--safe-cells") == 0
    found = pandas.read_csv(tmp_path / "p.csv", dtype=str, keep_default_na=False)
    assert set(found[LABEL]) == {"'=cmd", "'-x", ""}


def test_a_class_whose_fields_are_all_marked_is_gone(tmp_path, capsys):
    """With a word, and the training goes on; as for one field of a class, which is marked."""
    def mark(frame):
        frame.loc[[0, 1], [LABEL, "Phenoscale_Skip"]] = "empty", "check: pixels: blank"
        frame["Phenoscale_Skip"] = frame["Phenoscale_Skip"].fillna("")

    path = screen_with(tmp_path, mark, wells=8)
    assert train(path, tmp_path / "run") == 3
    words = f"column {LABEL}: no field of empty can be used, which is no class of this training"
    assert f"note: {words}" in capsys.readouterr().err
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert config["classes"] == screens.CLASSES and words in config["notes"]
    screen = pandas.read_csv(path, dtype=str, keep_default_na=False).drop(index=0)
    screen.to_csv(path, index=False)
    assert train(path, tmp_path / "one") == 3


def test_words_for_none_are_said_and_not_trained_on(tmp_path, capsys):
    def spoil(frame):
        frame.loc[[0, 1], LABEL] = "NA"
        frame.loc[2, LABEL] = frame[LABEL][2].upper()
        frame.loc[4, LABEL] = frame[LABEL][4].upper()

    path = screen_with(tmp_path, spoil, wells=12)
    assert train(path, tmp_path / "run") == 0
    said = capsys.readouterr().err
    assert f"note: column {LABEL}: 2 fields without a class, since its cell says none ('NA'" in said
    assert "are 2 classes and differ in case only" in said
    assert verb("check", path, "--label", LABEL) == 0
    assert f"label: column {LABEL}: 2 fields without a class" in capsys.readouterr().out
    split = pandas.read_csv(tmp_path / "run" / "split.csv", dtype=str, keep_default_na=False)
    assert split["Split"][:2].tolist() == ["unlabelled"] * 2
