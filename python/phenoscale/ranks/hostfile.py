# SPDX-License-Identifier: BSD-3-Clause
"""The file of hosts that `launch` is given, and how many ranks each host gets."""

from __future__ import annotations

import os
import re

from phenoscale.errors import InputError

__all__ = ["place", "read_hosts"]

# A name that began with "-" would be an option of ssh.
LINE = re.compile(r"([A-Za-z0-9._][A-Za-z0-9._-]*)(?:(?::|\s+slots=)([1-9][0-9]{0,4}))?")


def read_hosts(path: str | os.PathLike) -> dict[str, int | None]:
    """{host: slots, None where the file says nothing of them}, in the order of the file.

    Raises InputError with the line that is not `NAME`, `NAME:SLOTS` or `NAME slots=N`.
    """
    hosts: dict[str, int | None] = {}
    with open(path, encoding="utf-8-sig", errors="replace") as file:
        for number, line in enumerate(file, 1):
            line = line.partition("#")[0].strip()
            if not line:
                continue
            found = LINE.fullmatch(line)
            if not found:
                raise InputError(f"{path}, line {number}: {line!r} is no host: write NAME, "
                                 "NAME:SLOTS or NAME slots=N, the name of letters, digits, '.', "
                                 "'_' and '-'")
            name, slots = found.groups()
            if name in hosts:
                raise InputError(f"{path}, line {number}: {name} is there twice: write {name}:2 "
                                 "for two ranks on it")
            hosts[name] = int(slots) if slots else None
    if not hosts:
        raise InputError(f"{path}: there is no host in it")
    if len({slots is None for slots in hosts.values()}) > 1:
        raise InputError(f"{path}: some hosts have slots and some have none: write them for all "
                         "or for none")
    return hosts


def place(ranks: int, hosts: dict[str, int | None]) -> dict[str, int]:
    """{host: ranks on it}: each filled to its slots before the next; without slots, evenly.

    >>> place(5, {"a": 4, "b": 4}), place(5, {"a": None, "b": None})
    ({'a': 4, 'b': 1}, {'a': 3, 'b': 2})
    """
    even = -(-ranks // len(hosts))
    placed, left = {}, ranks
    for name, slots in hosts.items():
        count = min(left, slots or even)
        left -= count
        if count:
            placed[name] = count
    if left:
        raise InputError(f"the hosts have slots for {ranks - left} ranks, not for {ranks}: give "
                         f"-n {ranks - left}, or more slots")
    return placed
