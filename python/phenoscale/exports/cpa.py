# SPDX-License-Identifier: BSD-3-Clause
"""SQLite and .properties for CellProfiler Analyst: fields, their images, classes and numbers.

One table, Per_Image, as CellProfiler's ExportToDatabase has it; no objects.
"""

from __future__ import annotations

import os
import re
import sqlite3

from phenoscale.errors import InputError
from phenoscale.exports.provenance import stem_of
from phenoscale.exports.source import PLATE, WELL, Source
from phenoscale.files.atomic import whole_file, write_atomically
from phenoscale.tables.columns import ROLES
from phenoscale.tables.predictions import CLASS
from phenoscale.tables.wells import plate_layout
from phenoscale.words import count

__all__ = ["write_cpa"]

_TABLE, _NUMBER, _PROVENANCE = "Per_Image", "ImageNumber", "Phenoscale_Provenance"
_MOST = 1900  # columns: SQLite has 2000, and CellProfiler Analyst adds some
_TYPES = {"i": "INTEGER", "u": "INTEGER", "b": "INTEGER", "f": "FLOAT"}  # else TEXT
_COLOURS = ("red", "green", "blue", "cyan", "magenta", "yellow", "gray")
_ROWS = 1000  # written at a time
_GROUPS = {"Plate": PLATE, "Well": WELL, "Class": CLASS, "Compound": ROLES["compound"]}


def write_cpa(source: Source, out: str) -> list[str]:
    """Write x.properties and x.db; gives the notes.

    The embedding stays out, and so do classic numbers that would not fit into the columns of
    SQLite.

    Raises
    ------
    InputError
        For a table that names no images.
    """
    if not source.channels:
        raise InputError(f"{source.name} has no column Image_FileName_<channel>, and CellProfiler "
                         "Analyst shows images: export the fields that phenoscale predict or "
                         "measure wrote")
    for channel in source.channels:
        source.need(f"Image_PathName_{channel}", "it is the folder of the file")
    frame, notes = _per_image(source)
    database = f"{stem_of(out)}.db"
    with whole_file(database) as temporary:
        _write_database(frame, source.provenance, temporary, database)
    write_atomically(out, [_properties(source, frame, os.path.basename(database)).encode()])
    return notes + _pages(source)


def _per_image(source: Source):
    """The table, under the names of the columns of the source, and notes."""
    import pandas

    frame, measures, notes = source.about, source.measures(), []
    if len(frame.columns) + len(measures.columns) > _MOST:
        notes = [f"{count(len(measures.columns), 'measure')} left out: SQLite has at most 2,000 "
                 "columns"]
    elif len(measures.columns):
        frame = pandas.concat([frame, measures], axis=1)
    return frame, notes


def _pages(source: Source) -> list[str]:
    """A sentence where a file holds more than the image that is meant."""
    several = [channel for channel in source.channels for word in ("Frame", "Sample")
               if any(str(cell) not in ("", "0") for cell in
                      source.about.get(f"Image_{word}_{channel}", ()))]
    return [f"files of {', '.join(dict.fromkeys(several))} hold several images: CellProfiler "
            "Analyst shows the first"] if several else []


def _sql_names(columns) -> dict[str, str]:
    """Column to a name that needs no quotes in SQL, as CellProfiler Analyst asks: Metadata as
    CellProfiler's, Image_Metadata_Plate."""
    found, used = {}, {_NUMBER.lower()}
    for column in columns:
        name = f"Image_{column}" if column.startswith("Metadata_") else column
        name = re.sub(r"\W", "_", name, flags=re.ASCII)
        name = name if name[:1].isalpha() else f"Image_{name}"
        free, number = name, 2
        while free.lower() in used:
            free, number = f"{name}_{number}", number + 1
        used.add(free.lower())
        found[column] = free
    return found


def _write_database(frame, provenance: dict, path: str, name: str) -> None:
    columns = _sql_names(frame.columns)
    types = [f"{word} {_TYPES.get(frame[column].dtype.kind, 'TEXT')}"
             for column, word in columns.items()]
    marks = ", ".join("?" * (1 + len(columns)))
    try:
        with _Database(path) as base:
            base.execute(f"CREATE TABLE {_TABLE} ({_NUMBER} INTEGER PRIMARY KEY, "
                         f"{', '.join(types)})")
            for at in range(0, len(frame), _ROWS):
                rows = frame.iloc[at : at + _ROWS].astype(object)
                rows = rows.where(rows.notna(), None).itertuples(index=False, name=None)
                base.executemany(f"INSERT INTO {_TABLE} VALUES ({marks})",
                                 ((number, *row) for number, row in enumerate(rows, at + 1)))
            base.execute(f"CREATE TABLE {_PROVENANCE} (name TEXT, value TEXT)")
            base.executemany(f"INSERT INTO {_PROVENANCE} VALUES (?, ?)", provenance.items())
    except sqlite3.Error as error:
        raise InputError(f"{name} cannot be written: {error}") from None


class _Database:
    """A new SQLite file, closed when it is whole."""

    def __init__(self, path: str):
        self._base = sqlite3.connect(path)

    def __enter__(self):
        return self._base

    def __exit__(self, kind, *_):
        try:
            if kind is None:
                self._base.commit()
        finally:
            self._base.close()


def _properties(source: Source, frame, database: str) -> str:
    """The text of the .properties, the provenance as comments."""
    names, channels = _sql_names(frame.columns), source.channels
    colours = [_COLOURS[k] if k < len(_COLOURS) else "none" for k in range(len(channels))]
    layout = plate_layout(frame[WELL]) if WELL in frame else None
    lines = {
        "db_type": "sqlite", "db_sqlite_file": database, "image_table": _TABLE,
        "object_table": "", "image_id": _NUMBER, "object_id": "",
        "plate_id": names.get(PLATE, ""), "well_id": names.get(WELL, ""), "well_format": "A01",
        "plate_type": str(layout[0] * layout[1]) if layout else "",
        "image_path_cols": _row(names[f"Image_PathName_{channel}"] for channel in channels),
        "image_file_cols": _row(names[f"Image_FileName_{channel}"] for channel in channels),
        "image_names": _row(channels), "image_channel_colors": _row(colours),
        "channels_per_image": _row("1" for _ in channels), "object_name": "image, images",
        "image_tile_size": "50", "check_tables": "no"}
    lines |= {f"group_SQL_{word}":
              f"SELECT {_TABLE}.{_NUMBER}, {_TABLE}.{names[column]} FROM {_TABLE}"
              for word, column in _GROUPS.items() if column in names}
    comments = [f"# {key}: {' '.join(value.split())}" for key, value in source.provenance.items()]
    return "\n".join([*comments, "", *(f"{key} = {value}" for key, value in lines.items()), ""])


def _row(words) -> str:
    """A list as the .properties have it."""
    return ", ".join(" ".join(word.replace(",", " ").split()) for word in words)
