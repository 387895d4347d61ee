# SPDX-License-Identifier: BSD-3-Clause
"""The counts that a model knows, by channel, and whether those of a plate lie far from them.

    images/counts.py: five numbers a field and channel -> counts_of -> kept in the model file
                                                       -> far_from -> sentences about plates

A check asks the same of one plate against the others.  The limits stand above what plates of one
assay differ by, and below what another export, camera setting or order of channels makes.
"""

from __future__ import annotations

import warnings
from collections import Counter
from typing import NamedTuple

import numpy as np

from phenoscale.images.counts import KINDS
from phenoscale.models.counts import KEPT, QUANTILES
from phenoscale.progress import Watch
from phenoscale.tables.table import Table
from phenoscale.words import listed

__all__ = ["Far", "OF_PLATES", "OF_TRAINING", "blank_in", "counts_of", "far_from", "most_like_all",
           "plates_of", "tell_far", "sentences_of"]

_LEAST, _LOWER, _MEDIAN, _UPPER, _MOST = range(len(QUANTILES))
_MEAN, _FLOOR, _DEVIATION, _DETAIL, _BITS = range(len(KINDS))
_FACTOR = 2.0  # beyond all fields of the reference: another scale
_SHIFT = 0.5  # deviations of a field, beyond all fields: another offset
#: How far plates of one assay lie apart in `_likeness`, beside the spread of fields.
_BETWEEN_PLATES = np.array([0.15, 0.3, 0.35, 0.2])
#: Fields of a group, and for that many or more: how unlike its own channel a channel is (mean
#: square of those units), how many times less unlike another, before it is called that other.
_EXCHANGED = ((8, 3.0, 4.0), (1, 8.0, 8.0))
_MOST_SAID = 8  # sentences
_COMPARED, _UNLIKE = 500, 10.0  # plates that are compared with one another; the most that counts
_BLANK, _REST = 0.5, 0.05  # share of blank fields in a class, and at most in all others


class _Against(NamedTuple):
    """Words for what a plate is compared with."""

    name: str
    verb: str
    cure: str


OF_TRAINING = _Against("the training", "had", "export the images as they were for training")
OF_PLATES = _Against("the other plates", "have", "export all plates alike")


class Far(NamedTuple):
    """A plate and a channel whose counts lie far from what was expected."""

    plate: str
    channel: int
    sentence: str


def plates_of(table: Table) -> list[str]:
    """The plate of every field in words, with its batch where several have a plate of that name;
    "" where a table has no plates."""
    plate, batch = table.role("plate"), table.role("batch")
    if plate is None:
        return [""] * len(table)
    names = [f"plate {name}" if name else "fields without a plate" for name in plate.tolist()]
    if batch is None:
        return names
    batches = batch.tolist()
    times = Counter(name for name, _ in set(zip(names, batches)))
    return [f"{name} of batch {of}" if of and times[name] > 1 else name
            for name, of in zip(names, batches)]


# ---- what is kept --------------------------------------------------------------------------------


def counts_of(levels) -> dict | None:
    """What a model keeps of its training fields; None of no fields.

    Parameters
    ----------
    levels : array (fields, channels, KINDS)
        Of `phenoscale.images.counts`; blank planes are not counted where others are not blank.
    """
    levels = np.asarray(levels, float)
    if not len(levels):
        return None
    kept = {name: [] for name in (*KEPT, "bits")}
    for c in range(levels.shape[1]):
        mine = _not_blank(levels[:, c])
        for name, values in zip(KEPT, _kept_of(mine).T):
            kept[name].append(np.percentile(values, QUANTILES).tolist())
        kept["bits"].append(_union(mine[:, _BITS]))
    return kept


def _not_blank(levels):
    """Rows of planes that vary; all where none does."""
    rows = levels[:, _DEVIATION] > 0
    return levels[rows] if rows.any() else levels


def _kept_of(levels):
    """Numbers in the order of `KEPT`, of rows in that of KINDS."""
    deviation = levels[:, _DEVIATION]
    shape = (levels[:, _MEAN] - levels[:, _FLOOR]) / np.where(deviation > 0, deviation, 1)
    return np.column_stack([levels[:, :_BITS], shape])


def _union(bits) -> int:
    return int(np.bitwise_or.reduce(bits.astype(np.uint64)))


# ---- plates against it ---------------------------------------------------------------------------


def far_from(kept: dict | None, channels, levels, plates, against=OF_TRAINING) -> list[Far]:
    """Plates whose counts lie far from those kept; a sentence for each channel.

    Parameters
    ----------
    kept : dict or None
        Of `counts_of`; of None nothing is far.
    channels : list of str
    levels : array (fields, channels, KINDS)
        NaN in rows of fields that could not be read.
    plates : list of str
        Of each field, as `plates_of`; "" stands for all fields together.
    against : OF_TRAINING or OF_PLATES
    """
    levels, found = np.asarray(levels, float), []
    if kept is None or not levels.size:
        return found
    names, numbers = np.unique(np.asarray(plates, dtype=str), return_inverse=True)
    order = np.argsort(numbers, kind="stable")
    ends = np.searchsorted(numbers[order], np.arange(len(names)), "right")
    for name, rows in zip(names.tolist(), np.split(order, ends[:-1])):
        mine = levels[rows]
        mine = mine[np.isfinite(mine[:, 0, _MEAN])]
        if len(mine):
            found += _far(kept, channels, mine, name, against)
    return found


