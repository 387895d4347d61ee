# SPDX-License-Identifier: BSD-3-Clause
"""Before the work: do the ranks agree on what it is, and have they the processors for it?"""

from __future__ import annotations

import os
import socket
from collections import Counter

from phenoscale.errors import InputError
from phenoscale.ranks import Alone, branches

__all__ = ["roll_call"]


def roll_call(ranks: Alone, threads: int, same: dict, batch: int, tell, warn) -> None:
    """Compare the ranks; nothing for one alone.

    Parameters
    ----------
    ranks : Alone or phenoscale.mpi.Ranks
    threads : int
        Of this rank.
    same : dict
        What must be the same everywhere: name to what JSON can hold, or to a dict of such.
    batch : int
        Images of a step.
    tell : callable
        Takes an event, with a line for each host.
    warn : callable
        Takes a sentence for the user.

    Raises
    ------
    InputError
        Naming the rank and what differs.
    """
    if ranks.size == 1:
        return
    processors = len(os.sched_getaffinity(0))
    said = ranks.everyone({"same": same, "host": socket.gethostname(),
                           "process": os.getpid(), "threads": threads,
                           "processors": processors, "of": os.cpu_count()})
    for name, other in zip(ranks.names, said):
        for what, value in said[0]["same"].items():
            if other["same"][what] != value:
                raise InputError(f"{name} has another {_difference(what, value, other['same'])} "
                                 f"than {ranks.names[0]}: {_CURES.get(what, 'give all the same')}")
    tell({"stage": "ranks", "lines": list(_by_host(ranks.names, said))})
    for words in (*_binding(said), *_idle(batch, ranks.size)):
        warn(words)


_CURES = {"versions": "install the same everywhere",
          "isa": "set PHENOSCALE_ISA to the lesser for all, for example avx2"}


def _difference(what: str, mine, theirs: dict) -> str:
    """ "isa (avx2, not avx512)"."""
    if isinstance(mine, dict):
        keys = [key for key in mine if theirs[what].get(key) != mine[key]]
        what, mine, theirs = keys[0], mine[keys[0]], {keys[0]: theirs[what].get(keys[0])}
    return f"{what} ({theirs[what]}, not {mine})"


def _by_host(names: list[str], said: list[dict]):
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
        if bound < all_of_them and 2 * threads <= all_of_them:
            words.append(f"the {count} ranks on {host} have {threads} threads for its "
                         f"{all_of_them} processors, since they are bound to {bound} each: start "
                         "with 'phenoscale launch', or mpirun --bind-to none and --threads")
        elif max(one["threads"] for one in there) > bound or threads > all_of_them:
            words.append(f"the {count} ranks on {host} have {threads} threads, each may run on "
                         f"{bound} of {all_of_them} processors: they wait for one another; give "
                         "fewer --threads, or start with 'phenoscale launch'")
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
            f"{2 * size * share}"]
