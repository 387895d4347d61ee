# SPDX-License-Identifier: BSD-3-Clause
"""The finished blocks of a file, on disk until all are there: what it can be resumed from.

    OUT.parts/block-000012.safetensors: what was found of its fields, the fields that were skipped,
    checksums, and what the numbers depend on

A block is whole or not there.  It is used where model and options are the same, else refused, and
where its fields and their files are the same, else done again.  What is found is of a kind that
names its arrays in `TENSORS`, float32 of one row a field, and has `skipped`.
"""

from __future__ import annotations

import json
import os
import re
import zlib
from contextlib import suppress

import numpy as np

from phenoscale.errors import InputError
from phenoscale.files.atomic import real_file, remove_leftovers
from phenoscale.files.tensors import Stored, checksums, read_header, write_tensors
from phenoscale.machine import environment

__all__ = ["Blocks", "blocks_beside"]

_PROGRAM, _WHAT = "phenoscale block", "a block of a phenoscale that was stopped"
_LIMIT = 1 << 24  # bytes of header: why fields were skipped is in it
_NAME = re.compile(r"block-(\d{6,})\.safetensors(\.tmp\.\d+)?")
#: What becomes of a block that was looked for.
_DONE, _TO_DO, _REFUSED = range(3)


def blocks_beside(out) -> str:
    """The folder of the blocks of a file of predictions; links to one file have one."""
    return f"{real_file(out) if os.path.islink(out) else os.fspath(out)}.parts"


