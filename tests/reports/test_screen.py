# SPDX-License-Identifier: BSD-3-Clause
"""The screen of a run as a report shows it: plates and their layers, controls, hits, a map.

Run and profile are made up in tests/kit/runs.py and tests/kit/profiles.py.
"""

import base64
import html
import io
import json
import re

import numpy as np
import pytest

pandas = pytest.importorskip("pandas")
pytest.importorskip("matplotlib"), pytest.importorskip("jinja2"), pytest.importorskip("sklearn")
pytest.importorskip("tifffile")
Image = pytest.importorskip("PIL.Image")

from phenoscale import InputError
from phenoscale.evaluation.run import read_run
from phenoscale.reports.layers import NONE, layers_of
from phenoscale.reports.report import write_report
from phenoscale.reports.screen import read_screen
from phenoscale.reports.screen_pictures import volcano
from phenoscale.reports.sections import controls, hits, plates
from phenoscale.scores.controls import separation
from phenoscale.tables.wells import well_position
from profiles import make_profile
from runs import make_plate, make_screen


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A run with a profile: its folder, its screen, its page."""
    folder = make_screen(tmp_path_factory.mktemp("screen") / "run")
    make_profile(folder)
    with open(write_report(folder), encoding="utf-8") as file:
        page = file.read()
    return folder, read_screen(read_run(folder)), page


def text_of(page, part):
    inside = page.partition(f'id="{part}"')[2].partition("</section>")[0]
    return html.unescape(" ".join(re.sub("<[^>]+>", " ", inside).split()))


def test_every_well_is_there_once_and_none_that_was_trained_on_has_a_class(made):
    folder, screen, _ = made
    split = pandas.read_csv(folder / "split.csv", keep_default_na=False)
    wells = screen.wells
    assert len(wells) == len(split[["Metadata_Plate", "Metadata_Well"]].drop_duplicates())
    assert not wells[["Plate", "Well"]].duplicated().any()
    trained = split[split["Split"] == "train"]
    known = set(zip(trained["Metadata_Plate"], trained["Metadata_Well"]))
    is_trained = np.array([key in known for key in zip(wells["Plate"], wells["Well"])])
    assert (wells["Trained"] == is_trained).all() and is_trained.any() and not is_trained.all()
    assert wells.loc[is_trained, ["Class", "Score"]].isna().all(axis=None)
    assert wells.loc[~is_trained, "Class"].notna().all()
    missing = next(one for one in layers_of(screen) if one.name == "missing")
    assert (np.array(missing.texts) == "trained on").tolist() == is_trained.tolist()


def test_layers_have_the_numbers_of_the_profile_on_one_scale(made):
    folder, screen, _ = made
    found = {one.name: one for one in layers_of(screen)}
    assert next(iter(found)) == "class" and {"hits", "distance", "score", "missing"} <= set(found)
    one, wells = found["distance"], screen.wells
    profile = pandas.read_csv(folder / "profile" / "wells.csv")
    far = {key: d for *key, d in profile[
        ["Metadata_Plate", "Metadata_Well", "Phenoscale_Distance"]].to_numpy().tolist()
        for key in [tuple(key)]}
    steps = []
    for plate, well, code in zip(wells["Plate"], wells["Well"], one.codes):
        assert (code == NONE) == ((plate, well) not in far)
        if code != NONE:
            steps.append((far[plate, well], int(code, 36)))
    steps = [step for _, step in sorted(steps)]
    assert steps == sorted(steps) and steps[0] == 0 and steps[-1] == len(one.palette) - 1


@pytest.mark.parametrize("well, rows, columns", [("H12", 8, 12), ("P24", 16, 24), ("AF48", 32, 48)])
def test_wells_lie_where_they_are_named(tmp_path, well, rows, columns):
    folder = make_plate(tmp_path / "plate")
    for name in ("split.csv", "predictions.csv"):
        frame = pandas.read_csv(folder / name, dtype=str, keep_default_na=False)
        frame.replace({"Metadata_Well": {"A03": well}}).to_csv(folder / name, index=False)
    found = plates.section(read_screen(read_run(folder)))
    assert found["layout"] == (rows, columns)
    across, down = found["pitch"]
    places = {(place["x"] // across - 1, place["y"] // down - 1)
              for place in found["plates"][0]["wells"]}
    row, column = well_position(well)
    assert (column, row) in places and (0, 0) in places
    assert len(places) == 96 - (well == "H12")  # where one is already


def test_pictures_of_wells_are_on_the_sheet_at_their_places(made):
    _, _, page = made
    sheets = re.findall(r'<image id="sheet-(\d+)" href="data:image/jpeg;base64,([^"]+)"', page)
    assert sheets
    picture = np.asarray(Image.open(io.BytesIO(base64.b64decode(sheets[0][1]))), float)
    tall, wide = picture.shape[0] // 8, picture.shape[1] // 12
    filled = {(y, x) for y in range(8) for x in range(12) if picture[
        y * tall: (y + 1) * tall, x * wide: (x + 1) * wide].std() > 8}
    # rows B to G and columns 2 to 11 of the held-out plate
    assert filled == {(y, x) for y in range(1, 7) for x in range(1, 11)}


def test_the_script_has_what_is_drawn(made):
    _, screen, page = made
    data = json.loads(re.search(r'id="plates-data">(.*?)</script>', page, re.DOTALL)[1])
    figures = page.split('<figure class="plate"')[1:]
    assert len(figures) == len(data["plates"]) == screen.wells["Plate"].nunique()
    for figure, plate in zip(figures, data["plates"]):
        titles = re.findall(r"<rect x[^>]+><title>([^<:]+)", figure)
        assert titles == plate["wells"] and plate["name"] in figure
        for codes, layer in zip(plate["codes"], data["layers"]):
            assert len(codes) == len(titles)
            used = [int(c, 36) for c in codes if c != NONE]
            assert max(used, default=0) < len(layer["palette"])
        assert all(len(texts) == len(titles) for texts in plate["facts"])
    assert data["plates"][0]["name"] == "P4", "the held-out plate comes first"


def test_without_scripts_every_plate_is_drawn_and_only_buttons_are_hidden(made):
    _, screen, page = made
    figures = [part.partition("</figure>")[0] for part in page.split('<figure class="plate"')[1:]]
    for figure in figures:
        fills = re.findall(r'fill="(#[0-9a-fA-F]{6})"[^>]*><title>', figure)
        assert len(fills) == figure.count("<title>") == 60
    assert len(set(re.findall(r'fill="(#\w+)"[^>]*><title>', figures[0]))) > 3
    hidden = re.findall(r"<[a-z]+ [^>]*(?<!-)\bhidden\b[^>]*>", page)
    assert hidden and all("scripted" in tag for tag in hidden)


def test_controls_of_each_plate_are_those_of_the_files(made):
    folder, screen, page = made
    found = controls.section(screen)
    rows = {row["plate"]: row for row in found["pairs"] if row["by"].startswith("distance")}
    wells = pandas.read_csv(folder / "profile" / "wells.csv", keep_default_na=False)
    wells = wells[wells["Metadata_Plate"] == "P4"]
    far = [wells.loc[wells["Metadata_Control"] == kind, "Phenoscale_Distance"]
           for kind in ("positive", "negative")]
    assert rows["P4"]["z_prime"] == pytest.approx(separation(*far)["z_prime"])
    assert rows["P4"]["n"] == tuple(map(len, far))
    assert f"Z′ {found['said'].split()[1]}" in text_of(page, "summary")


def test_hits_are_the_rows_of_the_file(made):
    folder, _, page = made
    table = pandas.read_csv(folder / "profile" / "hits.csv", keep_default_na=False)
    inside = page.partition('<table id="hit-table"')[2].partition("</table>")[0]
    rows = [re.findall(r"<td>(.*?)</td>", row) for row in inside.split("<tr>")[2:]]
    names = [html.unescape(re.sub("<[^>]+>", "", row[1])) for row in rows]
    assert [name.split(" (")[0] for name in names] == table["Treatment"].tolist()
    assert [row[2] for row in rows] == table["Hit"].tolist()
    yes = (table["Hit"] == "yes").sum()
    assert f"{yes} of {len(table)} treatments differ" in text_of(page, "summary")
    pictured = re.findall(r'<details id="(hit-\d+)"', page)
    assert pictured and set(re.findall(r'href="#(hit-\d+)"', page)) == set(pictured)
    assert "a note of &lt;it&gt;" in page


def test_the_volcano_has_every_treatment_that_has_numbers():
    frame = pandas.DataFrame({"Treatment": ["a $x$", "b", "c"], "Effect": [5.0, 1.0, np.nan],
                              "q": [0.001, 0.5, 0.5], "Hit": ["yes", "no", "no"]})
    axes = volcano(frame).axes[0]
    points = [xy for line in axes.lines[:2] for xy in line.get_xydata().tolist()]
    assert points == [[5.0, pytest.approx(3)], [1.0, pytest.approx(-np.log10(0.5))]]


def test_a_map_has_a_point_a_well_and_a_colour_for_each_kind(made):
    folder, _, page = made
    data = json.loads(re.search(r'id="map-data">(.*?)</script>', page, re.DOTALL)[1])
    wells = pandas.read_csv(folder / "profile" / "wells.csv")
    assert page.count('class="point"') == len(wells)
    assert {"class", "hit", "control", "plate", "batch"} == set(data["colours"])
    assert list(data["places"]) == ["PCA", "t-SNE"]
    for kind in data["colours"].values():
        assert len(kind["codes"]) == len(wells) and max(kind["codes"]) < len(kind["palette"])


def test_without_a_profile_the_page_is_whole(tmp_path):
    folder = make_plate(tmp_path / "plate")
    screen = read_screen(read_run(folder))
    assert "phenoscale profile" in hits.section(screen)["why"]
    with open(write_report(folder), encoding="utf-8") as file:
        page = file.read()
    for part in ("plates", "controls", "hits", "shown", "doses", "like", "trust"):
        assert page.count(f'<section id="{part}"') == 1
    order = [page.index(f'<section id="{part}"') for part in (
        "plates", "controls", "hits", "shown", "doses", "like", "trust")]
    assert order == sorted(order)


def test_pictures_as_files_with_their_tables(made, tmp_path):
    folder, screen, _ = made
    write_report(folder, pictures=tmp_path / "pictures")
    there = {path.name for path in (tmp_path / "pictures").iterdir()}
    for name in ("hits", "controls", "doses", "result_confusion", "heads", "plate_1"):
        assert (name == "heads") != ({f"{name}.svg", f"{name}.png"} <= there), name
    assert {"hits.csv", "controls.csv", "doses.csv", "wells.csv", "phenoscale_mqc.html"} <= there
    hits_again = pandas.read_csv(tmp_path / "pictures" / "hits.csv")
    assert hits_again["Treatment"].tolist() == screen.profile.hits["Treatment"].tolist()
    assert len(pandas.read_csv(tmp_path / "pictures" / "wells.csv")) == len(screen.wells)
    part = (tmp_path / "pictures" / "phenoscale_mqc.html").read_text()
    assert part.startswith("<!--\nid: ") and "<script" not in part and "differ from" in part


def test_a_folder_that_is_no_profile_is_refused(tmp_path, made):
    with pytest.raises(InputError, match="hits.csv.*that phenoscale profile wrote"):
        write_report(made[0], tmp_path)
