# SPDX-License-Identifier: BSD-3-Clause
"""Folders of image files -> frames: a pattern with named groups says what a file name means.

To add an instrument or a screen: a row of PRESETS.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Callable

from phenoscale.errors import InputError
from phenoscale.tables.columns import IMAGE_NAME
from phenoscale.tables.wells import normalise_well, row_letters
from phenoscale.words import listed

if TYPE_CHECKING:
    import pandas

__all__ = ["PRESETS", "Preset", "find_preset", "folder_frame"]

_GUID = r"[0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{12}"
_TIFF = r"\.(?i:tiff?)$"
_MATCHES = 5  # shown before the run
#: Groups in other words.
_SAME = {"Field": "Site", "ChannelNumber": "Channel", "ChannelName": "Channel", "T": "Time"}
_THUMBNAIL = re.compile(r"thumb", re.IGNORECASE)
#: Folders within a plate's own, by instruments; and those that tell its measurements apart.
_INNER = re.compile(r"Images|TimePoint_\d+|ZStep_\d+", re.IGNORECASE)
_MEASUREMENT = re.compile(r"(Measurement|Evaluation)[ _-]?\d+", re.IGNORECASE)
#: Names whose parts are of no fixed order, and the pattern that fits most of them.
_OTHERS = {r"\d{6}-\d+-\d{9}" + _TIFF:
           r"(?P<Row>\d{3})(?P<Column>\d{3})-(?P<Site>\d+)-(?P<Time>\d{3})(?P<Z>\d{3})"
           r"(?P<Channel>\d{3})\.tif"}


@dataclass(frozen=True)
class Preset:
    """How an instrument or a screen names its files.

    Attributes
    ----------
    pattern : str
        Regular expression that is searched in the path of a file below the folder, with ``/``.
        Groups: Well, or Row and Column; Channel; and if there are any Plate (else the name of the
        folder that the file is in), Site, Z, Time; others become columns.
    example : str
        A path that it matches, for messages.
    channels : dict of str to str
        What the group Channel holds, to the name of the channel, in the order of the network;
        empty: named as `channel` says, in the order of their names.
    channel : str
        Name of a channel that `channels` does not name; ``{}`` is what the group holds.
    describe : callable, optional
        (row letter, column number) to more `Metadata_` values of that well, without prefix.
    note : str
        What a user must know to read the table.
    projections : tuple of str
        What the group Z holds, without zeros in front, where a file is no plane but the projection
        of those that lie beside it.
    """

    pattern: str
    example: str
    channels: dict[str, str] = field(default_factory=dict)
    channel: str = "w{}"
    describe: Callable[[str, int], dict[str, str]] | None = None
    note: str = ""
    projections: tuple[str, ...] = ("",)


def _bbbc013_well(row: str, column: int) -> dict[str, str]:
    """FKHR translocation, 96 wells: nine doses of one drug along a row, controls at its ends.

    A negative well counts as dose 0 of the drug of its row, so that holding one drug out takes
    its controls along.
    """
    is_wortmannin = row in "ABCD"
    negative, positive = ((1, 2), 12) if is_wortmannin else ((2, 12), 1)
    rank, control = column - 2, ""
    if column in negative:
        rank, control = 0, "negative"
    elif column == positive:
        rank, control = 10, "positive"
    return {
        "Plate": "BBBC013",
        "Row": row,
        "Column": f"{column:02d}",
        "Site": "1",
        "Compound": "Wortmannin" if is_wortmannin else "LY294002",
        "Concentration": str(rank),
        "Control": control,
    }


PRESETS = {
    "imagexpress": Preset(
        pattern=r"(?:TimePoint_(?P<Time>\d+)/)?(?:ZStep_(?P<Z>\d+)/)?(?P<Plate>[^/]+)_"
        r"(?P<Well>[A-Z]{1,2}\d\d)(?:_s(?P<Site>\d+))?(?:_w(?P<Channel>\d))?(?:" + _GUID
        + r")?" + _TIFF,
        example="TimePoint_1/Plate1_B02_s1_w1.tif",
        projections=("", "0"),
    ),
    "operetta": Preset(  # and Opera Phenix
        pattern=r"(?:^|/)r(?P<Row>\d+)c(?P<Column>\d+)f(?P<Site>\d+)p(?P<Z>\d+)-ch(?P<Channel>\d+)"
        r"(?:sk(?P<Time>\d+))?[^/]*" + _TIFF,
        example="Images/r02c03f01p01-ch1sk1fk1fl1.tiff",
        channel="ch{}",
    ),
    "cellvoyager": Preset(
        pattern=r"(?:^|/)(?:(?P<Plate>[^/]*)_)?(?P<Well>[A-Z]{1,2}\d\d)_T(?P<Time>\d{4})"
        r"F(?P<Site>\d{3})L\d\dA\d\dZ(?P<Z>\d\d)C(?P<Channel>\d\d)\.(?i:tiff?|png)$",
        example="Plate1_B02_T0001F001L01A01Z01C01.tif",
        channel="C{}",
    ),
    "incell": Preset(
        pattern=r"(?:^|/)(?P<Row>[A-P]) - (?P<Column>\d+)\(fld (?P<Site>\d+) wv "
        r"(?P<Channel>[^)]*?)(?: z (?P<Z>\d+))?(?: time (?P<Time>\d+)[^)]*)?\)" + _TIFF,
        example="B - 02(fld 1 wv DAPI - DAPI).tif",
        channel="{}",
    ),
    "cellprofiler": Preset(
        pattern=r"(?:^|/)(?P<Plate>[^/]*)_(?P<Well>[A-P]\d\d)_s(?P<Site>\d+)"
        r"_w(?P<Channel>\d+)(?!\d)[^/]*\.(?i:tiff?|png|jpe?g|bmp)$",
        example="Plate1_B02_s1_w1.tif",
    ),
    "bbbc013": Preset(
        pattern=r"(?:^|/)Channel(?P<Channel>[12])-\d\d-(?P<Row>[A-H])-(?P<Column>0[1-9]|1[0-2])"
        + _TIFF,
        example="Channel1-01-A-01.tif",
        channels={"1": "GFP", "2": "DNA"},
        describe=_bbbc013_well,
        note="Metadata_Concentration holds dose ranks (0 = none, 1 to 9, 10 = positive control), "
        "not concentrations",
    ),
    "bbbc021": Preset(
        pattern=r"(?:^|/)(?:[^/]*_)?(?P<Well>[A-P]\d\d)_s(?P<Site>\d)_w(?P<Channel>[124])" + _GUID
        + _TIFF,
        example="Week1_22123/G10_s1_w1BEDC2073-A983-4B98-95E9-84466707A25D.tif",
        channels={"1": "DAPI", "2": "Tubulin", "4": "Actin"},
    ),
}


def find_preset(folder, preset: str | None, pattern: str | None) -> Preset:
    """The preset of that name, or one of a pattern in the user's own words; InputError unless it
    is one of both."""
    if (preset is None) == (pattern is None):
        raise InputError(
            f"{folder} is a folder: say with --preset how its files are named "
            f"({listed(PRESETS)}), or with --pattern, or give a LoadData CSV"
        )
    if preset is None:
        return Preset(pattern, "the pattern", channel="{}")
    if preset not in PRESETS:
        raise InputError(f"unknown preset {preset}: there are {listed(PRESETS, near=preset)}")
    return PRESETS[preset]


def folder_frame(folder, preset: Preset) -> tuple[pandas.DataFrame, list[str]]:
    """What the names of the files in a folder and all below it say.

    Parameters
    ----------
    folder : str or path
    preset : Preset

    Returns
    -------
    frame : pandas.DataFrame
        A row a field, in the order of plates, wells and sites: file names as LoadData has them,
        `Metadata_Plate`, `_Well`, `_Site` and the other groups, and what the preset knows of the
        well.
    notes : list of str
        The first matches, and counts of the files that were passed over or left out.

    Raises
    ------
    InputError
        For a pattern that is none, a folder without such files, or two files for one channel.
    """
    import pandas

    folder = os.path.abspath(folder)
    compiled = _compile(preset.pattern)
    fields, notes, channels, stranger = {}, [], set(preset.channels.values()), ""
    homes: dict[str, set] = {}  # plate -> the folders that its files are in
    passed = {"thumbnails": 0, "images that the pattern does not fit": 0, "other files": 0}
    for path in _files(folder):
        match = compiled.search(path)
        if match and ("\\" in path or not _is_utf8(path)):
            raise InputError(f"{folder}: the name {path!r} has a backslash or is not UTF-8: rename "
                             "it")
        if match is None or _THUMBNAIL.search(path) or _is_hidden(path):
            if match is None and not stranger and _kind(path).startswith("images"):
                stranger = path
            passed[_kind(path)] += 1
            continue
        about = _about(folder, path, match, preset)
        channel = about.pop("Channel", "") or "1"
        channel = preset.channels.get(channel, preset.channel.format(channel))
        files = fields.setdefault(tuple(about.items()), {})
        if channel in files:
            raise InputError(f"{folder} has {files[channel]} and {path} for one field and channel: "
                             "remove one")
        files[channel] = path
        channels.add(channel)
        homes.setdefault(about["Plate"], set()).add(_home(path))
        if len(notes) < _MATCHES:
            words = {**about, "Channel": channel}
            notes.append(f"{path}: " + ", ".join(f"{k} {v}" for k, v in words.items() if v))
    if not fields:
        raise InputError(f"{folder} has no file named like {preset.example}{_like(stranger)}")
    projections, mixed = _leave_projections_out(fields, preset.projections)
    notes += [f"plate {plate} lies in {listed(sorted(there), limit=3)}: two acquisitions of one "
              "name would be one plate here; check them apart, or name plates with --pattern"
              for plate, there in homes.items() if len(there) > 1]
    if mixed:
        notes.append(f"{listed(sorted(map(' '.join, mixed)), limit=3)}: a projection of z stands "
                     "for it, where other plates have planes")
    ordered = [name for name in preset.channels.values()] or sorted(channels)
    frame = pandas.DataFrame([
        {**{f"Image_FileName_{name}": files.get(name, "") for name in ordered},
         **{f"Image_PathName_{name}": folder for name in ordered},
         **{f"Metadata_{key}": value for key, value in about}}
        for about, files in sorted(fields.items(), key=_sort_key)]).fillna("")
    frame = frame.loc[:, [c for c in frame.columns
                          if not c.startswith("Metadata_") or frame[c].astype(bool).any()]]
    for once in ("Metadata_Time", "Metadata_Z"):  # one time, one plane: nothing to tell apart
        if once in frame.columns and frame[once].nunique() == 1:
            del frame[once]
    frame.index += 1
    skipped = ", ".join(f"{n} {what}" for what, n in passed.items() if n)
    if projections:
        notes.append(f"{len(projections)} projections of z are left out, as {min(projections)}: "
                     "the planes lie beside them")
    return frame, [*notes, *([preset.note] if preset.note else []),
                   *([f"passed over: {skipped}"] if skipped else [])]


def _like(stranger: str) -> str:
    """What an image of another name looks like, and what to say then."""
    if not stranger:
        return ": give the folder that holds the images"
    presets = [name for name, preset in PRESETS.items() if re.search(preset.pattern, stranger)]
    other = next((pattern for names, pattern in _OTHERS.items() if re.search(names, stranger)), "")
    cure = "say with --pattern what its parts are"
    if presets:
        cure = f"say --preset {' or '.join(presets)}"
    elif other:
        cure = f"say --pattern '{other}', if that is what its numbers are"
    return f", but {stranger}: {cure}, or give the folder that holds the images"


def _home(path: str) -> str:
    """The folder of a plate that a file is in: without those of an instrument within it."""
    parts = [part for part in path.split("/")[:-1] if not _INNER.fullmatch(part)]
    return "/".join(parts) or "the folder itself"


def _leave_projections_out(fields: dict, projections) -> tuple[list[str], set]:
    """Of each plate and channel that has planes, the files that are projections of them; and the
    (plate, channel) that have projections alone where the channel has planes on other plates."""
    def is_projection(about):
        z = dict(about).get("Z")
        return z is not None and (z.lstrip("0") or z[:1]) in projections

    plain = {about: files for about, files in fields.items() if not is_projection(about)}
    stacks = {(about[0], channel) for about, files in plain.items() for channel in files}
    known = {_without_z(about) for about in plain}
    left_out = []
    for about in set(fields) - set(plain):
        files = fields[about]
        for channel in [name for name in files if (about[0], name) in stacks]:
            left_out.append(files.pop(channel))
        if not files and _without_z(about) in known:
            del fields[about]
    deep = {channel for _, channel in stacks}
    mixed = {(about[0][1], channel) for about in set(fields) - set(plain)
             for channel in fields[about] if channel in deep}
    return left_out, mixed


def _without_z(about) -> tuple:
    return tuple(item for item in about if item[0] != "Z")


def _compile(pattern: str) -> re.Pattern:
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise InputError(f"the pattern is no regular expression: {error}") from None
    groups = set(compiled.groupindex)
    if not ("Well" in groups or {"Row", "Column"} <= groups):
        raise InputError("the pattern needs the named groups (?P<Well>...), or (?P<Row>...) and "
                         f"(?P<Column>...); it has {listed(sorted(groups))}")
    return compiled


def _files(folder: str):
    """Paths of all files below a folder, with "/", in order; links to folders are followed."""

    def fail(error):
        raise InputError(f"{error.filename} cannot be listed: {error.strerror}: let it be read, or "
                         "give the folder that holds the images")

    seen, top = set(), os.path.realpath(folder)
    for at, folders, names in os.walk(folder, onerror=fail, followlinks=True):
        real = os.path.realpath(at)
        is_inside = real != top and os.path.islink(at) and real.startswith(top + os.sep)
        if real in seen or is_inside:  # links in a circle, or to what is here under its own name
            folders.clear()
            continue
        seen.add(real)
        folders.sort()
        for name in sorted(names):
            yield os.path.relpath(os.path.join(at, name), folder).replace(os.sep, "/")


def _is_utf8(path: str) -> bool:
    try:
        return bool(path.encode())
    except UnicodeEncodeError:
        return False


def _is_hidden(path: str) -> bool:
    """As the ._ files that macOS leaves beside others."""
    return os.path.basename(path).startswith(".")


def _kind(path: str) -> str:
    """Why a file is passed over."""
    if not IMAGE_NAME.fullmatch(path) or _is_hidden(path):
        return "other files"
    return "thumbnails" if _THUMBNAIL.search(path) else "images that the pattern does not fit"


def _about(folder: str, path: str, match: re.Match, preset: Preset) -> dict[str, str]:
    """What the groups say: Plate, Well, Site, then the others."""
    found = {_SAME.get(key, key): value or "" for key, value in match.groupdict().items()}
    if "Well" not in found:
        row, column = row_letters(found.pop("Row")), found.pop("Column")
        if not row or not column.isdecimal():
            raise InputError(f"{folder}: {path} fits the pattern, but its row or column is no "
                             "number of a well: correct the pattern")
        found["Well"] = f"{row}{int(column):02d}"
        more = preset.describe(row, int(column)) if preset.describe else {}
    else:
        more = {}
    found["Well"] = normalise_well(found["Well"])
    plate = found.pop("Plate", "") or _plate_folder(folder, path)
    first = {"Plate": plate, "Well": found.pop("Well"), "Site": found.pop("Site", "") or "1"}
    return {**first, **found, **more}


def _plate_folder(folder: str, path: str) -> str:
    """The deepest folder of a file that is not one of an instrument's within a plate."""
    parents = [os.path.basename(folder), *path.split("/")[:-1]]
    parents = parents[:1] + [part for part in parents[1:] if not _INNER.fullmatch(part)]
    is_inner = len(parents) > 1 and _MEASUREMENT.fullmatch(parents[-1])
    return " ".join(parents[-2:]) if is_inner else parents[-1]


def _sort_key(item):
    """Numbers within words as numbers: site 2 before site 10."""
    about, _ = item
    return [[(not part.isdecimal(), int(part) if part.isdecimal() else 0, part)
             for part in re.split(r"(\d+)", str(value))] for _, value in about]
