# SPDX-License-Identifier: BSD-3-Clause
"""Folders of known screens to tables: a pattern for the file names and a layout of the plate.

To add a screen: a row of PRESETS.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import Callable

from phenoscale.errors import InputError, listed
from phenoscale.table import Table, normalise_well, read_table

__all__ = ["PRESETS", "Preset", "folder_table", "read_source"]


@dataclass(frozen=True)
class Preset:
    """How a screen names its files.

    Attributes
    ----------
    pattern : str
        Regular expression of a whole file name, with the groups Row, Column and Channel.
    example : str
        A file name that it matches, for messages.
    channels : dict of str to str
        What the group Channel holds, to the name of the channel, in the order of the network.
    describe : callable
        (row letter, column number) to the `Metadata_` values of that well, names without prefix.
    note : str
        What a user must know to read the table.
    """

    pattern: str
    example: str
    channels: dict[str, str]
    describe: Callable[[str, int], dict[str, str]]
    note: str


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
        "Compound": "Wortmannin" if is_wortmannin else "LY294002",
        "Concentration": str(rank),
        "Control": control,
    }


PRESETS = {
    "bbbc013": Preset(
        pattern=r"Channel(?P<Channel>[12])-\d\d-(?P<Row>[A-H])-(?P<Column>0[1-9]|1[0-2])\.tif",
        example="Channel1-01-A-01.tif",
        channels={"1": "GFP", "2": "DNA"},
        describe=_bbbc013_well,
        note="Metadata_Concentration holds dose ranks (0 = none, 1 to 9, 10 = positive control), "
        "not concentrations",
    ),
}


def folder_table(folder, preset: str, channels=None, roles=None) -> Table:
    """The table of a folder whose file names follow a preset; other files are left alone.

    Parameters
    ----------
    folder : str or path
    preset : str
        A name in PRESETS.
    channels, roles : optional
        As for `read_table`.

    Returns
    -------
    Table
        One field a well, in the order of the wells, with `Metadata_Plate`, `_Well`, `_Row`,
        `_Column`, `_Site` and what the preset knows of the well.

    Raises
    ------
    InputError
        For an unknown preset, a folder without such files, or a well that lacks a channel.
    """
    import pandas

    if preset not in PRESETS:
        raise InputError(f"unknown preset {preset}: there are {listed(PRESETS, near=preset)}")
    known, folder = PRESETS[preset], os.path.abspath(folder)
    rows = []
    for (row, column), files in sorted(_find_wells(folder, known).items()):
        well = normalise_well(f"{row}{column}")
        missing = [name for key, name in known.channels.items() if key not in files]
        if missing:
            raise InputError(
                f"{folder}: well {well} has no file of channel {listed(missing)} beside "
                f"{next(iter(files.values()))}: unpack the data set again, or move the well's "
                "other files away"
            )
        cells = {}
        for key, name in known.channels.items():
            cells[f"Image_FileName_{name}"], cells[f"Image_PathName_{name}"] = files[key], folder
        described = known.describe(row, column)
        cells["Metadata_Plate"] = described.pop("Plate")
        cells["Metadata_Well"], cells["Metadata_Row"] = well, row
        cells["Metadata_Column"], cells["Metadata_Site"] = f"{column:02d}", "1"
        rows.append(cells | {f"Metadata_{key}": value for key, value in described.items()})
    table = read_table(pandas.DataFrame(rows), channels, roles)
    table.source, table.lines, table.notes = folder, list(range(1, len(rows) + 1)), [known.note]
    return table


def _find_wells(folder: str, preset: Preset) -> dict[tuple[str, int], dict[str, str]]:
    """(row, column) to {channel group: file name}."""
    try:
        names = sorted(os.listdir(folder))
    except OSError as error:
        raise InputError(f"{folder} cannot be listed: {error.strerror}") from None
    wells = {}
    for name in names:
        if match := re.fullmatch(preset.pattern, name):
            well = wells.setdefault((match["Row"], int(match["Column"])), {})
            if match["Channel"] in well:
                raise InputError(
                    f"{folder} has {well[match['Channel']]} and {name} for one well and channel: "
                    "remove one"
                )
            well[match["Channel"]] = name
    if not wells:
        raise InputError(
            f"{folder} has no file named like {preset.example}: give the folder that holds the "
            "images themselves"
        )
    return wells


def read_source(source, preset=None, channels=None, roles=None, root=None) -> Table:
    """A table from a CSV, or from a folder with the preset that knows its file names.

    Parameters and errors as for `read_table` and `folder_table`.
    """
    if not os.path.isdir(source):
        if preset is not None:
            raise InputError(f"{source} is no folder: a preset describes the files of a folder")
        return read_table(source, channels, roles, root)
    if preset is None:
        raise InputError(
            f"{source} is a folder: say with --preset how its files are named "
            f"({listed(PRESETS)}), or give a LoadData CSV"
        )
    return folder_table(source, preset, channels, roles)
