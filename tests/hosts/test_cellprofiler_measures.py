# SPDX-License-Identifier: BSD-3-Clause
"""The numbers that have CellProfiler's names are CellProfiler's, of the real program."""

import numpy as np
import pytest

import cellprofilers as cp
from phenoscale import _core
from tiffs import write

CHANNELS = ["DNA", "Actin"]
#: the modules as they come, but for the images, whole images, and measures that are not ours
MODULES = [
    cp.block("MeasureImageIntensity", {
        "Select images to measure": ", ".join(CHANNELS),
        "Measure the intensity only from areas enclosed by objects?": "No",
        "Select input object sets": "", "Calculate custom percentiles": "Yes",
        "Specify percentiles to measure": "1,5,95,99"}, revision=4),
    cp.block("MeasureGranularity", {
        "Select images to measure": ", ".join(CHANNELS), "Measure within objects?": "No",
        "Select objects to measure": "", "Subsampling factor for granularity measurements": 0.25,
        "Subsampling factor for background reduction": 0.25, "Radius of structuring element": 10,
        "Range of the granular spectrum": 16}, revision=4),
    cp.block("MeasureColocalization", {
        "Select images to measure": ", ".join(CHANNELS),
        "Set threshold as percentage of maximum intensity for the images": 15.0,
        "Select where to measure correlation": "Across entire image",
        "Select objects to measure": "", "Run all metrics?": "No",
        "Calculate correlation and slope metrics?": "Yes",
        "Calculate the Manders coefficients?": "Yes",
        "Calculate the Rank Weighted Colocalization coefficients?": "Yes",
        "Calculate the Overlap coefficients?": "Yes",
        "Calculate the Manders coefficients using Costes auto threshold?": "No",
        "Method for Costes thresholding": "Faster"}, revision=5),
    cp.block("MeasureTexture", {
        "Select images to measure": ", ".join(CHANNELS), "Select objects to measure": "",
        "Enter how many gray levels to measure the texture at": 256, "Hidden": 1,
        "Measure whole images or objects?": "Images", "Texture scale to measure": 3}, revision=7),
    cp.block("MeasureImageQuality", {
        "Calculate metrics for which images?": "All loaded images", "Image count": 1,
        "Scale count": 1, "Threshold count": 1, "Select the images to measure": "",
        "Include the image rescaling value?": "Yes", "Calculate blur metrics?": "Yes",
        "Spatial scale for blur measurements": 20, "Calculate saturation metrics?": "No",
        "Calculate intensity metrics?": "No", "Calculate thresholds?": "No",
        "Use all thresholding methods?": "No", "Select a thresholding method": "Otsu",
        "Typical fraction of the image covered by objects": 0.1,
        "Two-class or three-class thresholding?": "Two classes",
        "Minimize the weighted variance or the entropy?": "Weighted variance",
        "Assign pixels in the middle intensity class to the foreground or the background?":
            "Foreground"}, revision=6)]
#: numbers that CellProfiler does not have
OURS = ("Intensity_Skewness", "Foreground", "Bands", "Patterns", "Gradient",
        "ImageQuality_Laplacian", "Cells")

pytestmark = cp.needs_cellprofiler


def spots(seed, shape):
    """A field of spots and noise, 16 bits."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[: shape[0], : shape[1]]
    field = rng.normal(900, 40, (2, *shape))
    for _ in range(60):
        size, at = rng.uniform(3, 14), rng.uniform((0, 0), shape)
        spot = np.exp(-((y - at[0]) ** 2 + (x - at[1]) ** 2) / (2 * size * size))
        field += rng.uniform(0, 9000, (2, 1, 1)) * spot
    return field.clip(0, 65535).astype(np.uint16)


def test_numbers_with_cellprofilers_names_are_its_numbers(tmp_path):
    fields = [spots(1, (150, 230)), spots(2, (163, 209))]
    rows = [",".join(f"Image_{kind}_{name}" for name in CHANNELS
                     for kind in ("FileName", "PathName"))]
    for k, field in enumerate(fields):
        for plane, name in zip(field, CHANNELS):
            write(tmp_path / f"{k}_{name}.tif", plane)
        rows.append(",".join(f"{k}_{name}.tif,{tmp_path}" for name in CHANNELS))
    (tmp_path / "screen.csv").write_text("\n".join(rows) + "\n")
    pipeline = cp.pipeline_of([cp.load_data(), *MODULES, cp.export()])
    found, words = cp.start(pipeline, tmp_path, tmp_path / "out", tmp_path, here=False).result()
    assert len(found) == len(fields), words[-2000:]
    compared = set()
    for row, field in zip(found, fields):
        for about, value in zip(_core.number_rows(2), _core.numbers(field)):
            if about["name"].startswith(OURS):
                continue
            name = about["name"].format(CHANNELS[about["a"]], CHANNELS[about["b"]])
            assert float(row[name]) == pytest.approx(value, rel=1e-4, abs=1e-9), name
            compared.add(name)
    assert len(compared) == 2 * (13 + 12 + 8 + 3) + 6
