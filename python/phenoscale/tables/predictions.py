# SPDX-License-Identifier: BSD-3-Clause
"""The predictions file: the names of its columns, and its reader.

    Metadata_*, the label, Image_FileName_* ...      what the table says of a field
    Phenoscale_Field                                 its key, as `Table.keys` has it
    Phenoscale_Class, Phenoscale_Prob_<Key> ...      the likeliest class, the probability of each
    Phenoscale_Set, Phenoscale_Set90                 keys of the classes that it may be, true in 95
                                                     and 90 % of fields, or "(none of these)"
    Phenoscale_Novelty                               above 1 a field is unlike every class
    Phenoscale_ControlDistance                       where the model knows its controls
    Phenoscale_Network_<Key>, _Measures_<Key>        what each of them says, where both are asked
    Phenoscale_Model                                 the beginning of the digest of its weights
    Metadata_CellCount, Phenoscale_Quality           where the field is measured
    Image_Phenoscale_Emb0000 ...                     the embedding
    Image_Intensity_MeanIntensity_DNA ...            the measures; both are features

`phenoscale.prediction.frame` writes them.
"""

from __future__ import annotations

import io
import os
import re
from typing import TYPE_CHECKING

from phenoscale.errors import InputError
from phenoscale.files.csv import plain_cell, read_parquet, table_bytes
from phenoscale.files.kinds import is_parquet
from phenoscale.tables.class_keys import keys_by_class
from phenoscale.tables.controls import ANY, NEGATIVE, control_columns, control_marks, sign_of
from phenoscale.tables.keys import KEY
from phenoscale.tables.labels import is_no_class
from phenoscale.words import listed

if TYPE_CHECKING:
    import pandas

    from phenoscale.tables.table import Table

__all__ = ["CELLS", "CLASS", "DISTANCE", "FIELDS", "MODEL", "NOVELTY", "PROBABILITY", "QUALITY",
           "SETS", "about_columns", "embedding_column", "is_embedding", "is_feature", "is_measure",
           "is_own", "known_columns", "opinion_column", "predictions_cells", "probability_column",
           "probability_columns", "text_frame"]

CLASS, DISTANCE, MODEL = "Phenoscale_Class", "Phenoscale_ControlDistance", "Phenoscale_Model"
NOVELTY, SETS = "Phenoscale_Novelty", {"95": "Phenoscale_Set", "90": "Phenoscale_Set90"}
CELLS = "Metadata_CellCount"  # cells of a field, where they are counted
QUALITY = "Phenoscale_Quality"  # what is wrong with a field, in the words of images/quality.py
FIELDS = "Phenoscale_Fields"  # of an aggregate: how many fields
PROBABILITY = "Phenoscale_Prob"  # of the class that another column names
_EMBEDDING = "Image_Phenoscale_Emb"
_IS_EMBEDDING = re.compile(r"(?:Image_)?Phenoscale_Emb\d+")
#: by the families of docs/measures.md
_IS_MEASURE = re.compile(r"Image_(?:Intensity|Granularity|(?:Coarse)?Texture|Correlation|"
                         r"ImageQuality|Foreground|Bands|Patterns|Gradient|Cells)_.+")
_OWN = re.compile(rf"(?:Image_)?(?:FileName|PathName)_.+|{KEY}|{CLASS}|{QUALITY}|{FIELDS}|{NOVELTY}"
                  rf"|Phenoscale_(?:Prob|Network|Measures)_.+|{'|'.join(SETS.values())}")


def probability_column(key: str) -> str:
    """The column of a class, by its key (`phenoscale.tables.class_keys`)."""
    return f"{PROBABILITY}_{key}"


def opinion_column(kind: str, key: str) -> str:
    """The column of what one part of a model says of a class: "network" or "measures"."""
    return f"Phenoscale_{kind.capitalize()}_{key}"


def probability_columns(frame: pandas.DataFrame, classes) -> list[str]:
    """The column of each class, in their order; InputError names a missing one.

    classes: all classes of a model, or of some the keys, by class.
    """
    keys = classes if isinstance(classes, dict) else keys_by_class(classes)
    columns = [probability_column(key) for key in keys.values()]
    for name, column in zip(keys, columns):
        if column not in frame.columns:
            there = [other for other in frame.columns if other.startswith(f"{PROBABILITY}_")]
            raise InputError(
                f"the predictions have no column {column} for the class {name}: "
                f"they have {listed(there, near=column)}"
            )
    return columns


def embedding_column(k: int) -> str:
    """The column of a number of the embedding, from 0."""
    return f"{_EMBEDDING}{k:04d}"


