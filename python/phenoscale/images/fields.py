# SPDX-License-Identifier: BSD-3-Clause
"""Fields for the network, in order and a few ahead: from TIFFs (the C loader), from files of other
kinds, or from arrays.

All sources answer to the same words: n, size (of a field in the files), shape (of one for the
network: channels, and sides after binning), dtype, start, next, release, place.
"""

from __future__ import annotations

import os
from collections import deque
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from phenoscale import _core
from phenoscale.errors import InputError
from phenoscale.tables.table import DEPTHS

__all__ = ["AUGMENTS", "FieldArrays", "FieldFiles", "FieldPictures", "augment_bits", "check_plane",
           "open_fields"]

_LIMITS = _core.limits()
#: what `Recipe.augment` may name, in the order in which they come
AUGMENTS = tuple(_core.augment_names())


def augment_bits(names) -> int:
    """The bits that `_core` wants for names of augmentations."""
    for name in names:
        if name not in AUGMENTS:
            raise InputError(f"there is no augmentation '{name}': choose among "
                             f"{', '.join(AUGMENTS)}")
    return sum(1 << AUGMENTS.index(name) for name in set(names))


def _number(samples, sample: int) -> int:
    """Of the epoch's samples, the one that stands `sample`-th in a pass."""
    return sample if samples is None else int(samples[sample])


def open_fields(table, found, threads: int, bin: int = 1, workers: int = 2):
    """The fields of a table as a source.

    Parameters
    ----------
    table : Table
    found : phenoscale.images.survey.Survey
    threads : int
        Fields that the network has at a time.
    bin : int
        Pixels are means of bin x bin.
    workers : int
        Threads that decode.
    """
    is_tiff = set(found.kinds) <= {"TIFF"}
    return (FieldFiles if is_tiff else FieldPictures)(table, found, threads, bin, workers)


