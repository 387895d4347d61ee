# SPDX-License-Identifier: BSD-3-Clause
"""The report: numbers on the page against the files, honesty, escaping, missing parts.

Its run folders are made up in tests/kit/runs.py.
"""

import base64
import io
import re
from html.parser import HTMLParser

import numpy as np
import pytest

pandas = pytest.importorskip("pandas")
pytest.importorskip("matplotlib"), pytest.importorskip("jinja2")
tifffile, Image = pytest.importorskip("tifffile"), pytest.importorskip("PIL.Image")

from phenoscale import InputError
from phenoscale.reports.report import write_report
from phenoscale.scores.dose_fit import fit_doses
from phenoscale.tables.class_keys import class_key
from runs import PHENOTYPES, make_plate, make_screen


class Page(HTMLParser):
    """Text by id, rows of tables by id, pictures and tags of a page."""

    def __init__(self, path):
        super().__init__()
        with open(path, encoding="utf-8") as file:
            self.source = file.read()
        self.text, self.rows, self.images, self.tags, self.open = {}, {}, [], [], []
        self.feed(self.source)
        assert not self.open, "unclosed tags"

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.tags.append(tag)
        assert not {"srcset", "onerror", "onload"} & set(attributes)
        assert attributes.get("href", "#").startswith(("#", "data:image/jpeg;base64,"))
        if tag == "img":
            self.images.append(attributes)
        if tag not in ("meta", "img", "br", "input"):
            self.open.append((tag, attributes.get("id")))
        if tag == "table":
            self.table = self.rows.setdefault(attributes.get("id"), [])
        if tag == "tr":
            self.table.append([])
        if tag in ("td", "th"):
            self.table[-1].append("")

    def handle_endtag(self, tag):
        assert self.open.pop()[0] == tag, tag

    def handle_data(self, data):
        for tag, name in self.open:
            if name:
                self.text[name] = self.text.get(name, "") + data
            if tag in ("td", "th"):
                self.table[-1][-1] += data

    def said(self, name):
        return " ".join(self.text.get(name, "").split())


def report(folder):
    return Page(write_report(folder))


@pytest.fixture(scope="module")
def screen(tmp_path_factory):
    folder = make_screen(tmp_path_factory.mktemp("report") / "screen")
    return folder, report(folder)


@pytest.fixture(scope="module")
def plate(tmp_path_factory):
    folder = make_plate(tmp_path_factory.mktemp("report") / "plate")
    return folder, report(folder)


def edit(folder, change, names=("split.csv", "predictions.csv")):
    for name in names:
        frame = pandas.read_csv(folder / name, dtype=str, keep_default_na=False)
        change(frame).to_csv(folder / name, index=False)


def held_out(folder):
    """Rows of predictions.csv of the side "test", joined the slow way."""
    split = pandas.read_csv(folder / "split.csv", keep_default_na=False)
    test = {tuple(r) for r in split[split["Split"] == "test"].filter(like="FileName_").to_numpy()}
    found = pandas.read_csv(folder / "predictions.csv", keep_default_na=False)
    return found[[tuple(r) in test for r in found.filter(like="FileName_").to_numpy()]]


def slow_balanced(truth, called):
    truth, called = np.asarray(truth), np.asarray(called)
    return 100 * np.mean([np.mean(called[truth == c] == c) for c in set(truth)])


def test_scores_are_those_of_the_held_out_fields(screen):
    folder, page = screen
    frame = held_out(folder)
    field = slow_balanced(frame["Metadata_Phenotype"], frame["Phenoscale_Class"])
    assert field < 100, "the made-up network should make some mistakes"
    columns = ["Phenoscale_Prob_" + class_key(c) for c in PHENOTYPES]
    wells = [(group["Metadata_Phenotype"].iloc[0],
              PHENOTYPES[int(np.median(group[columns], axis=0).argmax())])
             for _, group in frame.groupby(["Metadata_Plate", "Metadata_Well"])]
    well = slow_balanced(*zip(*wells))
    right = sum(t == c for t, c in wells)
    assert page.said("balanced-accuracy-field") == f"{field:.1f} %"
    assert page.said("balanced-accuracy-well") == f"{well:.1f} %"
    assert page.said("right-well") == f"{right} of {len(wells)} wells right"
    assert page.said("headline").startswith(f"{well:.1f} % balanced accuracy on {len(wells)} wells")
    assert page.said("chance") == "16.7 %"
    assert "Held out: plate P4" in page.said("split") and "no plate" in page.said("shared")


