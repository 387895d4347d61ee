# SPDX-License-Identifier: BSD-3-Clause
"""What is known of predicted fields: wells, plates of batches, which class is the negative one."""

import pandas
import pytest

from phenoscale.evaluation.predicted import Predicted, find_controls, plate_names


def fields(**columns):
    """Three fields, two of one well."""
    return pandas.DataFrame({
        "Metadata_Plate": "P1", "Metadata_Well": ["A01", "A01", "B01"], "Mark": ["-", "-", ""],
        "Truth": ["a", "a", "b"], "Phenoscale_Class": ["a", "b", "b"],
        "Phenoscale_Prob_a": [0.9, 0.2, 0.4], "Phenoscale_Prob_b": [0.1, 0.8, 0.6], **columns})


def predicted(frame, classes=("a", "b")):
    return Predicted(list(classes), {name: name for name in classes}, [], frame, frame)


def test_wells_keep_their_marks():
    frame = fields()
    wells = predicted(frame).wells(frame, "Truth")
    assert wells["Metadata_Well"].tolist() == ["A01", "B01"]
    assert wells["Mark"].tolist() == ["-", ""] and wells["Truth"].tolist() == ["a", "b"]
    assert wells["Phenoscale_Prob_a"].tolist() == pytest.approx([0.55, 0.4])
    assert predicted(frame).column("b") == "Phenoscale_Prob_b" and predicted(frame).has_wells


@pytest.mark.parametrize("well", [None, ""])
def test_without_wells(well):
    frame = fields(Metadata_Well="").drop(columns=["Metadata_Well"] if well is None else [])
    found = predicted(frame)
    assert found.wells(frame) is None and not found.has_wells
    assert Predicted().wells(None) is None and not Predicted().has_wells


def test_a_plate_of_two_batches_is_two():
    frame = fields(Metadata_Batch=["w1", "w2", "w2"])
    assert plate_names(frame).tolist() == ["w1 P1", "w2 P1", "w2 P1"]
    assert plate_names(frame.assign(Metadata_Batch="w1")).tolist() == ["P1"] * 3
    assert plate_names(fields()).tolist() == ["P1"] * 3


def test_the_negative_class():
    """Of marks; of a name that says so; of two classes else the first, and that is said."""
    found = predicted(fields())
    find_controls(found, pandas.DataFrame({"Metadata_Control": ["negcon", "negcon", ""]}))
    assert (found.negative, found.positive, found.notes) == ("a", "b", [])
    frame = fields(Mark="", Truth=["DMSO", "DMSO", "b"])
    found = predicted(frame, ["b", "DMSO"])
    find_controls(found, pandas.DataFrame({"x": ["", "", ""]}))
    assert (found.negative, found.positive) == ("DMSO", "b")
    found = predicted(fields(Mark=""))
    find_controls(found, pandas.DataFrame({"x": ["", "", ""]}))
    assert found.negative == "a" and "the first by name" in found.notes[0]
    found = predicted(fields(Mark=""), "abc")
    find_controls(found, pandas.DataFrame({"x": ["", "", ""]}))
    assert found.negative is None and found.positive is None


def test_what_was_said_before_is_not_said_again():
    cells = pandas.DataFrame({"Metadata_Control": ["negcon", "odd", ""]})
    found, again = predicted(fields()), predicted(fields())
    find_controls(found, cells)
    assert "'odd' (1 field)" in found.notes[0]
    said = found.notes[0].rstrip(".")
    find_controls(again, cells, [said[0].lower() + said[1:] + "."])
    assert again.notes == []
