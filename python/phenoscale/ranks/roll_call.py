# SPDX-License-Identifier: BSD-3-Clause
"""Before the work: do the ranks agree on what it is, and have they the processors for it?"""

from __future__ import annotations

import os
import socket
from collections import Counter

from phenoscale.errors import InputError
from phenoscale.ranks.alone import Alone, branches

__all__ = ["agree", "roll_call"]

#: what differs -> what helps
_CURES = {"table": "give all the same table, with the same rows and channels",
          "model": "give all the same model file",
          "isa": "set PHENOSCALE_ISA to the lesser for all, for example avx2"}
_SAME = "give all the same options"
_INSTALLED = "install the same everywhere"


def agree(ranks: Alone, same) -> None:
    """Compare what all ranks must have alike, before they do together what they do not.

    same: gives, where there are several, name to what JSON can hold; of "versions" a dict.

    Raises
    ------
    InputError
        Naming the rank, and what differs.
    """
    if ranks.size == 1:
        return
    mine = same()
    versions = mine.pop("versions", {})
    said = ranks.everyone([mine, versions])
    for name, (options, theirs) in zip(ranks.names, said):
        for first, other, cure in ((said[0][0], options, None), (said[0][1], theirs, _INSTALLED)):
            for what in sorted({*first, *other}):
                if first.get(what) != other.get(what):
                    raise InputError(
                        f"{name} differs from {ranks.names[0]}: {what} is {_short(other.get(what))}"
                        f", not {_short(first.get(what))}; {cure or _CURES.get(what, _SAME)}")


def _short(value) -> str:
    """Words of a value; of a digest its beginning."""
    words = str(value)
    return words if len(words) < 64 else words[:12] + "..."


def roll_call(ranks: Alone, threads: int, batch: int, tell, warn) -> None:
    """Say where the ranks run, and whether they have the processors and images for it; nothing for
    one alone.

    Parameters
    ----------
    ranks : Alone or phenoscale.ranks.mpi.Ranks
    threads : int
        Of this rank.
    batch : int or None
        Images of a step; None: there are no steps.
    tell : callable
        Takes an event, with a line for each host.
    warn : callable
        Takes a sentence for the user.
    """
    if ranks.size == 1:
        return
    said = ranks.everyone({
        "host": socket.gethostname(), "process": os.getpid(), "threads": threads,
        "processors": len(os.sched_getaffinity(0)), "of": os.cpu_count()})
    tell({"stage": "ranks", "lines": list(_by_host(said))})
    for words in (*_binding(said), *(_idle(batch, ranks.size) if batch else ())):
        warn(words)


def _by_host(said: list[dict]):
    """Lines for a user who looks for a rank or a process."""
    for host in dict.fromkeys(one["host"] for one in said):
        there = [rank for rank, one in enumerate(said) if one["host"] == host]
        numbers = f"ranks {there[0]}-{there[-1]}" if len(there) > 1 else f"rank {there[0]}"
        processes = ", ".join(str(said[rank]["process"]) for rank in there)
        yield (f"{host}: {numbers} (processes {processes}), {said[there[0]]['threads']} threads "
               "each")


def _binding(said: list[dict]) -> list[str]:
    """Sentences on hosts whose ranks use few of their processors, or share them."""
    words, hosts = [], Counter(one["host"] for one in said)
    for host, count in hosts.items():
        there = [one for one in said if one["host"] == host]
        threads, all_of_them = sum(one["threads"] for one in there), there[0]["of"]
        bound = min(one["processors"] for one in there)
        if bound < all_of_them and (2 * threads <= all_of_them
                                    or max(one["threads"] for one in there) > bound):
            words.append(f"the {count} ranks on {host} have {threads} threads for its "
                         f"{all_of_them} processors, and are bound to {bound} each: start with "
                         "'phenoscale launch', or mpirun --bind-to none and --threads")
        elif threads > all_of_them:
            words.append(f"the {count} ranks on {host} have {threads} threads for {all_of_them} "
                         "processors, and wait for one another: fewer ranks, or fewer --threads, "
                         "are as fast")
    return words


def _idle(batch: int, size: int) -> list[str]:
    """A sentence where a step has too few images for all, or shares that differ."""
    ends = [0, *branches(batch, size)]
    shares = [b - a for a, b in zip(ends, ends[1:])]
    if min(shares) == max(shares):
        return []
    share = 1
    while 2 * share * size <= batch:
        share *= 2
    return [f"a batch of {batch} over {size} ranks is {max(shares)} images for some and "
            f"{min(shares)} for others, who wait: choose a batch of {size * share} or "
            f"{2 * size * share}, or fewer ranks"]
