# SPDX-License-Identifier: BSD-3-Clause
"""What stands between simulated cells and their file: plate, well, place, lamp, optics, camera."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from phenoscale.simulation.cells import MARGIN, draw_cells
from phenoscale.simulation.chance import stream

DENSITY = 3.6e-4  # cells a pixel: 30 in 256x320
OFFSET, WHITE, ELECTRONS, READ_NOISE = 100.0, 4095, 2.0, 3.0  # camera: counts, counts, e/count, e
STAIN_BLUR = (1.0, 0.95, 0.95)  # pixels at best focus
HAZE = (0.16, 0.22, 0.28)  # part of the light out of focus
BACKGROUND = (25.0, 45.0, 40.0)  # counts
WELL_GAIN, STAIN_GAIN = 0.18, 0.14  # deviations of log gain: a well as a whole, a well's channels.
# So wide that brightness tells nothing.
CROWDING = (-0.45, 0.35)  # log of a well's cell density over DENSITY: least, most


@dataclass(frozen=True)
class Effects:
    """How much of a field is not of its cells.

    Attributes
    ----------
    gain : float
        Standard deviation of the log gain of a plate's channels.
    fog : (float, float)
        Least and most background of a plate's channels, times `BACKGROUND`.
    fall : (float, float)
        Light that a lamp loses over the width of a field, least and most.
    defocus : (float, float)
        Least and most blur of a plate, times that at best focus.
    edge : (float, float)
        Gain and cell density of wells on the border of a plate.
    slope : float
        Gain from one column of wells to the next.
    """

    gain: float
    fog: tuple
    fall: tuple
    defocus: tuple
    edge: tuple
    slope: float


#: name -> what plates, places and lamps do
EFFECTS = {"usual": Effects(0.14, (0.6, 1.8), (0.35, 0.65), (1.0, 1.0), (0.85, 0.9), 0.012),
           "strong": Effects(0.7, (0.3, 9.0), (0.7, 1.1), (1.0, 2.4), (0.6, 0.6), 0.05)}


def render_field(well, size, seed, site, effects="usual"):
    """Draw one field: (3, height, width) uint16 counts of the camera, and its cell count.

    effects : str, one of `EFFECTS`.
    """
    has = EFFECTS[effects]
    at_plate = stream(seed, "plate", well.plate)
    gain = np.exp(at_plate.normal(0, has.gain, 3))
    fog, dark = at_plate.uniform(*has.fog, 3), at_plate.normal(0, 3, 3)
    defocus = at_plate.uniform(*has.defocus)
    at_well = stream(seed, "well", well.plate, well.row, well.column)
    gain = gain * np.exp(at_well.normal(0, WELL_GAIN) + at_well.normal(0, STAIN_GAIN, 3))
    density = DENSITY * np.exp(at_well.uniform(*CROWDING))
    if well.is_edge:  # such wells dry out
        gain, density = gain * has.edge[0], density * has.edge[1]
    gain = gain * (1 + has.slope * (well.column - 5.5))  # dispensed from left to right
    rng = stream(seed, "field", well.plate, well.row, well.column, site)
    canvas = [n + 2 * MARGIN for n in size]
    grain, cloud = _band_noise(rng, canvas, 1.1, 3.0), _band_noise(rng, canvas, 4.0, 12.0)
    light, count = draw_cells(rng, grain, cloud, well.phenotype, well.strength, density)
    focus = defocus * (1 + min(abs(rng.normal(0, 0.22)), 0.6))
    field = np.empty(light.shape, np.uint16)
    for c in range(3):
        lamp = vignetting(well.plate // 2, c, size, seed, effects)
        plane = blur(light[c], STAIN_BLUR[c] * focus)
        plane = (1 - HAZE[c]) * plane + HAZE[c] * _haze(plane)
        plane = (plane * np.float32(gain[c]) + np.float32(BACKGROUND[c] * fog[c])) * lamp
        field[c] = _camera(rng, plane, OFFSET + dark[c])
    return field, count


def vignetting(batch, channel, size, seed, effects="usual"):
    """Illumination (height, width) float32 of a channel in a batch: 1 at its brightest."""
    rng = stream(seed, "lamp", batch, channel)
    y0, x0 = rng.uniform(0.4, 0.6, 2)
    fall = rng.uniform(*EFFECTS[effects].fall)
    y = np.linspace(0, 1, size[0], dtype=np.float32)[:, None] - np.float32(y0)
    x = np.linspace(0, 1, size[1], dtype=np.float32) - np.float32(x0)
    return 1 - np.float32(fall) * (y * y + x * x)


def blur(image, sigma):
    """Gaussian blur of a (h, w) float32 image, zero outside; sigma in pixels."""
    reach = int(np.ceil(3 * sigma))
    taps = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    taps = (taps / taps.sum()).astype(np.float32)
    for axis in (0, 1):
        length = image.shape[axis]
        pad = [(reach, reach) if a == axis else (0, 0) for a in (0, 1)]
        padded = np.pad(image, pad)
        moved = [padded[i:i + length] if axis == 0 else padded[:, i:i + length]
                 for i in range(2 * reach + 1)]
        image, pair = moved[reach] * taps[reach], np.empty_like(image)
        for i in range(reach):
            np.add(moved[i], moved[-1 - i], out=pair)
            pair *= taps[i]
            image += pair
    return image


def enlarge(small, height, width):
    """Bilinear enlargement of a (h, w) float32 array to (height, width)."""
    def places(n, size):
        at = (np.arange(size, dtype=np.float32) + 0.5) * (n / size) - 0.5
        at = np.clip(at, 0, n - 1)
        low = np.minimum(at.astype(np.intp), max(n - 2, 0))
        return low, np.minimum(low + 1, n - 1), at - low

    low, high, part = places(small.shape[0], height)
    small = small[low] * (1 - part[:, None]) + small[high] * part[:, None]
    low, high, part = places(small.shape[1], width)
    return small[:, low] * (1 - part) + small[:, high] * part


def _band_noise(rng, shape, fine, coarse):
    """Noise (h, w) of standard deviation 1 between two blurs; coarse bands drawn small."""
    step = max(1, int(fine / 1.2))
    small = [-(-n // step) for n in shape]
    noise = rng.standard_normal(small, dtype=np.float32)
    noise = blur(noise, fine / step) - blur(noise, coarse / step)
    noise /= noise.std()
    return enlarge(noise, *shape) if step > 1 else noise


def _haze(plane):
    """Light from far above and below the focus: a wide blur, done on blocks of 8x8."""
    height, width = plane.shape
    block = np.pad(plane, ((0, -height % 8), (0, -width % 8)), mode="edge")
    block = block.reshape(block.shape[0] // 8, 8, -1, 8).mean((1, 3))
    around = np.pad(block, 9, mode="edge")
    return enlarge(blur(around, 2.6)[9:-9, 9:-9], height, width)


def _camera(rng, light, offset):
    """Counts (h, w) uint16 of light (counts): shot noise, read noise, offset, white level."""
    spread = np.sqrt(light / np.float32(ELECTRONS) + np.float32((READ_NOISE / ELECTRONS) ** 2))
    counts = light + np.float32(offset) + spread * rng.standard_normal(light.shape, np.float32)
    return np.clip(np.rint(counts), 0, WHITE).astype(np.uint16)
