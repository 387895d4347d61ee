# SPDX-License-Identifier: BSD-3-Clause
"""Images of a pipeline -> what phenoscale reads: the file where nothing changed it, else counts.

CellProfiler holds pixels as numbers from 0 to 1 and remembers what it divided by.
"""

import os

import numpy
from _phenoscale_backend import Failure

__all__ = ["counts_of", "entry_of", "file_of"]

MIXED = 0.05  # further from a whole number than float32 leaves a count


def file_of(image_set, name):
    """The path of the TIFF with one plane that an image of this name is, unchanged; else None."""
    provider = image_set.get_image_provider(name)
    if not all(hasattr(provider, known) for known in ("get_pathname", "get_filename", "rescale")):
        return None  # made within the pipeline
    if any(getattr(provider, known, None) not in (None, 0)
           for known in ("series", "index", "channel")):
        return None  # a plane of several
    path = os.path.abspath(os.path.join(provider.get_pathname() or "", provider.get_filename()))
    return path if path.lower().endswith((".tif", ".tiff")) and os.path.isfile(path) else None


def _scaled(image):
    """Pixels times what CellProfiler divided them by, float64."""
    return image.pixel_data.astype(numpy.float64) * (image.scale or 1)


def counts_of(image):
    """Pixels as the camera counted them, (height, width) uint8, uint16 or float32."""
    for kind in (numpy.uint8, numpy.uint16):
        most = numpy.iinfo(kind).max
        if 1 < (image.scale or 1) <= most:
            return numpy.rint(_scaled(image)).clip(0, most).astype(kind)
    return _scaled(image).astype(numpy.float32)


def entry_of(place, image_set, name, z):
    """One channel of a field, as a request has it: an object that names a file, or counts.

    place : Place
    z : str or None
        How the model makes planes of stacks: without, the first page is the plane.
    """
    image = image_set.get_image(name, must_be_grayscale=True)
    if image.pixel_data.ndim != 2:
        raise Failure(f"the image {name} is no plane: MeasureWholeImage measures 2D images")
    path = file_of(image_set, name)
    seen = path and place.path(path)
    if not seen:
        return counts_of(image)
    entry = {"path": seen} if z else {"path": seen, "page": 0}
    if image_set.get_image_provider(name).rescale is not True:
        return entry  # divided by something else than the scale says
    counts = _scaled(image)
    if image.scale != 1 and numpy.abs(counts - numpy.rint(counts)).max() > MIXED:
        return counts_of(image)  # a gray made of colours: no sample of the file
    return {**entry, "sample": 0}
