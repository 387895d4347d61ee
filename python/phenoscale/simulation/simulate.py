# SPDX-License-Identifier: BSD-3-Clause
"""A simulated screen: plates of fields as 16-bit TIFF files, a LoadData CSV, and the truth.

Stands before the table in the flow. Plans the plates (controls in fixed columns, treatments
shuffled), then draws every well's cells (cells.py) and what stands between them and their file
(microscope.py). Each random stream is keyed by (seed, what, plate, well, site), so any part of a
screen has the same bytes whoever renders it.
"""

from __future__ import annotations

import contextlib
import io
import sys
from dataclasses import dataclass
from pathlib import Path

from phenoscale.errors import InputError
from phenoscale.files.atomic import real_file
from phenoscale.files.csv import write_csv
from phenoscale.files.lock import lock_of_folder
from phenoscale.machine import processors
from phenoscale.progress import Watch
from phenoscale.simulation.cells import PHENOTYPES
from phenoscale.simulation.chance import stream
from phenoscale.simulation.microscope import EFFECTS, render_field
from phenoscale.words import listed

CHANNELS = ("DNA", "Actin", "Tubulin")
DOSES_UM = (0.03, 0.1, 0.3, 1.0)  # times a factor of the compound
WEAKEST_LABELLED = 0.3  # strength; weaker doses have no label
#: least and most of what a `Screen` has
LIMITS = {"plates": (1, 999), "phenotypes": (2, len(PHENOTYPES)), "height": (64, 8192),
          "width": (64, 8192), "wells": (12, 384), "sites": (1, 99)}
_COLUMNS = (*(f"Image_FileName_{ch}" for ch in CHANNELS),
            *(f"Image_PathName_{ch}" for ch in CHANNELS),
            *(f"Metadata_{name}" for name in ("Plate", "Well", "Site", "Batch", "Compound",
                                              "Concentration", "Control", "Phenotype")),
            *(f"Truth_{name}" for name in ("Phenotype", "Strength", "CellCount")))


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
    effects : str
        "usual" or "strong": how much plates, places on them and lamps differ
        (`phenoscale.simulation.microscope.EFFECTS`).
    """

    plates: int = 4
    phenotypes: int = 6
    size: tuple[int, int] = (1024, 1280)
    seed: int = 0
    wells: int = 40
    sites: int = 1
    effects: str = "usual"

    def __post_init__(self):
        values = {**vars(self), "height": self.size[0], "width": self.size[1]}
        for name, (low, high) in LIMITS.items():
            value = values[name]
            if not low <= value <= high:
                raise InputError(f"simulate: {name} is {value}; give {low} to {high}")
        if self.effects not in EFFECTS:
            raise InputError(f"simulate: effects is {self.effects!r}; give one of "
                             f"{listed(EFFECTS)}")


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
    jobs = [(out, well, screen) for well in plan]
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
    order = stream(seed, "layout", plate).permutation(len(free))
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
        rng = stream(seed, "compound", number, which)
        scale = float(rng.choice([1, 3, 10]))
        half, top = rng.uniform(1.6, 1.9) * DOSES_UM[0], (1.0, rng.uniform(0.88, 0.97))[which]
        for dose in DOSES_UM:
            strength = top / (1 + (half / dose) ** 2)
            name = f"SIM-{101 + 2 * number + which}"
            found.append((name, round(dose * scale, 6), phenotype, round(float(strength), 3)))
    return found


def render_well(out, well, screen):
    """Draw and write the fields of one well; returns their table rows (list of dict)."""
    rows = []
    for site in range(1, screen.sites + 1):
        field, count = render_field(well, tuple(screen.size), screen.seed, site, screen.effects)
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
