# SPDX-License-Identifier: BSD-3-Clause
"""What a run's files say: fields of split.csv and predictions.csv are one by their keys alone.

A run with a folder for each class, names of files that repeat from folder to folder, no wells.
"""

import html
import re
import shutil

import numpy as np
import pandas
import pytest
import tifffile

import calls
import phenoscale
import screens
from phenoscale.evaluation.run import read_run
from phenoscale.files.csv import write_csv
from phenoscale.reports.evidence_files import write_evidence
from phenoscale.reports.report import write_report
from phenoscale.tables import predictions
from phenoscale.tables.keys import KEY
from phenoscale.tables.read import read_table

CLASSES = ("coarse", "fine")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """(folder of images and list.csv, run folder): 4 fields a class trained on, 3, 5 held out."""
    folder, rows = tmp_path_factory.mktemp("classes"), []
    rng = np.random.default_rng(5)
    for name, held in zip(CLASSES, (3, 5)):
        (folder / name).mkdir()
        for n in range(4 + held):
            tifffile.imwrite(folder / name / f"{n:03d}.tif",
                             screens.draw_field(name, rng, channels=1)[0])
            rows.append((f"{name}/{n:03d}.tif", name, "test" if n >= 4 else "train"))
    pandas.DataFrame(rows, columns=["file", "label", "Split"]).to_csv(folder / "list.csv",
                                                                      index=False)
    recipe = phenoscale.Recipe(network="mcnn-gap", epochs=1)
    run = calls.train_run(read_table(folder / "list.csv"), "label", folder / "run", recipe,
                          split="Split")[1]
    return folder, run


@pytest.fixture
def run(trained, tmp_path):
    """A copy of the run folder."""
    return shutil.copytree(trained[1], tmp_path / "run")


def cells(path):
    return pandas.read_csv(path, dtype=str, keep_default_na=False)


def edit(run, change, names=("split.csv", "predictions.csv")):
    for name in names:
        change(cells(run / name)).to_csv(run / name, index=False)


def predict(run, source):
    model = phenoscale.load(run / "model.safetensors")
    calls.predict_to_file(model, source, run / "predictions.csv")


def said(run):
    """The answers at the head of the page and what it says of its trust, as text."""
    with open(write_report(run), encoding="utf-8") as file:
        page = file.read()
    parts = [re.search(pattern, page, re.DOTALL)[0] for pattern in (
        "<header>.*?</header>", '<section id="trust".*?</section>')]
    return html.unescape(" ".join(re.sub("<[^>]+>", " ", " ".join(parts)).split()))


def test_one_key_in_every_file(trained, run, tmp_path):
    folder, _ = trained
    table = read_table(folder / "list.csv")
    split, found = cells(run / "split.csv"), cells(run / "predictions.csv")
    assert split[KEY].tolist() == table.keys and split[KEY].is_unique
    assert found[KEY].tolist() == split.loc[split["Split"] == "test", KEY].tolist()
    (folder / "more").mkdir()
    odd = pandas.concat([cells(folder / "list.csv"), pandas.DataFrame(
        {"file": ["gone.tif"], "label": "", "Split": ""})])
    odd.to_csv(folder / "more.csv", index=False)
    model = phenoscale.load(run / "model.safetensors")
    calls.predict_to_file(model, folder / "more.csv", tmp_path / "p.csv")
    assert cells(tmp_path / "p.csv")[KEY].tolist() == table.keys
    more = read_table(folder / "more.csv")
    assert cells(tmp_path / "p.errors.csv")[KEY].tolist() == more.keys[-1:]
    path, _ = write_evidence(model, table.select([3, 9]), tmp_path / "maps")
    assert cells(path)[KEY].tolist() == [table.keys[3], table.keys[9]]


def test_every_held_out_field_is_scored(run):
    data, found = read_run(run), cells(run / "predictions.csv")
    assert data.scored["Truth"].value_counts().to_dict() == {"coarse": 3, "fine": 5}
    assert (data.scored["Phenoscale_Class"] == found["Phenoscale_Class"]).all()
    right = (found["Phenoscale_Class"] == found["label"]).sum()
    assert f"{right} of 8 fields right" in said(run) and not data.refused


def test_predictions_over_the_whole_table_or_a_longer_one(trained, run):
    folder, _ = trained
    before = read_run(run).scored
    shutil.copy(folder / "fine" / "000.tif", folder / "other.tif")
    more = pandas.concat([cells(folder / "list.csv").iloc[::-1], pandas.DataFrame(
        {"file": ["other.tif"], "label": "fine", "Split": ""})])
    more.to_csv(folder / "longer.csv", index=False)
    predict(run, folder / "longer.csv")
    after = read_run(run)
    assert not after.refused
    columns = [KEY, "Truth", "Side", "Phenoscale_Class"]
    pandas.testing.assert_frame_equal(after.scored.sort_values(KEY)[columns].reset_index(drop=True),
                                      before.sort_values(KEY)[columns].reset_index(drop=True))
    assert "1 field of predictions.csv not to be found in split.csv" in " ".join(after.notes)


def test_what_split_says_of_a_field_counts(run):
    """A table without the wells, or with others, predicts the same fields."""
    edit(run, lambda frame: frame.assign(Metadata_Well="A01"), ["split.csv"])
    edit(run, lambda frame: frame.assign(Metadata_Well="H12", label=""), ["predictions.csv"])
    data = read_run(run)
    assert set(data.scored["Metadata_Well"]) == {"A01"} and set(data.scored["Truth"]) == {
        *CLASSES}


