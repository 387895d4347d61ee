# SPDX-License-Identifier: BSD-3-Clause
"""A table to be exported: what it says of its rows, and their features, told apart by name.

    predictions, measures, wells, treatments, or another program's table of the same names
        -> Source -> anndata.py, cytotable.py, cpa.py, omero.py, wells.py
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from phenoscale.errors import InputError
from phenoscale.evaluation.features import may_be_feature
from phenoscale.exports.provenance import provenance_of
from phenoscale.files.wide import read_wide
from phenoscale.tables.columns import ROLES
from phenoscale.tables.predictions import CELLS, FIELDS, is_measure
from phenoscale.tables.roles import known_roles
from phenoscale.tables.wells import is_well, normalise_well
from phenoscale.words import listed

if TYPE_CHECKING:
    import pandas

__all__ = ["PLATE", "SITE", "TREATMENT", "WELL", "Source", "read_source", "short_names"]

PLATE, WELL, SITE = (ROLES[role] for role in ("plate", "well", "site"))
TREATMENT = "Phenoscale_Treatment"  # of the tables of `profile`
#: how the names of features begin: CellProfiler's and pycytominer's, and phenoscale's own
_FEATURES = ("Image_", "Cells_", "Nuclei_", "Cytoplasm_", "Phenoscale_Emb")
_FILE = re.compile(r"Image_FileName_(.+)")
_OF_FILES = re.compile(r"Image_(?:FileName|PathName|URL|Series|Frame|Sample)_.+")
_WHOLE = re.compile(r"-?\d{1,15}")
_FLOATS = (CELLS, ROLES["concentration"])  # numbers, though Metadata_; whole ones by chance


@dataclass(frozen=True)
class Source:
    """A table to be exported.

    Attributes
    ----------
    about : pandas.DataFrame
        What is said of each row, in the order of the table: Metadata_Plate, _Well, _Site,
        _Compound, _Concentration, _Batch where there are such, wells in one spelling; text, or
        numbers where a column has nothing else.
    features : list of str
    values : numpy.ndarray
        float32 (rows, features).
    unit : {"field", "well", "treatment"}
        What a row is.
    provenance : dict of str to str
        See `phenoscale.exports.provenance`.
    name : str
        Of the table, for messages.
    notes : list of str
        What a format could not say.
    """

    about: pandas.DataFrame
    features: list[str]
    values: np.ndarray
    unit: str
    provenance: dict[str, str]
    name: str
    notes: list[str] = field(default_factory=list)

    @property
    def channels(self) -> list[str]:
        """Channels whose files the table names."""
        return [match[1] for match in map(_FILE.fullmatch, self.about.columns) if match]

    def without_files(self) -> pandas.DataFrame:
        """`about`, but for the columns that say where images are."""
        return self.about[[name for name in self.about if not _OF_FILES.fullmatch(name)]]

    def features_frame(self) -> pandas.DataFrame:
        """The features by their names, float32."""
        import pandas

        return pandas.DataFrame(self.values, columns=self.features)

    def measures(self) -> pandas.DataFrame:
        """Those of them that are classic numbers of a field."""
        kept = [k for k, name in enumerate(self.features) if is_measure(name)]
        return replace(self, features=[self.features[k] for k in kept],
                       values=self.values[:, kept]).features_frame()

    def need(self, column: str, cure: str) -> None:
        """InputError where a column of `about` is missing."""
        if column not in self.about:
            raise InputError(f"{self.name} has no column {column}: {cure}; it has "
                             f"{listed(self.about.columns, near=column, limit=8)}")


def read_source(source) -> Source:
    """Read a table to be exported.

    Parameters
    ----------
    source : path or pandas.DataFrame
        CSV, plain or gzip, or Parquet: of `predict`, `measure`, `profile`, or with their names.

    Raises
    ------
    InputError
        For a file that is no such table, naming it, the line and the column.
    """
    import pandas

    features, numbers = [], []

    def choose(is_number):
        for name, is_one in is_number.items():
            if is_one and name.startswith(_FEATURES) and may_be_feature(name):
                features.append(name)
            elif is_one and (name in _FLOATS or not name.startswith(("Metadata_", "Image_"))):
                numbers.append(name)
        taken = set(features)
        return features, [name for name in is_number if name and name not in taken]

    wide = read_wide(source, choose)
    name = "the DataFrame" if hasattr(source, "columns") else str(source)
    if not wide.lines:
        raise InputError(f"{name} has no rows: it needs one for each field, well or treatment")
    about = {column: _numbers(cells, column not in _FLOATS) if column in numbers
             else np.array(cells, object)
             for column, cells in wide.text.items()}
    about = _our_names(pandas.DataFrame(about, index=range(len(wide.lines))), name)
    return Source(about, features, wide.numbers, _unit(about), provenance_of(source, about), name)


def _numbers(cells, may_be_whole: bool = False) -> np.ndarray:
    """Cells as whole numbers, float32 where that is what they were, or float64; as text where any
    is no number, or none is there."""
    text = np.array(cells, object)
    try:
        found = np.array([np.nan if cell == "" else float(cell) for cell in text], np.float64)
    except ValueError:
        return text
    if not (text != "").any():
        return text
    if may_be_whole and all(_WHOLE.fullmatch(str(cell)) for cell in text):
        return found.astype(np.int64)
    with np.errstate(over="ignore"):
        short = found.astype(np.float32)
    return short if np.array_equal(found, short, equal_nan=True) else found


def _our_names(about: pandas.DataFrame, name: str) -> pandas.DataFrame:
    """The columns that play a role as Metadata_<Role>, CellProfiler's Image_Metadata_* and scores
    without Image_, wells in one spelling."""
    import pandas

    ours = {column: column.removeprefix("Image_") for column in about
            if column.startswith(("Image_Metadata_", "Image_Phenoscale_"))}
    about = about.rename(columns=ours)
    for role, columns in known_roles(about.columns).items():
        if role == "z" or ROLES[role] in about:
            continue
        fitting = [column for column in columns if role != "well" or _is_of_wells(about[column])]
        about = about.rename(columns={column: ROLES[role] for column in fitting[:1]})
    if not about.columns.is_unique:
        twice = about.columns[about.columns.duplicated()][0]
        raise InputError(f"{name} has the column {twice} twice, with Image_ before its name and "
                         "without: take one out")
    concentration = ROLES["concentration"]
    if concentration in about and about[concentration].dtype == object:
        about[concentration] = pandas.Series(_numbers(about[concentration]), about.index)
    if WELL in about:
        wells = [normalise_well(str(well)) for well in about[WELL]]
        about[WELL] = pandas.Series(wells, about.index, object)
    return about


def _is_of_wells(cells) -> bool:
    """Whether all cells that say anything name wells."""
    words = {str(cell) for cell in cells} - {""}
    return bool(words) and all(map(is_well, words))


def _unit(about: pandas.DataFrame) -> str:
    """What a row is."""
    has_files = any(map(_OF_FILES.fullmatch, about.columns))
    if FIELDS not in about and (has_files or SITE in about):
        return "field"
    if WELL not in about:
        return "treatment" if not has_files else "field"
    place = [column for column in (ROLES["batch"], PLATE, WELL) if column in about]
    return "field" if about.duplicated(place).any() else "well"


def short_names(columns) -> dict[str, str]:
    """Names without Metadata_, Image_ and Phenoscale_ before them, where that leaves them apart.

    >>> short_names(["Metadata_Compound", "Phenoscale_Class", "Class"])
    {'Metadata_Compound': 'Compound', 'Phenoscale_Class': 'Phenoscale_Class', 'Class': 'Class'}
    """
    short = {name: re.sub(r"^(?:Image_)?(?:Metadata_|Phenoscale_)?", "", name) for name in columns}
    uses = [word.lower() for word in short.values()]
    return {name: word if word and uses.count(word.lower()) == 1 else name
            for name, word in short.items()}