def test_the_calibration_counts_the_held_out_fields(screen):
    folder, page = screen
    frame = held_out(folder)
    columns = ["Phenoscale_Prob_" + class_key(c) for c in PHENOTYPES]
    top, is_right = frame[columns].max(axis=1), frame["Metadata_Phenotype"] == frame[
        "Phenoscale_Class"]
    rows = page.rows["calibration-table"][1:]
    assert sum(int(row[1]) for row in rows) == len(frame)
    low, high = map(float, rows[-1][0].split(" to "))
    mine = (top > low) & (top <= high)
    assert rows[-1][1:] == [str(mine.sum()), f"{100 * top[mine].mean():.1f} %",
                            f"{100 * is_right[mine].mean():.1f} %"]


def test_a_ladder_in_the_folder_is_shown(tmp_path):
    folder = make_plate(tmp_path / "plate")
    assert "phenoscale ladder" in report(folder).said("strictness")
    (folder / "ladder.csv").write_text("Rung,Accuracy\nby well <b>,0.5\n")
    assert report(folder).rows["ladder-table"] == [["Rung", "Accuracy"], ["by well <b>", "0.5"]]


def test_the_class_table_counts_files(screen):
    folder, page = screen
    split = pandas.read_csv(folder / "split.csv", keep_default_na=False)
    frame = held_out(folder)
    rows = page.rows["class-table"][1:]
    assert [row[0] for row in rows] == PHENOTYPES
    for name, *cells in rows:
        for cell, side in zip(cells, ("train", "val", "test")):
            mask = (split["Metadata_Phenotype"] == name) & (split["Split"] == side)
            assert int(cell) == mask.sum()
        asked = frame[frame["Metadata_Phenotype"] == name]
        hits = (asked["Phenoscale_Class"] == name).sum()
        assert cells[3].startswith(f"{hits} of {len(asked)} ")


def test_doses_and_controls_of_one_plate(plate):
    folder, page = plate
    frame = pandas.read_csv(folder / "predictions.csv", keep_default_na=False)
    score = np.log(frame["Phenoscale_Prob_positive"]) - np.log(frame["Phenoscale_Prob_negative"])
    rank = frame["Metadata_Concentration"].astype(float)
    rows = {row[0]: row for row in page.rows["dose-table"][1:]}
    none = (frame["Metadata_Control"] == "negative") & (rank == 0)
    for name in ("Wortmannin", "LY294002"):
        mask = (frame["Metadata_Compound"] == name) & (rank > 0)
        rho = score[mask].rank().corr(rank[mask].rank())
        assert rows[name][:3] == [name, str(mask.sum()), f"{rho:.2f}"]
        fit = fit_doses([*rank[mask], *(0 * rank[none])], [*score[mask], *score[none]])
        assert rows[name][3] == (f"{fit['ec50']:.3g}" if fit["fit_ok"] else "")
    test = held_out(folder)
    z = np.log(test["Phenoscale_Prob_positive"]) - np.log(test["Phenoscale_Prob_negative"])
    pos, neg = z[test["Class"] == "positive"], z[test["Class"] == "negative"]
    z_prime = 1 - 3 * (pos.std() + neg.std()) / abs(pos.mean() - neg.mean())
    assert page.said("z-prime") == f"{z_prime:.2f}".replace("-", "−")
    assert "ranks, it seems" in page.said("doses")
    assert "12 of 12 wells right" in page.said("right-well")
    for name, words in (("small", "positive has only 4 scored wells"), ("interval", "76 to 100 %"),
                        ("shared", "says nothing about a new plate"), ("split", "rows B, D, F, H")):
        assert words in page.said(name)


def test_training_fields_reach_no_score(tmp_path, screen):
    """Wrong predictions of training fields, added to the file, change nothing but a note."""
    folder = make_screen(tmp_path / "screen")
    split = pandas.read_csv(folder / "split.csv", dtype=str, keep_default_na=False)
    trained = split[split["Split"] == "train"].drop(columns="Split").assign(
        Phenoscale_Class="Mitotic arrest",
        **{"Phenoscale_Prob_" + class_key(name): "0" for name in PHENOTYPES[:-1]},
        Phenoscale_Prob_Mitoticarrest="1")
    edit(folder, lambda found: pandas.concat([trained, found]).fillna(""), ["predictions.csv"])
    page, before = report(folder), screen[1]
    for name in ("headline", "right-well", "right-field", "balanced-accuracy-field", "interval"):
        assert page.said(name) == before.said(name)
    for name in ("class-table", "dose-table"):
        assert page.rows[name] == before.rows[name]
    # all pictures too: the held-out plate, the curves, the examples
    assert [i["src"] for i in page.images] == [i["src"] for i in before.images]
    assert f"{len(trained)} fields of predictions.csv trained on" in page.source


@pytest.mark.parametrize("change", [
    lambda split: split[split["Split"] != "test"],
    lambda split: pandas.concat([split, split[split["Split"] == "test"].assign(Split="train")])])
def test_fields_of_unknown_side_or_of_two_are_not_scored(tmp_path, change):
    folder = make_plate(tmp_path / "plate")
    edit(folder, change, ["split.csv"])
    page = report(folder)
    assert "So there is no score" in page.said("no-score")
    assert "12 fields of predictions.csv not to be found" in page.source


