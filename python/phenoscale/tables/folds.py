# SPDX-License-Identifier: BSD-3-Clause
"""Which fields a fold of a cross-validation holds out: whole wells, plates, batches, compounds."""

from __future__ import annotations

import hashlib

import numpy as np

from phenoscale.errors import InputError
from phenoscale.tables.labels import class_cells
from phenoscale.tables.repeats import likely_wells, well_roles
from phenoscale.tables.split import of_one_well
from phenoscale.tables.table import Table
from phenoscale.words import count, listed

__all__ = ["FOLDS_BY", "NEVER", "draw_folds"]

#: what stays together -> the roles whose cells tell one group
FOLDS_BY = {"well": ("batch", "plate", "well"), "plate": ("batch", "plate"), "batch": ("batch",),
            "compound": ("compound",)}
NEVER = -1  # a field that no fold holds out
_NAMED = 6


def draw_folds(table: Table, label: str, by: str, folds: int | None, seed: int = 0
               ) -> tuple[np.ndarray, list[str]]:
    """Give every field the fold that holds it out.

    Groups are dealt out by class, large ones first, so that each class is spread over the folds.

    Parameters
    ----------
    table : Table
        Of labelled fields.
    label : str
        Column of the classes.
    by : str
        One of `FOLDS_BY`.
    folds : int, optional
        How many; None: each group is one of its own.
    seed : int
        Another seed, other folds; the order of the rows does not matter.

    Returns
    -------
    number : ndarray of int64, (fields,)
        From 0; `NEVER` for the only group of a class, without which nothing could know the class.
    notes : list of str

    Raises
    ------
    InputError
        For a role that the table does not have, fewer than two groups, or no class in two of them.
    """
    roles = well_roles(table) if by == "well" else [r for r in FOLDS_BY[by] if r in table.roles]
    if by not in table.roles:
        raise InputError(f"{table.source} has no column for the role {by}: name it with "
                         f"--role {by}=COLUMN, or cross-validate by something else")
    cells = list(zip(*(table.role(role) for role in roles)))
    empty = next((row for row, key in enumerate(cells) if not key[-1]), None)
    if empty is not None:
        raise InputError(f"{table.place(empty)}: column {table.roles[by]} is empty: give the {by}, "
                         "so that its fields can be kept together")
    keys = of_one_well(cells, likely_wells(table), range(len(table))) if (
        "well" in table.roles) else cells
    names = sorted(set(keys))
    number = {key: k for k, key in enumerate(names)}
    group = np.array([number[key] for key in keys])
    classes, labels = np.unique(class_cells(table, label).astype(str), return_inverse=True)
    sizes = np.zeros((len(names), len(classes)), np.int64)
    np.add.at(sizes, (group, labels), 1)
    n = len(names) if folds is None else folds
    if not 2 <= n <= len(names):
        raise InputError(f"{n} folds of {count(len(names), by)}: give from 2 to {len(names)}, or "
                         "all")
    order = sorted(range(len(names)), key=lambda k: (-sizes[k].max(), hashlib.sha256(
        "\x1f".join((str(seed), *names[k])).encode()).digest()))
    of_group = _deal(sizes, order, n)
    notes = _keep_classes(sizes, of_group, names, classes, by)
    if not (of_group != NEVER).any():
        raise InputError(f"{table.source}: every class of column {label} is of one {by} alone: "
                         f"nothing can be said of a {by} that the training has not seen")
    used = np.unique(of_group[of_group != NEVER])
    if len(used) < 2 and folds is not None and folds > 1 and len(used) < folds:
        notes.append(f"{count(len(used), 'fold')} of the {folds} asked for")
    again = {int(old): new for new, old in enumerate(used)} | {NEVER: NEVER}
    return np.array([again[int(of_group[g])] for g in group], np.int64), notes


def _deal(sizes: np.ndarray, order, n: int) -> np.ndarray:
    """The fold of each group: where there is least of its commonest class, and least in all."""
    of_group, held = np.zeros(len(sizes), np.int64), np.zeros((n, sizes.shape[1]), np.int64)
    for k in order:
        main = int(sizes[k].argmax())
        fold = min(range(n), key=lambda f: (held[f, main], held[f].sum(), f))
        of_group[k] = fold
        held[fold] += sizes[k]
    return of_group


def _keep_classes(sizes, of_group, names, classes, by: str) -> list[str]:
    """Take groups out of `of_group`, so that without any fold each class is still there; notes."""
    kept = []
    for c, name in enumerate(classes):
        own = np.flatnonzero(sizes[:, c])
        if len(set(of_group[own])) == 1 and of_group[own[0]] != NEVER:
            spare = own[sizes[own, c].argmax()]
            of_group[spare] = NEVER
            kept.append(f"class {name} ({' '.join(names[spare])})")
    return [f"no fold holds out the {by} that alone has a class: {listed(kept[:_NAMED])}"
            + (f" and {len(kept) - _NAMED} more" if len(kept) > _NAMED else "")] if kept else []
