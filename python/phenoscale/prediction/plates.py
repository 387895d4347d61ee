# SPDX-License-Identifier: BSD-3-Clause
"""What the fields of a plate are made alike by: a first pass over its control fields.

    table -> references: the negative controls of each plate, or all its fields
          -> of each its pixels, and its measures where a head asks for them
          -> a plate's scale and offset by channel; middle and spread of its measures

Nothing else of a plate is looked at, and no label.  Memory holds a few numbers a reference field;
ranks have shares of them, and all get all.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from phenoscale.errors import InputError
from phenoscale.images.counts import sample_of
from phenoscale.models.feeding import NORMALISERS, Feeding
from phenoscale.prediction.counts import plates_of
from phenoscale.prediction.turns import in_turn
from phenoscale.ranks.alone import even_ends, share
from phenoscale.ranks.crew import Crew
from phenoscale.tables.controls import NEGATIVE, control_marks
from phenoscale.tables.table import Table
from phenoscale.words import count, listed

__all__ = ["Plates", "find_plates", "references_of", "unmeasured"]

_LOW, _HIGH = 0.01, 0.999  # shares of a field's pixels below
_LEAST = 2  # control fields of a plate that are measured by
_MAD = 1.4826  # times the median distance from the median: a deviation, of normal numbers
_MEAN, _VARIANCE, _DARK, _BRIGHT = range(4)


@dataclass
class Plates:
    """The numbers of plates, and on which of them fields lie.

    Attributes
    ----------
    names : list of str
        Of the plates, in words.
    number : ndarray of int64, (fields,)
        Of the plate of each field.
    scale, offset : ndarray of float32, (plates, channels)
        The network sees ``counts * scale + offset``.
    middle, spread : ndarray of float32, (plates, measures)
        The head sees ``(measure - middle) / spread``; of no columns where nothing is measured.
        Spread NaN: the measure does not vary in the controls, and says nothing.
    notes : list of str
        What was taken for the controls.
    """

    names: list
    number: np.ndarray
    scale: np.ndarray
    offset: np.ndarray
    middle: np.ndarray
    spread: np.ndarray
    notes: list

    _ARRAYS = ("scale", "offset", "middle", "spread")

    def select(self, rows) -> Plates:
        """Of some of the fields."""
        return replace(self, number=self.number[rows])

    def spread_over(self, rows, n: int) -> Plates:
        """As those of n fields, of which these are some."""
        number = np.zeros(n, np.int64)
        number[rows] = self.number
        return replace(self, number=number)

    def of(self, rows) -> tuple[np.ndarray, np.ndarray]:
        """Scale and offset, (rows, channels) each."""
        plates = self.number[rows]
        return self.scale[plates], self.offset[plates]

    def relative(self, numbers: np.ndarray) -> np.ndarray:
        """The measures (fields, measures) of all fields as deviations from their plates' controls,
        float32."""
        if not self.middle.shape[1]:
            return numbers
        return (numbers - self.middle[self.number]) / self.spread[self.number]

    def about(self) -> dict:
        """Scale and offset by plate, as JSON has it."""
        return {name: {"scale": scale.tolist(), "offset": offset.tolist()}
                for name, scale, offset in zip(self.names, self.scale, self.offset)}

    def stand(self, about: dict) -> None:
        """Take scale and offset of the same plates from what `about` gave."""
        self.scale, self.offset = (np.array([about[name][word] for name in self.names], np.float32)
                                   for word in ("scale", "offset"))

    def digest(self) -> str:
        """SHA-256 of the numbers."""
        found = hashlib.sha256()
        for name in self._ARRAYS:
            found.update(np.ascontiguousarray(getattr(self, name)))
        return found.hexdigest()


# ---- by which fields -----------------------------------------------------------------------------


def references_of(table: Table, controls: Mapping | None = None) -> tuple:
    """The fields that each plate is measured by.

    Parameters
    ----------
    table : Table
    controls : mapping of str to list of str, optional
        As of `Feeding`.

    Returns
    -------
    names : list of str
        Of the plates.
    number : ndarray of int64, (fields,)
        Of the plate of each field.
    rows : list of ndarray of int64
        Of each plate, its negative controls; where there are less than two, all its fields.
    notes : list of str
        What was taken.
    """
    names, number = np.unique(np.array(plates_of(table), dtype=str), return_inverse=True)
    is_control, said = _controls(table, controls or {})
    rows, without = [], []
    for plate, name in enumerate(names.tolist()):
        mine = np.flatnonzero(number == plate)
        some = mine[is_control[mine]]
        if len(some) < _LEAST:
            without.append(name or "the table, which names no plates,")
        rows.append(mine if len(some) < _LEAST else some)
    notes = [] if len(without) == len(names) else [
        f"plates are measured by their negative controls ({said})"]
    if without:
        has = "has" if len(without) == 1 else "have"
        notes.append(f"{listed(without)} {has} less than {_LEAST} negative controls ({said}): "
                     "measured by all fields, whatever the treatments on them")
    return names.tolist(), number.astype(np.int64), rows, notes


def _controls(table: Table, controls: Mapping) -> tuple[np.ndarray, str]:
    """Which fields are negative controls, and how that is said."""
    if not controls:
        marks, _ = control_marks(table.frame)
        return np.array([mark == NEGATIVE for mark in marks], bool), "as the table marks them"
    is_control = np.zeros(len(table), bool)
    for column, cells in controls.items():
        if column in table.frame.columns:
            is_control |= table.frame[column].isin(cells).to_numpy()
    return is_control, listed(f"{column}={','.join(cells)}" for column, cells in controls.items())


# ---- the pass ------------------------------------------------------------------------------------


def find_plates(source, table: Table, feeding: Feeding, crew: Crew, measurer=None,
                known: Plates | None = None) -> Plates:
    """The numbers of the plates of a table.

    Parameters
    ----------
    source : FieldFiles, FieldPictures or FieldArrays
        The fields of the table.
    table : Table
    feeding : Feeding
        By plate.
    crew : Crew
        Each rank in the same call; told of the stage "statistics".
    measurer : phenoscale.images.measures.Measurer, optional
        Of the measures that are wanted, too.
    known : Plates, optional
        Of the same table, whose scale and offset stay as they are.

    Raises
    ------
    InputError
        For a plate none of whose controls can be read.
    """
    names, number, rows, notes = references_of(table, feeding.controls)
    order = np.concatenate(rows)
    pixels, measures = _look(source, order, crew, measurer)
    is_read, ends, made = np.isfinite(pixels[:, 0, _MEAN]), np.cumsum([*map(len, rows)]), []
    for mine, end in zip(rows, ends):
        there = slice(end - len(mine), end)
        there = np.arange(there.start, there.stop)[is_read[there]]
        if not len(there):
            raise InputError(f"{table.place(int(mine[0]))}: none of the {count(len(mine), 'field')}"
                             " that its plate is measured by can be read: mend them, or leave the "
                             "plate out")
        made.append((*_FORMS[feeding.normalise](pixels[there]), *_robust(measures[there])))
    arrays = [np.array(one, np.float32) for one in zip(*made)]
    if known is not None:
        arrays[:2] = known.scale, known.offset
    return Plates(names, number, *arrays, notes)


def unmeasured(table: Table, feeding: Feeding, channels: int) -> Plates:
    """The plates of a table, their numbers still to be found: nothing is read."""
    names, number, _, notes = references_of(table, feeding.controls)
    ones, none = np.ones((len(names), channels), np.float32), np.empty((len(names), 0), np.float32)
    return Plates(names, number, ones, 0 * ones, none, none, notes)


def _look(source, order, crew: Crew, measurer) -> tuple[np.ndarray, np.ndarray]:
    """Of each field its pixels (n, channels, 4) and measures (n, measures), float64; NaN of one
    that cannot be read."""
    n, ranks = len(order), crew.ranks
    pixels = np.full((n, source.shape[0], 4), np.nan)
    measures = np.full((n, len(measurer.names) if measurer else 0), np.nan)
    ends = even_ends(n, ranks.size)
    first, end = share(ends, ranks.rank)

    def look(block, rows):
        numbers = measurer(block) if measurer else [()] * len(block)
        return list(zip(map(_pixels, block), numbers))

    for i, found in enumerate(in_turn(source, order[first:end], crew.threads, "skip", look), first):
        if not isinstance(found, str):
            pixels[i], measures[i] = found
        crew.watch.tell("statistics", min(n, (i + 1 - first) * ranks.size), n)
    ranks.rows(pixels, ends)
    ranks.rows(measures, ends)
    return pixels, measures


def _pixels(field: np.ndarray) -> list:
    """Mean, variance and two percentiles of each channel of a field."""
    found = []
    for plane in field:
        sample = sample_of(plane)
        found.append([plane.mean(dtype=np.float64), plane.var(dtype=np.float64),
                      sample[int(_LOW * sample.size)], sample[int(_HIGH * sample.size)]])
    return found


# ---- from fields to a plate ----------------------------------------------------------------------


def _standard(pixels) -> tuple[np.ndarray, np.ndarray]:
    """Scale and offset to mean 0 and deviation 1 over all pixels of fields (n, channels, 4)."""
    middle = pixels[..., _MEAN].mean(axis=0)
    deviation = np.sqrt(pixels[..., _VARIANCE].mean(axis=0) + pixels[..., _MEAN].var(axis=0))
    scale = 1 / np.where(deviation > 0, deviation, 1)
    return scale, -middle * scale


def _percentile(pixels) -> tuple[np.ndarray, np.ndarray]:
    """Scale and offset that make 0 to 1 of the fields' percentiles, of each the median: one odd
    field moves it little."""
    dark, bright = (np.median(pixels[..., k], axis=0) for k in (_DARK, _BRIGHT))
    scale = 1 / np.where(bright > dark, bright - dark, 1)
    return scale, -dark * scale


#: of `NORMALISERS` by plate
_FORMS = dict(zip(NORMALISERS[1:], (_standard, _percentile)))


def _robust(measures) -> tuple[np.ndarray, np.ndarray]:
    """Median and robust deviation of each measure (n, measures), where that is 0 the plain one;
    fields in which a measure is not defined do not count."""
    is_there = np.isfinite(measures)
    middle, spread = np.zeros(measures.shape[1]), np.full(measures.shape[1], np.nan)
    for k in range(measures.shape[1]):
        mine = measures[is_there[:, k], k]
        if not len(mine):
            continue
        middle[k] = np.median(mine)
        found = _MAD * np.median(np.abs(mine - middle[k])) or mine.std()
        spread[k] = found if found > 1e-6 * abs(middle[k]) else np.nan
    return middle, spread
