# SPDX-License-Identifier: BSD-3-Clause
"""Fields that cannot be read any more in the middle of a training, and who stands in for them.

With "skip" a step that meets one is begun again, on all ranks, with another field of its class in
its place: so epochs keep their length, and a training that is resumed goes the same way.
"""

from __future__ import annotations

import numpy as np

from phenoscale.errors import InputError
from phenoscale.words import count

__all__ = ["Reader"]

_TRIES = 10  # of one step
_SAID = 8  # times that it is warned of


class Reader:
    """A source for a training, with the words of `FieldFiles`.

    Parameters
    ----------
    source : FieldFiles, FieldPictures or FieldArrays
    labels : ndarray of int64, (n,)
    train : ndarray of int64
        Numbers of the fields to train on.
    lost : dict of int to str
        Fields that are lost already, and why; grows.
    watcher : phenoscale.training.watcher.Watcher
        Says by its `on_error` what a field is that cannot be read, and is told of it.

    Attributes
    ----------
    source, lost, on_error
    faults : dict of int to str
        Fields of the step under way that this rank could not read.
    """

    def __init__(self, source, labels, train, lost: dict, watcher):
        self.source, self.lost, self.faults = source, lost, {}
        self.release, self.place = source.release, source.place
        self._labels, self._train, self._watcher = labels, train, watcher
        self.on_error = watcher.on_error
        self._tries = self._said = 0

    def start(self, order, *more) -> None:
        """Begin a pass, as `phenoscale._core.Loader.start`."""
        self._order, self._sample, self.faults = order, 0, {}
        self.source.start(order, *more)

    def next(self) -> np.ndarray:
        """The next field, (c, h, w); one that cannot be read is an error, or all 0 and a fault."""
        self._sample += 1
        try:
            return self.source.next()
        except InputError as error:
            if self.on_error != "skip":
                raise
            self.faults[int(self._order[self._sample - 1])] = str(error)
            return np.zeros(self.source.shape, self.source.dtype)

    def order(self, order) -> np.ndarray:
        """An order of fields with the next of its class in place of each lost one; InputError where
        a class has no other."""
        if not self.lost:
            return order
        order, there = order.copy(), self.left(self._train)
        for row in set(order.tolist()) & self.lost.keys():
            same = np.sort(there[self._labels[there] == self._labels[row]])
            if not len(same):
                raise InputError(f"{self.lost[row]}; no other field of its class is left to train "
                                 "on")
            order[order == row] = same[np.searchsorted(same, row) % len(same)]
        return order

    def left(self, rows) -> np.ndarray:
        """Those of some fields that are not lost."""
        return rows[~np.isin(rows, list(self.lost))] if self.lost else rows

    def settle(self, ranks) -> bool:
        """After a step of no use: whether fields of it were lost, here or at another rank."""
        if self.on_error != "skip":
            return False
        said = ranks.everyone(list(self.faults.items()))
        self.lose({row: why for faults in said for row, why in faults})
        if not any(said):
            self._tries = 0
            return False
        self._tries += 1
        if self._tries == _TRIES:
            raise InputError(f"{next(iter(self.lost.values()))}; {_TRIES} times in a row a step "
                             f"had fields that cannot be read, {len(self.lost)} in all: are the "
                             "files and their disk there? Then go on with --resume")
        return True

    def stepped(self) -> None:
        """A step was done."""
        self._tries = 0

    def lose(self, reasons: dict[int, str]) -> None:
        """Fields that cannot be read, on all ranks the same."""
        new = {row: why for row, why in reasons.items() if row not in self.lost}
        self.lost.update(new)
        if new and self._said < _SAID:
            self._said += 1
            self._watcher.warn(f"{next(iter(new.values()))}; the training goes on without "
                               + ("it" if len(new) == 1 else f"it and {len(new) - 1} more")
                               + f" ({count(len(self.lost), 'field')} lost since it began)")
