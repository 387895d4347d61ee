# SPDX-License-Identifier: BSD-3-Clause
"""A tiny screen on disk for the tests: two classes that differ in texture alone.

"coarse" fields are noise blurred wide, "fine" ones noise blurred little, both brought to one mean
and deviation and then to a brightness of their own, so that intensity tells nothing.  The last
channel carries no class at all.
"""

import numpy as np
import pandas
import tifffile
from scipy.ndimage import gaussian_filter

from phenoscale import _core
from phenoscale.models import networks
from phenoscale.models.model import Model

CLASSES = ["coarse", "fine"]
CHANNELS = ["DNA", "Actin"]


def draw_field(kind, rng, size=(128, 128), channels=2, dtype="uint16"):
    """One field (channels, h, w) of a class."""
    field = np.empty((channels, *size))
    for k in range(channels):
        informative = k < channels - 1 or channels == 1
        sigma = {"coarse": 4.0, "fine": 1.0}[kind] if informative else 2.0
        plane = gaussian_filter(rng.normal(size=size), sigma, mode="wrap")
        field[k] = (plane - plane.mean()) / plane.std()
    top = {"uint8": 255, "uint16": 65535, "float32": 1.0}[dtype]
    field = (0.3 + 0.05 * field) * rng.uniform(0.8, 1.2) * top
    return field.clip(0, top).astype(dtype)


def draw_fields(n, seed=0, **options):
    """(n, channels, h, w) and the class names (n,), the classes in turn."""
    rng, names = np.random.default_rng(seed), [CLASSES[i % 2] for i in range(n)]
    return np.stack([draw_field(name, rng, **options) for name in names]), names


def write_screen(folder, plates=2, wells=8, unlabelled=1, size=(128, 128), channels=CHANNELS,
                 dtype="uint16", seed=0):
    """Write plates of one-field wells, TIFFs under the folder and ``folder/screen.csv``.

    Each plate has `wells` wells whose class (column Metadata_Class) alternates, then `unlabelled`
    ones with a dose in between. Returns the path of the table.
    """
    rng, rows = np.random.default_rng(seed), []
    for p in range(plates):
        plate = f"P{p + 1}"
        (folder / plate).mkdir(parents=True, exist_ok=True)
        for w in range(wells + unlabelled):
            kind, well = CLASSES[(w + p) % 2], f"{'ABCDEFGH'[w // 12]}{w % 12 + 1:02d}"
            row = {}
            for k, plane in enumerate(draw_field(kind, rng, size, len(channels), dtype)):
                name = f"{well}_{channels[k]}.tif"
                tifffile.imwrite(folder / plate / name, plane)
                row[f"Image_FileName_{channels[k]}"] = name
                row[f"Image_PathName_{channels[k]}"] = plate
            is_dose = w >= wells
            rows.append(row | {
                "Metadata_Plate": plate, "Metadata_Well": well, "Metadata_Site": "1",
                "Metadata_Compound": "drug", "Metadata_Concentration": "0.5" if is_dose else "1",
                "Metadata_Class": "" if is_dose else kind})
    pandas.DataFrame(rows).to_csv(folder / "screen.csv", index=False)
    return folder / "screen.csv"


def spoil(path):
    """Break the pixels of a TIFF where only decoding finds out: the header stays sound."""
    tifffile.imwrite(path, tifffile.imread(path), compression="zlib")
    with tifffile.TiffFile(path) as file:
        at = file.pages[0].dataoffsets[0]
    with open(path, "r+b") as file:
        file.seek(at + 20)
        file.write(b"\xff" * 100)


def ruin(path):
    """Content that is no image."""
    path.write_bytes(b"II*\0 this is no image")


def color(path):
    """A colour image."""
    tifffile.imwrite(path, np.zeros((128, 128, 3), np.uint16), photometric="rgb")


def larger(path):
    """Another size than the rest."""
    tifffile.imwrite(path, np.zeros((256, 128), np.uint16))


def shallower(path):
    """Another depth than the rest."""
    tifffile.imwrite(path, np.zeros((128, 128), np.uint8))


def no_number(path):
    """Floats that are NaN."""
    tifffile.imwrite(path, np.full((128, 128), np.nan, np.float32))


def make_model(network="mcnn-gap", size=(128, 128), channels=CHANNELS, dtype="uint16", seed=1):
    """A model for these screens that nobody trained: first weights, plausible scales."""
    channels = list(channels)
    net = _core.Net(networks.describe(network, len(channels), *size, len(CLASSES)))
    net.initialise(seed)
    deviation = {"uint8": 12.0, "uint16": 3300.0, "float32": 0.05}[dtype]
    return Model(
        parameters=net.parameters.copy(), slices=net.slices, description=networks.describe(
            network, len(channels), *size, len(CLASSES)),
        network=network, classes=CLASSES, channels=channels, size=list(size), dtype=dtype,
        scale=[1 / deviation] * len(channels), offset=[-6.0] * len(channels),
        label="Metadata_Class", embedding={"name": networks.EMBEDDING, "size": net.embedding},
        version="0")
