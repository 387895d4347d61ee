# SPDX-License-Identifier: BSD-3-Clause
"""The rungs of the ladder of strictness: what fields that are predicted may not share with those
that are trained on, and the folds that keep it so."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np

from phenoscale.errors import InputError
from phenoscale.tables.folds import FOLDS_BY
from phenoscale.tables.repeats import likely_wells
from phenoscale.tables.split import of_one_well
from phenoscale.tables.table import Table
from phenoscale.tables.wells import is_well
from phenoscale.words import count

__all__ = ["FOLDS", "RUNGS", "Axis", "Rung", "axes_of", "deal", "folds_of",
           "unknown_words"]

FOLDS = 10  # at most
_UNKNOWN = -1  # the group of a field whose cell is empty


@dataclass(frozen=True)
class Rung:
    """What is held apart.

    Attributes
    ----------
    name : str
    apart : tuple of str
        What fields to predict and to train on never share; each a key of `_GROUPS`.
    """

    name: str
    apart: tuple


#: the strictest first
RUNGS = (Rung("not the same compound or batch", ("compound", "batch")),
         Rung("not the same compound", ("compound",)),
         Rung("not the same batch", ("batch",)),
         Rung("not the same plate", ("plate",)),
         Rung("not the same well position", ("position",)),
         Rung("other wells", ("well",)),
         Rung("random fields (says nothing of new wells)", ("field",)))


@dataclass
class Axis:
    """Groups that are held apart.

    Attributes
    ----------
    of : str
        What they are: "plate".
    groups : ndarray of int64, (fields,)
        From 0; -1 for a field of which it is not known.
    """

    of: str
    groups: np.ndarray

    @property
    def n(self) -> int:
        """How many."""
        return len(np.unique(self.groups[self.groups != _UNKNOWN]))


# ---- groups --------------------------------------------------------------------------------------


def _of_roles(table: Table, what: str) -> list:
    """The cells of the roles of `FOLDS_BY`, one key for what shares a well; None: not known."""
    if what not in table.roles:
        raise InputError(f"the table has no column for the role {what}: name it with --role "
                         f"{what}=COLUMN")
    cells = list(zip(*(table.role(role) for role in FOLDS_BY[what] if role in table.roles)))
    keys = of_one_well(cells, likely_wells(table), range(len(table))) if (
        "well" in table.roles) else cells
    return [key if cell[-1] else None for key, cell in zip(keys, cells)]


def _of_positions(table: Table, what: str) -> list:
    """The name of the well, whatever its plate."""
    if "well" not in table.roles:
        raise InputError("the table has no column for the role well: name it with --role "
                         "well=COLUMN")
    wells = [(word,) if is_well(word) else None for word in table.role("well")]
    if len(set(wells)) == len(set(likely_wells(table))):
        raise InputError("no position of a well is there on two plates: it is the same as other "
                         "wells")
    return wells


_GROUPS = {"compound": _of_roles, "batch": _of_roles, "plate": _of_roles, "well": _of_roles,
           "position": _of_positions, "field": lambda table, what: [(key,) for key in table.keys]}


def axes_of(table: Table, rung: Rung) -> list[Axis]:
    """The groups of each of what a rung holds apart; InputError says why the table does not allow
    it: the role is missing, or all fields are of one group."""
    axes = []
    for what in rung.apart:
        keys = _GROUPS[what](table, what)
        number = {key: k for k, key in enumerate(sorted(set(keys) - {None}))}
        axis = Axis(what, np.array([number.get(key, _UNKNOWN) for key in keys], np.int64))
        if axis.n < 2:
            raise InputError(f"all fields are of one {what}" if axis.n else
                             f"the column for the role {what} is empty")
        axes.append(axis)
    return axes


# ---- folds ---------------------------------------------------------------------------------------


def deal(groups: np.ndarray, labels: np.ndarray, folds: int, seed: int = 0) -> np.ndarray:
    """The fold of each group, (groups,) int64.

    One after the other, those with the rarest class first, a group goes where the fewest groups
    have its classes, rare ones counting more: a class of two groups is in two folds, so that
    either is predicted from the other.

    Parameters
    ----------
    groups : ndarray of int64, (n,)
        Of each field, from 0; -1: of none.
    labels : ndarray of int64, (n,)
        Its class.
    """
    known = groups != _UNKNOWN
    of_group, classes = np.unique(np.stack([groups[known], labels[known]]), axis=1)
    n, homes = groups.max() + 1, np.bincount(classes, minlength=labels.max() + 1)
    sizes = np.bincount(groups[known], minlength=n)
    rarest = np.full(n, np.inf)
    np.minimum.at(rarest, of_group, np.where(homes[classes] > 1, homes[classes], np.inf))
    begins = np.searchsorted(of_group, np.arange(n + 1))
    draw = np.random.default_rng(seed).permutation(n)
    found, load = np.zeros(n, np.int64), np.zeros(folds)
    held = np.zeros((folds, len(homes)))
    for g in np.lexsort((draw, -sizes, rarest)):
        mine = classes[begins[g] : begins[g + 1]]
        fold = np.lexsort((load, held[:, mine] @ (1 / homes[mine])))[0]
        found[g] = fold
        held[fold, mine] += 1
        load[fold] += sizes[g]
    return found


def folds_of(axes, labels: np.ndarray, seed: int = 0):
    """Yields (rows to predict, rows to train on): they share no group of any axis.

    With two axes a fold of either is held out together with each of the other, so that what is
    trained on shares neither.  A field of an unknown group is in none.
    """
    numbers, known = [], np.ones(len(labels), bool)
    for axis in axes:
        n = min(FOLDS, axis.n)
        numbers.append((n, deal(axis.groups, labels, n, seed)[axis.groups]))
        known &= axis.groups != _UNKNOWN
    for held in itertools.product(*(range(n) for n, _ in numbers)):
        is_in = [number == fold for fold, (_, number) in zip(held, numbers)]
        test = np.flatnonzero(np.logical_and.reduce(is_in) & known)
        if len(test):
            yield test, np.flatnonzero(~np.logical_or.reduce(is_in) & known)


def unknown_words(axes) -> list[str]:
    """How many fields are in no fold, since their group is not known."""
    missing = {axis.of: int((axis.groups == _UNKNOWN).sum()) for axis in axes}
    return [f"{count(n, 'field')} without a {what}" for what, n in missing.items() if n]
