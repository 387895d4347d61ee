# SPDX-License-Identifier: BSD-3-Clause
"""AnnData, for scanpy and its kin: features in X, what is said of rows in obs, of features in var.

The file follows the image-profiling schema 2.0 of scverse's mantispy where the table has what that
asks for: plates and wells, or a treatment a row.
"""

from __future__ import annotations

import re

from phenoscale.errors import InputError, cure_of
from phenoscale.exports.source import PLATE, SITE, TREATMENT, WELL, Source
from phenoscale.files.atomic import whole_file
from phenoscale.profiles.measure_words import channels_in
from phenoscale.tables.columns import ROLES
from phenoscale.tables.controls import NEGATIVE, POSITIVE, control_columns, control_marks, sign_of
from phenoscale.tables.keys import KEY
from phenoscale.tables.predictions import is_embedding
from phenoscale.tables.wells import is_well

__all__ = ["write_anndata"]

_SCHEMA, _VERSION = "mantispy", "2.0"  # key of uns; what is written there
_COMPOUND, _CONCENTRATION = ROLES["compound"], ROLES["concentration"]
_CONTROL, _TYPE = "Metadata_Control", "Metadata_Control_Type"
_TYPES = {NEGATIVE: "negcon", POSITIVE: "poscon"}
_COMPONENT = re.compile(r"Image_Profile_\d+")
_NUMBER = re.compile(r"-?\d+(\.\d+)?")
#: columns of var: text, numbers
_TEXT = ("object", "feature_group", "feature", "channel", "radial_bin", "params", "feature_kind")
_FLOATS = ("scale", "angle", "gray_levels")


def write_anndata(source: Source, out: str) -> list[str]:
    """Write an .h5ad; gives the notes.

    X is float32 (rows, features); uns["phenoscale"] has the provenance.

    Raises
    ------
    InputError
        For a table without features, and where anndata is not installed.
    """
    if not source.features:
        raise InputError(f"{source.name} has no features, which AnnData is made of: export what "
                         "phenoscale predict --embedding last, measure or profile wrote")
    try:
        import anndata
    except ModuleNotFoundError as error:
        raise InputError(f"{out}: AnnData is written by anndata: {cure_of(error)}") from None
    obs = _obs(source)
    grouped_by = _grouped_by(source)
    uns, notes = {"phenoscale": source.provenance}, []
    if grouped_by:
        uns[_SCHEMA] = {"schema_version": _VERSION, "grouped_by": grouped_by, "resolution":
                        "aggregate" if source.unit == "treatment" else "well", **_treatment(obs)}
    else:
        notes = [f"{out} is AnnData, but not of the image-profiling schema: every row needs a "
                 f"{PLATE} and a {WELL} like B02"]
    with whole_file(out) as temporary:
        anndata.AnnData(X=source.values, obs=obs, var=_var(source.features), uns=uns).write_h5ad(
            temporary)
    return notes


def _obs(source: Source):
    """What is said of the rows, under names that tell them apart; controls as the schema has
    them."""
    obs = source.about.rename(columns=lambda name: name.replace("/", "_"))  # which HDF5 cuts at
    obs.index = _row_names(obs)
    text = obs.astype(object).where(obs.notna(), "").astype(str)
    marks = _marks(text)
    if any(marks) or control_columns(text.columns):
        obs = obs.rename(columns={name: f"{name}_Recorded" for name in (_CONTROL, _TYPE)})
        obs[_TYPE] = [_TYPES.get(mark, "treatment") for mark in marks]
        obs[_CONTROL] = obs[_TYPE] != "treatment"
    return obs


def _row_names(obs) -> list[str]:
    """Keys of fields, places of wells or names of treatments; where these repeat, numbers from
    0."""
    place = [name for name in (PLATE, WELL, SITE) if name in obs]
    columns = [KEY] if KEY in obs else place if WELL in obs else [TREATMENT]
    names = [" ".join(map(str, cells)) for cells in zip(*(obs.get(name, ()) for name in columns))]
    return names if len(set(names)) == len(obs) else list(map(str, range(len(obs))))


def _marks(text) -> list[str]:
    """The mark of each row as `control_marks` has it; where no column says which are controls, the
    compounds that are solvents."""
    if "Phenoscale_Control" in text:
        return [sign_of(word) or "" for word in text["Phenoscale_Control"]]
    marks = control_marks(text)[0]
    if any(marks) or _COMPOUND not in text:
        return marks
    return [NEGATIVE if sign_of(word) == NEGATIVE else "" for word in text[_COMPOUND]]


def _grouped_by(source: Source) -> list[str]:
    """The columns that tell what a row is; [] where the schema has no name for it."""
    about = source.about
    if source.unit == "treatment":
        return [name for name in ((TREATMENT,) if TREATMENT in about else
                                  (_COMPOUND, _CONCENTRATION)) if name in about]
    if PLATE not in about or WELL not in about or not all(map(is_well, about[WELL])):
        return []
    site = next((name for name in (SITE, KEY) if name in about), None)
    return [PLATE, WELL, *[site] * (source.unit == "field" and site is not None)]


def _treatment(obs) -> dict:
    """Which column of obs is the treatment, which one the control."""
    column = next((name for name in (TREATMENT, _COMPOUND) if name in obs), None)
    control = {"control_column": _TYPE} if _TYPE in obs else {}
    return {"perturbation": {"column": column, **control}} if column else {}


def _var(features):
    """What each feature is: CellProfiler's names taken apart."""
    import pandas

    channels = channels_in(features)
    var = pandas.DataFrame([_parts(name, channels) for name in features], index=features,
                           columns=[*_TEXT, *_FLOATS])
    for name in _TEXT:
        var[name] = pandas.Categorical(var[name])
    for name in _FLOATS:
        var[name] = var[name].astype(float)
    var["is_feature"] = True
    return var


def _parts(name: str, channels) -> dict:
    """The cells of a row of var that are not empty."""
    if is_embedding(name):
        return {"feature_kind": "embedding"}
    if _COMPONENT.fullmatch(name):
        return {"feature_kind": "derived"}
    where, group, rest = (*name.split("_", 2), "", "")[:3]
    mine = [channel for channel in channels if f"_{channel}_" in f"_{rest}_"]
    for channel in mine:
        rest = f"_{rest}_".replace(f"_{channel}_", "_", 1).strip("_")
    words = rest.split("_")
    numbers = [word for word in words if _NUMBER.fullmatch(word)]
    found = {"object": where, "feature_group": group, "feature_kind": "measurement",
             "feature": "_".join(word for word in words if word not in numbers) or group,
             "channel": "|".join(mine) or None, "params": "_".join(numbers) or None}
    found.update(zip(_FLOATS if group == "Texture" else _FLOATS[:1], map(float, numbers)))
    return found
