# SPDX-License-Identifier: BSD-3-Clause
"""The ladder of strictness: how many fields the same simple model knows, the less alike the fields
are that it is trained on.

    classic numbers of fields -> a regression for each fold of each rung (rungs.py)
                              -> a table; the rung that the question asks for is its headline

The model is the regression on measures of training/head.py, which takes seconds where networks take
hours; `train --cv` gives the network's own rung.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import numpy as np

from phenoscale.errors import InputError
from phenoscale.evaluation.measured import Measured, measured_fields
from phenoscale.evaluation.rungs import RUNGS, Rung, axes_of, folds_of, unknown_words
from phenoscale.progress import Watch
from phenoscale.ranks.crew import Crew
from phenoscale.scores.classification import classification
from phenoscale.scores.intervals import bootstrap, group_numbers, wilson
from phenoscale.tables.confounded import confounding
from phenoscale.tables.labels import class_cells, class_names, class_numbers
from phenoscale.tables.read import Reading
from phenoscale.tables.repeats import likely_wells
from phenoscale.tables.table import Table
from phenoscale.training.head import probabilities_of
from phenoscale.words import count, listed

__all__ = ["Climbed", "Ladder", "climb", "ladder"]

_COMPOUND, _PLATE, _WELL = (next(rung.name for rung in RUNGS if rung.apart == (what,))
                            for what in ("compound", "plate", "well"))
_NAMED = 4
_FEW = 10  # units of a bootstrap
_COLUMNS = ("FieldsRight", "Fields", "Accuracy", "Low", "High", "BalancedAccuracy", "WellsRight",
            "Wells", "Units", "UnitsOf", "Folds", "NotHeldOut")
_WHOLE = [name for name in _COLUMNS if name not in (
    "Accuracy", "Low", "High", "BalancedAccuracy", "UnitsOf")]


@dataclass
class Climbed:
    """What became of a rung.

    Attributes
    ----------
    rung : Rung
    row : dict
        Column of ladder.csv to its value; empty where the table does not allow it.
    why : list of str
        Why fields could not be held out, or the rung is not there.
    """

    rung: Rung
    row: dict = field(default_factory=dict)
    why: list = field(default_factory=list)


@dataclass
class Ladder:
    """The ladder of a table.

    Attributes
    ----------
    rungs : list of Climbed
        The strictest first, random fields last.
    headline : str
        Name of the rung that the question asks for; "" where none of them can be climbed.
    question : str
        A sentence: which rung that is, and why.
    notes : list of str
        Confounded classes, said before any score.
    measures : int
        How many numbers the model has of a field.
    """

    rungs: list
    headline: str
    question: str
    notes: list
    measures: int

    def frame(self):
        """One row a rung: pandas.DataFrame, the columns of ladder.csv."""
        import pandas

        rows = [{"Rung": one.rung.name, "Headline": one.rung.name == self.headline, **one.row,
                 "Why": "; ".join(one.why)} for one in self.rungs]
        frame = pandas.DataFrame(rows, columns=["Rung", "Headline", *_COLUMNS, "Why"])
        return frame.astype(dict.fromkeys(_WHOLE, "Int64"))

    def text(self) -> str:
        """The same for a terminal: what is confounded, the headline, the rungs, what is missing."""
        there = [one for one in self.rungs if one.row]
        best = [f"{one.row['Accuracy']:.1%} of fields ({_interval(one.row)}), {self.headline}"
                for one in there if one.rung.name == self.headline]
        cells = [["", "fields right", "95 %", "balanced", "wells right", "held apart", "folds"],
                 *(_cells(one.rung.name, one.row) for one in there)]
        widths = [max(map(len, column)) for column in zip(*cells)]
        lines = [*self.notes, f"headline: {''.join(best) or 'none'}", f"  {self.question}", "",
                 *("  ".join(map(str.ljust, row, widths)).rstrip() for row in cells), "",
                 *(_why(one) for one in self.rungs if one.why)]
        if any(one.row["Units"] < _FEW for one in there):
            lines.append(f"an interval over fewer than {_FEW} units is rough")
        lines.append(f"every rung: the regression on {self.measures} classic measures, which takes "
                     "seconds where networks take hours; train --cv gives the network's own rung")
        return "\n".join(lines)


def _why(one: Climbed) -> str:
    """Why a rung is not there, or not all fields are in it."""
    why = "; ".join(one.why)
    return f"{one.rung.name}: " + (f"{count(one.row['NotHeldOut'], 'field')} not held out: {why}"
                                   if one.row else f"not possible: {why}")


def _interval(row: dict) -> str:
    ends = row["Low"], row["High"]
    return f"{ends[0]:.1%} to {ends[1]:.1%}" if np.isfinite(ends).all() else "no interval"


def _cells(name: str, row: dict) -> list[str]:
    """A row of the table for a terminal."""
    wells = f"{row['WellsRight']:,} of {row['Wells']:,}" if row["Wells"] else "not known"
    return [name, f"{row['FieldsRight']:,} of {row['Fields']:,} ({row['Accuracy']:.1%})",
            _interval(row), f"{row['BalancedAccuracy']:.1%}", wells,
            count(row["Units"], row["UnitsOf"]), str(row["Folds"])]


def climb(fields: Measured, label: str, seed: int = 0, watch: Watch | None = None) -> Ladder:
    """Score the regression on measures at every strictness that a table allows.

    Parameters
    ----------
    fields : Measured
        Fields without a label are left out.
    label : str
        Column of the classes.
    seed : int
        Of folds and intervals; the order of the rows does not matter.
    watch : Watch, optional
        Told of the stage "rung".

    Raises
    ------
    InputError
        For an unknown column, or fewer than two classes.
    """
    watch, label = watch or Watch(), fields.table.known(label)
    names = class_cells(fields.table, label)
    rows = [row for row in np.flatnonzero(names != "") if row not in fields.skipped]
    table, names = fields.table.select(rows), names[rows]
    classes = class_names(names, label)
    if len(classes) < 2:
        raise InputError(f"{table.source}: column {label} has fewer than two classes with fields "
                         "that could be measured: nothing can be told apart")
    labels, numbers = class_numbers(classes, names), fields.numbers[rows]
    rungs = []
    for k, rung in enumerate(RUNGS, 1):
        rungs.append(_climb_one(rung, table, classes, labels, numbers, seed))
        watch.tell("rung", k, len(RUNGS))
    return Ladder(rungs, *_headline(table, label, labels, rungs), confounding(table, label),
                  len(fields.names))


def ladder(source, label: str, reading: Reading | None = None, nuclei: str | None = None,
           crew: Crew | None = None) -> Ladder:
    """`climb` of a table or folder, measured first, or of a file of measures.

    source, label, reading, nuclei, crew: as for `phenoscale.evaluation.measured.measured_fields`.

    Raises
    ------
    InputError
        As those two; fields that cannot be read are warned of, and left out.
    """
    crew = crew or Crew()
    fields = measured_fields(source, label, reading, nuclei, crew)
    for words in fields.skipped.values():
        crew.watch.warn(words)
    return climb(fields, label, watch=crew.watch)


def _climb_one(rung: Rung, table: Table, classes, labels, numbers, seed: int) -> Climbed:
    try:
        axes = axes_of(table, rung)
    except InputError as error:
        return Climbed(rung, why=[str(error)])
    chances, folds = _predict(numbers, labels, len(classes), folds_of(axes, labels, seed))
    said = np.isfinite(chances[:, 0])
    why = [*_of_classes(axes, classes, labels, said), *unknown_words(axes)]
    if not said.any():
        return Climbed(rung, why=why)
    wells = group_numbers(likely_wells(table)) if "well" in table.roles else None
    units = axes[0].groups
    unit = axes[0].of
    if unit == "field" and wells is not None:
        units, unit = wells, "well"  # fields of a well are never independent
    found, truth = chances.argmax(axis=1)[said], labels[said]
    score = classification([classes[k] for k in truth], [classes[k] for k in found], classes)
    low, high = _ends(found == truth, units[said], seed)
    right, of = (0, 0) if wells is None else _wells_right(chances[said], truth, wells[said])
    return Climbed(rung, {
        "FieldsRight": int((found == truth).sum()), "Fields": int(said.sum()),
        "Accuracy": score["accuracy"], "Low": low, "High": high,
        "BalancedAccuracy": score["balanced_accuracy"], "WellsRight": right, "Wells": of,
        "Units": len(np.unique(units[said])), "UnitsOf": unit, "Folds": folds,
        "NotHeldOut": int((~said).sum())}, why)


def _predict(numbers, labels, k: int, folds) -> tuple[np.ndarray, int]:
    """Probabilities (n, k) of each field by the fold that holds it out, and how many folds said
    something; NaN where the class of a field is not among those trained on, or is alone there."""
    chances, n = np.full((len(labels), k), np.nan), 0
    for test, train in folds:
        there = np.unique(labels[train])
        test = test[np.isin(labels[test], there)]
        if len(there) > 1 and len(test):
            chances[test] = 0.0
            chances[np.ix_(test, there)] = probabilities_of(numbers[train], labels[train],
                                                            numbers[test])
            n += 1
    return chances, n


def _ends(right, units, seed: int) -> tuple[float, float]:
    """The 95 % interval of the share that is right, over whole units; where no draw differs, that
    of as many single answers as there are units."""
    n = len(np.unique(units))
    (low,), (high,) = bootstrap(lambda times: [times @ right / times.sum()], units.tolist(), seed)
    return (float(low), float(high)) if n < 2 or low < high else wilson(n * right.mean(), n)


def _wells_right(chances, truth, wells) -> tuple[int, int]:
    """Wells whose class has the largest mean probability over fields, of all; where fields of a
    well have several classes, it counts once for each."""
    keys = group_numbers(zip(wells.tolist(), truth.tolist()))
    sums = np.zeros((keys.max() + 1, chances.shape[1]))
    np.add.at(sums, keys, chances)
    _, first = np.unique(keys, return_index=True)
    return int((sums.argmax(axis=1) == truth[first]).sum()), len(sums)


def _of_classes(axes, classes, labels, said) -> list[str]:
    """Why fields could not be held out: their class is of one group, or was only with them."""
    found = []
    known = np.logical_and.reduce([axis.groups >= 0 for axis in axes])
    left = np.unique(labels[~said & known])
    for axis in axes:
        alone = [k for k in left if len(np.unique(axis.groups[(labels == k) & known])) == 1]
        left = np.setdiff1d(left, alone)
        if alone:
            who = "every class" if len(alone) == len(classes) else listed(
                (f"class {classes[k]}" for k in alone), limit=_NAMED)
            found.append(f"{who} of one {axis.of} only")
    if len(left):
        found.append(f"{listed((f'class {classes[k]}' for k in left), limit=_NAMED)} not among the "
                     "fields left to train on in some folds")
    return found


# ---- the headline --------------------------------------------------------------------------------


def _headline(table: Table, label: str, labels, rungs) -> tuple[str, str]:
    """The rung that the question asks for, or the strictest below it that the table allows; why."""
    wanted, why = _question(table, label, labels)
    below = [one for one in rungs if one.rung.name in (_COMPOUND, _PLATE, _WELL)]
    below = below[[one.rung.name for one in below].index(wanted) :]
    chosen = next((one.rung.name for one in below if one.row), "")
    if chosen == wanted:
        return chosen, why
    missing = listed(f"'{one.rung.name}' is not possible ({'; '.join(one.why)})"
                     for one in below if not one.row)
    return chosen, f"{why}; {missing}" + (
        "" if chosen else ": no score of this table says anything of new wells")


def _question(table: Table, label: str, labels) -> tuple[str, str]:
    """What the labels ask for: a mechanism is known by compounds that nothing was trained on, a
    condition or a compound by its wells on another plate."""
    if table.roles.get("compound") == label:
        return _PLATE, "the labels are the compounds: the question is of another plate"
    if "compound" not in table.roles:
        return _PLATE, ("the labels are conditions, with no column of compounds: the question is "
                        "of another plate")
    pairs = set(zip(table.role("compound"), labels.tolist()))
    of_compound = Counter(compound for compound, _ in pairs if compound)
    of_class = Counter(k for compound, k in pairs if compound)
    shared = sum(n > 1 for n in of_class.values())
    if shared and 2 * shared >= len(of_class) and (
            2 * list(of_compound.values()).count(1) > len(of_compound)):
        return _COMPOUND, (f"{shared} of {len(of_class)} classes are shared by several compounds, "
                           "as mechanisms are: the question is of other compounds")
    return _PLATE, ("the labels vary within compounds, or are of one compound each: the question "
                    "is of another plate")
