# SPDX-License-Identifier: BSD-3-Clause
"""The numbers of plates by a slow twin; a plate photographed with another lamp and camera is
predicted as the first; the same bits by any ranks, and again after a stop."""

import shutil
from dataclasses import replace

import numpy as np
import pytest

pandas = pytest.importorskip("pandas")
tifffile = pytest.importorskip("tifffile")
import calls
import phenoscale
import screens
from phenoscale import InputError
from phenoscale.images.measures import Measurer
from phenoscale.images.usable import usable
from phenoscale.models.feeding import Feeding
from phenoscale.models.head import Head
from phenoscale.prediction import stream
from phenoscale.prediction.blocks import Blocks
from phenoscale.prediction.evidence import Explainer
from phenoscale.prediction.file import predict_to_file
from phenoscale.prediction.frame import prediction_frame
from phenoscale.prediction.measure import measure_fields
from phenoscale.prediction.plates import find_plates, references_of, unmeasured
from phenoscale.prediction.predict import predict, predict_table
from phenoscale.ranks.crew import Crew
from phenoscale.tables.predictions import probability_column
from phenoscale.tables.read import read_table
from thread_ranks import run_ranks

CONTROLS = {"Metadata_Control": ["solvent"]}
GAIN, OFFSET = 3, 200  # of the second plate over the first, in counts


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """Two plates of 8 wells, the second of the same cells with another gain and offset; wells 1 to
    4 are controls."""
    path = screens.write_screen(tmp_path_factory.mktemp("screen"), 2, 8, 0)
    for first in (path.parent / "P1").iterdir():
        plane = tifffile.imread(first) // 16
        tifffile.imwrite(first, plane)
        tifffile.imwrite(path.parent / "P2" / first.name, plane * GAIN + OFFSET)
    frame = pandas.read_csv(path, dtype=str)
    is_control = frame["Metadata_Well"].isin(["A01", "A02", "A03", "A04"])
    frame["Metadata_Control"] = np.where(is_control, "solvent", "none")
    frame.to_csv(path, index=False)
    return path


@pytest.fixture(scope="module")
def table(source):
    return read_table(source)


def model_by(normalise, kind="both", controls=CONTROLS):
    """A model with a head whose weights are made up."""
    model, rng = screens.make_model(), np.random.default_rng(4)
    measurer = Measurer(model.channels, 0, 1)
    n = len(measurer.names)
    model.head = Head(kind, measurer.names, "DNA", 1.0, "made up", np.zeros(n, np.float32),
                      np.ones(n, np.float32), rng.normal(0, 0.1, (n + 1, 2)).astype(np.float32))
    model.feeding, model.scale, model.offset = Feeding(normalise, controls), [], []
    return model


def planes(table, rows):
    """(fields, channels, h, w) float64 of some fields."""
    return np.array([[tifffile.imread(path) for path in table.paths[row]] for row in rows], float)


def found_of(table, feeding, measurer=None, crew=None, known=None):
    fields = usable(table, "skip")
    return find_plates(fields.open(2), fields.table, feeding, crew or Crew(threads=2), measurer,
                       known)


# ---- by which fields -----------------------------------------------------------------------------


def test_controls_as_named_and_as_the_table_marks_them(table):
    names, number, rows, notes = references_of(table, CONTROLS)
    assert names == ["plate P1", "plate P2"]
    assert number.tolist() == [0] * 8 + [1] * 8
    assert [mine.tolist() for mine in rows] == [[0, 1, 2, 3], [8, 9, 10, 11]]
    assert notes == ["plates are measured by their negative controls (Metadata_Control=solvent)"]
    *_, again, notes = references_of(table)
    assert [mine.tolist() for mine in again] == [mine.tolist() for mine in rows]
    assert notes == ["plates are measured by their negative controls (as the table marks them)"]


@pytest.mark.parametrize("kept, said", [
    ([*range(4), *range(8, 16)], []), ([0, *range(4, 16)], ["plate P1 has less"]),
    ([*range(4, 8), *range(13, 16)], ["plate P1, plate P2 have less"])])
