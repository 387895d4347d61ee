# SPDX-License-Identifier: BSD-3-Clause
"""Before the first step: the labelled fields, their sides, and every pixel of them read once."""

from __future__ import annotations

import hashlib
from dataclasses import asdict

import numpy as np

from phenoscale.errors import InputError
from phenoscale.images.counts import KINDS
from phenoscale.images.moments import Moments, measure
from phenoscale.images.usable import Usable
from phenoscale.models.feeding import Feeding
from phenoscale.prediction.counts import blank_in, counts_of, far_from, plates_of, sentences_of
from phenoscale.ranks.crew import Crew
from phenoscale.tables.labels import class_cells, class_names, class_numbers, label_words
from phenoscale.tables.split import SIDES, Split, check_training, split_table
from phenoscale.tables.table import Table
from phenoscale.training.recipe import Recipe
from phenoscale.training.train import PART
from phenoscale.words import listed

__all__ = ["Labelled", "check_copies", "provenance", "read_all", "read_pixels"]

#: the sides of fields that have a class
LABELLED = SIDES[:3]
_ROUND = 16  # fields that a rank reads before ranks tell one another of them


def provenance(table: Table, label: str, recipe: Recipe) -> dict:
    """What a model is told of the table that it was trained on, as attributes of a `Model`."""
    return {"label": table.known(label), "sources": [channel.source() for channel in table.sources],
            "z": table.chosen or recipe.z, "table_digest": table.digest()}


class Labelled:
    """The usable fields of a table, their sides and classes, and the source that reads them.

    Parameters
    ----------
    fields : Usable
    label : str
        Column of the classes.
    split : Split
    recipe : Recipe
    threads : int
    controls : dict of str to list of str, optional
        As of `phenoscale.models.feeding.Feeding`.

    Attributes
    ----------
    table : Table
        Of the fields that can be used.
    sides : ndarray of str, (fields,)
        One of `phenoscale.tables.split.SIDES`, or "skipped" for one that turned out unreadable.
    drawn : ndarray of str, (fields,)
        The same as the split drew them.
    classes : list of str
    labels : ndarray of int64, (fields,)
        Number of the class, -1 for none.
    notes : list of str
    words : list of str
        Those of them that are on the names of classes.
    recipe : Recipe
        What of it these fields allow.
    source : FieldFiles or FieldPictures
    about : dict
        Of the model; see `provenance`.
    """

    def __init__(self, fields: Usable, label: str, split: Split, recipe: Recipe, threads: int,
                 controls: dict | None = None):
        self.usable, self.table = fields, fields.table
        self.label = label = self.table.known(label)
        self.sides, self.notes = split_table(self.table, label, split, recipe.seed)
        self.drawn = self.sides.copy()
        names = class_cells(self.table, label)
        self.classes, self.words = class_names(names, label), label_words(
            self.table.column(label), label)
        gone = sorted(set(class_cells(fields.whole, label)) - {"", *self.classes})
        if gone:
            self.words.append(f"column {label}: no field of {listed(gone)} can be used, which is "
                              "no class of this training")
        self.notes += self.words
        self.notes += fields.survey.notes
        left_out, shape = len(fields.left_out), fields.survey.shape
        if left_out:
            self.notes.append(f"{left_out} of {len(fields.whole)} fields were left out: see "
                              "errors.csv")
        self.recipe = recipe.for_fields(shape)
        if self.recipe != recipe:
            self.notes.append("fields are not square: no quarter turns")
        self.labels = class_numbers(self.classes, names)
        self.source = fields.open(max(threads, PART), recipe.bin)
        self.about = {**provenance(self.table, label, recipe),
                      "split": {**asdict(split), "seed": recipe.seed if split.seed is None
                                else split.seed}}
        feeding = Feeding(recipe.normalise, controls or {})
        self.about["feeding"] = feeding if feeding.is_by_plate else None

    def rows(self, side: str) -> np.ndarray:
        """Numbers of the fields on a side."""
        return np.flatnonzero(self.sides == side)

    def leave_out(self, unread: dict[int, str]) -> None:
        """Take fields out that turned out not to be readable, row to reason."""
        if not unread:
            return
        self.usable.leave_out(unread)
        self.sides[list(unread)] = "skipped"
        check_training(self.table, self.label, self.sides)
        self.notes.append(f"{len(unread)} of {len(self.table)} fields cannot be read: see "
                          "errors.csv")

    def same(self, exchange: str) -> dict:
        """What a checkpoint must share to be gone on from, and ranks to work on one training."""
        feeding = self.about["feeding"]
        controls = {"controls": feeding.controls} if feeding else {}
        return {**controls, "label": self.label, "classes": self.classes,
                "channels": self.table.channels,
                "table": self.about["table_digest"], "exchange": exchange,
                "split": hashlib.sha256("\n".join(self.sides).encode()).hexdigest(),
                **asdict(self.recipe)}


