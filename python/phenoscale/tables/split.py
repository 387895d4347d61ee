# SPDX-License-Identifier: BSD-3-Clause
"""Which fields are trained on, watched, held out: the split, kept honest by wells.

After table.py, before any image is opened.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass, field
from numbers import Real

import numpy as np

from phenoscale.errors import InputError
from phenoscale.tables.labels import class_cells
from phenoscale.tables.repeats import doubts, likely_wells, well_roles
from phenoscale.tables.table import Table
from phenoscale.tables.values import pairs_of
from phenoscale.words import listed

__all__ = ["ENOUGH", "SIDES", "Split", "VAL_FRACTION", "check_training", "of_one_well",
           "split_table"]

#: of a field; a training has "skipped" too, for one that turned out unreadable
SIDES = ("train", "val", "test", "unlabelled")
VAL_FRACTION = 0.15
_SPARE = 5  # groups of each class that must be left to train on before any is taken unasked
#: groups of each class of which one is watched unasked
ENOUGH = _SPARE + 1
_GROUPS = ("well", "plate", "compound")


@dataclass(frozen=True)
class Split:
    """Which fields are held out, and which watched.

    Attributes
    ----------
    column : str, optional
        Column that holds train, val or test for every labelled field.
    holdout : dict of str to str or list of str
        Column to one value or several: labelled fields that match any pair are "test".
    val_by : {"well", "plate", "compound"}
        What stays together in the choice of validation fields.
    val_fraction : float, optional
        Part of each class's groups watched in validation, 0 for none; by default 0.15 where
        every class then keeps five groups or more in training, else none.
    seed : int, optional
        Of that choice; by default the training's.
    """

    column: str | None = None
    holdout: dict = field(default_factory=dict)
    val_by: str = "well"
    val_fraction: float | None = None
    seed: int | None = None

    def __post_init__(self):
        object.__setattr__(self, "holdout", pairs_of(self.holdout or {}, "holdout"))
        if not isinstance(self.column, (str, type(None))):
            raise InputError(f"the column of the split is {self.column!r}: give the name of one")
        fraction = self.val_fraction
        if fraction is not None and (not isinstance(fraction, Real) or isinstance(fraction, bool)):
            raise InputError(f"the validation fraction is {fraction!r}: give a number from 0 to "
                             "below 1")


def split_table(table: Table, label: str, split: Split | None = None, seed: int = 0
                ) -> tuple[np.ndarray, list[str]]:
    """Give every field its side.

    Parameters
    ----------
    table : Table
    label : str
        Column of the classes; a field whose label is empty is "unlabelled": never trained on.
    split : Split, optional
    seed : int
        Another seed, another choice, unless the split has its own; the order of the rows does not
        matter.

    Returns
    -------
    sides : ndarray of str, (fields,)
        "train", "val", "test" or "unlabelled".
    notes : list of str
        Sentences on what was chosen and why.

    Raises
    ------
    InputError
        For unknown columns, values or sides; fewer than two classes, a class with fewer than two
        fields to train on; a well or an image on two sides.
    """
    split = split or Split()
    seed = seed if split.seed is None else split.seed
    labels = class_cells(table, label)
    _check_classes(table, label, labels)
    if split.column is not None:
        if split.holdout or split.val_fraction is not None:
            raise InputError(
                f"the column {split.column} already says which fields are held out: "
                "give either it, or values to hold out and a validation fraction"
            )
        sides, notes = _read_sides(table, split.column, labels), []
    else:
        sides = np.where(labels == "", "unlabelled", "train").astype(object)
        sides[table.matches(split.holdout, "to hold out") & (labels != "")] = "test"
        notes = _choose_validation(table, labels, sides, split, seed)
    check_training(table, label, sides)
    _check_apart(table, sides)
    return sides.astype("U10"), [*notes, *doubts(table)]


def _check_classes(table: Table, label: str, labels: np.ndarray) -> None:
    classes = sorted(set(labels) - {""})
    if not classes:
        raise InputError(f"{table.source}: column {label} is empty: no field has a class")
    if len(classes) == 1:
        raise InputError(
            f"{table.source}: column {label} has one class only, {classes[0]}: "
            "two or more are needed to train"
        )


def check_training(table: Table, label: str, sides: np.ndarray) -> None:
    """InputError for a class with fewer than two fields on the side "train"."""
    labels = class_cells(table, label)
    enough = Counter(labels[sides == "train"])
    for name in sorted(set(labels) - {""}):
        if enough[name] >= 2:
            continue
        rows = np.flatnonzero((labels == name) & (sides == "train"))
        all_rows = np.flatnonzero(labels == name)
        where = table.place(int(rows[0] if len(rows) else all_rows[0]))
        count = "one field" if len(rows) else f"none of its {len(all_rows)} fields"
        raise InputError(
            f"class {name} of column {label} has {count} to train on (see {where}): every class "
            "needs two or more; add fields, hold out fewer, or empty the label"
        )


def _read_sides(table: Table, split: str, labels: np.ndarray) -> np.ndarray:
    sides = np.array(table.column(split).str.lower(), dtype=object)
    for row, side in enumerate(sides):
        if labels[row] == "":
            sides[row] = "unlabelled"
        elif side not in SIDES[:3]:
            raise InputError(
                f"{table.place(row)}: column {split} says '{side}': a labelled field needs "
                "train, val or test there"
            )
    return sides


def _choose_validation(table, labels, sides, split: Split, seed: int) -> list[str]:
    """Move whole groups from "train" to "val" in `sides`; notes on what was done."""
    val_by, fraction = split.val_by, split.val_fraction
    if val_by not in _GROUPS:
        raise InputError(f"unknown group {val_by} for validation: there are {listed(_GROUPS)}")
    if fraction is not None and not 0 <= fraction < 1:
        raise InputError(f"the validation fraction is {fraction}: it lies from 0 to below 1")
    if fraction == 0:
        return ["no validation fields, as asked"]
    roles = {"well": well_roles(table), "plate": ("batch", "plate")}.get(val_by, (val_by,))
    if val_by not in table.roles:
        if fraction is not None or val_by != "well":
            raise InputError(
                f"{table.source} has no column for the role {val_by}: name it with "
                f"--role {val_by}=COLUMN, or choose validation fields by something else"
            )
        return ["no validation fields: the table has no column of wells to keep together"]
    train = np.flatnonzero(sides == "train")
    keys = _keys(table, roles, sides)
    if val_by != "compound":
        keys = of_one_well(keys, likely_wells(table), train)
    members = {}  # class -> its groups, in an order that only the seed and the names decide
    for row in train:
        members.setdefault(labels[row], set()).add(keys[row])
    wanted = VAL_FRACTION if fraction is None else fraction
    chosen = _draw_groups(members, wanted, seed)
    least = _SPARE if fraction is None else 1
    for name, groups in sorted(members.items()):
        if len(groups - chosen) >= least:
            continue
        short = f"class {name} has {len(groups)} {val_by}{'s' if len(groups) > 1 else ''} to share"
        if fraction is None:
            return [f"no validation fields: {short}, too few to spare any"]
        raise InputError(
            f"{table.source}: {short} between training and validation by {val_by} with the "
            f"fraction {fraction}: take a smaller one, or 0 for no validation"
        )
    for row in train:
        if keys[row] in chosen:
            sides[row] = "val"
    return [f"validation: {len(chosen)} {val_by}s, {(sides == 'val').sum()} fields"]


def of_one_well(keys, wells, rows) -> list:
    """The keys of groups, one for those that share a well whatever its spelling, which
    `_check_apart` wants on one side."""
    above = {}

    def first(key):
        while key in above:
            key = above[key]
        return key

    there = {}  # well -> the key of its first field
    for row in rows:
        low, high = sorted((first(keys[row]), first(there.setdefault(wells[row], keys[row]))))
        if low != high:
            above[high] = low
    return [first(key) for key in keys]


def _draw_groups(members: dict, fraction: float, seed: int) -> set:
    """Groups for validation, about `fraction` of each class's, one at the least.

    The rarest class draws first; a group of several classes counts for each of them.
    """

    def order(key):
        return hashlib.sha256("\x1f".join((str(seed), *key)).encode()).digest()

    chosen = set()
    for _, groups in sorted(members.items(), key=lambda item: (len(item[1]), item[0])):
        missing = max(1, round(fraction * len(groups))) - len(groups & chosen)
        chosen.update(sorted(groups - chosen, key=order)[: max(0, missing)])
    return chosen


def _keys(table: Table, roles, sides: np.ndarray) -> list[tuple[str, ...]]:
    """What identifies each field's group: its cells in the columns of these roles."""
    is_labelled = sides != "unlabelled"
    present = [role for role in roles if role in table.roles]
    for role in present:
        if role == "batch":
            continue
        empty = (table.role(role) == "").to_numpy() & is_labelled
        if empty.any():
            raise InputError(
                f"{table.place(int(empty.argmax()))}: column {table.roles[role]} is empty: "
                f"give the {role}, so that its fields can be kept together"
            )
    return list(zip(*(table.role(role) for role in present)))


def _check_apart(table: Table, sides: np.ndarray) -> None:
    """No well and no image on two sides."""
    groups = [("image", [planes[c] if planes[c][0].path else None for planes in table.planes])
              for c in range(len(table.sources))]
    if "well" in table.roles:
        keys = _keys(table, well_roles(table), sides)
        groups = [("well", keys), ("well", likely_wells(table)), *groups]
    for what, keys in groups:
        first = {}
        for row, key in enumerate(keys):
            if sides[row] == "unlabelled" or key is None:
                continue
            other = first.setdefault(key, row)
            if sides[other] != sides[row]:
                name = table.well_name(row) if what == "well" else key[0].path
                raise InputError(
                    f"{what} {name} is both {sides[other]} ({table.place(other)}) and "
                    f"{sides[row]} ({table.place(row)}): keep it on one side"
                    + "".join(f"; {words}" for words in doubts(table) if what == "well")
                )
