# SPDX-License-Identifier: BSD-3-Clause
"""What config.json of a run folder must say: a folder may come from anywhere.

    entry -> what it must be, where it is there; the rest is shown, and has to be small
"""

from __future__ import annotations

import json

from phenoscale import _core

__all__ = ["LIMIT_BYTES", "config_of"]

LIMIT_BYTES = 1 << 24
_LIMIT_NAMES, _LIMIT_DEPTH = 10000, 8


def _is_text(value) -> bool:
    return isinstance(value, str)


def _is_texts(value) -> bool:
    return isinstance(value, list) and len(value) <= _LIMIT_NAMES and all(map(_is_text, value))


def _is_plain(value) -> bool:
    return isinstance(value, (str, int, float))


def _is_classes(value) -> bool:
    return (isinstance(value, list) and 0 < len(value) <= _LIMIT_NAMES
            and all(map(_is_plain, value)) and len(set(map(str, value))) == len(value))


def _is_columns(value) -> bool:
    """Column to a value or several."""
    return isinstance(value, dict) and all(
        _is_plain(one) or isinstance(one, list) and all(map(_is_plain, one))
        for one in value.values())


#: entry -> whether its value makes sense; null is as good as absent, but for the classes
_CHECKS = {
    "classes": _is_classes, "keys": _is_texts, "channels": _is_texts, "notes": _is_texts,
    "label": _is_text, "unscored": _is_text, "z": _is_text, "weights_sha256": _is_text,
    "split": _is_text,
    "roles": lambda v: isinstance(v, dict) and all(map(_is_text, v.values())),
    "holdout": _is_columns, "controls": _is_columns,
    "bin": lambda v: type(v) is int and 1 <= v <= _core.limits()["bin"],
}


def _depth(value, left: int = _LIMIT_DEPTH) -> bool:
    """Whether objects lie in one another at most so deep."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return left > 0 and all(_depth(one, left - 1) for one in inner)


def config_of(content: bytes) -> dict:
    """The entries; ValueError, which names the first that makes no sense."""
    try:
        config = json.loads(content)
    except (ValueError, RecursionError):
        raise ValueError("it is no JSON") from None
    if not isinstance(config, dict) or not _depth(config):
        raise ValueError("it is no object of options")
    for name, makes_sense in _CHECKS.items():
        value = config.get(name)
        if not (value is None and name != "classes" or makes_sense(value)):
            raise ValueError(f"its '{name}' makes no sense")
    config["classes"] = list(map(str, config["classes"]))
    if config.get("keys") and len(set(config["keys"])) != len(config["classes"]):
        raise ValueError("its 'keys' are not those of its classes")
    return config
