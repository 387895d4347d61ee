# SPDX-License-Identifier: BSD-3-Clause
"""What changed, in words: planted differences are said first, nothing is said of nothing."""

import numpy as np
import pytest

pandas = pytest.importorskip("pandas")

from phenoscale import InputError
from phenoscale.images.measures import measure_names
from phenoscale.prediction.measure import measure_to_file
from phenoscale.profiles.effects import effects
from phenoscale.profiles.explain import explain, explain_fields, in_words
from phenoscale.simulation.simulate import Screen, simulate
from phenoscale.tables.measured import measured_table
from phenoscale.tables.predictions import known_columns

COUNT, MEAN = "Image_Cells_Count_DNA", "Image_Intensity_MeanIntensity_Actin"


def made(plates=2, wells=40, sites=2, controls=12, seed=0):
    """Fields of plates, half of the treated wells "drug", and measures of two channels."""
    rng, rows = np.random.default_rng(seed), []
    for plate, well, site in np.ndindex(plates, wells, sites):
        name = "DMSO" if well < controls else ("drug", "dud")[well % 2]
        rows.append((f"P{plate}", f"A{well + 1:02d}", str(site), name,
                     "-" if well < controls else ""))
    fields = pandas.DataFrame(rows, columns=["Metadata_Plate", "Metadata_Well", "Metadata_Site",
                                             "Truth", "Mark"])
    names = measure_names(["DNA", "Actin"], 0)
    numbers = pandas.DataFrame(rng.normal(10, 1, (len(rows), len(names))).astype("float32"),
                               columns=names)
    return fields, numbers


def plant(fields, numbers):
    """Half the cells, Actin a little brighter, in the wells of the drug."""
    drugged = (fields["Truth"] == "drug").to_numpy()
    numbers.loc[drugged, COUNT] *= 0.5
    numbers.loc[drugged, MEAN] += 3
    return drugged


def test_the_planted_measures_are_said_first():
    fields, numbers = made()
    plant(fields, numbers)
    found = explain_fields(fields, numbers)
    first, second = found.classes["drug"].changes[:2]
    assert (first.measure, first.words, second.words) == (COUNT, "fewer cells", "Actin brighter")
    assert first.effect < -3 and abs(first.percent + 50) < 5 and abs(second.percent - 30) < 10
    assert in_words([first]) == f"fewer cells ({first.percent:.0f} %, {first.effect:.1f} SD)"
    assert found.classes["drug"].wells == 28 and found.classes["dud"].changes == []
    assert in_words(found.classes["DMSO"].changes) == "like the controls"
    drugged = (found.wells["Class"] == "drug").to_numpy()
    said = np.array([any(one.measure == COUNT for one in changes) for changes in found.each])
    assert said[drugged].mean() > 0.8 and said[~drugged].mean() < 0.1
    assert found.notes == ["compared: 80 wells each with the 12 control wells of its plate"]


def test_effects_are_those_of_the_means_of_wells_by_plate():
    fields, numbers = made()
    plant(fields, numbers)
    numbers.loc[fields["Metadata_Plate"] == "P1", COUNT] += 100  # a plate of its own level
    change = explain_fields(fields, numbers).classes["drug"].changes[0]
    wells = numbers.groupby([fields["Metadata_Plate"], fields["Metadata_Well"]]).mean()
    plates = (wells.index.get_level_values(0) == "P1").astype(int)
    kinds = fields.groupby(["Metadata_Plate", "Metadata_Well"])["Truth"].first().to_numpy()
    values = wells[[COUNT]].to_numpy(np.float64)
    effect, ratio, _ = effects(values, plates, kinds == "DMSO")
    assert change.measure == COUNT
    assert change.effect == pytest.approx(np.median(effect[kinds == "drug"]))
    assert change.percent == pytest.approx(100 * np.median(ratio[kinds == "drug"]) - 100)


def test_a_copy_is_not_said_twice():
    fields, numbers = made()
    drugged = plant(fields, numbers)
    copy = "Image_Granularity_1_DNA"  # of another family
    numbers[copy] = -numbers[COUNT]
    measures = [one.measure for one in explain_fields(fields, numbers).classes["drug"].changes]
    assert (COUNT in measures) + (copy in measures) == 1
    numbers[copy] = np.where(drugged, 16, 10) + np.random.default_rng(3).normal(0, 1, len(fields))
    numbers.loc[fields["Truth"] == "dud", copy] += 6  # so that it is none
    measures = [one.measure for one in explain_fields(fields, numbers).classes["drug"].changes]
    assert {COUNT, copy} <= set(measures)


def test_empty_and_constant_measures_are_no_differences():
    fields, numbers = made()
    plant(fields, numbers)
    gone, still = "Image_Intensity_Skewness_DNA", "Image_Intensity_MinIntensity_DNA"
    numbers[gone], numbers[still] = np.nan, 0.0
    numbers.loc[fields["Truth"] == "drug", still] = 50.0
    numbers.loc[fields["Metadata_Well"] == "A40", :] = np.nan
    found = explain_fields(fields, numbers)
    said = {one.measure for changes in found.each for one in changes or []}
    assert not said & {gone, still} and found.classes["drug"].changes[0].measure == COUNT
    assert [changes for changes, well in zip(found.each, found.wells["Well"]) if well == "A40"] == [
        None, None]
    assert (found.frame().set_index("Well").loc["A40", "Words"] == "not measured").all()


