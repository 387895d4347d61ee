# SPDX-License-Identifier: BSD-3-Clause
"""Anyone's table of profiles: read, its columns understood; fields to wells to treatments.

After features.py; matching.py scores what comes out.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from phenoscale.errors import InputError
from phenoscale.evaluation.features import choose_features
from phenoscale.files.wide import Wide, read_wide
from phenoscale.tables.columns import ROLES, clean_header
from phenoscale.tables.controls import NEGATIVE, control_columns, control_marks, sign_of
from phenoscale.tables.join import columns_of, join_table
from phenoscale.tables.labels import class_cells
from phenoscale.tables.read import tidy_cells
from phenoscale.tables.roles import column_key, find_roles, known_roles, row_groups
from phenoscale.tables.table import Table
from phenoscale.tables.values import values_of, words_of
from phenoscale.words import count, listed

if TYPE_CHECKING:
    import pandas

__all__ = ["Numbers", "Profiles", "read_numbers", "read_profiles"]

#: columns of labels as `column_key` has them
_LABELS = ("moa", "mechanism", "mechanismofaction", "mechanismsofaction", "moalabel", "label",
           "class")
_INDEX = re.compile(r"(Unnamed: \d+)?")  # numbers of rows, without a name
_KEYS = ("batch", "plate", "well", "compound", "concentration")
_NAMED = 3  # columns, rows named in a sentence


class Numbers(NamedTuple):
    """A table of numbers that is understood so far.

    Attributes
    ----------
    table : Table
        What it says of its rows, without images.
    values : numpy.ndarray
        float32 (rows, features), nan where a cell has none.
    features : list of str
    notes : list of str
    """

    table: Table
    values: np.ndarray
    features: list[str]
    notes: list[str]


@dataclass(frozen=True)
class Profiles:
    """Profiles of fields, wells or treatments.

    Attributes
    ----------
    frame : pandas.DataFrame
        One row a profile: batch, plate, well, compound, concentration, label, text, "" where there
        is none; is_control, whether it is a negative control.
    values : numpy.ndarray
        float32 (profiles, features), finite.
    features : list of str
    roles : dict of str to str
        Of the above to the column of the table that it was; only those that it has.
    notes : list of str
        What was taken for what, and what was left out.
    source : str
        For messages.
    """

    frame: pandas.DataFrame
    values: np.ndarray
    features: list[str]
    roles: dict[str, str]
    notes: list[str] = field(default_factory=list)
    source: str = ""

    def __len__(self):
        return len(self.frame)

    def select(self, mask) -> Profiles:
        """Those of a boolean mask (profiles,)."""
        return replace(self, frame=self.frame[mask].reset_index(drop=True),
                       values=self.values[mask])

    def wells(self) -> Profiles:
        """The mean of the fields of each well; itself where no well has several rows.

        InputError where these may be wells of several plates.
        """
        if "well" not in self.roles:
            return self
        group = row_groups(self.frame, _KEYS)
        n = int(group.max(initial=-1)) + 1
        if n == len(self):
            return self
        if not {"plate", "site"} & self.roles.keys():
            raise InputError(f"{self.source}: wells are there several times, and no column is the "
                             "plate or the site that tells their rows apart: name it with --role "
                             "plate=COLUMN")
        whole = self._grouped(group, np.mean)
        return replace(whole, notes=[*self.notes, f"{count(len(self), 'row')} of {count(n, 'well')}"
                                     ": the mean of each well is taken"])

    def treatments(self) -> tuple[Profiles, np.ndarray]:
        """The median of the rows of each compound and concentration, and in which batches they are,
        bool (treatments, batches).

        InputError where the rows of one have several labels.
        """
        group = row_groups(self.frame, ["compound", "concentration"])
        whole = self._grouped(group, np.median)
        self._one_label_each(group, whole)
        batches = np.zeros((len(whole), self.frame["batch"].nunique()), bool)
        batches[group, self.frame["batch"].astype("category").cat.codes] = True
        return whole, batches

    def _grouped(self, group, summary) -> Profiles:
        """One profile for each group, numbered from 0 in order; its cells are those of its first
        row."""
        order = np.argsort(group, kind="stable")
        starts = np.flatnonzero(np.diff(group[order], prepend=-1))
        values = np.empty((len(starts), self.values.shape[1]), np.float32)
        for at, mine in enumerate(np.split(order, starts[1:])):
            values[at] = summary(self.values[mine].astype(np.float64), axis=0)
        return replace(self, frame=self.frame.iloc[order[starts]].reset_index(drop=True),
                       values=values)

    def _one_label_each(self, group, whole: Profiles) -> None:
        labels = self.frame["label"].to_numpy()
        bad = np.flatnonzero(labels != whole.frame["label"].to_numpy()[group])
        if len(bad):
            row = self.frame.iloc[bad[0]]
            treatment = f"{row['compound']} {row['concentration']}".strip()
            both = sorted(set(labels[group == group[bad[0]]]))
            raise InputError(f"{self.source}: {treatment} has several labels in column "
                             f"{self.roles['label']}, {listed(f'{one!r}' for one in both)}: give "
                             "all its rows one")


def read_profiles(source, label: str | None = None, features: Sequence[str] | None = None,
                  roles=None, join: Sequence = ()) -> Profiles:
    """Read a table of profiles: of any program, one row a field, well or treatment.

    Parameters
    ----------
    source : str, path or pandas.DataFrame
        CSV, plain or gzip, or Parquet.
    label : str, optional
        Column of mechanisms; by default one called moa, mechanism, label or class, if any.
    features : list of str, optional
        How the names of features begin; see `phenoscale.evaluation.features.choose_features`.
    roles : dict of str to str, optional
        Role (compound, concentration, batch, plate, well, site) to column, where its name does not
        say it.
    join : list of path
        Tables that say more, such as the mechanisms; see `phenoscale.tables.join.join_table`.

    Raises
    ------
    InputError
        Naming file, line and column, and the cure.
    """
    found = read_numbers(source, features, roles, join, lambda column: column == label)
    profiles = _profiles_of(found.table, found.values, found.features, label)
    return _with_all_numbers(replace(profiles, notes=[*found.notes, *profiles.notes]), found.table)


def read_numbers(source, features, roles, join, is_text, of_one_kind: bool = True) -> Numbers:
    """A table of profiles as far as every reader of one needs it.

    Parameters
    ----------
    source, features, roles, join
        As for `read_profiles`.
    is_text : callable
        Whether the column of a name is read as text even where its cells are numbers.
    of_one_kind : bool
        As for `phenoscale.evaluation.features.choose_features`.

    Raises
    ------
    InputError
        As `read_profiles`.
    """
    features = None if features is None else values_of(features, "features")
    roles, join = words_of(roles or {}, "roles"), values_of(join, "join")
    name = "the DataFrame" if hasattr(source, "columns") else str(source)
    chosen, notes = [], []

    def choose(is_number):
        kept = _about(is_number, [*filter(is_text, is_number), *roles.values()])
        found, said = choose_features({column: is_one for column, is_one in is_number.items()
                                       if column not in kept and not _INDEX.fullmatch(column)},
                                      features, name, of_one_kind)
        chosen[:] = found
        notes.append(said)
        return found, [column for column, is_one in is_number.items()
                       if column in kept or not (is_one or _INDEX.fullmatch(column))]

    wide = read_wide(source, choose)
    if not wide.lines:
        raise InputError(f"{name} has no rows: it needs one for each profile below the header")
    return Numbers(_table_of(wide, name, roles, join), wide.numbers, chosen, notes)


def _about(columns, named) -> set[str]:
    """Those of some columns that say what a profile is, even where their cells are numbers."""
    known = {column for found in known_roles(columns).values() for column in found}
    return {column for column in columns if column.startswith(("Metadata_", "Image_Metadata_"))
            or column_key(column) in _LABELS or column in known or column in named
            } | set(control_columns(columns))


def _table_of(wide: Wide, name: str, roles, join) -> Table:
    """What the table says of its profiles, as a table of fields without images."""
    import pandas

    rows = list(zip(*wide.text.values()))
    header, spelling = clean_header(list(wide.text), rows, name)
    frame = pandas.DataFrame(dict(zip(header, wide.text.values())), dtype=object,
                             index=range(len(wide.lines)))
    table = Table(frame, [], [()] * len(frame), {}, name, wide.lines, wide.unit,
                  spelling={own: ours for ours, own in spelling.items()})
    find_roles(table, dict(roles), lambda: set().union(*map(columns_of, join)))
    tidy_cells(table)
    for other in join:
        table = join_table(table, other, roles)
    return table


def _profiles_of(table: Table, values, features, label) -> Profiles:
    import pandas

    if "compound" not in table.roles:
        raise InputError(f"{table.source}: no column is known to be the compound: name it with "
                         f"--role compound=COLUMN: it has {listed(table.frame.columns)}")
    label = _label_of(table) if label is None else table.known(label)
    empty = [""] * len(table)
    frame = pandas.DataFrame({role: table.role(role) if role in table.roles else empty
                              for role in _KEYS}, dtype=object)
    frame["label"] = empty if label is None else class_cells(table, label)
    signs = {name: sign_of(name) == NEGATIVE for name in frame["compound"].unique()}
    frame["is_control"] = (frame["compound"].map(signs).astype(bool)
                           | (np.array(control_marks(table.frame)[0]) == NEGATIVE))
    roles = {role: column for role, column in table.roles.items() if role in (*_KEYS, "site")}
    if label is not None:
        roles["label"] = label
    said = listed(f"{column} is the {role}" for role, column in roles.items())
    return Profiles(frame, values, features, roles, [said, *table.notes], table.source)


def _label_of(table: Table) -> str | None:
    """The column of labels by its name; of several that disagree none is better."""
    found = sorted((column for column in table.frame.columns if column_key(column) in _LABELS
                    and (table.frame[column] != "").any()),
                   key=lambda column: _LABELS.index(column_key(column)))
    for other in found[1:]:
        if (table.frame[other] != table.frame[found[0]]).any():
            raise InputError(f"{table.source}: columns {listed(map(table.own, found))} could each "
                             "be the label, and disagree: name one with --label")
    return found[0] if found else None


def _with_all_numbers(profiles: Profiles, table: Table) -> Profiles:
    """Without rows that have no compound or no number at all, then without features that lack one
    anywhere."""
    is_there, notes = np.isfinite(profiles.values), list(profiles.notes)
    for mask, what in ((is_there.any(axis=1), "a number in any feature"),
                       ((profiles.frame["compound"] != "").to_numpy(), "a compound")):
        if not mask.all():
            notes.append(f"{count(int((~mask).sum()), 'row')} without {what} left out, as "
                         f"{table.place(int(np.argmin(mask)))}")
            is_there[~mask] = False
    rows = is_there.any(axis=1)
    full = is_there[rows].all(axis=0)
    if not (rows.any() and full.any()):
        raise InputError(f"{profiles.source}: no feature has a number in every row: leave out the "
                         "rows or features without")
    if not full.all():
        left = [name for name, is_full in zip(profiles.features, full) if not is_full]
        notes.append(f"{count(len(left), 'feature')} left out, since some rows have no number "
                     f"there: {listed(left, limit=_NAMED)}")
    if not (rows.all() and full.all()):
        profiles = replace(profiles, values=profiles.values[np.ix_(rows, full)],
                           frame=profiles.frame[rows].reset_index(drop=True),
                           features=[name for name, is_full in zip(profiles.features, full)
                                     if is_full])
    if ROLES["concentration"] not in table.frame and "concentration" not in profiles.roles:
        notes.append("no column is the concentration: all rows of a compound are one treatment")
    return replace(profiles, notes=notes)