def is_embedding(column: str) -> bool:
    """Whether a column is one of the embedding, of a field or of CellProfiler's Image table."""
    return bool(_IS_EMBEDDING.fullmatch(column))


def is_measure(column: str) -> bool:
    """Whether a column is one of the classic numbers of a field."""
    return bool(_IS_MEASURE.fullmatch(column))


def is_feature(column: str) -> bool:
    """Whether a column is of the embedding or the measures."""
    return is_embedding(column) or is_measure(column)


def is_own(column: str) -> bool:
    """Whether a column is of one field alone, or made anew when fields become wells."""
    return bool(_OWN.fullmatch(column))


def about_columns(table: Table, label: str) -> list[str]:
    """Columns of a table that go with its fields: metadata, roles, label, controls."""
    roles = set(table.roles.values())
    own = {name for name, ours in table.spelling.items() if ours in roles}  # as the file has them
    said = {*control_columns(table.frame.columns), *roles, *own, label}
    return [name for name in table.frame.columns if name.startswith("Metadata_") or name in said]


def predictions_cells(path) -> pandas.DataFrame | None:
    """`text_frame` of a file from anywhere: CSV, packed or not, or Parquet.

    Raises
    ------
    InputError
        For a file that is not there, or is no table.
    """
    import pandas

    path = os.fspath(path)
    content = table_bytes(path)
    if not is_parquet(content):
        return text_frame(path, io.BytesIO(content))
    (header, *rows), _ = read_parquet(path, content, is_feature)
    return pandas.DataFrame(rows, columns=header) if rows else None


def text_frame(path, content=None) -> pandas.DataFrame | None:
    """A CSV of a run as text, its cells as they were before it was written, without features;
    None where it is absent or has no rows.

    content: of the file, to be read from, where it is open already.

    Raises
    ------
    InputError
        For a file that is no table.
    """
    import pandas

    try:
        frame = pandas.read_csv(content or path, dtype=str, keep_default_na=False,
                                encoding="utf-8-sig", usecols=lambda name: not is_feature(name))
    except (FileNotFoundError, pandas.errors.EmptyDataError):
        return None
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read as a table: {error}") from None
    for name in frame.columns:
        frame[name] = list(map(plain_cell, frame[name]))
    frame.columns = list(map(plain_cell, frame.columns))
    if not frame.columns.is_unique:
        twice = frame.columns[frame.columns.duplicated()][0]
        raise InputError(f"{path} cannot be read as a table: it has the column '{twice}' twice")
    return frame if len(frame) else None


def known_columns(cells: pandas.DataFrame, label: str, roles, controls) -> pandas.DataFrame:
    """The fields of a predictions file or split under names that do not depend on the table.

    Parameters
    ----------
    cells : pandas.DataFrame
        As of `text_frame`.
    label : str
        Column of the classes.
    roles : dict of str to str
        Role to column.
    controls : dict of str to list of str
        Column to values of negative controls.

    Returns
    -------
    pandas.DataFrame
        Roles as Metadata_<Role>; Side; Truth, the label; Mark, as of `control_marks`.
    """
    frame = cells.rename(columns=lambda name: name.removeprefix("Image_"))
    frame = frame[[c for c in frame if c.startswith(
        ("Metadata_", "Phenoscale_", "FileName_", "PathName_", "Frame_", "Sample_"))]].copy()
    for name in [c for c in frame if c.startswith("FileName_")]:
        frame[name] = frame[name].map(os.path.basename)  # as predict writes them
    for role, column in roles.items():
        if column in cells:
            frame["Metadata_" + role.capitalize()] = cells[column]
    frame["Truth"], frame["Side"] = cells.get(label, ""), cells.get("Split", "")
    frame.loc[frame["Truth"].map(is_no_class), "Truth"] = ""
    for name in ("Metadata_Plate", CLASS):
        frame[name] = frame.get(name, "")
    frame["Mark"] = control_marks(cells)[0]
    for column, values in controls.items():
        if column in cells:
            frame.loc[cells[column].isin(values) & frame["Mark"].isin(["", ANY]), "Mark"] = NEGATIVE
    if "Metadata_Compound" in frame:  # its name may say the sign, and where nothing else does all
        is_solvent = frame["Metadata_Compound"].map(sign_of) == NEGATIVE
        asked = frame["Mark"].isin(["", ANY] if (frame["Mark"] == "").all() else [ANY])
        frame.loc[is_solvent & asked, "Mark"] = NEGATIVE
    return frame