def test_a_plate_with_less_than_two_controls_is_measured_by_all(table, kept, said):
    some = table.select(kept)
    names, number, rows, notes = references_of(some, CONTROLS)
    for plate, mine in enumerate(rows):
        of = [row for row in range(len(some)) if number[row] == plate]
        controls = [row for row in of if some.column("Metadata_Control").iloc[row] == "solvent"]
        assert mine.tolist() == (controls if len(controls) > 1 else of)
    without = [note for note in notes if note.endswith("whatever the treatments on them")]
    assert len(without) == len(said) and all(map(str.startswith, without, said))
    assert len(notes) == (1 if not said or "P2" in said[0] else 2)


def test_a_table_without_plates_or_controls_is_one_plate(table):
    plain = replace(table, roles={}, frame=table.frame.drop(columns="Metadata_Control"))
    names, number, rows, notes = references_of(plain, CONTROLS)
    assert names == [""] and not number.any() and rows[0].tolist() == list(range(16))
    assert notes == ["the table, which names no plates, has less than 2 negative controls "
                     "(Metadata_Control=solvent): measured by all fields, whatever the treatments "
                     "on them"]


# ---- their numbers -------------------------------------------------------------------------------


def test_plate_is_mean_and_deviation_of_all_pixels_of_the_controls(table):
    plates = found_of(table, Feeding("plate", CONTROLS))
    for plate, rows in enumerate(([0, 1, 2, 3], [8, 9, 10, 11])):
        seen = planes(table, rows)
        mean, std = seen.mean(axis=(0, 2, 3)), seen.std(axis=(0, 2, 3))
        np.testing.assert_allclose(plates.scale[plate], 1 / std, rtol=1e-6)
        np.testing.assert_allclose(plates.offset[plate], -mean / std, rtol=1e-6)


def test_percentile_is_the_median_of_those_of_the_controls(table):
    plates = found_of(table, Feeding("percentile", CONTROLS))
    for plate, rows in enumerate(([0, 1, 2, 3], [8, 9, 10, 11])):
        ordered = np.sort(planes(table, rows).reshape(4, 2, -1), axis=2)
        low, high = (np.median(ordered[..., int(part * 128 * 128)], axis=0)
                     for part in (0.01, 0.999))
        np.testing.assert_allclose(plates.scale[plate], 1 / (high - low), rtol=1e-6)
        np.testing.assert_allclose(plates.offset[plate], -low / (high - low), rtol=1e-6)


def test_measures_are_deviations_from_the_median_of_the_controls(table):
    measurer, fields = Measurer(table.channels, 0, 2), usable(table)
    numbers = measure_fields(fields.open(2), np.arange(16), measurer, "stop", Crew(threads=2)
                             ).numbers
    plates = found_of(table, Feeding("plate", CONTROLS), measurer)
    relative = plates.relative(numbers)
    for rows, controls in ((range(8), range(4)), (range(8, 16), range(8, 12))):
        for k in range(numbers.shape[1]):
            mine = numbers[list(controls), k].astype(float)
            mine = mine[np.isfinite(mine)]
            middle = np.median(mine) if len(mine) else 0
            away = 1.4826 * np.median(np.abs(mine - middle)) if len(mine) else 0
            spread = away or (mine.std() if len(mine) else 0)
            if not spread > 1e-6 * abs(middle):
                assert np.isnan(relative[list(rows), k]).all()
                continue
            np.testing.assert_allclose(relative[list(rows), k],
                                       (numbers[list(rows), k] - middle) / spread,
                                       rtol=2e-3, atol=2e-3)


def test_channels_that_are_blank_are_finite(table, tmp_path):
    frame = table.frame.copy()
    for name in frame["Image_FileName_Actin"].unique():
        tifffile.imwrite(tmp_path / name, np.full((128, 128), 7, np.uint16))
    blank = pandas.read_csv(table.source, dtype=str)
    blank["Image_PathName_Actin"] = str(tmp_path)
    blank["Image_PathName_DNA"] = [str(table.paths[row][0]).rsplit("/", 1)[0] for row in range(16)]
    blank.to_csv(tmp_path / "screen.csv", index=False)
    for normalise in ("plate", "percentile"):
        plates = found_of(read_table(tmp_path / "screen.csv"), Feeding(normalise, CONTROLS))
        assert plates.scale[:, 1].tolist() == [1, 1] and plates.offset[:, 1].tolist() == [-7, -7]


