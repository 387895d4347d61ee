# SPDX-License-Identifier: BSD-3-Clause
"""The key of a field: what it is called, from reading on, in every file that is written of it.

Part of table.py.  Two files of a run are joined on it, and on nothing else.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from phenoscale.tables.table import Table

__all__ = ["KEY", "field_keys"]

#: its column in split.csv, predictions.csv, evidence.csv and lists of errors
KEY = "Phenoscale_Field"


def field_keys(table: Table) -> list[str]:
    """The key of each field, "P1/A01_DNA.tif 32c1e0806f1b".

    Folder and file of one of its channels, for people, and a digest of path, page and sample of all
    of them in any order, for certainty.  Where rows share all of these it ends in the number of the
    row, "row 1" for the first of the table.
    """
    keys = []
    for row in table.planes:
        places = sorted({(plane.path, str(plane.page), str(channel.number(plane.sample)))
                         for channel, planes in zip(table.sources, row) for plane in planes})
        name = "/".join(places[-1][0].rsplit(os.sep, 2)[-2:]) or "no file"
        digest = hashlib.blake2b(json.dumps(places).encode(), digest_size=6).hexdigest()
        keys.append(f"{name} {digest}")
    uses = Counter(keys)
    return [f"{key} row {row}" if uses[key] > 1 else key for row, key in enumerate(keys, 1)]
