# SPDX-License-Identifier: BSD-3-Clause
"""Cells counted, against the truth of simulated fields and against CellProfiler on real ones.

``make counts BBBC021=FOLDER`` runs both: ``truth``, fields of growing density until the count
fails; and a folder of BBBC021's PNGs, where IdentifyPrimaryObjects of the real CellProfiler counts
the same planes.  There a nucleus on the edge counts half, as here: the mean of a run that keeps
such nuclei and one that discards them.
"""

import sys
import tempfile
from pathlib import Path
from unittest import mock

import numpy as np
import pandas
import tifffile

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests/kit"))

import cellprofilers as cp  # noqa: E402
from heads import show  # noqa: E402
from phenoscale import _core  # noqa: E402
from phenoscale.images.measures import cells_in, measure_names  # noqa: E402
from phenoscale.simulation import cells, microscope, simulate  # noqa: E402

SIZE = (512, 640)
FULL = 4.9e-4  # cells a pixel whose territories fill a field; from there on they lie closer
DENSITIES = (0.3e-4, 0.6e-4, 1.2e-4, 1.8e-4, 2.4e-4, 3.0e-4, 3.6e-4, 4.2e-4, 4.8e-4, 6.0e-4, 7.5e-4,
             9.0e-4, 11e-4, 13e-4, 16e-4, 20e-4)
CROWDED = 0.35  # density times the square of the least distance: as at 4.8e-4, which still has room
PEARSON, ERROR = 0.97, 0.05
DIAMETERS = "6,25"  # of the nuclei of these fields, pixels, as CellProfiler is told


def counted(plane):
    """The cells of a plane of nuclei (h, w)."""
    return _core.numbers(plane[None], 0)[cells_in(measure_names(["DNA"], 0))]


def drawn(density, seed, fields):
    """(counted, true) cells of simulated fields of one density, (fields,) float64 each."""
    spacing = min(cells.SPACING, (CROWDED / density) ** 0.5)
    with mock.patch.multiple(microscope, DENSITY=density, CROWDING=(0.0, 0.0)), \
            mock.patch.object(cells, "SPACING", spacing):
        found = [microscope.render_field(well, SIZE, seed, 1)
                 for well in simulate.plan_plate(0, 6, 40, seed)[:fields]]
    return np.array([[counted(planes[0]), truth] for planes, truth in found], float).T


def against_truth(fields=12):
    """Print count and truth from sparse to overgrown, and where the count stops to hold."""
    rows, holds, all_ours, all_real = [], [], [], []
    for level, density in enumerate(DENSITIES):
        ours, real = drawn(density, level, fields)
        all_ours, all_real = [*all_ours, *ours], [*all_real, *real]
        error, bias = np.abs(ours / real - 1).mean(), (ours / real - 1).mean()
        pearson = np.corrcoef(all_ours, all_real)[0, 1]
        holds += [real.mean()] if error <= ERROR and pearson >= PEARSON else []
        rows.append({"cells": f"{real.mean():.0f}", "counted": f"{ours.mean():.0f}",
                     "mean error": f"{100 * error:.1f} %", "bias": f"{100 * bias:+.1f} %",
                     "Pearson up to here": f"{pearson:.3f}"})
    print(f"fields of {SIZE[0]} x {SIZE[1]}, {fields} a line, of all phenotypes; "
          f"{FULL * SIZE[0] * SIZE[1]:.0f} cells fill one")
    show(rows)
    print(f"Pearson >= {PEARSON} and mean error <= {100 * ERROR:.0f} % hold from "
          f"{min(holds):.0f} to {max(holds):.0f} cells a field")


def identify(name, edge):
    """An IdentifyPrimaryObjects as text, as it comes but for the size; edge: kept or not."""
    return cp.block("IdentifyPrimaryObjects", [
        ("Select the input image", "DNA"), ("Name the primary objects to be identified", name),
        ("Typical diameter of objects, in pixel units (Min,Max)", DIAMETERS),
        ("Discard objects outside the diameter range?", "Yes"),
        ("Discard objects touching the border of the image?", "No" if edge else "Yes"),
        ("Method to distinguish clumped objects", "Intensity"),
        ("Method to draw dividing lines between clumped objects", "Intensity"),
        ("Size of smoothing filter", 10),
        ("Suppress local maxima that are closer than this minimum allowed distance", 7.0),
        ("Speed up by using lower-resolution image to find local maxima?", "Yes"),
        ("Fill holes in identified objects?", "After both thresholding and declumping"),
        ("Automatically calculate size of smoothing filter for declumping?", "Yes"),
        ("Automatically calculate minimum allowed distance between local maxima?", "Yes"),
        ("Handling of objects if excessive number of objects identified", "Continue"),
        ("Maximum number of objects", 500), ("Use advanced settings?", "No"),
        ("Threshold setting version", 12), ("Threshold strategy", "Global"),
        ("Thresholding method", "Minimum Cross-Entropy"), ("Threshold smoothing scale", 1.3488),
        ("Threshold correction factor", 1.0), ("Lower and upper bounds on threshold", "0.0,1.0"),
        ("Manual threshold", 0.0), ("Select the measurement to threshold with", "None"),
        ("Two-class or three-class thresholding?", "Two classes"),
        ("Log transform before thresholding?", "No"),
        ("Assign pixels in the middle intensity class to the foreground or the background?",
         "Foreground"),
        ("Size of adaptive window", 50), ("Lower outlier fraction", 0.05),
        ("Upper outlier fraction", 0.05), ("Averaging method", "Mean"),
        ("Variance method", "Standard deviation"), ("# of deviations", 2.0),
        ("Thresholding method", "Minimum Cross-Entropy")], revision=15)


def against_cellprofiler(source, most=None):
    """Print how the counts of a folder's fields, the blue of its PNGs, agree."""
    from PIL import Image

    paths = sorted(Path(source).rglob("*.png"))[:most and int(most)]
    planes = [np.asarray(Image.open(path))[..., 2] for path in paths]
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        for k, plane in enumerate(planes):
            tifffile.imwrite(folder / f"{k}.tif", plane)
        pandas.DataFrame({"Image_FileName_DNA": [f"{k}.tif" for k in range(len(planes))],
                          "Image_PathName_DNA": str(folder)}).to_csv(folder / "screen.csv",
                                                                     index=False)
        pipeline = cp.pipeline_of([cp.load_data(), identify("All", True), identify("Inner", False),
                                   cp.export()])
        run = cp.start(pipeline, folder, folder / "out", folder, here=False)
        run.process.wait()  # longer than `result` does
        found, _ = run.result()
    theirs = np.array([(float(row["Count_All"]) + float(row["Count_Inner"])) / 2 for row in found])
    ours = np.array([counted(plane) for plane in planes])
    difference = ours / theirs - 1
    print(f"{len(ours)} fields of {theirs.min():g} to {theirs.max():g} nuclei by CellProfiler: "
          f"Pearson {np.corrcoef(ours, theirs)[0, 1]:.3f}, mean relative difference "
          f"{100 * np.abs(difference).mean():.1f} %, bias {100 * difference.mean():+.1f} %")


if __name__ == "__main__":
    if sys.argv[1] == "truth":
        against_truth(*map(int, sys.argv[2:]))
    else:
        against_cellprofiler(*sys.argv[1:])