class Blocks:
    """The blocks of one file, by number: ``blocks[12] = found; blocks[12]``.

    Parameters
    ----------
    out : path
        The file.
    kind : type
        Of what is found; its name and arrays tell one kind of block from another.
    same : dict of str to str
        What all blocks share: "model", and options by their names.
    warn : callable, optional
        Takes a sentence.

    Attributes
    ----------
    folder : str
        Made with the first block.
    """

    def __init__(self, out, kind, same: dict, warn=None):
        self.folder, self._out = blocks_beside(out), os.fspath(out)
        self._kind, self._same, self._keys = kind, {"kind": kind.__name__.lower(), **same}, {}
        self._warn = warn or (lambda words: None)
        self._environment, self._is_mixed = environment(), False

    def numbers(self) -> set[int]:
        """Of the blocks that lie there."""
        return {int(match[1]) for match in self._found() if not match[2]}

    def to_do(self, n: int, key_of, resume: bool, ranks) -> list[int]:
        """Numbers of the blocks, of n, that have to be predicted; each rank looks at a share.

        Collective: all ranks get the same.

        Parameters
        ----------
        n : int
        key_of : callable
            Number to what the block depends on beside `same`, as text.
        resume : bool
            Whether blocks that lie there may be used.
        ranks : object
            As `phenoscale.ranks.alone.Alone`.

        Raises
        ------
        InputError
            For blocks that may not be used, or are of another model or other options.
        """
        there, mine = self.numbers(), []
        if there and not resume:
            raise InputError(f"{self.folder} holds a prediction that was stopped: go on with "
                             "--resume, choose another --out, or remove it")
        for number in range(ranks.rank, n, ranks.size):
            key = key_of(number)
            mine.append([number, key, *(self._look(number, key) if number in there
                                        else (_TO_DO, None))])
        said = [line for lines in ranks.everyone(mine) for line in lines]
        self._keys = {number: key for number, key, *_ in said}
        refused = [words for *_, state, words in said if state == _REFUSED]
        if refused:
            raise InputError(refused[0])
        again = [words for *_, state, words in said if state == _TO_DO and words]
        if again:
            more = f" and {len(again) - 1} more" if len(again) > 1 else ""
            self._warn(f"{again[0]}{more}: done again")
        return sorted(number for number, _, state, _ in said if state == _TO_DO)

    def __setitem__(self, number: int, found) -> None:
        tensors = [(name, getattr(found, name)) for name in self._kind.TENSORS]
        about = {"same": self._same, "key": self._keys[number], "environment": self._environment,
                 "rows": len(tensors[0][1]), "crc32": checksums(tensors),
                 "skipped": sorted([row, why] for row, why in found.skipped.items())}
        about["about_crc32"] = _crc(about)
        try:
            os.makedirs(self.folder, exist_ok=True)
            write_tensors(self._path(number), _PROGRAM, about,
                          [(name, numbers.shape, numbers) for name, numbers in tensors])
        except (InputError, OSError) as error:
            words = error if isinstance(error, InputError) \
                else f"{self.folder} cannot be made: {error.strerror}"
            raise InputError(f"{words}; the blocks before it stay, go on with --resume") from None
        finally:
            with suppress(OSError):
                os.rmdir(self.folder)  # where this would have been the first: it is empty

    def __getitem__(self, number: int):
        if not os.path.exists(self._path(number)):
            raise InputError(f"{self._path(number)} does not exist: give --out in a folder that "
                             "all ranks share, and go on with --resume")
        about, found = self._read(number)
        if about["key"] != self._keys[number] or about["same"] != self._same:
            raise InputError(f"{self._path(number)} was written by another prediction: let one end "
                             "before the next begins, and go on with --resume")
        if about["environment"] != self._environment and not self._is_mixed:
            self._is_mixed = True
            self._warn("blocks were predicted with different instruction sets or versions of the "
                       "libraries: the last bits may differ from those of one process")
        return found

    def clear(self) -> None:
        """Remove the folder, and what a killed process left half-written; other files stay."""
        folder, name = os.path.split(os.path.realpath(self._out))
        remove_leftovers(folder, re.escape(name))
        for match in self._found():
            with suppress(OSError):
                os.remove(os.path.join(self.folder, match[0]))
        with suppress(OSError):
            os.rmdir(self.folder)

    # ---- one file ------------------------------------------------------------------------------

    def _path(self, number: int) -> str:
        return os.path.join(self.folder, f"block-{number:06d}.safetensors")

    def _found(self) -> list[re.Match]:
        """Our names in the folder."""
        with suppress(OSError):
            return [match for name in os.listdir(self.folder) if (match := _NAME.fullmatch(name))]
        return []

    def _look(self, number: int, key: str) -> tuple[int, str | None]:
        """What becomes of a block, and words about it."""
        try:
            about, _ = self._read(number)
        except InputError as error:
            return _TO_DO, str(error)
        other = [name for name in self._same if about["same"].get(name) != self._same[name]]
        if other:
            what = "another model" if other[0] == "model" else \
                f"--{other[0]} {about['same'].get(other[0])}, not {self._same[other[0]]}"
            return _REFUSED, (f"{self.folder} was begun with {what}: resume with the same, choose "
                              "another --out, or remove it")
        if about["key"] != key:
            return _TO_DO, f"{self._path(number)} is of fields or files that have changed"
        return _DONE, None

    def _read(self, number: int) -> tuple[dict, object]:
        """(about, numbers) of a block; InputError where it is damaged."""
        path = self._path(number)
        about, places = read_header(path, _PROGRAM, _WHAT, _LIMIT)
        stored, crc = Stored(path, places), about.pop("about_crc32", None)
        stored.check(about.get("crc32"))
        if crc != _crc(about) or not _is_sound(about, stored.lengths, self._kind):
            raise InputError(f"{path} is damaged: its checksums do not agree")
        tensors = {name: np.empty(count, np.float32) for name, count in stored.lengths.items()}
        for name, numbers in tensors.items():
            stored.read(name, numbers)
        return about, self._kind(skipped=dict(about["skipped"]), **{
            name: numbers.reshape(about["rows"], -1) for name, numbers in tensors.items()})


def _is_sound(about: dict, lengths: dict, kind) -> bool:
    """Whether a header is what `__setitem__` writes, whatever its checksum says."""
    rows, skipped = about.get("rows"), about.get("skipped")
    return (type(rows) is int and rows > 0 and set(lengths) == set(kind.TENSORS)
            and all(n % rows == 0 for n in lengths.values())
            and isinstance(about.get("key"), str) and isinstance(about.get("same"), dict)
            and isinstance(about.get("environment"), dict) and isinstance(skipped, list)
            and all(isinstance(one, list) and [type(part) for part in one] == [int, str]
                    and 0 <= one[0] < rows for one in skipped))


def _crc(about: dict) -> int:
    return zlib.crc32(json.dumps(about).encode())
