# SPDX-License-Identifier: BSD-3-Clause
"""Where the numbers of a table come from: what every export says of itself.

First step of source.py.
"""

from __future__ import annotations

import hashlib
import json
import os

import phenoscale
from phenoscale.files.atomic import write_atomically
from phenoscale.files.kinds import is_parquet
from phenoscale.files.parquet import about_parquet
from phenoscale.tables.predictions import MODEL

__all__ = ["provenance_of", "stem_of", "write_provenance"]

_BLOCK = 1 << 22  # bytes read at a time
_LIMIT_JSON = 1 << 24  # bytes
_PROFILE = "profile.json"  # beside the tables of `profile`
_PROFILED = ("wells", "treatments", "hits")


def provenance_of(source, about) -> dict[str, str]:
    """Where the numbers of a table come from, each in words.

    Parameters
    ----------
    source : path or pandas.DataFrame
    about : pandas.DataFrame
        What the table says of its rows.

    Returns
    -------
    dict of str to str
        phenoscale, the version that exports; table, the name of the file; sha256, of the file, or
        for a DataFrame of its columns and values (pandas.util.hash_pandas_object); model, digests
        or the beginnings of digests; normalisation.  "" where that is not known.
    """
    found = {"phenoscale": phenoscale.__version__, "table": "", "sha256": "", "model": "",
             "normalisation": ""}
    if hasattr(source, "columns"):
        found |= {"table": "DataFrame", "sha256": _frame_digest(source)}
    else:
        path = os.fspath(source)
        found |= {"table": os.path.basename(path), "sha256": _file_digest(path)}
        found |= _told(path)
    if MODEL in about and not found["model"]:
        found["model"] = " ".join(sorted(set(map(str, about[MODEL])) - {""}))
    if found["model"] and not found["normalisation"]:
        found["normalisation"] = "that of the model"
    return found


def write_provenance(provenance: dict, out: str) -> None:
    """The provenance beside a CSV, which has no place for it: x.json for x.csv."""
    write_atomically(f"{stem_of(out)}.json", [(json.dumps(provenance, indent=1) + "\n").encode()])


def stem_of(out: str) -> str:
    """A path without its ending, .csv.gz being one."""
    return os.path.splitext(out[: -len(".gz")] if out.lower().endswith(".gz") else out)[0]


def _told(path: str) -> dict[str, str]:
    """What the file, or the profile.json beside it, says."""
    with open(path, "rb") as file:
        told = about_parquet(path) if is_parquet(file.read(4)) else {}
    beside = os.path.join(os.path.dirname(path), _PROFILE)
    if os.path.basename(path).split(".")[0] in _PROFILED and os.path.isfile(beside):
        told = _profile(beside) or told
    return {key: str(told[key]) for key in ("model", "normalisation") if told.get(key)}


def _profile(path: str) -> dict[str, str]:
    """What a profile.json says was done to the profiles; {} for a file that is none."""
    if os.path.getsize(path) > _LIMIT_JSON:
        return {}
    try:
        with open(path, encoding="utf-8") as file:
            said = json.load(file)
        steps = [f"{step['step']} {'' if step['value'] is None else step['value']}".strip()
                 for step in said["steps"] if step["kept"]]
        how = said["standardise"]
        words = "not standardised" if how == "none" else (
            f"standardised by {how} on the controls of a plate")
        return {"model": said["model"] or "", "normalisation": ", ".join([words, *steps])}
    except (ValueError, KeyError, TypeError):
        return {}


def _file_digest(path: str) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def _frame_digest(frame) -> str:
    import pandas

    digest = hashlib.sha256("\n".join(map(str, frame.columns)).encode())
    digest.update(pandas.util.hash_pandas_object(frame, index=False).to_numpy().tobytes())
    return digest.hexdigest()