def test_a_missing_partner_refuses_the_headline(run):
    edit(run, lambda frame: frame.iloc[1:], ["predictions.csv"])
    words = said(run)
    assert "1 of the 8 held-out fields of split.csv have no partner in predictions.csv" in words
    assert "coarse/004.tif" in words and "predict all fields" in words
    assert "So there is no score" in words and "balanced accuracy" not in words


def test_a_field_that_is_listed_as_unreadable_does_not(run):
    first = cells(run / "predictions.csv")[KEY].iloc[0]
    edit(run, lambda frame: frame.iloc[1:], ["predictions.csv"])
    write_csv(pandas.DataFrame({"Line": ["6"], "Error": ["unreadable"], KEY: [first]}),
              run / "errors.csv")
    words = said(run)
    assert "of 7 fields right" in words
    assert "1 field of the 8 to be scored cannot be read: see errors.csv" in words


def test_a_field_that_is_there_twice_is_not_scored_twice(run):
    edit(run, lambda frame: pandas.concat([frame, frame.iloc[:1]]), ["predictions.csv"])
    words = said(run)
    assert "So there is no score" in words and "2 fields of predictions.csv there twice" in words


@pytest.mark.parametrize("number", ["inf", "-0.5", "1.5"])
def test_a_number_that_is_no_probability_is_left_out(run, number):
    def spoil(frame):
        names = [name for name in frame if name.startswith(predictions.PROBABILITY)]
        frame.loc[0, names[0]] = number
        return frame

    edit(run, spoil, ["predictions.csv"])
    assert "1 field of predictions.csv without a class and probabilities" in said(run)


def test_no_predictions_at_all(run):
    (run / "predictions.csv").unlink()
    assert "All of the 8 held-out fields of split.csv have no partner" in said(run)


def test_predictions_of_another_table_refuse_the_headline(trained, run, tmp_path):
    """Of the same names of files."""
    for name in CLASSES:
        shutil.copytree(trained[0] / name, tmp_path / "screen" / name)
    shutil.copy(trained[0] / "list.csv", tmp_path / "screen")
    predict(run, tmp_path / "screen" / "list.csv")
    words = said(run)
    assert "None of the 16 fields of predictions.csv is in split.csv" in words
    assert "of another table" in words and "So there is no score" in words


def test_a_run_of_an_earlier_version(run):
    """Names of files that repeat do not tell fields apart; other names do."""
    edit(run, lambda frame: frame.drop(columns=KEY))
    words = said(run)
    assert "earlier version" in words and "train again" in words and "no score" in words
    column = "Image_FileName_file"
    edit(run, lambda frame: frame.assign(**{column: frame["label"] + frame[column]}))
    words = said(run)
    assert "of 8 fields right" in words and "told by the names of their files" in words


def test_no_wells_are_said(run):
    words = "No wells are known: that no well is on both sides cannot be excluded"
    assert words in said(run)
    wells = iter(f"A{n:02d}" for n in range(1, 25))
    edit(run, lambda frame: frame.assign(Metadata_Well=[next(wells) for _ in frame[KEY]]),
         ["split.csv"])
    assert words not in said(run)


def test_wells_of_two_batches_are_two(run):
    """Plates that have one name in two batches stay two plates."""
    edit(run, lambda frame: frame.assign(
        Metadata_Plate="P1", Metadata_Well="A01", Metadata_Batch=["w1", "w2"] * 8), ["split.csv"])
    data = read_run(run)
    assert set(data.fields["Metadata_Plate"]) == {"w1 P1", "w2 P1"}
    assert len(data.wells(data.scored)) == 2
    edit(run, lambda frame: frame.assign(Metadata_Batch="w1"), ["split.csv"])
    assert len(read_run(run).wells(read_run(run).scored)) == 1


def test_a_negative_class_that_is_a_guess_is_said(run):
    words = "No negative controls are known: class coarse, the first by name"
    edit(run, lambda frame: frame.assign(Metadata_Well="A01"), ["split.csv"])
    assert words in said(run) and read_run(run).negative == "coarse"
    edit(run, lambda frame: frame.assign(Metadata_Compound=[
        "DMSO" if name == "fine" else "x" for name in frame["label"]]), ["split.csv"])
    assert read_run(run).negative == "fine" and words not in said(run)
    assert "those of the compound DMSO are taken for the negative ones" in said(run)


def test_words_of_controls_that_are_not_known_are_said(run):
    edit(run, lambda frame: frame.assign(pert_type=["trt", "odd"] * 8), ["split.csv"])
    assert "Column pert_type: 'odd' (8 fields): not known" in said(run)


def test_predictions_of_another_model_have_no_headline(run):
    edit(run, lambda frame: frame.assign(Phenoscale_Model="deadbeef00000000"),
         ["predictions.csv"])
    assert "is of the model deadbeef00000000" in read_run(run).refused


def test_other_files_for_a_channel_have_no_headline(run):
    def exchange(frame):
        column = next(c for c in frame if c.startswith("Image_FileName_"))
        return frame.assign(**{column: "other.tif"})

    edit(run, exchange, ["predictions.csv"])
    assert "other files are the channels" in read_run(run).refused