class _OfTable:
    """What both sources of files share: the fields of a table, all of one shape.

    Memory holds a few fields however large a batch is: the `threads` ones that the network has,
    as many that are ready when it is done with them, and one that each worker is decoding.
    """

    def __init__(self, table, found, threads: int, bin: int, workers: int):
        c, h, w = found.shape
        if c > _LIMITS["channels"] or max(h, w) > _LIMITS["side"]:
            raise InputError(f"fields of {c} channels, {h} x {w} pixels: at most "
                             f"{_LIMITS['channels']} channels (choose by --channels), "
                             f"{_LIMITS['side']} pixels a side")
        most = min(_LIMITS["bin"], h, w)
        if not 1 <= bin <= most:
            raise InputError(f"bin={bin}: give a number from 1 to {most}")
        self.n, self.dtype = len(table), found.dtype
        self.size, self.shape = (h, w), (c, h // bin, w // bin)
        self._table, self._bin = table, bin
        self._slots, self._workers = 2 * threads + workers, workers

    def _begin(self, order) -> None:
        self._order, self._sample = np.asarray(order, np.int64), 0

    def place(self, number: int) -> str:
        """Words for a field, with its first file: "screen.csv line 7 (well P1 B02) a.tif"."""
        return f"{self._table.place(number)} {os.path.basename(self._table.paths[number][0])}"

    def _fault(self, error) -> InputError:
        """What is wrong with the field just asked for."""
        place = self._table.place(int(self._order[self._sample - 1]))
        return InputError(f"{place}: {error}, or leave the row out")


class FieldFiles(_OfTable):
    """Fields as TIFFs, through the C loader."""

    def __init__(self, table, found, threads: int, bin: int = 1, workers: int = 2):
        super().__init__(table, found, threads, bin, workers)
        z = table.z if table.z in _core.z_names() else None
        self._loader = _core.Loader(*found.for_loader(), found.shape, np.dtype(found.dtype), z, bin,
                                    workers=workers, slots=self._slots)
        self.release = self._loader.release

    def start(self, order, augment: int = 0, seed: int = 0, epoch: int = 0,
              samples=None) -> None:
        """Begin a pass, as `_core.Loader.start`."""
        self._begin(order)
        self._loader.start(self._order, augment, seed, epoch, samples)

    def next(self) -> np.ndarray:
        """The next field of the pass, (c, h, w); InputError names one that cannot be read."""
        self._sample += 1
        try:
            return self._loader.next()
        except (ValueError, OSError) as error:
            raise self._fault(error) from None


class FieldPictures(_OfTable):
    """Fields as files of any kind, decoded by Python's libraries in threads."""

    def __init__(self, table, found, threads: int, bin: int = 1, workers: int = 2):
        super().__init__(table, found, threads, bin, workers)
        self._planes, self._ahead = found.planes, deque()
        self._pool = ThreadPoolExecutor(workers, "phenoscale-pictures")

    def start(self, order, augment: int = 0, seed: int = 0, epoch: int = 0,
              samples=None) -> None:
        """Begin a pass, as `_core.Loader.start`."""
        while self._ahead:
            self._ahead.popleft().cancel()
        self._begin(order)
        self._claimed, self._how, self._numbers = 0, (augment, seed, epoch), samples
        self.release(self._slots)

    def release(self, n: int) -> None:
        """Room for n more fields: begin to read them."""
        for _ in range(min(n, len(self._order) - self._claimed)):
            self._ahead.append(self._pool.submit(self._read, self._claimed))
            self._claimed += 1

    def next(self) -> np.ndarray:
        """The next field of the pass, (c, h, w); InputError names one that cannot be read."""
        self._sample += 1
        try:
            return self._ahead.popleft().result()
        except (ValueError, OSError) as error:
            raise self._fault(error) from None

    def _read(self, sample: int) -> np.ndarray:
        from phenoscale.images.read import as_counts, read_image

        row, pages = int(self._order[sample]), {}
        if not self._planes[row][0]:
            raise ValueError("its files cannot be used: see 'phenoscale check'")
        field = np.empty(self.shape, self.dtype)
        for k, planes in enumerate(self._planes[row]):
            stack = []
            for path, page, number in planes:
                if (path, page) not in pages:
                    pixels = read_image(path, page)
                    pages[path, page] = as_counts(pixels) if self.dtype == "uint16" else pixels
                stack.append(self._checked(path, pages[path, page][number]))
            plane = _core.z(self._table.z, np.stack(stack)) if len(stack) > 1 else stack[0]
            field[k] = _core.bin(plane, self._bin)
        _core.augment(field, *self._how, _number(self._numbers, sample))
        return field

    def _checked(self, path, plane) -> np.ndarray:
        """A plane in the depth of all, its size theirs."""
        if plane.shape != self.size:
            raise ValueError(f"{path} is {plane.shape[0]} x {plane.shape[1]} pixels, the other "
                             f"fields are {self.size[0]} x {self.size[1]} (height x width): remove "
                             "it, or export all fields at one size")
        return check_plane(plane.astype(self.dtype, copy=False), path)


def check_plane(plane: np.ndarray, where: str) -> np.ndarray:
    """The same plane (h, w); InputError, as the reader of files has it, for floats that are NaN,
    infinite, or codes for missing pixels."""
    if plane.dtype.kind == "f":
        try:
            _core.check_floats(plane)
        except ValueError as error:
            raise InputError(f"{where}: {error}") from None
    return plane


class FieldArrays:
    """Fields as arrays (n, c, h, w) of uint8, uint16 or float32 (other numbers become float32)."""

    def __init__(self, images, bin: int = 1):
        images = np.asarray(images)
        if images.ndim != 4 or images.dtype.kind not in "buif":
            raise InputError("images are numbers (n, channels, height, width), not "
                             f"{images.dtype} {images.shape}")
        if images.dtype.newbyteorder("=").name not in DEPTHS:
            images = images.astype(np.float32)
        images = images.astype(images.dtype.newbyteorder("="), copy=False)
        for number, field in enumerate(images):
            for channel, plane in enumerate(field):
                check_plane(plane, f"image {number}, channel {channel}")
        self._images, self._bin = images, bin
        self.n, self.dtype, self.size = len(images), images.dtype.name, images.shape[2:]
        self.shape = (images.shape[1], *(side // bin for side in self.size))
        self.start([])

    def start(self, order, augment: int = 0, seed: int = 0, epoch: int = 0,
              samples=None) -> None:
        """Begin a pass, as `_core.Loader.start`."""
        self._order, self._sample = np.asarray(order, np.int64), 0
        self._how, self._numbers = (augment, seed, epoch), samples

    def place(self, number: int) -> str:
        """Words for a field."""
        return f"image {number}"

    def next(self) -> np.ndarray:
        """The next field of the pass, (c, h, w)."""
        field = self._images[self._order[self._sample]]
        field = np.stack([_core.bin(plane, self._bin) for plane in field])
        _core.augment(field, *self._how, _number(self._numbers, self._sample))
        self._sample += 1
        return field

    def release(self, n: int) -> None:
        """Nothing is held back: each field is a copy."""