def _far(kept, channels, levels, plate: str, against: _Against) -> list[Far]:
    """Of the fields of one plate."""
    place = plate or ("these fields" if len(levels) > 1 else "this field")
    planes = [_not_blank(levels[:, c]) for c in range(len(channels))]
    middles = np.array([np.median(_kept_of(mine), axis=0) for mine in planes])
    exchanged, found = _exchanged(kept, middles, len(levels)), []
    for c, (mine, middle) in enumerate(zip(planes, middles)):
        if not kept["deviation"][c][_MEDIAN] > 0:  # a channel that was blank tells nothing
            continue
        if c in exchanged:
            words = (f"{channels[c]} looks like {channels[exchanged[c]]} of {against.name} (mean, "
                     f"contrast, detail): are channels exchanged? Name each channel's own column")
        else:
            words = _words(kept, c, channels[c], middle, _union(mine[:, _BITS]), against)
        if words:
            found.append(Far(plate, c, f"{place}: {words}"))
    return found


def _words(kept, c: int, channel: str, middle, bits: int, against: _Against) -> str | None:
    """What is said of a channel whose medians lie far away, None of one that does not."""
    mean, floor = kept["mean"][c], kept["floor"][c]
    typical, (level, dark, deviation) = kept["deviation"][c][_MEDIAN], middle[:3]
    step = _multiple(bits, kept["bits"][c])
    multiples = f", all multiples of {step}" if step > 1 else ""
    where = f"where {against.name} {against.verb} {_range(mean)}"
    if deviation == 0:
        return (f"{channel} is blank, all pixels are {_number(level)}, where {against.name} "
                f"{against.verb} a mean of {_range(mean)}: {against.cure}")
    is_shifted = (_beyond(dark, floor, _FACTOR) and
                  max(dark - floor[_MOST], floor[_LEAST] - dark) > _SHIFT * typical)
    is_scaled = (_beyond(level, mean, _FACTOR) if mean[_LEAST] > 0 else
                 max(level - mean[_MOST], mean[_LEAST] - level) > _FACTOR * typical)
    contrast = (level - dark) / max(mean[_MEDIAN] - floor[_MEDIAN], 1e-30)
    if is_shifted and 1 / _FACTOR < contrast < _FACTOR:
        more = dark - floor[_MEDIAN]
        return (f"{channel} has an offset, its darkest pixels have {_number(abs(more))} counts "
                f"{'more' if more > 0 else 'less'} ({_number(dark)} where {against.name} "
                f"{against.verb} {_range(floor)}){multiples}: {against.cure}")
    if is_scaled or is_shifted or step > 1:
        times = _times(level, mean[_MEDIAN])
        return (f"{channel} has counts {times} those of {against.name} (mean {_number(level)} "
                f"{where}){multiples}: {against.cure}")
    return None


def _beyond(value: float, known, factor: float) -> bool:
    """Whether a number lies outside of all known ones by a factor."""
    return value > factor * known[_MOST] or value < known[_LEAST] / factor


def _multiple(bits: int, known: int) -> int:
    """What all counts are multiples of, where the known ones are not; else 1."""
    step, theirs = bits & -bits, known & -known
    return step if theirs and step > theirs else 1


def _times(level: float, known: float) -> str:
    if level <= 0 or known <= 0:
        return "unlike"
    ratio = level / known
    return f"{_short(ratio)} times" if ratio >= 1 else f"1/{_short(1 / ratio)} of"


def _short(ratio: float) -> str:
    return f"{ratio:,.0f}" if ratio >= 9.5 else f"{ratio:.1f}"


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 10 or value == int(value) else f"{value:.3g}"


def _range(known) -> str:
    least, most = _number(known[_LEAST]), _number(known[_MOST])
    return least if least == most else f"{least} to {most}"


def sentences_of(found: list[Far]) -> list[str]:
    """What is said of them; after the first few, one sentence stands for the rest."""
    sentences = [one.sentence for one in found[:_MOST_SAID]]
    if len(found) > _MOST_SAID:
        rest = found[_MOST_SAID:]
        plates = listed(dict.fromkeys(one.plate or "these fields" for one in rest), limit=20)
        sentences.append(f"{len(rest)} more channels whose counts lie as far: {plates}")
    return sentences


def tell_far(found: list[Far], progress=None, depth: int = 3) -> None:
    """Tell a user: as warnings of `phenoscale.progress` where somebody takes its events, else as
    Python's, which a notebook shows.

    depth: of frames, from here to the user's.
    """
    for words in sentences_of(found):
        if not progress:
            warnings.warn(words, stacklevel=depth)
        else:
            Watch(progress).warn(words)


