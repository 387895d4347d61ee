# SPDX-License-Identifier: BSD-3-Clause
"""The headers of all fields looked at, by threads, and by ranks each a share.

Under survey.py.  What a rank found goes to all: the files of a screen are nearly all alike, so each
different finding is sent once, and a number for each file.
"""

from __future__ import annotations

import json
import os
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from phenoscale.progress import Watch
from phenoscale.ranks.alone import Alone, even_ends
from phenoscale.tables.table import Plane

__all__ = ["Found", "look_at_all"]

#: that `survey` asks for
_KEPT = ("height", "width", "dtype", "native", "is_min_white", "kind", "said")


class Found(NamedTuple):
    """What one channel of one field comes down to: its planes, or a fault (kind, words)."""

    info: dict | None
    planes: list
    fault: tuple[str, str] | None


def look_at_all(fields, look, threads: int | None = None, progress=None, ranks=None):
    """What `look` finds, a list of Found by channel, of every field in order.

    Parameters
    ----------
    fields : list
        The planes of each, as a `Table` has them.
    look : callable
    threads, progress, ranks
        As for `phenoscale.images.survey.survey`.
    """
    ranks, watch, mine = ranks or Alone(), Watch(progress), []
    ends = even_ends(len(fields), ranks.size)
    shares = [fields[begin:end] for begin, end in zip([0, *ends], ends)]
    with ThreadPoolExecutor(threads or os.cpu_count() or 1) as pool:
        for found in pool.map(look, shares[ranks.rank]):
            mine.append(found)
            watch.tell("check", len(mine), len(shares[ranks.rank]))
    if ranks.size == 1:
        return mine
    said = ranks.everyone(_pack(shares[ranks.rank], mine))
    return [found for share, packed in zip(shares, said) for found in _unpack(share, packed)]


def _pack(fields, found) -> dict:
    known, which = {}, []
    for field, channels in zip(fields, found):
        for planes, (info, chosen, fault) in zip(field, channels):
            paths = [plane.path for plane in planes]
            text = json.dumps([info and {key: info[key] for key in _KEPT},
                               [[paths.index(path), page, sample] for path, page, sample in chosen],
                               fault])
            which.append(known.setdefault(text, len(known)))
    return {"known": list(known), "which": which}


def _unpack(fields, packed: dict):
    known, which = [json.loads(text) for text in packed["known"]], iter(packed["which"])
    for field in fields:
        found = []
        for planes in field:
            info, chosen, fault = known[next(which)]
            found.append(Found(info, [Plane(planes[k].path, *place) for k, *place in chosen],
                               fault))
        yield found
