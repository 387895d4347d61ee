# SPDX-License-Identifier: BSD-3-Clause
"""Compounds, plates, rows, columns: every field and well is in one of each, and counted once."""

import pandas
import pytest

from phenoscale.evaluation.groups import group_tables
from phenoscale.scores.intervals import wilson

FIELDS = pandas.DataFrame({
    "Metadata_Plate": ["P1"] * 4 + ["P2"] * 2,
    "Metadata_Well": ["A01", "A01", "A10", "B02", "B02", "AA02"],
    "Metadata_Compound": ["x", "x", "x", "y", "y", ""],
    "Truth": ["a", "a", "a", "b", "b", "b"], "Phenoscale_Class": ["a", "b", "a", "b", "a", "a"]})
WELLS = FIELDS.iloc[[0, 2, 3, 4, 5]]


def test_tables():
    found = group_tables({"field": FIELDS, "well": WELLS})
    assert list(found) == ["compounds", "plates", "rows", "columns"]
    counts = ["fields", "fields_right", "wells", "wells_right"]
    for name, column, groups, numbers in (
            ("compounds", "Metadata_Compound", ["x", "y"], [[3, 2, 2, 2], [2, 1, 2, 1]]),
            ("plates", "Metadata_Plate", ["P1", "P2"], [[4, 3, 3, 3], [2, 0, 2, 0]]),
            ("rows", "Row", ["A", "B", "AA"], [[3, 2, 2, 2], [2, 1, 2, 1], [1, 0, 1, 0]]),
            ("columns", "Column", ["1", "2", "10"], [[2, 1, 1, 1], [3, 1, 3, 1], [1, 1, 1, 1]])):
        table = found[name]
        assert table[column].tolist() == groups and table[counts].to_numpy().tolist() == numbers
        for row in table.itertuples():
            assert (row.low, row.high) == pytest.approx(wilson(row.wells_right, row.wells))
    assert found["compounds"]["class"].tolist() == ["a", "b"]
    assert found["compounds"]["called"].tolist() == ["a", "a"]


def test_treatments_are_of_compounds_alone():
    treatments = FIELDS.iloc[[0, 3]]
    found = group_tables({"field": FIELDS, "well": WELLS, "treatment": treatments})
    assert found["compounds"]["treatments"].tolist() == [1, 1]
    assert "treatments" not in found["plates"]


@pytest.mark.parametrize("change, left", [
    ({"Metadata_Well": ["A01", "A02", "x", "B01", "B02", "B03"]}, ["compounds", "plates"]),
    ({"Metadata_Compound": ""}, ["plates", "rows", "columns"]),
    ({"Metadata_Plate": ""}, ["compounds", "rows", "columns"])])
def test_what_is_not_known_has_no_table(change, left):
    frame = FIELDS.assign(**change)
    assert list(group_tables({"field": frame, "well": frame})) == left


def test_fields_without_wells():
    table = group_tables({"field": FIELDS.drop(columns="Metadata_Well")})["plates"]
    assert table.columns.tolist() == ["Metadata_Plate", "fields", "fields_right"]
