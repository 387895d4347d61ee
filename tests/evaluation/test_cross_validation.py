# SPDX-License-Identifier: BSD-3-Clause
"""Cross-validation: every field is said by a training that did not see it, and the final model
knows how certain it is; stopped and gone on with."""

from dataclasses import replace

import numpy as np
import pytest

pandas = pytest.importorskip("pandas")
pytest.importorskip("sklearn"), pytest.importorskip("tifffile")
import screens
from phenoscale import InputError, load
from phenoscale.evaluation.cross_validation import Folds, cross_validate, pooled_folder
from phenoscale.prediction.predict import predict_table
from phenoscale.ranks.crew import Crew
from phenoscale.scores.calibration import fit_temperature
from phenoscale.tables.keys import KEY
from phenoscale.tables.read import read_table
from phenoscale.training.recipe import Recipe
from phenoscale.training.run_folder import RunFolder
from phenoscale.training.running import Running

RECIPE = Recipe(network="mcnn-gap", epochs=1, seed=2)


@pytest.fixture(scope="module")
def screen(tmp_path_factory):
    return read_table(screens.write_screen(tmp_path_factory.mktemp("screen")))


@pytest.fixture(scope="module")
def run(screen, tmp_path_factory):
    out = tmp_path_factory.mktemp("cv") / "run"
    cross_validate(screen, "Metadata_Class", out, RECIPE, Folds("plate", 2))
    return RunFolder(out)


def test_each_fold_is_a_run_that_did_not_see_its_fields(screen, run):
    pooled = pooled_folder(run.path)
    said = pandas.read_csv(pooled.file(pooled.PREDICTIONS), keep_default_na=False)
    labelled = (screen.column("Metadata_Class") != "").sum()
    assert len(said) == labelled and said["Phenoscale_Field"].is_unique
    for k in (1, 2):
        fold = RunFolder(pooled.file(f"fold-{k}"))
        split = pandas.read_csv(fold.file(fold.SPLIT))
        trained, held = (set(split.loc[split["Split"] == side, "Metadata_Plate"])
                         for side in ("train", "test"))
        assert len(trained) == len(held) == 1 and trained != held
        model = fold.model()
        again = predict_table(model, screen).probabilities
        rows = [i for i in range(len(screen)) if screen.column("Metadata_Plate")[i] in held
                and screen.column("Metadata_Class")[i]]
        ours = said[said["Metadata_Plate"].isin(held)].set_index("Phenoscale_Field")
        np.testing.assert_allclose(
            ours.loc[[screen.keys[i] for i in rows], ["Phenoscale_Prob_coarse",
                                                      "Phenoscale_Prob_fine"]], again[rows],
            atol=1e-6)


def test_the_pooled_folder_is_a_run(run):
    from phenoscale.evaluation.run import read_run

    found = read_run(pooled_folder(run.path).path)
    assert found.side == "test" and not found.refused and len(found.scored) == 16
    assert found.folder.unscored() == "" and found.config["n_test"] == 16  # of all, not of a fold
    heads = pandas.read_csv(pooled_folder(run.path).file(RunFolder.HEADS))
    assert (heads["Fields"] == 16).all()


def test_what_the_model_knows(screen, run):
    model = load(run.file(run.MODEL))
    pooled = pandas.read_csv(pooled_folder(run.path).file(RunFolder.PREDICTIONS),
                             keep_default_na=False)
    kind = {"network": "Network", "measures": "Measures"}.get(model.head.kind)
    columns = [f"Phenoscale_{kind}_{key}" if kind else f"Phenoscale_Prob_{key}"
               for key in model.keys]
    labels = np.array([model.classes.index(name) for name in pooled["Metadata_Class"]])
    wanted = fit_temperature(pooled[columns].to_numpy(float), labels)
    assert model.certainty.temperature == wanted
    assert set(model.certainty.sets) == {"90", "95"}
    assert "16 fields by trainings that had not seen their plates" in model.certainty.why
    split = pandas.read_csv(run.file(run.SPLIT))
    assert set(split["Split"]) == {"train", "unlabelled"}
    assert {"Phenoscale_Set", "Phenoscale_Novelty"} <= set(
        pandas.read_csv(run.file(run.PREDICTIONS)))