def test_validation_fields_are_not_called_held_out(tmp_path):
    folder = make_screen(tmp_path / "screen", held=())
    edit(folder, lambda frame: frame[frame["Metadata_Plate"] != "P4"])
    page = report(folder)
    assert "No fields were held out for testing" in page.said("split")
    assert "validation" in page.said("headline") and "never saw" not in page.source


def test_page_needs_nothing_else(screen, plate):
    for _, page in (screen, plate):
        assert not {"iframe", "link", "object", "form"} & set(page.tags)
        visible = re.sub(r"base64,[A-Za-z0-9+/=]+|http://www.w3.org/2000/svg", "", page.source)
        assert not re.search(r"(https?:)?//[a-z]|@import|url\(", visible)
        assert len(page.source) < 5_000_000 and len(page.images) >= 4
        for image in page.images:
            head, data = image["src"].split("base64,")
            data = base64.b64decode(data)
            assert head.startswith("data:image/") and len(image["alt"]) > 20
            if "svg" in head:
                assert not re.search(rb'href="(?!#|data:)|<script', data)
            else:
                assert min(Image.open(io.BytesIO(data)).size) > 100


def test_same_files_same_page_and_words_for_nothing_are_names(tmp_path):
    folder = make_plate(tmp_path / "plate", classes=["NA", "null"])
    page = report(folder)
    assert page.source == report(folder).source
    assert [row[0] for row in page.rows["class-table"][1:]] == ["NA", "null"]


def test_hostile_names_stay_text(tmp_path):
    classes = ["<script>alert(1)</script>", "=cmd|' /C calc'!A0 & \"x\" $\\frac{$ _"]
    folder = make_plate(tmp_path / "plate", classes=classes, notes=["<b>note</b> {{ 7 * 7 }}"],
                        table="</title><img src=x onerror=alert(1)>")
    compound = "'=HYPERLINK(\"http://x.y\") <img src=x> $a$ _{"
    edit(folder, lambda frame: frame.replace("Wortmannin", compound).assign(
        Metadata_Plate="_<plate>\n$x$ \x07"))
    page = report(folder)
    assert page.tags.count("script") == 2 and page.tags.count("img") == len(page.images)
    assert "<script>alert" not in page.source and "onerror=alert(1)>" not in page.source
    assert [row[0] for row in page.rows["class-table"][1:]] == classes
    assert compound[1:] in [row[0] for row in page.rows["dose-table"]]
    assert "{{ 7 * 7 }}" in page.source and "&lt;b&gt;note" in page.source
    assert page.said("right-well") == "12 of 12 wells right"


@pytest.mark.parametrize("lost, section, words", [
    ("log.csv", "training", "no log.csv"),
    ("predictions.csv", "plates", "No predictions of wells"),
    ("split.csv", "classes", "no split.csv"),
    ("images", "gallery", "images does not exist: 24 files of it are missing"),
    ("images", "evidence", "There is no model")])
def test_a_missing_part_is_one_line(tmp_path, lost, section, words):
    folder = make_plate(tmp_path / "plate")
    (folder / lost).rename(tmp_path / "elsewhere")
    page = report(folder)
    assert words in page.said(section)
    assert ("no-score" in page.text) == (lost in ("predictions.csv", "split.csv"))


def test_without_wells_doses_or_plates(tmp_path):
    folder = make_plate(tmp_path / "plate")
    edit(folder, lambda frame: frame.drop(columns=list(frame.filter(like="Metadata_"))))
    page = report(folder)
    assert page.said("right-field") == "12 of 12 fields right"
    assert "No predictions of wells" in page.said("plates")
    assert "concentration" in page.said("doses")
    assert "several fields of one well may count" in page.said("interval")


@pytest.mark.parametrize("content", [None, "{}", "[1]", "{", '{"classes": 3}'])
def test_not_a_run_folder(tmp_path, content):
    if content is not None:
        (tmp_path / "config.json").write_text(content)
    with pytest.raises(InputError, match="config.json"):
        write_report(tmp_path)
    assert not (tmp_path / "report.html").exists()
    (tmp_path / "config.json").write_text('{"classes": ["a", "b"]}')  # enough for a page
    assert "Trained, not scored" in report(tmp_path).said("headline")


def test_tables_of_another_model_are_refused(tmp_path):
    folder = make_plate(tmp_path / "plate")
    edit(folder, lambda frame: frame.drop(columns="Phenoscale_Prob_positive"), ["predictions.csv"])
    with pytest.raises(InputError, match="Phenoscale_Prob_positive"):
        write_report(folder)
    (folder / "predictions.csv").write_bytes(b"\xff\xfe\x00,\n")
    with pytest.raises(InputError, match="predictions.csv"):
        write_report(folder)
