# SPDX-License-Identifier: BSD-3-Clause
"""Classes that their plate, batch or place gives away, planted one at a time."""

import pytest

pandas = pytest.importorskip("pandas")
from calls import train_run
from phenoscale import InputError
from phenoscale.tables.confounded import confounding
from phenoscale.tables.read import read_table
from phenoscale.training.recipe import Recipe
from screens import write_screen


def table_of(wells):
    """Fields of (plate, well, class), and a batch where there is a fourth word."""
    rows = [dict(zip(("Metadata_Plate", "Metadata_Well", "Class", "Metadata_Batch"), well))
            for well in wells]
    for row in rows:
        row["FileName_DNA"] = f"{row['Metadata_Plate']}{row['Metadata_Well']}.tif"
    return read_table(pandas.DataFrame(rows))


def crossed():
    """Two classes, both everywhere: on two plates, in inner and outer wells of every column."""
    return [(f"P{p}", f"{'ABCDEFGH'[r]}{c + 1:02d}", "ab"[(p + r + c) % 2])
            for p in range(2) for r in range(8) for c in range(12)]


def test_what_is_everywhere_is_not_confounding():
    assert confounding(table_of(crossed()), "Class") == []


def test_a_class_on_one_plate():
    (said,) = confounding(table_of([*crossed(), *(("P1", f"D{c:02d}", "c") for c in (1, 5)),
                                   ("P1", "E06", "c")]), "Class")
    assert said.startswith("confounded: class c (P1) lies on one plate only; ")


def test_classes_in_one_batch():
    wells = [(*well, "W1" if well[0] == "P0" else "W2") for well in crossed()]
    wells = [("P0", well, name, batch) if name == "a" else (plate, well, name, batch)
             for plate, well, name, batch in wells]
    said = confounding(table_of([well for well in wells if well[2] == "b" or well[3] == "W1"]),
                      "Class")
    assert [words.split(";")[0] for words in said] == [
        "confounded: class a (P0) lies on one plate only",
        "confounded: class a (W1) lies on one batch only"]


@pytest.mark.parametrize("wells, words", [
    (["D06", "D06"], "class c (D06) lies at one well position only"),
    (["C07", "D07"], "class c (7) lies in one column of wells only"),
    (["D06", "D07"], "class c (D) lies in one row of wells only"),
    (["A02", "B12"], "class c lies on the edge of the plate only"),
    (["H05", "G01"], "class c lies on the edge of the plate only"),
    (["B02", "C03"], None),
])
def test_a_class_at_one_place_is_named_once(wells, words):
    said = confounding(table_of([*crossed(), *((f"P{p}", well, "c")
                                              for p, well in enumerate(wells))]), "Class")
    assert [one.split(";")[0] for one in said] == ([f"confounded: {words}"] if words else [])


def test_a_class_of_one_well_is_not_told_of_its_place():
    (said,) = confounding(table_of([*crossed(), ("P0", "D06", "c")]), "Class")
    assert said.startswith("confounded: class c (P0) lies on one plate only; ")


def test_one_plate_is_one_sentence():
    assert confounding(table_of([("P0", "A01", "a"), ("P0", "A02", "b"), ("P1", "A02", "")]),
                      "Class") == [
        "every labelled field is of plate P0: nothing can be said of another plate"]


def test_many_classes_are_counted():
    wells = [*((plate, well, "a") for plate, well, _ in crossed()),
             *((f"P{k % 2}", f"D{k // 2 + 1:02d}", f"c{k}") for k in range(12))]
    (said,) = confounding(table_of(wells), "Class")
    assert said.startswith("confounded: 12 of 13 classes lie on one plate only: c0 (P0), ")
    assert "and 8 more; " in said


def test_a_class_without_a_place_is_not_told_of_one():
    wells = [*crossed(), ("P0", "somewhere", "c"), ("P1", "elsewhere", "c")]
    assert confounding(table_of(wells), "Class") == []


def test_it_is_said_before_a_training_looks_at_a_file(tmp_path):
    screen = write_screen(tmp_path, plates=2, wells=4)
    frame = pandas.read_csv(screen, dtype=str)
    frame["Metadata_Class"] = frame["Metadata_Plate"].map({"P1": "coarse", "P2": "fine"})
    frame.to_csv(screen, index=False)
    (tmp_path / "P1" / "A01_DNA.tif").unlink()
    said = []
    with pytest.raises(InputError, match="A01_DNA.tif"):
        train_run(read_table(screen), "Metadata_Class", tmp_path / "run",
                  Recipe(network="mcnn-gap"), progress=said.append)
    notes = [event["words"] for event in said if event["stage"] == "note"]
    assert any("2 of 2 classes lie on one plate only: coarse (P1), fine (P2)" in words
               for words in notes)
