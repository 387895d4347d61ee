# SPDX-License-Identifier: BSD-3-Clause
"""The ladder of strictness on made tables of measures: it is known what gives a class away."""

import hashlib

import numpy as np
import pytest

pandas = pytest.importorskip("pandas")
pytest.importorskip("sklearn")
from phenoscale import InputError
from phenoscale.evaluation.ladder import climb
from phenoscale.evaluation.measured import measured_fields
from phenoscale.evaluation.rungs import RUNGS
from screens import write_screen

MEASURES = 64  # more than groups: a regression can know each
NAMES = [f"Image_Intensity_MeanIntensity_C{k}" for k in range(MEASURES)]


def signature(*words):
    """Numbers that only such words have."""
    digest = hashlib.sha256("/".join(map(str, words)).encode()).digest()
    return np.random.default_rng(list(digest)).normal(size=MEASURES)


def write_measures(path, wells, tells, strength=6.0):
    """A file as `measure` writes it: of each well (a dict of Plate, Well, Compound, Class, ...) two
    fields, whose measures are noise and what `tells` gives of the well."""
    rng, rows = np.random.default_rng(0), []
    for well in wells:
        for site in "12":
            numbers = rng.normal(size=MEASURES) + strength * tells(well)
            rows.append({**{f"Metadata_{name}": cell for name, cell in well.items()},
                         "Metadata_Site": site,
                         "Image_FileName_DNA": f"{well['Plate']}{well['Well']}{site}.tif",
                         "Image_PathName_DNA": "/nowhere", **dict(zip(NAMES, numbers))})
    frame = pandas.DataFrame(rows)
    (frame.to_parquet if path.suffix == ".parquet" else frame.to_csv)(path, index=False)
    return path


def rungs_of(path, label="Metadata_Class", **words):
    """{what is held apart: Climbed} and the ladder."""
    ladder = climb(measured_fields(path, label), label, **words)
    return {one.rung.apart: one for one in ladder.rungs}, ladder


def by_plates(plates=24, wells=6):
    """Classes that follow the plates."""
    return [{"Plate": f"P{p:02d}", "Well": f"B{w + 2:02d}", "Class": "ab"[p % 2]}
            for p in range(plates) for w in range(wells)]


def by_positions(plates=3, positions=24):
    """Classes that follow the position, the same on every plate."""
    return [{"Plate": f"P{p}", "Well": f"{'BCD'[w % 3]}{w // 3 + 2:02d}", "Class": "ab"[w % 2]}
            for p in range(plates) for w in range(positions)]


def accuracy(one):
    return one.row["Accuracy"]


def test_a_label_that_follows_the_plate_is_at_chance_on_other_plates(tmp_path):
    path = write_measures(tmp_path / "m.csv", by_plates(), lambda well: signature(well["Plate"]))
    found, ladder = rungs_of(path)
    assert accuracy(found["field",]) == accuracy(found["well",]) == 1
    plate = found["plate",]
    assert plate.row["Low"] < 0.5 and 0.25 < accuracy(plate) < 0.7
    assert plate.row["Units"] == 24 and plate.row["UnitsOf"] == "plate"
    assert ladder.headline == "not the same plate" and "another plate" in ladder.question


def test_a_label_that_follows_the_position_is_at_chance_at_others(tmp_path):
    path = write_measures(tmp_path / "m.csv", by_positions(), lambda well: signature(well["Well"]))
    found, ladder = rungs_of(path)
    for rung in ("field", "well", "plate"):
        assert accuracy(found[rung,]) == 1
    position = found["position",]
    assert position.row["Low"] < 0.5 and 0.2 < accuracy(position) < 0.75
    assert position.row["Units"] == 24


def mechanisms(batches=2):
    """Four compounds of each of two mechanisms, each on every plate of its batch."""
    return [{"Plate": f"P{p}", "Batch": f"W{p % batches}", "Compound": f"c{c}",
             "Well": f"B{c + 2:02d}", "Class": "ab"[c % 2]}
            for p in range(4) for c in range(8)]


