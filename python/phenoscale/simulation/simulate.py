# SPDX-License-Identifier: BSD-3-Clause
"""A simulated screen: plates of fields as 16-bit TIFF files, a LoadData CSV, and the truth.

Stands before the table in the flow. Plans the plates (controls in fixed columns, treatments
shuffled), then for every well draws cells (cells.py) and adds microscope, plate, well and camera.
Each random stream is keyed by (seed, what, plate, well, site), so any part of a screen has the
same bytes whoever renders it.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from phenoscale.errors import InputError
from phenoscale.files.atomic import real_file
from phenoscale.files.csv import write_csv
from phenoscale.files.lock import lock_of_folder
from phenoscale.machine import processors
from phenoscale.progress import Watch
from phenoscale.simulation.cells import MARGIN, PHENOTYPES, draw_cells

CHANNELS = ("DNA", "Actin", "Tubulin")
DOSES_UM = (0.03, 0.1, 0.3, 1.0)  # times a factor of the compound
WEAKEST_LABELLED = 0.3  # strength; weaker doses have no label
DENSITY = 3.6e-4  # cells a pixel: 30 in 256x320
OFFSET, WHITE, ELECTRONS, READ_NOISE = 100.0, 4095, 2.0, 3.0  # camera: counts, counts, e/count, e
STAIN_BLUR = (1.0, 0.95, 0.95)  # pixels at best focus
HAZE = (0.16, 0.22, 0.28)  # part of the light out of focus
BACKGROUND = (25.0, 45.0, 40.0)  # counts
PLATE_GAIN, WELL_GAIN, STAIN_GAIN = 0.14, 0.18, 0.14  # deviations of log gain: a plate's channels,
# a well as a whole, a well's channels. So wide that brightness tells nothing.
#: least and most of what a `Screen` has
LIMITS = {"plates": (1, 999), "phenotypes": (2, len(PHENOTYPES)), "height": (64, 8192),
          "width": (64, 8192), "wells": (12, 384), "sites": (1, 99)}
_COLUMNS = (*(f"Image_FileName_{ch}" for ch in CHANNELS),
            *(f"Image_PathName_{ch}" for ch in CHANNELS),
            *(f"Metadata_{name}" for name in ("Plate", "Well", "Site", "Batch", "Compound",
                                              "Concentration", "Control", "Phenotype")),
            *(f"Truth_{name}" for name in ("Phenotype", "Strength", "CellCount")))
CROWDING = (-0.45, 0.35)  # log of a well's cell density over DENSITY: least, most


@dataclass(frozen=True)
class Well:
    """One well of the plan: where it is and what was done to it."""

    plate: int
    row: int
    column: int
    is_edge: bool
    compound: str = "DMSO"
    concentration: float = 0.0  # uM
    control: str = "negative"
    phenotype: str = "Normal"
    strength: float = 0.0

    @property
    def plate_name(self):
        """"Plate01" and on."""
        return f"Plate{self.plate + 1:02d}"

    @property
    def name(self):
        """"B02": the row's letter, two digits of the column."""
        return f"{chr(ord('A') + self.row)}{self.column + 1:02d}"


@dataclass(frozen=True)
class Screen:
    """What to draw.

    Attributes
    ----------
    plates : int
        Plates; two make a batch.
    phenotypes : int
        Classes, "Normal" (DMSO) among them: 2 to 8.
    size : (int, int)
        Height and width of a field in pixels. Cells are equally large at every size.
    seed : int
        Same seed, same files.
    wells : int
        Wells a plate, 12 to 384; above 96 in the 384-well layout.
    sites : int
        Fields a well.
    """

    plates: int = 4
    phenotypes: int = 6
    size: tuple[int, int] = (1024, 1280)
    seed: int = 0
    wells: int = 40
    sites: int = 1

    def __post_init__(self):
        values = {**vars(self), "height": self.size[0], "width": self.size[1]}
        for name, (low, high) in LIMITS.items():
            value = values[name]
            if not low <= value <= high:
                raise InputError(f"simulate: {name} is {value}; give {low} to {high}")


