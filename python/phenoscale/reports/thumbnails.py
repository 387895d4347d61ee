# SPDX-License-Identifier: BSD-3-Clause
"""A small copy of one field of every well, all wells of a plate on one sheet as they lie on it.

Pictures are in one place of a page however often they are looked at: the viewer shows the whole
sheet, and one well as a part of it.
"""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass, field

import numpy as np

from phenoscale.evaluation.predicted import PLATE, WELL
from phenoscale.reports import gallery
from phenoscale.reports.fields import stored_fields
from phenoscale.reports.screen import Screen
from phenoscale.tables.wells import well_position

__all__ = ["Sheets", "jpeg", "sheets"]

_SIDES = (160, 128, 96, 72, 56, 40, 28)  # pixels of a well, the largest that the page bears
_PIXELS = 30_000_000  # of all sheets: some 15 MB of a page
_SAMPLE = 160  # fields of which black and white are taken
_QUALITY = 80
_BLANK = 0.925  # of a place without a field: as light as the page draws it


@dataclass
class Sheets:
    """The sheets of some plates.

    Attributes
    ----------
    images : dict of str to str
        Plate to a JPEG, as a data URI.
    shape : (int, int)
        Height and width of a well in it.
    limits : ndarray or None, (channels, 2)
        Counts that are black and white, everywhere the same.
    missing : list of str
        Why fields are not on it.
    """

    images: dict = field(default_factory=dict)
    shape: tuple = (1, 1)
    limits: object = None
    missing: list = field(default_factory=list)


def jpeg(pixels) -> str:
    """A picture (h, w, 3) of floats from 0 to 1 as a data URI."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(np.uint8(255 * pixels + 0.5)).save(buffer, "JPEG", quality=_QUALITY,
                                                       optimize=True)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def sheets(screen: Screen, layout) -> Sheets:
    """The sheets of all plates: of each well its first field that was predicted.

    Parameters
    ----------
    screen : Screen
    layout : (int, int)
        Rows and columns of the plates.
    """
    fields = screen.fields[screen.fields["Predicted"] & (screen.fields[WELL] != "")]
    fields = fields.sort_values("Metadata_Site", kind="stable", key=_numbers
                                ) if "Metadata_Site" in fields else fields
    rows = [row for _, row in fields.drop_duplicates([PLATE, WELL]).sort_values(
        [PLATE, WELL], kind="stable").iterrows()]
    found = Sheets()
    if not rows:
        return found
    side = next((s for s in _SIDES if s * s * len(rows) <= _PIXELS), _SIDES[-1])
    found.limits = _limits(screen, rows, side)
    if found.limits is None:
        found.missing = [next(stored_fields(screen.run, rows[:1]))]
        return found
    sheet, plate = None, None
    for row, pixels in zip(rows, stored_fields(screen.run, rows)):
        if isinstance(pixels, str):
            found.missing.append(pixels)
            continue
        small = gallery.composite(gallery.thumbnail(pixels, side), found.limits)
        if plate != row[PLATE]:
            if sheet is not None:
                found.images[plate] = jpeg(sheet)
            plate, found.shape = row[PLATE], small.shape[:2]
            sheet = np.full((layout[0] * small.shape[0], layout[1] * small.shape[1], 3), _BLANK)
        y, x = well_position(row[WELL]) or (layout[0], 0)
        if y < layout[0] and x < layout[1]:
            h, w = found.shape
            sheet[y * h: (y + 1) * h, x * w: (x + 1) * w] = small[:h, :w]
    if sheet is not None:
        found.images[plate] = jpeg(sheet)
    return found


def _numbers(cells):
    import pandas

    return pandas.to_numeric(cells, errors="coerce")


def _limits(screen: Screen, rows: list, side: int):
    """Black and white of each channel, of fields of all plates; None where none can be read."""
    sample = rows[:: max(1, len(rows) // _SAMPLE)]
    images = [gallery.thumbnail(pixels, side) for pixels in stored_fields(screen.run, sample)
              if not isinstance(pixels, str)]
    return np.array(gallery.levels(images)) if images else None
