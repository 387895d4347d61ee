# SPDX-License-Identifier: BSD-3-Clause
"""The fields of a source one after the other, so many at a time, whatever is asked of them."""

from __future__ import annotations

import numpy as np

from phenoscale.errors import InputError

__all__ = ["in_turn"]


def in_turn(source, order, threads: int, on_error: str, answers_of):
    """What is said of fields one by one, so many at a time: yields answers, or words why a field
    was skipped.

    answers_of: callable that takes fields (c, h, w) and their numbers in the source, and gives an
    answer for each.
    """
    n = len(order)
    source.start(np.asarray(order, np.int64))
    for at in range(0, n, threads):
        faults, block, answers = [], [], iter(())
        count = min(threads, n - at)
        for _ in range(count):
            try:
                block.append(source.next())
                faults.append(None)
            except InputError as error:
                if on_error != "skip":
                    raise
                faults.append(str(error))
        if block:
            rows = [order[at + k] for k, fault in enumerate(faults) if not fault]
            answers = iter(answers_of(block, rows))
        source.release(count)
        yield from (fault or next(answers) for fault in faults)