def simulate(out, screen: Screen | None = None, processes=None, progress=None, **words):
    """Write a simulated three-channel screen and its LoadData CSV.

    Parameters
    ----------
    out : path
        Folder to write into; made if missing. Images go to ``out/<plate>/``.
    screen : Screen, optional
    processes : int, optional
        Processes that draw; default all cores. The files do not depend on it.
    progress : callable, optional
        Takes events of `phenoscale.progress`, of the stage "simulate", one a well.
    words
        In place of `screen`, its attributes: ``simulate("screen", plates=2)``.

    Returns
    -------
    pathlib.Path
        ``out/screen.csv``: one row a field, the label in ``Metadata_Phenotype`` (empty for
        doses too weak to show it), the truth in ``Truth_`` columns.

    Raises
    ------
    InputError
        A number out of its range, a folder that another process draws into, or one whose
        ``screen.csv`` is no simulated one.
    OSError
        The folder or a file cannot be written.
    """
    screen, watch, out = screen or Screen(**words), Watch(progress), Path(out)
    plan = [well for plate in range(screen.plates)
            for well in plan_plate(plate, screen.phenotypes, screen.wells, screen.seed)]
    out.mkdir(parents=True, exist_ok=True)
    with lock_of_folder(out, watch.warn):
        return _draw(plan, out, screen, processes, watch)


def _draw(plan, out: Path, screen: Screen, processes, watch: Watch) -> Path:
    """Write the images of the wells, and their table, into a folder."""
    import pandas

    path = out / "screen.csv"
    if path.exists() and not _is_own(path):
        raise InputError(f"{path} is not of simulate, and would be replaced: move it, or give "
                         "another folder")
    Path(real_file(path)).unlink(missing_ok=True)  # an old table must not describe new images
    for well in plan:
        (out / well.plate_name).mkdir(exist_ok=True)
    jobs = [(out, well, tuple(screen.size), screen.seed, screen.sites) for well in plan]
    rows = []
    for i, fields in enumerate(_in_processes(render_well, jobs, processes)):
        rows += fields
        watch.tell("simulate", i + 1, len(jobs))
    write_csv(pandas.DataFrame(rows), path)
    return path


def _is_own(path: Path) -> bool:
    """Whether a table is one that `simulate` wrote, and no more."""
    with open(path, "rb") as file:
        return file.readline(4096).strip() == ",".join(_COLUMNS).encode()