@pytest.mark.parametrize("tells, strict", [("Class", 1.0), ("Compound", 0.5)])
def test_what_compounds_alone_tell_is_not_their_mechanism(tmp_path, tells, strict):
    path = write_measures(tmp_path / "m.parquet", mechanisms(),
                          lambda well: signature(tells, well[tells]))
    found, ladder = rungs_of(path)
    assert ladder.headline == "not the same compound" and "2 of 2 classes" in ladder.question
    assert accuracy(found["plate",]) == accuracy(found["batch",]) == 1
    for rung in (("compound",), ("compound", "batch")):
        one = found[rung]
        assert one.row["UnitsOf"] == "compound" and one.row["Units"] == 8 and not one.why
        assert accuracy(one) == 1 if strict == 1 else one.row["Low"] <= 0.6
        assert one.row["Fields"] == 64 and one.row["WellsRight"] <= one.row["Wells"] == 32


def test_classes_of_one_group_are_left_out_and_counted(tmp_path):
    wells = [*mechanisms(), *({"Plate": "P0", "Batch": "W0", "Compound": "DMSO",
                               "Well": f"C{w:02d}", "Class": "control"} for w in range(2, 6))]
    path = write_measures(tmp_path / "m.csv", wells, lambda well: signature(well["Class"]))
    found, ladder = rungs_of(path)
    assert ladder.headline == "not the same compound"
    assert found["compound",].why == ["class control of one compound only"]
    assert found["compound",].row["NotHeldOut"] == 8
    assert found["well",].row["NotHeldOut"] == 0 and not found["well",].why
    assert any("class control (P0) lies on one plate only" in note for note in ladder.notes)


def test_what_the_table_does_not_allow_is_said(tmp_path):
    wells = [{"Plate": "P1", "Well": f"{row}{w:02d}", "Class": "ab"[w % 2]}
             for row in "BC" for w in range(2, 8)]
    path = write_measures(tmp_path / "m.csv", wells, lambda well: signature(well["Class"]))
    found, ladder = rungs_of(path)
    assert "--role batch=COLUMN" in found["batch",].why[0]
    assert found["plate",].why == ["all fields are of one plate"]
    assert "the same as other wells" in found["position",].why[0]
    assert ladder.headline == "other wells" and "all fields are of one plate" in ladder.question
    frame = ladder.frame()
    assert list(frame["Rung"]) == [rung.name for rung in RUNGS]
    assert list(frame.loc[frame["Headline"], "Rung"]) == ["other wells"]
    assert ladder.rungs[-1].rung.apart == ("field",) and "says nothing" in frame["Rung"].iloc[-1]


def test_each_class_on_one_plate_leaves_no_plate_rung(tmp_path):
    wells = [{"Plate": f"P{k}", "Well": f"B{w:02d}", "Class": "ab"[k]}
             for k in range(2) for w in range(2, 8)]
    path = write_measures(tmp_path / "m.csv", wells, lambda well: signature(well["Plate"]))
    found, ladder = rungs_of(path)
    assert found["plate",].why == ["every class of one plate only"] and not found["plate",].row
    assert ladder.headline == "other wells" and "not possible" in ladder.question
    assert "2 of 2 classes lie on one plate only" in ladder.notes[0]
    assert ladder.notes[0] in ladder.text() and "not the same plate: not possible" in ladder.text()


def test_labels_that_are_compounds_ask_for_plates(tmp_path):
    path = write_measures(tmp_path / "m.csv", mechanisms(), lambda w: signature(w["Compound"]))
    found, ladder = rungs_of(path, "Metadata_Compound")
    assert ladder.headline == "not the same plate" and "the compounds" in ladder.question
    assert found["compound",].why == ["every class of one compound only"]


def test_wells_stand_for_the_mean_of_their_fields(tmp_path):
    """Against a slow twin: the same folds, one field at a time."""
    path = write_measures(tmp_path / "m.csv", by_plates(6), lambda well: signature(well["Class"]),
                          strength=0.15)
    found, _ = rungs_of(path)
    row = found["plate",].row
    assert 0 < row["FieldsRight"] < row["Fields"] == 72 and row["Wells"] == 36
    assert row["WellsRight"] == slow_wells_right(measured_fields(path, "Metadata_Class"))


