# SPDX-License-Identifier: BSD-3-Clause
"""What the columns of a table are: files of channels, roles, or anything else.

Part of reading a table: every spelling that is known becomes one, that of table.py.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import islice

from phenoscale.errors import InputError, NoChannel
from phenoscale.words import listed

__all__ = ["CHOSEN", "FILE", "IMAGE_NAME", "MARK", "ROLES", "SKIP", "Channel", "choose_channels",
           "clean_header", "file_columns_of", "without_index"]

ROLES = {
    "plate": "Metadata_Plate",
    "well": "Metadata_Well",
    "site": "Metadata_Site",
    "compound": "Metadata_Compound",
    "concentration": "Metadata_Concentration",
    "batch": "Metadata_Batch",
    "z": "Metadata_Z",
}
#: What CellProfiler's LoadData knows of a channel's file, one column each; Sample is ours: which
#: of the samples of a pixel.
FILE = re.compile(r"(?:(?:Image_)?(?=FileName|PathName|URL|Series|Frame)|Image_)"
                  r"(FileName|PathName|URL|Series|Frame|Sample)_(.+)")
IMAGE_NAME = re.compile(r".*\.(tiff?|flex|png|jpe?g|bmp|p[gp]m|webp|jp2)", re.IGNORECASE)
#: Column of a clean table that says why a field is not to be used; empty for the others.  Reasons
#: of a check begin with the mark, and the next check judges anew.
SKIP, MARK = "Phenoscale_Skip", "check: "
#: Column of a clean table whose planes of z are chosen already: the number that was asked for.
CHOSEN = "Phenoscale_Z"
_ROWS = 50  # cells looked at to tell what a column holds
#: names of the first columns where a table was written with the numbers of its rows
_INDEX = re.compile(r"(Unnamed: \d+(\.\d+)*)?")
#: what stands in columns of file names beside the channels, and is no picture of cells
_NO_IMAGE = re.compile(r".*\.(np[yz]|mat|csv|tsv|txt|xml|json|h5|hdf5|pdf|html?)", re.IGNORECASE)
_CAMERA = re.compile(r".*\.(tiff?|flex|c01)", re.IGNORECASE)
_PICTURE = re.compile(r".*\.(png|jpe?g|bmp|gif)", re.IGNORECASE)


@dataclass(frozen=True)
class Channel:
    """A channel of a field, and where it comes from: the word `name=column:plane`.

    Attributes
    ----------
    name : str
    column : str
        What stands behind FileName_ in the table.
    plane : int or None
        Which channel of the file, from 0; None where the file has one.
    """

    name: str
    column: str
    plane: int | None = None

    @classmethod
    def parse(cls, word: str) -> Channel:
        """ "DNA", "DNA=w1", "DNA=Image:2", "Image:2"."""
        name, equals, source = word.partition("=")
        source = source if equals else name
        match = re.fullmatch(r"(.+):(\d{1,4})", source)
        if not name or not source:
            raise InputError(f"channel '{word}': write NAME, NAME=COLUMN or NAME=COLUMN:NUMBER")
        return cls(name, match[1] if match else source, int(match[2]) if match else None)

    def number(self, sample: int | None) -> int | None:
        """Which channel of a file: as the table has it, else as the word."""
        return self.plane if sample is None else sample

    def source(self) -> str:
        """The part behind the equals sign."""
        return self.column if self.plane is None else f"{self.column}:{self.plane}"


def clean_header(header: list[str], rows, source: str) -> tuple[list[str], dict[str, str]]:
    """Columns in our spelling, and our spelling to the source's.

    ``Image_FileName_X`` and what else FILE names, with ``Image_``; ``Metadata_X`` for
    ``Image_Metadata_X`` (with or without a channel after it), and for a bare role such as
    ``plate``; ``Image_FileName_X`` also for a column X that holds names of images, as in
    DeepProfiler's index, where there is no other.
    """
    matches = [FILE.fullmatch(column) for column in header]
    channels = [match[2] for match in matches if match and match[1] in ("FileName", "URL")]
    images = set() if channels else _image_columns(header, rows)
    channels = channels or [header[number] for number in images]
    matches = [match if match and match[2] in channels else None for match in matches]
    bare = {name.partition("_")[2].lower(): name for name in ROLES.values()}
    clean, spelling = [], {}
    for number, (column, match) in enumerate(zip(header, matches)):
        name = f"Image_{match[1]}_{match[2]}" if match else column
        if column.startswith("Image_Metadata_"):
            name = column[len("Image_") :]
            for channel in channels:
                if name.endswith(f"_{channel}"):
                    name = name[: -len(channel) - 1]
        elif number in images:
            name = f"Image_FileName_{column}"
        elif column.lower() in bare and bare[column.lower()] not in header:
            name = bare[column.lower()]
        if not name:
            raise InputError(f"{source} line 1: column {number + 1} has no name: give it one")
        if name in spelling:
            same = column if column == spelling[name] else f"{spelling[name]} and {column}"
            raise InputError(f"{source} line 1: column {same} is there twice: remove or rename one")
        clean.append(name)
        spelling[name] = column
    return clean, spelling


def without_index(header: list[str], rows, source: str):
    """Header and rows without the numbers of rows that a program wrote as the first column.

    Returns header, rows, and a note where one was left out.  A column without a name that holds
    anything else than distinct whole numbers stays.
    """
    count = 0
    while count < len(header) and _INDEX.fullmatch(header[count]):
        cells = {row[count] for row in rows}
        if len(cells) < len(rows) or not all(map(str.isdecimal, cells)):
            break
        count += 1
    if not count:
        return header, rows, []
    return header[count:], [row[count:] for row in rows], [
        f"{source}: the first column has no name and numbers the rows: it is left out"]


def file_columns_of(header, spelling: dict, rows, source: str, words) -> tuple[dict, list[str]]:
    """Channel to the source's spelling of its column of file names, and notes.

    Columns that hold files of another kind than images, such as the illumination functions of
    CellProfiler (.npy), are no channels.

    header: in our spelling; words: the channels that the user names, or None.
    """
    found, no_image, kinds, notes = {}, {}, {}, []
    for number, column in enumerate(header):
        match = FILE.fullmatch(column)
        if not match or match[1] not in ("FileName", "URL"):
            continue
        names = [row[number] for row in islice((row for row in rows if row[number]), _ROWS)]
        if names and all(map(_NO_IMAGE.fullmatch, names)):
            no_image[match[2]] = f"{spelling[column]} ({names[0]})"
            continue
        found[match[2]] = spelling[column]
        kinds[match[2]] = ("camera" if all(map(_CAMERA.fullmatch, names)) else
                           "picture" if all(map(_PICTURE.fullmatch, names)) else "")
    asked = {(word if isinstance(word, Channel) else Channel.parse(word)).column
             for word in words or ()}
    for channel in no_image:
        if channel in asked or not found:
            raise InputError(f"{source}: column {no_image[channel]} names no images: "
                             f"its channels are {listed(found)}")
    if no_image:
        notes.append(f"{source}: no images, and no channels: column{'s' * (len(no_image) > 1)} "
                     f"{listed(no_image.values())}")
    camera = [name for name, kind in kinds.items() if kind == "camera"]
    saved = [found[name] for name, kind in kinds.items() if kind == "picture"]
    if camera and saved and words is None:
        notes.append(f"{source}: {listed(saved)} names pictures (PNG, JPEG) beside the TIFFs of "
                     f"{listed(camera)}: where they are saved overlays, no channel of the camera, "
                     f"leave them out with --channels {','.join(camera)}")
    return found, notes


def _image_columns(header: list[str], rows) -> set[int]:
    """Numbers of the columns that hold names of image files and nothing else."""
    found = set()
    for number, column in enumerate(header):
        cells = list(islice((row[number] for row in rows if row[number]), _ROWS))
        if cells and not column.startswith("Metadata_") and all(map(IMAGE_NAME.fullmatch, cells)):
            found.add(number)
    return found


def choose_channels(file_columns: dict, words, source: str) -> list[Channel]:
    """The channels that `words` name, by default one for each column of files.

    file_columns: channel to the source's spelling of its column of file names.
    """
    if not file_columns:
        raise InputError(
            f"{source} has no column Image_FileName_<channel> (or FileName_<channel>): "
            "the table needs one for each channel"
        )
    if words is None:
        return [Channel(name, name) for name in file_columns]
    chosen = [word if isinstance(word, Channel) else
              Channel(word, word) if word in file_columns else Channel.parse(word)
              for word in words]
    for channel in chosen:
        if channel.column not in file_columns:
            raise NoChannel(
                f"{source} has no channel {channel.column} (column "
                f"Image_FileName_{channel.column}): "
                f"its channels are {listed(file_columns, near=channel.column)}"
            )
    names = [channel.name for channel in chosen]
    if not chosen or len(set(names)) < len(chosen):
        raise InputError(f"channels {listed(names)}: name each channel once, and at least one")
    return chosen