def plan_plate(plate, phenotypes, wells, seed):
    """Plan one plate.

    Parameters
    ----------
    plate, phenotypes, wells, seed : int
        As in `Screen`; plates count from 0.

    Returns
    -------
    list of Well
        Column by column. DMSO and the positive control stand in the second and the last but
        one column; the treatments are shuffled over the other wells.
    """
    rows = 8 if wells <= 96 else 16
    places = [(i % rows, i // rows) for i in range(wells)]
    last = places[-1][1]

    def is_edge(row, column):
        return row in (0, rows - 1) or column in (0, rows * 3 // 2 - 1)

    classes = list(PHENOTYPES)[1:phenotypes]
    by_class = [_treatments(number, name, seed) for number, name in enumerate(classes)]
    control = by_class[0][2]
    plan, free = [], []
    for row, column in places:
        turn = row + (column == last - 1)
        if column not in (1, last - 1) or turn % 4 == 3:
            free.append((row, column))
        elif turn % 2 == 0:
            plan.append(Well(plate, row, column, is_edge(row, column)))
        else:
            plan.append(Well(plate, row, column, is_edge(row, column), *control[:2], "positive",
                             *control[2:]))
    order = _stream(seed, "layout", plate).permutation(len(free))
    for i, at in enumerate(order):
        number = plate * len(free) + i
        known = by_class[number % len(classes)]
        given = known[number // len(classes) % len(known)]
        plan.append(Well(plate, *free[at], is_edge(*free[at]), *given[:2], "", *given[2:]))
    return sorted(plan, key=lambda well: (well.column, well.row))


def _treatments(number, phenotype, seed):
    """Doses of the one or two compounds of a phenotype: (name, uM, phenotype, strength)."""
    found = []
    for which in range(2 - number % 2):
        rng = _stream(seed, "compound", number, which)
        scale = float(rng.choice([1, 3, 10]))
        half, top = rng.uniform(1.6, 1.9) * DOSES_UM[0], (1.0, rng.uniform(0.88, 0.97))[which]
        for dose in DOSES_UM:
            strength = top / (1 + (half / dose) ** 2)
            name = f"SIM-{101 + 2 * number + which}"
            found.append((name, round(dose * scale, 6), phenotype, round(float(strength), 3)))
    return found


def render_well(out, well, size, seed, sites):
    """Draw and write the fields of one well; returns their table rows (list of dict)."""
    rows = []
    for site in range(1, sites + 1):
        field, count = render_field(well, size, seed, site)
        files = [f"{well.plate_name}_{well.name}_s{site}_w{i + 1}.tif" for i in range(3)]
        for name, plane in zip(files, field):
            _write_plane(out / well.plate_name / name, plane)
        labelled = well.compound == "DMSO" or well.strength >= WEAKEST_LABELLED
        rows.append(dict(zip(_COLUMNS, (
            *files, *len(CHANNELS) * [well.plate_name], well.plate_name, well.name, site,
            f"Week{well.plate // 2 + 1}", well.compound, well.concentration, well.control,
            well.phenotype if labelled else "", well.phenotype, well.strength, count))))
    return rows


def _write_plane(path: Path, plane) -> None:
    """A TIFF; InputError, which a full disk ends in too, names it."""
    import tifffile

    content = io.BytesIO()
    tifffile.imwrite(content, plane, photometric="minisblack", metadata=None, software=False)
    try:
        path.write_bytes(content.getbuffer())
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror}") from None


def render_field(well, size, seed, site):
    """Draw one field: (3, height, width) uint16 counts of the camera, and its cell count."""
    at_plate = _stream(seed, "plate", well.plate)
    gain = np.exp(at_plate.normal(0, PLATE_GAIN, 3))
    fog, dark = at_plate.uniform(0.6, 1.8, 3), at_plate.normal(0, 3, 3)
    at_well = _stream(seed, "well", well.plate, well.row, well.column)
    gain = gain * np.exp(at_well.normal(0, WELL_GAIN) + at_well.normal(0, STAIN_GAIN, 3))
    density = DENSITY * np.exp(at_well.uniform(*CROWDING))
    if well.is_edge:  # such wells dry out
        gain, density = gain * 0.85, density * 0.9
    gain = gain * (1 + 0.012 * (well.column - 5.5))  # dispensed from left to right
    rng = _stream(seed, "field", well.plate, well.row, well.column, site)
    canvas = [n + 2 * MARGIN for n in size]
    grain, cloud = _band_noise(rng, canvas, 1.1, 3.0), _band_noise(rng, canvas, 4.0, 12.0)
    light, count = draw_cells(rng, grain, cloud, well.phenotype, well.strength, density)
    focus = 1 + min(abs(rng.normal(0, 0.22)), 0.6)
    field = np.empty(light.shape, np.uint16)
    for c in range(3):
        lamp = vignetting(well.plate // 2, c, size, seed)
        plane = blur(light[c], STAIN_BLUR[c] * focus)
        plane = (1 - HAZE[c]) * plane + HAZE[c] * _haze(plane)
        plane = (plane * np.float32(gain[c]) + np.float32(BACKGROUND[c] * fog[c])) * lamp
        field[c] = _camera(rng, plane, OFFSET + dark[c])
    return field, count


def vignetting(batch, channel, size, seed):
    """Illumination (height, width) float32 of a channel in a batch: 1 at its brightest."""
    rng = _stream(seed, "lamp", batch, channel)
    y0, x0 = rng.uniform(0.4, 0.6, 2)
    fall = rng.uniform(0.35, 0.65)
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


def _stream(seed, *words):
    """A generator of its own for every purpose, plate, well and site."""
    digest = hashlib.blake2b(repr((int(seed),) + words).encode(), digest_size=16).digest()
    return np.random.Generator(np.random.Philox(key=np.frombuffer(digest, "<u8")))


def _in_processes(function, jobs, processes):
    """Results of function(*job) in order, computed in spawned processes."""
    count = min(processes or processors(), len(jobs))
    if count == 1:
        for job in jobs:
            yield function(*job)
        return
    import multiprocessing
    from concurrent.futures import ProcessPoolExecutor

    with ProcessPoolExecutor(count, multiprocessing.get_context("spawn")) as pool:
        with _main_hidden():
            futures = [pool.submit(function, *job) for job in jobs]
        try:
            for future in futures:
                yield future.result()
        finally:
            pool.shutdown(cancel_futures=True)


@contextlib.contextmanager
def _main_hidden():
    """A spawned process would run the caller's script again: hide it while they start."""
    main = sys.modules["__main__"].__dict__
    hidden = {name: main[name] for name in ("__file__", "__spec__") if name in main}
    main.update(dict.fromkeys(hidden))
    try:
        yield
    finally:
        main.update(hidden)
