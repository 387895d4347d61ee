# SPDX-License-Identifier: BSD-3-Clause
"""The classic numbers of whole fields: their names, and the channel whose cells are counted.

    counts (c, h, w) -> csrc/measures -> Image_Intensity_MeanIntensity_DNA ...

Where CellProfiler measures the same of an image, name and number are its; docs/measures.md says
what each is.
"""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from phenoscale import _core
from phenoscale.errors import InputError
from phenoscale.words import listed

__all__ = ["Measurer", "cells_in", "find_nuclei", "measure_names"]

_COUNT = "Cells_Count"  # the number that is the cells of a field
_NUCLEI = re.compile(r"(?i)(?<![a-z])(?:dna|dapi|hoechst\w*|nucle\w*|draq5|h2b\w*)(?![a-z])")


def find_nuclei(channels, given: str | None = None) -> tuple[int, str]:
    """The channel of the nuclei: its number, -1 without one, and a sentence where that was found.

    Parameters
    ----------
    channels : list of str
    given : str, optional
        Its name, or "none"; by default the one channel that is called DNA, DAPI, Hoechst, nuclei
        or the like.
    """
    if given == "none":
        return -1, ""
    if given is not None:
        if given not in channels:
            raise InputError(f"there is no channel {given} of nuclei: the fields have "
                             f"{listed(channels, near=given)}")
        return channels.index(given), ""
    found = [k for k, name in enumerate(channels) if _NUCLEI.search(name.replace("_", " "))]
    if len(found) == 1:
        return found[0], f"cells are counted in channel {channels[found[0]]}"
    why = "several channels are" if found else "no channel is"
    return -1, (f"{why} called DNA, DAPI, Hoechst, nuclei or the like: cells are not counted; name "
                f"theirs by --nuclei, of {listed(channels)}")


def measure_names(channels, nuclei: int = -1) -> list[str]:
    """The columns of the numbers, in their order."""
    return ["Image_" + row["name"].format(channels[row["a"]], channels[row["b"]])
            for row in _core.number_rows(len(channels), nuclei)]


def cells_in(names) -> int | None:
    """Which of the names is the cells of a field; None where they are not counted."""
    return next((k for k, name in enumerate(names) if _COUNT in name), None)


class Measurer:
    """Measures fields, several at a time; the numbers do not depend on how many.

    Parameters
    ----------
    channels : list of str
    nuclei : int
        Number of the channel whose cells are counted, or -1.
    threads : int
    names : list of str, optional
        The numbers wanted; by default all.

    Attributes
    ----------
    names : list of str
        Of the numbers.
    channel : str or None
        Whose cells are counted.

    Raises
    ------
    InputError
        For a name that this version does not have.
    """

    def __init__(self, channels, nuclei: int, threads: int, names=None):
        known = measure_names(channels, nuclei)
        self.channel = None if nuclei < 0 else channels[nuclei]
        self.names, self.nuclei = names or known, nuclei
        unknown = set(self.names) - set(known)
        if unknown:
            raise InputError(f"this version of phenoscale has no measure {min(unknown)}: use the "
                             "version that the model was trained with, or train again")
        place = {name: k for k, name in enumerate(known)}
        self._wanted = np.array([place[name] for name in self.names])
        self._pool = ThreadPoolExecutor(threads) if threads > 1 else None

    def __call__(self, fields) -> list[np.ndarray]:
        """The numbers (n,) float64 of each field (c, h, w), counts as in its files."""
        each = self._pool.map if self._pool else map
        return list(each(lambda field: _core.numbers(field, self.nuclei)[self._wanted], fields))