# ---- channels that are exchanged -----------------------------------------------------------------


def _exchanged(kept, middles, fields: int) -> dict[int, int]:
    """Channel to the channel that it looks like instead, where they are a ring of two or more."""
    unlike = _unlikeness(kept, middles)
    own = np.diag(unlike).copy()
    least, times = next(limits for n, *limits in _EXCHANGED if fields >= n)
    best = unlike.argmin(axis=1)
    others = {c: int(to) for c, to in enumerate(best)
              if to != c and own[c] > least and unlike[c, to] * times < own[c]}
    while True:  # one that looks like another which does not may be a phenotype
        ring = {c: to for c, to in others.items() if to in others and c in others.values()}
        if ring == others:
            return ring
        others = ring


def _unlikeness(kept, middles):
    """(channels of a plate, channels kept): mean square of the differences, in units of what
    fields and plates of one assay differ by."""
    knows = np.array([kept[name] for name in KEPT])  # (names, channels, quantiles)
    quartiles = [_likeness(knows[:, :, k].T) for k in (_LOWER, _MEDIAN, _UPPER)]
    spread = (quartiles[2] - quartiles[0]) / 1.349
    units = np.sqrt(spread**2 + _BETWEEN_PLATES**2)
    apart = (_likeness(middles)[:, None] - quartiles[1][None]) / units[None]
    return (apart**2).sum(axis=2)


def most_like_all(levels, plates: list[str]) -> int:
    """Of the plates, numbered as they come, the one that is most like all the others.

    levels: (fields, channels, KINDS); plates: of each field.
    """
    names = {name: k for k, name in enumerate(dict.fromkeys(plates))}
    numbers = np.array([names[name] for name in plates])
    order = np.argsort(numbers, kind="stable")
    groups = np.split(order, np.searchsorted(numbers[order], np.arange(1, len(names))))
    some = range(0, len(names), -(-len(names) // _COMPARED))
    middles = np.array([[np.median(_kept_of(levels[groups[k], c]), axis=0)
                         for c in range(levels.shape[1])] for k in some])
    units = np.array([_likeness(one) for one in middles]) / _BETWEEN_PLATES
    level = np.log(np.maximum(middles[:, :, _MEAN], 1e-30)) / np.log(_FACTOR)
    steps = np.array([[_union(levels[groups[k], c, _BITS]) for c in range(levels.shape[1])]
                      for k in some])
    steps = np.log2(np.maximum(steps & -steps, 1)) * _UNLIKE
    units = np.concatenate([units, level[:, :, None], steps[:, :, None]], axis=2)
    units = units.reshape(len(units), -1)
    apart = np.array([np.minimum(np.abs(units - mine), _UNLIKE).sum() for mine in units])
    return some[int(np.flatnonzero(apart <= apart.min() * (1 + 1e-9))[0])]


def _likeness(rows):
    """What tells channels apart, of rows in the order of `KEPT`."""
    mean, floor, deviation, detail, shape = np.asarray(rows).T
    logs = [np.log(np.maximum(values, tiny)) for values, tiny in
            ((shape, 1e-3), (deviation, 1e-30), (floor, 1.0))]
    return np.column_stack([logs[0], detail, logs[1], logs[2]])


# ---- channels that are blank ---------------------------------------------------------------------


def blank_in(levels, channels, classes) -> list[str]:
    """Sentences on channels that are blank in the fields of some classes and in no others.

    Parameters
    ----------
    levels : array (fields, channels, KINDS)
        NaN in rows of fields that could not be read.
    channels : list of str
    classes : sequence of str
        Of each field; "" for none.
    """
    levels, classes, found = np.asarray(levels, float), np.asarray(classes, dtype=str), []
    names = [name for name in np.unique(classes).tolist() if name]
    for c, channel in enumerate(channels):
        known = np.isfinite(levels[:, c, _MEAN]) if len(levels) else np.zeros(0, bool)
        is_blank = known & (levels[:, c, _DEVIATION] == 0) if len(levels) else known
        if not is_blank.any():
            continue
        totals = {name: (classes == name) & known for name in names
                  if ((classes == name) & is_blank).any()}
        dark = [name for name, rows in totals.items() if is_blank[rows].mean() >= _BLANK]
        rest = known & (classes != "") & ~np.isin(classes, dark)
        if dark and rest.any() and is_blank[rest].mean() <= _REST:
            rows = known & np.isin(classes, dark)
            n, of, more = is_blank[rows].sum(), rows.sum(), is_blank[rest].sum()
            few = f"{n} of {of} fields" if n < of else "every field"
            other = f"{more} of {rest.sum()} others" if more else "no other"
            label = f"class{'es' * (len(dark) > 1)} {', '.join(dark[:5])}"
            label += f" and {len(dark) - 5} more" * (len(dark) > 5)
            found.append(f"channel {channel} is blank in {few} of {label} and in {other}: the "
                         "network would learn that; leave the channel out, or these fields")
    return found
