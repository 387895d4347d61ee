# SPDX-License-Identifier: BSD-3-Clause
"""What every task takes and gives: the tables that requests and answers are checked against, and
that docs/serve.md shows.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from phenoscale import _core
from phenoscale.errors import InputError
from phenoscale.hosts.schema import (
    Entry,
    Flag,
    Items,
    Named,
    Number,
    Object,
    OneOf,
    Text,
    Whole,
)
from phenoscale.tables.table import DEPTHS

__all__ = ["PIXELS", "SCHEMAS", "Schema"]


@dataclass(frozen=True)
class Schema:
    """Of one task: what goes in and what comes out."""

    inputs: Object
    outputs: Object

    def check_outputs(self, outputs: dict) -> None:
        """RuntimeError where an answer is not what the manual says."""
        try:
            self.outputs.check(outputs)
        except InputError as error:
            raise RuntimeError(f"an answer that is none: {error}") from None


def _object(*entries) -> Object:
    return Object(tuple(entries))


def _maybe(name: str, kind, meaning: str = "") -> Entry:
    return Entry(name, kind, meaning, is_needed=False)


# ---- kinds of several tasks -------------------------------------------------------------------

_PATH, _TEXT, _TEXTS = Text("a path"), Text(), Items(Text(), "a list of texts")
_FIRST = Whole(0, (1 << 31) - 1)
_SIDE = Whole(1, _core.limits()["side"])
_FILE = _object(Entry("path", _PATH), _maybe("page", _FIRST), _maybe("sample", _FIRST))
PIXELS = Object(
    (Entry("dtype", Text(", ".join(DEPTHS[:-1]) + f" or {DEPTHS[-1]}", tuple(DEPTHS))),
     Entry("shape", Items(_SIDE, "[height, width]")),
     Entry("data", Text("base64 of the zlib stream of their bytes", most=1 << 30))),
    "pixels, {dtype: uint8, uint16 or float32, shape: [height, width], data: base64 of the zlib "
    "stream of their bytes}")


class _Plane:
    """An entry of a field: a file, or pixels."""

    words = ("a path, a file {path, page, sample} or pixels {dtype, shape, data}")

    def check(self, value, where: str) -> None:
        """InputError for anything else."""
        is_pixels = isinstance(value, dict) and "path" not in value and value.keys() & {
            "dtype", "shape", "data"}
        kinds = ((str, _PATH), (np.ndarray, None), (dict, PIXELS if is_pixels else _FILE))
        OneOf(kinds, self.words).check(value, where)


_PLANES = "a list of one entry a channel, or an object of channel to entry"
_FIELD = OneOf(((list, Items(_Plane(), _PLANES)), (dict, Named(_Plane(), _PLANES))), _PLANES)
_VALUES = OneOf(((str, _TEXT), (list, _TEXTS)), "a text or a list of texts")
_COLUMNS = Named(_VALUES, "an object of column to a text or a list of texts")
_ON_ERROR = Text('"stop" or "skip"', ("stop", "skip"))

_MODEL = Entry("model", _PATH, "of a model file")
_THREADS = _maybe("threads", Whole(1, _core.limits()["threads"]),
                  "by default as OMP_NUM_THREADS says, else all processors")
_HOW = _maybe("how", _object(
    _maybe("preset", _TEXT), _maybe("pattern", _TEXT), _maybe("join", _TEXTS),
    _maybe("channels", _TEXTS), _maybe("roles", Named(_TEXT, "an object of role to column")),
    _maybe("root", _PATH), _maybe("path_map", Named(_TEXT, "an object of path to path"))),
    "`preset`, `pattern`, `join`, `channels`, `roles`, `root`, `path_map`, as the options of "
    "`phenoscale predict`")

#: `phenoscale.Recipe` has the bounds
_RECIPE = _maybe("recipe", _object(
    *(_maybe(name, _TEXT) for name in ("network", "schedule", "optimizer", "balance", "select",
                                       "z", "tower", "head", "nuclei", "normalise",
                                       "views")),
    *(_maybe(name, Whole()) for name in ("epochs", "batch", "patience", "average", "bin", "seed",
                                         "members")),
    *(_maybe(name, Number()) for name in ("rate", "momentum", "decay", "smoothing", "clip")),
    _maybe("augment", _TEXTS), _maybe("fc_relu", Flag())),
    "names of `phenoscale.Recipe` and values")

_NUMBERS = Items(Number(may_lack=True), "a list of numbers", may_lack=True)
_MAY_BE = Items(_TEXT, "a list of texts", may_lack=True)
_ROWS = Items(_NUMBERS, "a list of lists of numbers", may_lack=True)
_WARNINGS = Entry("warnings", _TEXTS, "sentences, also where the counts of the fields lie far from "
                  "those of the training")
_MEASURE_NAMES = Entry("measure_names", _TEXTS, "what the measures of a field are")
_CLASSES = Entry("classes", _TEXTS, "in the order of the probabilities")

# ---- the tasks ----------------------------------------------------------------------------------

#: name -> what it takes and gives
SCHEMAS = {
    "version": Schema(
        _object(_THREADS),
        _object(Entry("phenoscale", _TEXT, "its version"),
                Entry("isa", _TEXT, "the instruction set in use"),
                Entry("threads", Whole(1), "that a task has by default"))),
    "about": Schema(
        _object(_MODEL, _THREADS),
        _object(Entry("channels", _TEXTS), _CLASSES,
                Entry("keys", _TEXTS, "what the columns of the classes are called by"),
                Entry("label", _TEXT, "column of the classes in the training table"),
                Entry("network", _TEXT), Entry("size", Items(_SIDE, "[height, width]")),
                Entry("dtype", _TEXT, "of the files"),
                Entry("any_size", Flag(), "whether it takes fields of other sizes"),
                Entry("bin", Whole(1)), _maybe("z", _TEXT, "how stacks become planes, or null"),
                Entry("embedding", Whole(1), "its length"), Entry("has_controls", Flag()),
                Entry("sets", _TEXTS, "per cent of fields whose class a set holds: `95`, `90`, or "
                      "none"),
                Entry("has_novelty", Flag(), "whether `predict` gives it"),
                _maybe("certainty", _TEXT, "what temperature and sets are from, or null"),
                Entry("head", _TEXT, "`network`, `measures` or `both`: where its classes come "
                      "from"),
                _MEASURE_NAMES,
                Entry("digest", _TEXT, "of the weights"), Entry("version", _TEXT))),
    "predict": Schema(
        _object(_MODEL, Entry("fields", Items(_FIELD, "a list of fields")),
                _maybe("embeddings", Flag(), "whether they are wanted"),
                _maybe("measures", Flag(), "whether they are wanted"),
                _maybe("on_error", _ON_ERROR, "at a field that cannot be read"), _THREADS),
        _object(_CLASSES,
                Entry("class", Items(_TEXT, "a list of texts", may_lack=True), "one a field"),
                Entry("probabilities", _ROWS, "a row a field"),
                Entry("distance", _NUMBERS, "from the controls, one a field, null without"),
                Entry("set", _MAY_BE, "keys of the classes of each field in 95 % of cases, with "
                      "blanks between, or `(none of these)`; null where the model knows no sets"),
                Entry("set90", _MAY_BE, "the same in 90 %"),
                Entry("novelty", _NUMBERS, "one a field, above 1 unlike every class; null where "
                      "that is not known"),
                _maybe("embeddings", _ROWS, "a row a field, where they are wanted"),
                Entry("cells", _NUMBERS, "one a field, null where they are not counted"),
                Entry("quality", Items(_TEXT, "a list of texts", may_lack=True), "what is wrong "
                      "with each field, null where it is not measured"),
                _maybe("measures", _ROWS, "a row a field, where they are wanted"),
                replace(_MEASURE_NAMES, is_needed=False),
                Entry("skipped", Named(_TEXT, "an object"), "number of a field that could not be "
                      "read, to a sentence; its entries are null"), _WARNINGS)),
    "evidence": Schema(
        _object(_MODEL, Entry("field", _FIELD),
                _maybe("class", _TEXT, "by default, or empty, the most probable"), _THREADS),
        _object(Entry("class", _TEXT), Entry("logit", Number(True), "of the class"),
                Entry("bias", Number(True), "the share that no pixel has"), _CLASSES,
                Entry("probabilities", _NUMBERS, "of the network alone"),
                Entry("scales", Named(Number(True), "an object"),
                      "side of a scale's pixels, to the sum of its evidence"),
                Entry("is_coarse", Flag(), "whether it is known by cells alone"),
                Entry("heat", PIXELS, "of the field's size, float32, positive for the class and "
                      "negative against it, 1 at the strongest"))),
    "table": Schema(
        _object(_MODEL, Entry("source", _PATH, "of a table or folder"),
                Entry("out", _PATH, "of the file to write: `.csv`, `.csv.gz` or `.parquet`"),
                _maybe("measures", Flag(), "whether they are columns; by default where the "
                       "classes come from them"),
                _HOW, _THREADS),
        _object(Entry("out", _PATH), Entry("fields", Whole(0), "how many were predicted"),
                _maybe("errors", _PATH, "of the list of skipped fields, or null"), _WARNINGS)),
    "train": Schema(
        _object(Entry("table", _PATH, "of a table or folder"), Entry("label", _TEXT, "a column"),
                Entry("out", _PATH, "of the run folder"), _HOW, _RECIPE,
                _maybe("holdout", _COLUMNS), _maybe("controls", _COLUMNS),
                _maybe("on_error", _ON_ERROR, "at a field that cannot be read"),
                _maybe("resume", Flag(), "whether a run that was stopped goes on"), _THREADS),
        _object(Entry("model", _PATH), Entry("report", _PATH),
                _maybe("unscored", _TEXT, "why there is no score, empty where there is one"),
                _WARNINGS)),
}