def test_what_is_known_stays_and_goes_through_a_checkpoint(table):
    feeding = Feeding("plate", CONTROLS)
    plates = found_of(table, feeding)
    empty = unmeasured(table, feeding, 2)
    assert empty.digest() != plates.digest() and empty.number.tolist() == plates.number.tolist()
    empty.stand(plates.about())
    assert empty.digest() == plates.digest()
    other = replace(plates, scale=plates.scale * 2)
    again = found_of(table, feeding, Measurer(table.channels, 0, 1), known=other)
    assert again.scale.tobytes() == other.scale.tobytes() and again.middle.shape[1] > 100


def test_controls_that_cannot_be_read_do_not_count_and_none_is_an_error(source, tmp_path):
    shutil.copytree(source.parent, tmp_path / "screen")
    table = read_table(tmp_path / "screen" / "screen.csv")
    screens.spoil(table.paths[1][0])
    plates = found_of(table, Feeding("plate", CONTROLS))
    np.testing.assert_allclose(
        plates.scale[0], 1 / planes(table.select([0, 2, 3]), range(3)).std(axis=(0, 2, 3)),
        rtol=1e-6)
    for row in (0, 2, 3):
        screens.spoil(table.paths[row][0])
    with pytest.raises(InputError, match=r"well P1 A01\): none of the 4 fields that its plate is"):
        found_of(table, Feeding("plate", CONTROLS))


@pytest.mark.parametrize("size", [2, 3, 5])
def test_ranks_find_the_same_bits(table, size):
    feeding, measurer = Feeding("plate", CONTROLS), Measurer(table.channels, 0, 1)
    alone = found_of(table, feeding, measurer).digest()
    assert run_ranks(size, lambda ranks: found_of(
        table, feeding, measurer, Crew(ranks, 1)).digest()) == [alone] * size


# ---- predictions ---------------------------------------------------------------------------------


@pytest.mark.parametrize("normalise", ["plate", "percentile"])
def test_a_plate_with_another_gain_and_offset_is_predicted_as_the_first(table, normalise):
    """By network and measures; a model by the training fields is led astray."""
    model = model_by(normalise, "network")
    logits = predict_table(model, table, 2).logits
    np.testing.assert_allclose(logits[:8], logits[8:], atol=2e-3 * np.abs(logits).max())
    plain = replace(model, feeding=None, scale=[1e-3] * 2, offset=[-1.0] * 2)
    other = predict_table(plain, table, 2).logits
    assert np.abs(other[:8] - other[8:]).max() > 0.05 * np.abs(other).max()


def test_measures_that_follow_the_counts_are_the_same_on_both_plates(table):
    found = predict_table(model_by("plate", "measures"), table, 2)
    at = [k for k, name in enumerate(found.measures) if "_MeanIntensity_" in name
          or "_MedianIntensity_" in name]
    assert len(at) == 4
    relative = found.relative[:, at]
    np.testing.assert_allclose(relative[:8], relative[8:], rtol=1e-3, atol=1e-3)
    assert np.abs(found.numbers[:8, at] - found.numbers[8:, at]).min() > 0
    wanted = found.model.head.probabilities(found.logits, found.relative)
    assert found.probabilities.tobytes() == wanted.tobytes()


def test_a_row_does_not_depend_on_the_treatments_beside_it(table):
    """Controls and one more field are enough."""
    model = model_by("plate")
    whole = predict_table(model, table, 2)
    some = predict_table(model, table.select([0, 1, 2, 3, 6]), 2)
    assert some.logits.tobytes() == whole.logits[[0, 1, 2, 3, 6]].tobytes()
    assert some.probabilities.tobytes() == whole.probabilities[[0, 1, 2, 3, 6]].tobytes()


