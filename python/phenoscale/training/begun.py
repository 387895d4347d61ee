# SPDX-License-Identifier: BSD-3-Clause
"""The files that a training began with, and whether they are the same when it goes on.

files.json of a run has sizes and times of all files of each labelled field, and a digest of its
pixels, as they were when every pixel was read.  When the run goes on, fields whose sizes or times
are others are read again, and a sample of the rest: what counts are the pixels, so that a copy
with another time is the same.
"""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from phenoscale.errors import InputError
from phenoscale.files.atomic import write_atomically
from phenoscale.images.disk import stamp_of
from phenoscale.ranks.alone import even_ends, share
from phenoscale.ranks.crew import Crew
from phenoscale.training.first_pass import LABELLED, Labelled, read_pixels
from phenoscale.training.run_folder import RunFolder
from phenoscale.words import count

__all__ = ["changed", "check_unchanged", "read_begun", "record", "stamps_of", "write_begun"]

_SAMPLE = 32  # fields read again although nothing speaks of a change
_AT_ONCE = 16  # files asked for: a network disk answers late, but many at a time


def stamps_of(fields: Labelled, crew: Crew) -> dict[int, list]:
    """Row of each labelled field to the [size, time of change in ns] of its files, None for one
    that is gone; each rank asks for a share."""
    rows = [int(row) for side in LABELLED for row in fields.rows(side)]
    first, end = share(even_ends(len(rows), crew.ranks.size), crew.ranks.rank)
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        mine = list(pool.map(lambda row: [stamp_of(path) for path in _files(fields, row)],
                             rows[first:end]))
    return dict(zip(rows, [one for said in crew.ranks.everyone(mine) for one in said]))


def _files(fields: Labelled, row: int) -> list[str]:
    return list(dict.fromkeys(plane.path for planes in fields.table.planes[row]
                              for plane in planes))


# ---- the record ----------------------------------------------------------------------------------


def record(fields: Labelled, stamps: dict, digests: dict) -> dict:
    """What is kept of the files, by the rows of the whole table; JSON can hold it.

    digests: row to the digest of its pixels, of the fields that could be read.
    """
    rows, marked = fields.usable.rows, fields.usable.whole.skipped()
    return {"left_out": [[row, why] for row, why in fields.usable.left_out.items()
                         if row not in marked],
            "fields": [[int(rows[row]), digest, stamps[row]] for row, digest in digests.items()]}


def write_begun(folder: RunFolder, about: dict) -> None:
    """Write files.json."""
    write_atomically(folder.file(folder.FILES), [json.dumps(about).encode()])


def read_begun(folder: RunFolder) -> dict:
    """What `record` gave, with dicts by row; empty where there is none that is whole."""
    try:
        with open(folder.file(folder.FILES), encoding="utf-8") as file:
            about = json.load(file)
        return {"left_out": [[int(row), str(why)] for row, why in about["left_out"]],
                "fields": [[int(row), str(digest), list(stamps)] for row, digest, stamps in
                           about["fields"]]}
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return {}


# ---- compared ------------------------------------------------------------------------------------


def changed(fields: Labelled, begun: dict, stamps: dict, crew: Crew) -> tuple[dict, dict, dict]:
    """Compare the fields with what a run began with; on all ranks alike.

    Parameters
    ----------
    fields : Labelled
    begun : dict
        As of `read_begun`, not empty.
    stamps : dict
        As of `stamps_of`.
    crew : Crew

    Returns
    -------
    others : dict of int to str
        Row of each field that has other pixels now, to a file of it that changed.
    unread : dict of int to str
        Row of each that cannot be read, to the reason.
    digests : dict of int to str
        Row of each field to the digest of its pixels, as far as known.
    """
    place = {int(row): k for k, row in enumerate(fields.usable.rows)}
    known = {place[row]: (digest, theirs) for row, digest, theirs in begun["fields"]
             if place.get(row) in stamps}
    digests = {row: digest for row, (digest, _) in known.items()}
    there = sorted(known.keys() - fields.usable.gone.keys())
    doubtful = [row for row in there if known[row][1] != stamps[row]]
    rest = np.array([row for row in there if known[row][1] == stamps[row]], np.int64)
    sample = rest[np.linspace(0, len(rest) - 1, min(_SAMPLE, len(rest)), dtype=np.int64)]
    others, unread = {}, {}
    for row, (error, digest, _) in read_pixels(fields, np.array([*doubtful, *sample], np.int64),
                                               crew):
        if error:
            unread[row] = error
            continue
        if digest != known[row][0]:
            files = _files(fields, row)
            others[row] = next((path for path, mine, theirs in zip(files, stamps[row],
                                                                   known[row][1])
                                if mine != theirs), files[0])
        digests[row] = digest
    return others, unread, digests


def check_unchanged(fields: Labelled, others: dict, word: str) -> list[str]:
    """A sentence on fields with other pixels than a run began with, where that is accepted;
    InputError where it is not.

    others: as of `changed`; word: "refuse" or "accept".
    """
    if not others:
        return []
    row = min(others)
    words = (f"{count(len(others), 'field')} {'has' if len(others) == 1 else 'have'} other pixels "
             f"now than when the run began, the first {fields.table.place(row)}: {others[row]}")
    if word == "refuse":
        raise InputError(f"{words}: restore what was there, begin anew in another --out, or go on "
                         "with the files as they are with --data-changed accept")
    return [f"{words}: the run goes on with the files as they are now"]
