# SPDX-License-Identifier: BSD-3-Clause
"""What the metadata of a model file must be, entry by entry: files come from anywhere."""

from __future__ import annotations

import re

import numpy as np

from phenoscale import _core
from phenoscale.models.averaged import MOST_MEMBERS, VIEWS
from phenoscale.models.certainty import is_certainty
from phenoscale.models.counts import is_counts
from phenoscale.models.feeding import is_feeding
from phenoscale.models.head import is_head
from phenoscale.models.novelty import is_novelty
from phenoscale.tables.table import DEPTHS

__all__ = ["LABEL_TYPES", "LIMIT_NAMES", "LIMIT_NUMBERS", "faults"]

_LIMITS = _core.limits()
LIMIT_NAMES = 10000
LIMIT_NUMBERS = 1 << 14  # of an embedding whose controls are known
#: of labels that are more than names
LABEL_TYPES = ("bool", "str", *(f"{sign}int{n}" for sign in ("", "u") for n in (8, 16, 32, 64)),
               "float16", "float32", "float64")
_LARGEST = 1e38  # scales and offsets are float32 in the network


def _is_names(value) -> bool:
    return (isinstance(value, list) and 0 < len(value) <= LIMIT_NAMES
            and all(isinstance(name, str) and name for name in value)
            and len(set(value)) == len(value))


def _is_numbers(value) -> bool:
    return isinstance(value, list) and all(
        type(n) in (int, float) and abs(n) <= _LARGEST for n in value)


def _is_controls(value) -> bool:
    return value is None or (
        isinstance(value, dict) and set(value) == {"mean", "spread"}
        and all(map(_is_numbers, value.values())) and all(n > 0 for n in value["spread"])
        and 0 < len(value["mean"]) == len(value["spread"]) <= LIMIT_NUMBERS)


def _is_labels(dtype=None, values=None, **more) -> bool:
    if more or not isinstance(values, list) or dtype not in LABEL_TYPES:
        return False
    try:
        return (np.array(values, dtype).tolist() == values) and len(set(values)) == len(values)
    except (TypeError, ValueError, OverflowError):
        return False


#: What each entry of the metadata must be.
_CHECKS = {
    "description": lambda v: isinstance(v, str),
    "network": lambda v: isinstance(v, str),
    "classes": lambda v: _is_names(v) and len(v) > 1,
    "keys": lambda v: _is_names(v) and all(re.fullmatch("[0-9A-Za-z_]+", key) for key in v),
    "channels": _is_names,
    "size": lambda v: (isinstance(v, list) and len(v) == 2
                       and all(type(n) is int and 0 < n <= _LIMITS["side"] for n in v)),
    "dtype": lambda v: v in DEPTHS,
    "scale": _is_numbers,
    "offset": _is_numbers,
    "normalisation": lambda v: isinstance(v, str),
    "label": lambda v: isinstance(v, str),
    "split": lambda v: isinstance(v, dict),
    "table_digest": lambda v: isinstance(v, str),
    "seed": lambda v: type(v) is int,
    "sources": lambda v: isinstance(v, list) and all(isinstance(s, str) and s for s in v),
    "bin": lambda v: type(v) is int and 1 <= v <= _LIMITS["bin"],
    "z": lambda v: v is None or isinstance(v, str) and re.fullmatch(r"max|mean|\d{1,4}", v),
    "padding": lambda v: isinstance(v, str),
    "embedding": lambda v: isinstance(v, dict) and type(v.get("size")) is int,
    "controls": _is_controls,
    "counts": lambda v: v is None or isinstance(v, dict),
    "recipe": lambda v: isinstance(v, dict),
    "labels": lambda v: isinstance(v, dict) and (not v or _is_labels(**v)),
    "version": lambda v: isinstance(v, str),
    "views": lambda v: v in VIEWS,
    "members": lambda v: type(v) is int and 1 <= v <= MOST_MEMBERS,
}


def faults(about: dict, wanted: set) -> list[str]:
    """Entries of the metadata that are missing or make no sense.

    wanted : names of those that have to be there.
    """
    looked_at = sorted(wanted | (about.keys() & _CHECKS.keys()))
    bad = [key for key in looked_at if key not in about or not _CHECKS[key](about[key])]
    if not bad and not is_feeding(about.get("feeding")):
        bad = ["feeding"]
    channels = 0 if about.get("feeding") else len(about.get("channels", ()))
    if not bad and not channels == len(about["scale"]) == len(about["offset"]):
        bad = ["scale"]
    if not bad and "keys" in about and len(about["keys"]) != len(about["classes"]):
        bad = ["keys"]
    if not bad and about.get("labels") and (
            len(about["labels"]["values"]) != len(about["classes"])):
        bad = ["labels"]
    if not bad and about["sources"] and len(about["sources"]) != len(about["channels"]):
        bad = ["sources"]
    if not bad and about["controls"] and (
            len(about["controls"]["mean"]) != about["embedding"]["size"]):
        bad = ["controls"]
    if not bad and not is_head(about.get("head"), about["channels"]):
        bad = ["head"]
    if not bad and not (is_novelty(about.get("novelty"))
                        and (about.get("head") or not about.get("novelty"))):
        bad = ["novelty"]
    if not bad and not is_certainty(about.get("certainty"), len(about["classes"])):
        bad = ["certainty"]
    if not bad and not is_counts(about.get("counts"), len(about["channels"])):
        bad = ["counts"]
    return bad
