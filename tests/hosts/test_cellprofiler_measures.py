# SPDX-License-Identifier: BSD-3-Clause
"""The numbers that have CellProfiler's names are CellProfiler's, of the real program."""

import numpy as np
import pytest

import cellprofilers as cp
from measure_modules import modules
from phenoscale import _core
from tiffs import write

CHANNELS = ["DNA", "Actin"]
#: numbers that CellProfiler does not have
OURS = ("Intensity_Skewness", "Foreground", "Bands", "Patterns", "Gradient",
        "ImageQuality_Laplacian", "Cells", "CoarseTexture")

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
    pipeline = cp.pipeline_of([cp.load_data(), *modules(CHANNELS), cp.export()])
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