def slow_wells_right(fields):
    """Leave each of six plates out, sum the probabilities of both fields of a well."""
    from sklearn.linear_model import LogisticRegression

    frame, numbers = fields.table.frame, fields.numbers.astype(float)
    right = 0
    for plate in sorted(set(frame["Metadata_Plate"])):
        test = (frame["Metadata_Plate"] == plate).to_numpy()
        mean, spread = numbers[~test].mean(axis=0), numbers[~test].std(axis=0)
        model = LogisticRegression(C=0.1, class_weight="balanced", max_iter=5000)
        model.fit((numbers[~test] - mean) / spread, frame["Metadata_Class"][~test])
        chances = model.predict_proba(((numbers - mean) / spread)[test])
        of_test = frame[test].reset_index(drop=True)
        for _, rows in of_test.groupby("Metadata_Well").groups.items():
            sums = sum(chances[row] for row in rows)
            right += model.classes_[sums.argmax()] == of_test["Metadata_Class"][rows[0]]
    return right


def test_rows_may_stand_in_any_order(tmp_path):
    path = write_measures(tmp_path / "m.csv", mechanisms(), lambda w: signature(w["Compound"]))
    frame = pandas.read_csv(path, dtype=str)
    frame.sample(frac=1, random_state=1).to_csv(tmp_path / "other.csv", index=False)
    one, other = (rungs_of(p)[1].frame() for p in (path, tmp_path / "other.csv"))
    columns = ["Rung", "Fields", "FieldsRight", "Wells", "WellsRight", "Folds"]
    pandas.testing.assert_frame_equal(one[columns], other[columns])


def test_one_class_is_an_error(tmp_path):
    path = write_measures(tmp_path / "m.csv", [{**well, "Class": "a"} for well in by_plates(2)],
                          lambda well: 0)
    with pytest.raises(InputError, match="fewer than two classes"):
        rungs_of(path)
    with pytest.raises(InputError, match="no column Class2"):
        rungs_of(path, "Class2")


def test_the_verb(call, tmp_path):
    screen, out = write_screen(tmp_path, plates=2, wells=6), tmp_path / "out"
    words = "ladder", screen, "--label", "Metadata_Class", "--quiet"
    pytest.importorskip("pyarrow")
    status, said, err = call(*words, "--out", out, "--parquet")
    assert (status, err) == (0, "") and said.startswith("headline: ")
    assert said.endswith(f"{out / 'ladder.csv'}\n{out / 'ladder.parquet'}\n")
    assert len(pandas.read_parquet(out / "ladder.parquet")) == len(pandas.read_csv(
        out / "ladder.csv"))
    frame = pandas.read_csv(out / "ladder.csv")
    assert list(frame.loc[frame["Headline"], "Rung"]) == ["not the same plate"]
    (tmp_path / "P2" / "A03_DNA.tif").write_bytes(b"II*\0")
    status, _, err = call(*words, "--out", out)
    assert status == 3 and "1 field was skipped" in err
    assert "A03" in (out / "ladder.errors.csv").read_text()
    assert call(*words)[0] == 3


def test_a_file_of_measures_gives_the_same_ladder(call, tmp_path):
    screen = write_screen(tmp_path, plates=2, wells=6)
    assert call("measure", screen, "--out", tmp_path / "m.csv", "--quiet")[0] == 0
    words = "--label", "Metadata_Class", "--quiet", "--out"
    said = [call("ladder", source, *words, tmp_path / "out")[1] for source in (
        screen, tmp_path / "m.csv")]
    assert said[0] == said[1]


def test_the_verb_as_a_function(tmp_path):
    """Of fields that have no measures a warning each."""
    import phenoscale

    path = write_measures(tmp_path / "m.csv", by_plates(), lambda well: signature(well["Plate"]))
    whole = climb(measured_fields(path, "Metadata_Class"), "Metadata_Class")
    assert phenoscale.ladder(path, "Metadata_Class").text() == whole.text()
    frame, heard = pandas.read_csv(path), []
    frame.loc[0, NAMES] = np.nan
    frame.to_csv(path, index=False)
    phenoscale.ladder(path, "Metadata_Class", crew=phenoscale.Crew(progress=heard.append))
    assert ["it has no measures" in event["words"] for event in heard
            if event["stage"] == "warning"] == [True]
