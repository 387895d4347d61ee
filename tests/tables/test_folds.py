# SPDX-License-Identifier: BSD-3-Clause
"""Folds: groups whole, classes spread, nothing unknowable held out."""

import numpy as np
import pytest

pandas = pytest.importorskip("pandas")
from phenoscale import InputError
from phenoscale.tables.columns import Channel
from phenoscale.tables.folds import NEVER, draw_folds
from phenoscale.tables.table import Plane, Table

ROLES = {role: f"Metadata_{role.capitalize()}" for role in ("plate", "well", "compound", "batch")}


def a_table(rows):
    """A table of (class, plate, well, compound, batch)."""
    frame = pandas.DataFrame(rows, columns=["Label", *(ROLES[r] for r in (
        "plate", "well", "compound", "batch"))], dtype=str)
    return Table(frame=frame, sources=[Channel("DNA", "FileName_DNA")],
                 planes=[[(Plane(f"{k}.tif"),)] for k in range(len(frame))], source="t.csv",
                 roles={role: name for role, name in ROLES.items()})


def screen(plates=4, wells=12, sites=2, compounds=6):
    return [(f"class{w % 3}", f"P{p}", f"A{w + 1:02d}", f"c{w % compounds}", f"B{p // 2}")
            for p in range(plates) for w in range(wells) for _ in range(sites)]


@pytest.mark.parametrize("by", ["well", "plate", "batch", "compound"])
def test_groups_are_whole_and_every_field_is_held_out_once(by):
    table = a_table(screen())
    number, notes = draw_folds(table, "Label", by, 2)
    assert notes == [] and set(number) == {0, 1}
    keys = list(zip(table.role("plate"), table.role("well"))) if by == "well" else list(
        table.role(by))
    assert all(len({n for n, key in zip(number, keys) if key == one}) == 1 for one in set(keys))


def test_classes_are_spread():
    rows = [(f"class{k % 2}", "P", f"{'ABCDEFGH'[k // 12]}{k % 12 + 1:02d}", f"c{k}", "B")
            for k in range(40)]
    number, _ = draw_folds(a_table(rows), "Label", "compound", 5)
    for fold in range(5):
        held = [row[0] for row, n in zip(rows, number) if n == fold]
        assert held.count("class0") == held.count("class1") == 4


def test_one_fold_for_each():
    number, _ = draw_folds(a_table(screen()), "Label", "compound", None)
    assert len(set(number)) == 6


def test_the_order_of_rows_does_not_matter_and_the_seed_does():
    rows = screen()
    turned = np.random.default_rng(0).permutation(len(rows))
    first, _ = draw_folds(a_table(rows), "Label", "well", 5, seed=1)
    again, _ = draw_folds(a_table([rows[k] for k in turned]), "Label", "well", 5, seed=1)
    assert (first[turned] == again).all()
    assert (first != draw_folds(a_table(rows), "Label", "well", 5, seed=2)[0]).any()


def test_the_only_group_of_a_class_is_never_held_out():
    rows = [*screen(), ("rare", "P0", "H01", "alone", "B0"), ("rare", "P0", "H01", "alone", "B0")]
    number, notes = draw_folds(a_table(rows), "Label", "compound", 3)
    assert (number[-2:] == NEVER).all() and (number[:-2] != NEVER).all()
    assert "no fold holds out the compound that alone has a class: class rare (alone)" in notes[0]


@pytest.mark.parametrize("folds", [2, 3, None])
def test_every_class_is_left_to_train_on(folds):
    rng = np.random.default_rng(4)
    for _ in range(20):
        rows = [(f"class{rng.integers(4)}", f"P{rng.integers(4)}", f"A{w + 1:02d}", "c", "B")
                for w in range(12)]
        try:
            number, _ = draw_folds(a_table(rows), "Label", "plate", folds)
        except InputError:
            continue
        labels = np.array([row[0] for row in rows])
        for fold in set(number) - {NEVER}:
            assert set(labels[number != fold]) == set(labels)


def test_what_cannot_be_done():
    table = a_table(screen())
    with pytest.raises(InputError, match="give from 2 to 4, or all"):
        draw_folds(table, "Label", "plate", 9)
    with pytest.raises(InputError, match="every class of column Label is of one compound alone"):
        draw_folds(a_table([row for row in screen(compounds=3)]), "Label", "compound", 3)
    del table.roles["batch"]
    with pytest.raises(InputError, match="no column for the role batch.*--role batch=COLUMN"):
        draw_folds(table, "Label", "batch", 2)
    table = a_table([*screen(), ("class0", "P0", "H01", "", "B0")])
    with pytest.raises(InputError, match="column Metadata_Compound is empty: give the compound"):
        draw_folds(table, "Label", "compound", 2)