def test_too_few_controls_give_no_effect():
    fields, numbers = made(plates=1)
    for kept in (0, 1, 2):
        few = fields.assign(Mark=["-" if i < 2 * kept else "" for i in range(len(fields))])
        with pytest.raises(InputError, match=rf"{kept} wells? of negative controls.* takes 3 "):
            explain_fields(few, numbers)


def test_a_plate_without_controls_is_compared_with_those_of_all():
    fields, numbers = made()
    plant(fields, numbers)
    lone = (fields["Metadata_Plate"] == "P1") & ~fields["Metadata_Well"].isin(["A01", "A02"])
    found = explain_fields(fields.assign(Mark=fields["Mark"].where(~lone, "")), numbers)
    assert found.notes == [
        "compared: 40 wells each with the 12 control wells of its plate, 40 wells each with the 14 "
        "control wells of all plates, having fewer than 3 of its own"]
    assert found.wells["Controls"].iloc[-1].startswith("the 14 control wells of all plates")
    assert found.classes["drug"].changes[0].measure == COUNT


def test_plates_of_one_name_in_two_batches_are_two():
    fields, numbers = made()
    fields = fields.assign(Metadata_Batch=fields["Metadata_Plate"], Metadata_Plate="P")
    found = explain_fields(fields, numbers)
    assert len(found.wells) == 80 and set(found.wells["Plate"]) == {"P0 P", "P1 P"}


def test_fields_without_wells_are_wells():
    fields, numbers = made()
    found = explain_fields(fields.drop(columns=["Metadata_Well", "Metadata_Plate"]), numbers)
    assert len(found.wells) == len(fields) and (found.wells["Well"] == "").all()


def test_what_has_no_words_is_said_or_refused():
    fields, numbers = made()
    found = explain_fields(fields, numbers.assign(Image_Texture_Charm_DNA=1.0))
    assert "no words for them: Image_Texture_Charm_DNA" in found.notes[1]
    with pytest.raises(InputError, match="there are no measures"):
        explain_fields(fields, numbers[[]])


def test_the_frame_of_wells():
    fields, numbers = made()
    plant(fields, numbers)
    found = explain_fields(fields, numbers)
    frame = found.frame()
    assert list(frame) == ["Plate", "Well", "Class", "Controls", "Words",
                           *(f"{name}{k}" for k in range(1, 6) for name in ("Measure", "Effect"))]
    lengths = [len(changes) for changes in found.each]
    row, changes = frame.iloc[np.argmax(lengths)], found.each[np.argmax(lengths)]
    assert row["Words"] == in_words(changes) and row["Measure1"] == changes[0].measure
    assert row["Effect1"] == pytest.approx(changes[0].effect, abs=5e-4)
    row = frame.iloc[lengths.index(0)]
    assert row["Words"] == "like the controls" and row["Measure1"] == "" and np.isnan(
        row["Effect1"])


def test_what_a_simulated_phenotype_does_is_said(tmp_path):
    """Bundled tubulin changes Tubulin, and no cells of DMSO."""
    table = simulate(tmp_path / "screen", Screen(1, 2, (256, 320), wells=24))
    measure_to_file(table, tmp_path / "measures.csv")
    about, numbers = measured_table(tmp_path / "measures.csv")
    fields = known_columns(about, "Metadata_Phenotype", {}, {})
    by_file = explain(tmp_path / "measures.csv", "Metadata_Phenotype")
    pandas.testing.assert_frame_equal(by_file.frame(), explain_fields(fields, numbers).frame())
    found = by_file.classes
    assert by_file.text().splitlines() == [
        f"{name} ({told.wells} wells): {in_words(told.changes)}" for name, told in found.items()]
    assert set(found) == {"Normal", "Bundled tubulin"} and found["Normal"].changes == []
    words = [one.words for one in found["Bundled tubulin"].changes]
    assert len(words) == 5 and sum("Tubulin" in word for word in words) >= 3, words


def test_controls_and_classes_of_a_file_by_name(tmp_path):
    fields, numbers = made(plates=1)
    plant(fields, numbers)
    table = fields.drop(columns="Mark").rename(columns={"Truth": "Metadata_Arm"})
    pandas.concat([table, numbers], axis=1).to_csv(tmp_path / "m.csv", index=False)
    found = explain(tmp_path / "m.csv", "Metadata_Arm", {"Metadata_Arm": "DMSO"})
    pandas.testing.assert_frame_equal(found.frame(), explain_fields(fields, numbers).frame(),
                                      rtol=1e-4)
    for words, sentence in [
            ({}, "name by --by what is told of together"),
            ({"by": "Drug"}, "has no column Drug"),
            ({"by": "Metadata_Arm", "controls": {"Metadata_Arm": "water"}}, "no row has water"),
            ({"by": "Metadata_Arm", "controls": ["DMSO"]}, "give a dict")]:
        with pytest.raises(InputError, match=sentence):
            explain(tmp_path / "m.csv", **words)