@pytest.mark.parametrize("ask", [
    lambda model: predict(model, np.zeros((1, 2, 128, 128), np.uint16)),
    lambda model: Explainer(model, (128, 128)),
])
def test_fields_without_a_plate_are_refused_with_the_cure(ask):
    with pytest.raises(InputError, match=r"normalises by plate: .*predict tables of whole plates.*"
                                         r"predict_table.*train with --normalise fields"):
        ask(model_by("plate"))


def test_evidence_sums_to_the_logit_by_plate(table):
    model = model_by("plate", "network")
    plates = found_of(table, model.feeding)
    found = Explainer(model, (128, 128), 1, plates).explain(
        planes(table, [9])[0].astype(np.uint16), "fine", row=9)
    assert abs(found.map.sum() + found.bias - found.logit) < 1e-4 * max(1, abs(found.logit))
    logits = predict_table(model, table, 1).logits[9]
    np.testing.assert_allclose(found.logits, logits, rtol=1e-4, atol=1e-5)


# ---- files ---------------------------------------------------------------------------------------


@pytest.fixture
def blocks(monkeypatch):
    """Blocks of 3 fields; the numbers of those written."""
    written, real = [], Blocks.__setitem__
    monkeypatch.setattr(stream, "BLOCK", 3)

    def write(blocks, number, found):
        real(blocks, number, found)
        written.append(number)

    monkeypatch.setattr(Blocks, "__setitem__", write)
    return written


def test_a_file_has_the_numbers_of_predict_table(source, table, tmp_path, blocks):
    model = model_by("plate")
    calls.predict_to_file(model, source, tmp_path / "p.csv", resume=False)
    frame = pandas.read_csv(tmp_path / "p.csv")
    wanted = prediction_frame(model, table, predict_table(model, table, 2))
    for key in model.keys:
        np.testing.assert_allclose(frame[probability_column(key)],
                                   wanted[probability_column(key)], rtol=1e-6)
    for k in range(1, 4):
        run_ranks(k, lambda ranks, k=k: calls.predict_to_file(
            model, source, tmp_path / f"{k}.csv", resume=False, ranks=ranks))
        assert (tmp_path / f"{k}.csv").read_bytes() == (tmp_path / "p.csv").read_bytes()


def test_what_is_resumed_ends_in_the_same_bytes_and_new_plates_begin_anew(source, tmp_path,
                                                                           blocks):
    shutil.copytree(source.parent, tmp_path / "screen")
    source, model, out = tmp_path / "screen" / "screen.csv", model_by("plate"), tmp_path / "p.csv"

    def stop(done, of):
        if done >= 7:
            raise KeyboardInterrupt

    def stopped():
        with pytest.raises(KeyboardInterrupt):
            calls.predict_to_file(model, source, out, resume=True, threads=1,
                                  progress=calls.counting("predict", stop))
        blocks.clear()

    calls.predict_to_file(model, source, tmp_path / "whole.csv")
    stopped()
    calls.predict_to_file(model, source, out, resume=True)
    assert blocks == [2, 3, 4, 5]
    assert out.read_bytes() == (tmp_path / "whole.csv").read_bytes()
    stopped()
    path = read_table(source).paths[11][0]  # a control of the last plate
    tifffile.imwrite(path, tifffile.imread(path) + np.uint16(50))
    calls.predict_to_file(model, source, out, resume=True)
    assert blocks == [0, 1, 2, 3, 4, 5]
    predict_to_file(model, source, tmp_path / "again.csv")
    assert out.read_bytes() == (tmp_path / "again.csv").read_bytes()


def test_the_task_predict_refuses_and_the_task_table_works(source, tmp_path):
    from phenoscale.hosts.tasks import execute

    model_by("plate").save(tmp_path / "m")
    field = {"model": str(tmp_path / "m"), "fields": [[np.zeros((128, 128), np.uint16)] * 2]}
    with pytest.raises(InputError, match="predict tables of whole plates"):
        execute("predict", field)
    found = execute("table", {"model": str(tmp_path / "m"), "source": str(source),
                              "out": str(tmp_path / "p.csv")})
    assert found["fields"] == 16 and phenoscale.load(tmp_path / "m").feeding.controls == CONTROLS