def test_ended_folds_are_not_done_again(screen, run, tmp_path, monkeypatch):
    from phenoscale.evaluation import cross_validation

    done = []
    real = cross_validation.train_run

    def counted(table, label, out, *rest):
        if "fold-2" in str(out) and "stopped" not in done:
            done.append("stopped")
            raise KeyboardInterrupt
        done.append(str(out))
        return real(table, label, out, *rest)

    monkeypatch.setattr(cross_validation, "train_run", counted)
    out = tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        cross_validate(screen, "Metadata_Class", out, RECIPE, Folds("plate", 2))
    first = list(done)
    cross_validate(screen, "Metadata_Class", out, RECIPE, Folds("plate", 2),
                   running=Running(resume=True))
    again = done[len(first):]
    assert not any("fold-1" in name for name in again) and any("fold-2" in name for name in again)
    assert load(out / "model.safetensors").digest() == run.model().digest()


def test_a_folder_of_another_cross_validation(screen, run):
    with pytest.raises(InputError, match="is of a cross-validation: go on with --resume"):
        cross_validate(screen, "Metadata_Class", run.path, RECIPE, Folds("plate", 2))


def test_ended_folds_of_another_kind_are_not_taken(screen, run, tmp_path):
    import shutil

    out = tmp_path / "run"
    shutil.copytree(pooled_folder(run.path).path, out / "cross_validated")
    for folds, recipe, words in ((Folds("well", 2), RECIPE, "of another split"),
                                 (Folds("plate", 2), replace(RECIPE, epochs=2), "another epochs")):
        with pytest.raises(InputError, match=words):
            cross_validate(screen, "Metadata_Class", out, recipe, folds,
                           running=Running(resume=True))


def test_a_head_that_was_asked_for(screen, tmp_path):
    model, _ = cross_validate(screen, "Metadata_Class", tmp_path / "run",
                              replace(RECIPE, head="network"), Folds("plate", 2))
    assert model.head is None and model.certainty.temperature is not None


def test_fields_held_out_of_all_folds(screen, tmp_path):
    """No fold sees them; the final model is scored by them, once."""
    well = screen.column("Metadata_Well")[0]
    run = RunFolder(tmp_path / "run")
    cross_validate(screen, "Metadata_Class", run.path, RECIPE,
                   Folds("plate", 2, {"Metadata_Well": [well]}))
    pooled = pooled_folder(run.path)
    said = pandas.read_csv(pooled.file(pooled.PREDICTIONS), keep_default_na=False)
    assert len(said) and well not in set(said["Metadata_Well"])
    for folder in (run, RunFolder(pooled.file("fold-1")), RunFolder(pooled.file("fold-2"))):
        split = pandas.read_csv(folder.file(folder.SPLIT), keep_default_na=False)
        assert well not in set(split.loc[split["Split"] == "train", "Metadata_Well"])
        assert (well in set(split["Metadata_Well"])) == (folder is run)
    split = pandas.read_csv(run.file(run.SPLIT), keep_default_na=False).set_index(KEY)
    own = pandas.read_csv(run.file(run.PREDICTIONS), keep_default_na=False)
    scored = own[own[KEY].map(split["Split"]) == "test"]
    assert set(scored["Metadata_Well"]) == {well}
    assert set(split.loc[split["Metadata_Well"] == well, "Split"]) == {"test"}


def test_what_the_table_lacks_is_said_once(tmp_path):
    """Classes that lie on one plate each: by the whole, not by each training; and written down."""
    screen = read_table(screens.write_screen(tmp_path / "screen"))
    frame = screen.frame.copy()
    plates = frame["Metadata_Plate"]
    frame["Metadata_Where"] = np.where(plates == plates.iloc[0], "one", "other")
    screen, heard = replace(screen, frame=frame), []
    run = RunFolder(tmp_path / "run")
    cross_validate(screen, "Metadata_Where", run.path, RECIPE, Folds("well", 2),
                   crew=Crew(progress=heard.append))
    notes = [event["words"] for event in heard if event["stage"] == "note"]
    about = [words for words in notes if "on one plate only" in words]
    assert len(about) == 1 and len(notes) == len(set(notes))
    for folder in (run, pooled_folder(run.path)):
        assert folder.config()["notes"].count(about[0]) == 1


def test_folds_that_make_no_sense():
    with pytest.raises(InputError, match="there is no cross-validation by colour"):
        Folds("colour")


def test_folds_of_several_networks(screen, tmp_path):
    recipe = replace(RECIPE, members=2, head="network")
    cross_validate(screen, "Metadata_Class", tmp_path / "run", recipe, Folds("plate", 2))
    folders = [tmp_path / "run", *(tmp_path / "run/cross_validated").glob("fold-*")]
    for folder in folders:
        assert RunFolder(folder).model().members == 2
        assert RunFolder(folder / "member-2-of-2").model().seed == 3
    assert len(folders) == 3 and RunFolder(tmp_path / "run").model().certainty is not None
