# SPDX-License-Identifier: BSD-3-Clause
"""A folder that `profile` wrote, as it is needed to show it: wells, treatments, hits.

Of the columns of the hits only `_NEEDED` must be there; the others are of what a screen has.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass

from phenoscale.errors import InputError
from phenoscale.screening.profile import FILES
from phenoscale.tables.predictions import text_frame

__all__ = ["FEATURE", "PROFILE", "TREATMENT", "Profiled", "read_profiled"]

PROFILE = "profile"  # the folder in that of a run
ABOUT, WELLS, TREATMENTS, HITS = FILES
TREATMENT, FEATURE = "Phenoscale_Treatment", "Image_Profile_"
_LIMIT = 1 << 26  # bytes of profile.json
_NEEDED = {HITS: ("Rank", "Treatment", "Hit"), WELLS: (TREATMENT, "Metadata_Well"),
           TREATMENTS: (TREATMENT,)}
#: what stays text, whatever it looks like
_TEXT = ("Metadata_Plate", "Metadata_Well", "Metadata_Batch", "Metadata_Compound",
         "Metadata_Control", TREATMENT, "Phenoscale_Class", "Phenoscale_Set", "Phenoscale_Control",
         "Treatment", "Compound", "Control", "Hit", "Class", "Set", "CellWord", "Words",
         "Nearest1", "Nearest2", "Nearest3", "Nearest1_Hit", "Nearest2_Hit", "Nearest3_Hit")


@dataclass
class Profiled:
    """What the files of the folder say.

    Attributes
    ----------
    path : str
    about : dict
        profile.json.
    wells, treatments, hits : pandas.DataFrame
        Numbers where a column has nothing else, NaN where a cell is empty; else text.
    """

    path: str
    about: dict
    wells: object
    treatments: object
    hits: object

    def inputs(self) -> list[str]:
        """The files of predictions that it was made of, a relative path from the folder."""
        said = self.about.get("inputs")
        paths = [one.get("path") for one in said if isinstance(one, dict)] if isinstance(
            said, list) else []
        return [os.path.join(self.path, path) for path in paths if isinstance(path, str)]


def read_profiled(path) -> Profiled:
    """The folder of a profile.

    Raises
    ------
    InputError
        A file is missing, or is not what `profile` writes.
    """
    path = os.fspath(path)
    frames = {name: _table(os.path.join(path, name), needed) for name, needed in _NEEDED.items()}
    return Profiled(path, _about(os.path.join(path, ABOUT)), frames[WELLS], frames[TREATMENTS],
                    frames[HITS])


def _about(path: str) -> dict:
    try:
        if os.path.getsize(path) > _LIMIT:
            raise ValueError(f"it has more than {_LIMIT:,} bytes")
        with open(path, encoding="utf-8") as file:
            about = json.load(file)
        if not isinstance(about, dict):
            raise ValueError("it is no object")
    except (OSError, ValueError, RecursionError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise InputError(f"{path} cannot be read ({why}): give a folder that phenoscale profile "
                         "wrote") from None
    return about


def _table(path: str, needed):
    import pandas

    cells = text_frame(path)
    missing = [name for name in needed if cells is None or name not in cells]
    if missing:
        raise InputError(f"{path} has no rows with {', '.join(missing)}: give a folder that "
                         "phenoscale profile wrote")
    return pandas.DataFrame({name: cells[name] if name in _TEXT else _numbers(cells[name])
                             for name in cells})


def _numbers(cells):
    """Cells as numbers, where all that are not empty are some; else as they are."""
    import pandas

    numbers = pandas.to_numeric(cells.where(cells != ""), errors="coerce")
    return numbers.astype(float) if numbers.notna().sum() == (cells != "").sum() else cells
