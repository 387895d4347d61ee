# SPDX-License-Identifier: BSD-3-Clause
"""Fields for the network, in order and a few ahead: from files (the C loader) or from arrays.

Both sources answer to the same five words: shape, dtype, start, next, release.
"""

from __future__ import annotations

import os

import numpy as np

from phenoscale import _core
from phenoscale.errors import InputError

__all__ = ["FieldArrays", "FieldFiles", "augment_bits", "thread_count"]


def thread_count(threads: int | None = None) -> int:
    """The threads to use: as asked, else the processors this process may run on."""
    if threads is not None:
        if not 1 <= threads <= 1024:
            raise InputError(f"threads={threads}: give a number from 1 to 1024")
        return threads
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def augment_bits(names) -> int:
    """The bits that `_core` wants for names of augmentations."""
    known = _core.augment_names()
    for name in names:
        if name not in known:
            raise InputError(f"there is no augmentation '{name}': choose among {', '.join(known)}")
    return sum(1 << known.index(name) for name in set(names))


class FieldFiles:
    """The fields of a table as files: gray TIFFs, all of one shape (c, h, w).

    Memory holds a few fields however large a batch is: the `threads` ones that the network has,
    as many that are ready when it is done with them, and one that each worker is decoding.
    """

    def __init__(self, table, shape, dtype, threads: int, workers: int = 2):
        self.shape, self.dtype = tuple(shape), dtype
        self.n = len(table)
        self._table = table
        self._loader = _core.Loader(table.paths, self.shape, np.dtype(dtype), workers=workers,
                                    slots=2 * threads + workers)
        self.release = self._loader.release

    def start(self, order, augment: int = 0, seed: int = 0, epoch: int = 0) -> None:
        """Begin a pass, as `_core.Loader.start`."""
        self._order, self._sample = np.asarray(order, np.int64), 0
        self._loader.start(self._order, augment, seed, epoch)

    def next(self) -> np.ndarray:
        """The next field of the pass, (c, h, w); InputError names one that cannot be read."""
        self._sample += 1
        try:
            return self._loader.next()
        except (ValueError, OSError) as error:
            place = self._table.place(int(self._order[self._sample - 1]))
            raise InputError(f"{place}: {error}, or leave the row out") from None


class FieldArrays:
    """Fields as arrays (n, c, h, w) of uint8, uint16 or float32 (other numbers become float32)."""

    def __init__(self, images):
        images = np.asarray(images)
        if images.ndim != 4 or images.dtype.kind not in "buif":
            raise InputError("images are numbers (n, channels, height, width), not "
                             f"{images.dtype} {images.shape}")
        if images.dtype.newbyteorder("=") not in (np.uint8, np.uint16, np.float32):
            images = images.astype(np.float32)
        images = images.astype(images.dtype.newbyteorder("="), copy=False)
        if images.dtype.kind == "f" and not np.isfinite(images).all():
            raise InputError("the images have pixels that are NaN or infinite: replace them by "
                             "numbers")
        self._images = images
        self.n, self.shape, self.dtype = len(images), images.shape[1:], images.dtype.name
        self.start([])

    def start(self, order, augment: int = 0, seed: int = 0, epoch: int = 0) -> None:
        """Begin a pass, as `_core.Loader.start`."""
        self._order, self._sample = np.asarray(order, np.int64), 0
        self._how = (augment, seed, epoch)

    def next(self) -> np.ndarray:
        """The next field of the pass, (c, h, w)."""
        field = self._images[self._order[self._sample]].copy()
        augment, seed, epoch = self._how
        _core.augment(field, augment, seed, epoch, self._sample)
        self._sample += 1
        return field

    def release(self, n: int) -> None:
        """Nothing is held back: each field is a copy."""
