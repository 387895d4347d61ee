# SPDX-License-Identifier: BSD-3-Clause
"""Which columns of a table of profiles are features: by their names, never by their place.

First step of matching.  Names of metadata, of objects, places and files are never features,
whatever is asked for.
"""

from __future__ import annotations

import re

from phenoscale.errors import InputError
from phenoscale.tables.predictions import is_embedding
from phenoscale.words import count, listed

__all__ = ["choose_features"]

#: CellProfiler's, pycytominer's, phenoscale's measures: what was measured of the objects or field
_MEASURED = re.compile(r"(?:Cells?|Nuclei|Nucleus|Cytoplasm|Image)_.+")
#: of a network: what a group is called, and the number of the column in it
_NUMBERED = re.compile(r"(.*[^\W\d].*?)(\d+)")
_GROUP = 8  # columns that a network's embedding has at least
_NEVER = re.compile(
    r"(?:Image_)?(?:Metadata|FileName|PathName|URL|Series|Frame|Sample|MD5Digest|Group|Width|"
    r"Height|Scaling|ExecutionTime|ModuleError|ProcessingStatus|Channel|Count|Phenoscale(?!_Emb\d))"
    r"(?:_.*)?|(?:\w+_)?(?:ImageNumber|ObjectNumber|TableNumber|ImageSet|Object_Number|Number)|"
    r"\w+?_(?:Parent|Location|AreaShape_Center|AreaShape_BoundingBox\w*|Metadata)_.*|"
    r"(?:\w+_)?(?:id|ID|index|Index)")
_NAMED = 3  # columns, or groups, named in a sentence


def choose_features(is_number, prefixes, source: str, of_one_kind: bool = True
                    ) -> tuple[list[str], str]:
    """The columns that are features, and a sentence that says which.

    Parameters
    ----------
    is_number : dict of str to bool
        Column to whether it holds numbers, in the order of the table.
    prefixes : list of str or None
        How the names of features begin, as the user says; None: names in use are looked for, those
        of CellProfiler and pycytominer (Cells_, Nuclei_, Cytoplasm_, Image_), and eight or more
        columns that differ in the number at their end only, as networks have them (emb_0, emb_1).
    source : str
        For messages.
    of_one_kind : bool
        Whether kinds of features that are on different scales may not be taken at once.

    Raises
    ------
    InputError
        Where no column is one, where there are several kinds and one is wanted, and for a prefix
        that no column has.
    """
    numbers = [name for name, is_one in is_number.items()
               if is_one and not _NEVER.fullmatch(name)]
    if prefixes is not None:
        return _by_prefixes(numbers, is_number, prefixes, source)
    kinds = _kinds(numbers)
    if not kinds:
        raise InputError(f"{source}: no columns are features by their names (Cells_, Nuclei_, "
                         "Cytoplasm_, Image_, or a network's as emb_0, emb_1): name how they "
                         f"begin with --features; numbers are in {listed(numbers, limit=_NAMED)}")
    if len(kinds) > 1 and of_one_kind:
        words = listed((f"{len(names):,} as {names[0]}" for names in kinds.values()), limit=_NAMED)
        raise InputError(f"{source} has features of several kinds, {words}: name those to compare "
                         f"with --features {next(iter(kinds))}")
    of_a_kind = set().union(*kinds.values())
    names = [name for name in numbers if name in of_a_kind]
    return names, _said(names, numbers, "by their names")


def _by_prefixes(numbers, is_number, prefixes, source: str):
    for prefix in prefixes:
        if not any(name.startswith(prefix) for name in numbers):
            there = listed(numbers or is_number, near=prefix, limit=_NAMED)
            raise InputError(f"{source}: no column of numbers that could be a feature begins with "
                             f"{prefix}: there are {there}")
    names = [name for name in numbers if name.startswith(tuple(prefixes))]
    if not names:
        raise InputError("--features names nothing: give how the names of features begin")
    return names, _said(names, numbers, f"that begin with {listed(prefixes)}")


def _kinds(numbers) -> dict[str, list[str]]:
    """How the names of a kind begin, to the columns: one kind is of one scale, more or less."""
    kinds, measured = {}, []
    for name in numbers:
        numbered = _NUMBERED.fullmatch(name)
        if is_embedding(name) or not _MEASURED.fullmatch(name):
            if numbered:
                kinds.setdefault(numbered[1].rstrip("0123456789"), []).append(name)
        else:
            measured.append(name)
    kinds = {begin: names for begin, names in kinds.items() if len(names) >= _GROUP}
    if measured:
        begins = dict.fromkeys(name.split("_")[0] + "_" for name in measured)
        kinds[",".join(begins)] = measured
    return kinds


def _said(names, numbers, how: str) -> str:
    kept = set(names)
    left = [name for name in numbers if name not in kept]
    words = f"features: {count(len(names), 'column')} {how}, {names[0]} to {names[-1]}"
    return words + (f"; numbers that are none: {listed(left, limit=_NAMED)}" if left else "")
