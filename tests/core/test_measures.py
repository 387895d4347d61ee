# SPDX-License-Identifier: BSD-3-Clause
"""The classic numbers of a field: each as its slow twin says, and under what it stays the same."""

import subprocess
import sys

import numpy as np
import pytest

import reference_measures as reference
from phenoscale import _core

ROWS = _core.number_rows(2, 0)
NAMES = [row["name"].format(row["a"], row["b"]) for row in ROWS]


def blobs(seed, shape=(64, 128), dtype="uint16"):
    """Two channels of smooth spots of many sizes, noise, and light that leans."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[: shape[0], : shape[1]]
    field = np.zeros((2, *shape))
    for k in range(2):
        for _ in range(shape[0] * shape[1] // 600):
            size, at = rng.uniform(3, 9), rng.uniform((0, 0), shape)
            far = ((y - at[0]) ** 2 + (x - at[1]) ** 2) / (2 * size * size)
            field[k] += rng.uniform(1000, 4000) * np.exp(-far)
        field[k] += 300 + x + rng.normal(0, 60, shape)
    field[1] += 0.4 * field[0]
    field = field.clip(0, 21000)
    return {"uint16": field, "uint8": field / 257, "float32": field / 1000 - 3}[dtype].astype(dtype)


@pytest.mark.parametrize("dtype, shape", [("uint16", (64, 128)), ("uint8", (75, 91)),
                                          ("float32", (64, 67))])
def test_each_number_is_its_twins(dtype, shape):
    field = blobs(1, shape, dtype)
    found = dict(zip(NAMES, _core.numbers(field, nuclei=0)))
    twin = reference.numbers(field, nuclei=0)
    assert set(found) == set(twin) and len(NAMES) == len(set(NAMES)) == len(found)
    for name, value in twin.items():
        assert found[name] == pytest.approx(value, rel=2e-5, abs=1e-7, nan_ok=True), name


#: what a row says leaves its number as it is, and a field to which that was done
CHANGES = {"gain": lambda field: field * 3, "offset": lambda field: field + 400,
           "flip": lambda field: field[:, :, ::-1],
           "turn": lambda field: np.rot90(field, 1, (1, 2))}


@pytest.mark.parametrize("change", CHANGES)
def test_a_number_changes_as_its_row_says(change):
    """Of those that stay none changes; of those that change each does, on one field of a few."""
    stays = np.array([row[change] for row in ROWS], bool)
    moved = np.zeros(len(ROWS), bool)
    for seed in range(3):
        field = blobs(seed, (128, 128)).astype(np.uint16)
        before, after = (_core.numbers(np.ascontiguousarray(f), nuclei=0)
                         for f in (field, CHANGES[change](field).astype(np.uint16)))
        differs = ~np.isclose(before, after, rtol=1e-4, atol=1e-6, equal_nan=True)
        assert not (differs & stays).any(), np.array(NAMES)[differs & stays]
        moved |= differs
    assert (moved | stays).all(), np.array(NAMES)[~moved & ~stays]


def test_what_has_no_number_is_nan():
    """A flat field, a black one, a tiny one: no error, and NaN only where the row says so."""
    for field in (np.full((2, 64, 64), 500, np.uint16), np.zeros((2, 64, 64), np.uint8),
                  np.ones((2, 1, 1), np.float32), blobs(2, (5, 9)), blobs(3, (64, 3)),
                  blobs(4, (4, 4)), blobs(5, (4, 64)), blobs(6, (5, 5))):
        for row, value in zip(ROWS, _core.numbers(field, nuclei=0)):
            assert np.isfinite(value) or np.isnan(value) and row["undefined"], row["name"]
    flat = dict(zip(NAMES, _core.numbers(np.full((2, 64, 64), 500, np.uint16), nuclei=0)))
    assert flat["Intensity_StdIntensity_0"] == 0 and np.isnan(flat["Intensity_Skewness_0"])
    assert np.isnan(flat["Correlation_Correlation_0_1"]) and flat["Cells_Count_0"] == 0


def test_noise_alone_has_no_cells():
    noise = np.random.default_rng(0).normal(500, 20, (1, 256, 256)).astype(np.uint16)
    assert _core.numbers(noise, nuclei=0)[-3] == 0


@pytest.mark.parametrize("channels, nuclei", [(0, -1), (65, -1), (2, 2), (2, -2)])
def test_a_channel_that_is_not_there_is_refused(channels, nuclei):
    with pytest.raises(ValueError):
        _core.number_rows(channels, nuclei)
        _core.numbers(np.zeros((channels, 8, 8), np.uint16), nuclei)


@pytest.mark.parametrize("isa", ["avx2", "portable"])
def test_the_bits_are_those_of_every_instruction_set(isa):
    """But the spectrum's, whose products are fused where the machine can."""
    text = ("import sys; import numpy as np; from phenoscale import _core; "
            "f = np.random.default_rng(5).integers(0, 4096, (2, 70, 90)).astype(np.uint16); "
            "sys.stdout.write(_core.numbers(f, nuclei=1).tobytes().hex())")
    found = [np.frombuffer(bytes.fromhex(subprocess.run(
        [sys.executable, "-c", text], check=True, capture_output=True, text=True,
        env={"PHENOSCALE_ISA": name, "PYTHONPATH": ":".join(sys.path)}).stdout))
        for name in (_core.isa(), isa)]
    fused = np.array(["PowerLogLogSlope" in name for name in NAMES])
    assert (found[0].view(np.int64) == found[1].view(np.int64))[~fused].all()
    assert np.allclose(*found, rtol=1e-5, equal_nan=True)