def read_all(fields: Labelled, on_error: str, crew: Crew, warn=None) -> tuple:
    """Read every labelled field once.

    Parameters
    ----------
    fields : Labelled
    on_error : {"stop", "skip"}
        What to do about one that cannot be read; those of the side "test" are always skipped.
    crew : Crew
        Its ranks have shares of the fields, and all get all.
    warn : callable, optional
        Takes a sentence on fields whose counts are not what they should be.

    Returns
    -------
    moments : Moments
        Of the fields that are trained on.
    unread : dict of int to str
        Row to the reason.
    digests : dict of int to str
        Row to the digest of its pixels, of the others.

    Raises
    ------
    InputError
        For a field that cannot be read, or with the same pixels as one on another side.
    """
    order = np.concatenate([fields.rows(side) for side in LABELLED])
    channels, height, width = fields.source.shape
    moments, seen, unread, digests = Moments(channels, height * width), {}, {}, {}
    levels = np.full((len(fields.sides), channels, len(KINDS)), np.nan)
    for row, (error, digest, measured) in read_pixels(fields, order, crew):
        if error:
            if fields.sides[row] != "test" and on_error == "stop":
                raise InputError(error)
            unread[row] = error
            continue
        _check_apart(fields, seen, row, digest)
        digests[row], levels[row] = digest, [numbers for *_, numbers in measured]
        if fields.sides[row] == "train":
            moments.add(measured)
    for words in _of_counts(fields, moments, levels) if warn else ():
        warn(words)
    return moments, unread, digests


def read_pixels(fields: Labelled, order, crew: Crew):
    """Read some fields, each rank its share: yields at every rank (row, (why it cannot be read or
    "", digest of its pixels, their measures)), in their order."""
    ranks = crew.ranks
    own = order[ranks.rank :: ranks.size]
    fields.source.start(own)
    for at in range(0, len(order), _ROUND * ranks.size):
        mine = at // ranks.size
        looks = [_look(fields.source) for _ in own[mine : mine + _ROUND]]
        by_rank = ranks.everyone(looks)
        for place in range(at, min(len(order), at + _ROUND * ranks.size)):
            yield int(order[place]), by_rank[place % ranks.size][place // ranks.size - mine]
        crew.watch.tell("statistics", place + 1, len(order))


def _of_counts(fields: Labelled, moments: Moments, levels) -> list[str]:
    """Sentences on plates of other sides far from what is trained on, and on blank channels."""
    channels, rest = fields.table.channels, fields.sides != "train"
    plates = np.array(plates_of(fields.table))[rest]
    far = far_from(counts_of(moments.levels), channels, levels[rest], plates)
    names = class_cells(fields.table, fields.label)
    return [*sentences_of(far), *blank_in(levels, channels, names)]


def _look(source) -> tuple:
    """The next field: (why it cannot be read or "", digest of its pixels, their measures)."""
    try:
        pixels = source.next()
        digest = hashlib.blake2b(np.ascontiguousarray(pixels), digest_size=16).hexdigest()
        return "", digest, measure(pixels)
    except InputError as error:
        return str(error), "", []
    finally:
        source.release(1)


def check_copies(fields: Labelled, digests: dict) -> None:
    """InputError where two sides of the split have the same pixels; digests: row to digest."""
    seen = {}
    for row, digest in digests.items():
        _check_apart(fields, seen, row, digest)


def _check_apart(fields: Labelled, seen: dict, row: int, digest: str) -> None:
    """The same pixels must not lie on two sides of the split."""
    other, table, sides = seen.setdefault(digest, row), fields.table, fields.sides
    if sides[other] != sides[row]:
        raise InputError(f"{table.place(row)} ({sides[row]}) has the same pixels as "
                         f"{table.place(other)} ({sides[other]}): keep copies on one side of the "
                         "split, or remove one")
