# SPDX-License-Identifier: BSD-3-Clause
"""How sure the words of `phenoscale.images.quality` are: what docs/measures.md says of them.

    python tools/studies/quality.py            crowding and focus of simulated fields
    python tools/studies/quality.py TABLE      focus of real ones: each also blurred by a Gaussian
"""

import sys
from unittest.mock import patch

import numpy as np
from scipy.ndimage import gaussian_filter

from phenoscale.images.measures import Measurer, find_nuclei
from phenoscale.images.quality import blurred, focus_in, quality_of
from phenoscale.images.read import read_image
from phenoscale.prediction.counts import plates_of
from phenoscale.simulation import microscope, simulate
from phenoscale.tables.read import read_table

SIZE, SEED = (384, 480), 1
CROWDS = (-0.45, 0.0, 0.35, 0.6, 0.8, 1.0, 1.5)  # as microscope.CROWDING
BLURS, SIGMAS = (1.5, 2, 3, 4), (1, 1.5, 2, 3)  # times the optics' own; pixels


def crowding():
    """Count against truth by density, nuclei apart, and of two fields over each other."""
    measurer = Measurer(list(simulate.CHANNELS), 0, 1)
    for layers in (1, 2):
        print("nuclei apart" if layers == 1 else "two fields over each other")
        for crowd in CROWDS:
            with patch.multiple(microscope, CROWDING=(crowd, crowd)):
                wells = simulate.plan_plate(0, 6, 40, SEED)[::7]
                drawn = [[microscope.render_field(well, SIZE, SEED, site + 1)
                          for site in range(layers)] for well in wells]
            fields = [sum(field.astype(int) for field, _ in one) - 100 * (layers - 1)
                      for one in drawn]
            numbers = np.array(measurer([field.clip(0, 65535).astype(np.uint16)
                                         for field in fields]))
            truth = np.array([sum(count for _, count in one) for one in drawn])
            count, spacing, radius = numbers[:, -3:].T
            words = quality_of(measurer.names, numbers)
            print(f"  {truth.mean():4.0f} cells: error {np.abs(count / truth - 1).mean():.1%}, "
                  f"nearest {np.mean(spacing / radius):.2f} radii, crowded "
                  f"{sum('crowded' in word for word in words)} of {len(words)}")


def focus_of_simulated():
    """A plate, and some of its fields again out of focus."""
    measurer, wells = Measurer(list(simulate.CHANNELS), 0, 1), simulate.plan_plate(0, 6, 40, SEED)

    def measured(some, times):
        wide = tuple(times * one for one in microscope.STAIN_BLUR)
        with patch.multiple(microscope, STAIN_BLUR=wide):
            return np.array([measurer([microscope.render_field(well, SIZE, SEED, 1)[0]])[0]
                             for well in some])

    sharp = measured(wells, 1)
    tell(measurer.names, sharp, [""] * len(sharp),
         {f"{times} x": (measured(wells[::4], times), [""] * 10) for times in BLURS})


def focus_of(table):
    """The fields of a table, and each blurred."""
    table = read_table(table)
    measurer = Measurer(table.channels, find_nuclei(table.channels)[0], 1)
    fields = [np.concatenate([read_image(path) for path in paths]) for paths in table.paths]

    def measured(sigma):
        return np.array([measurer([np.stack([np.rint(gaussian_filter(
            plane.astype(float), sigma)).astype(plane.dtype) for plane in field])])[0]
            for field in fields])

    plates = plates_of(table)
    tell(measurer.names, np.array([measurer([field])[0] for field in fields]), plates,
         {f"{sigma} pixels": (measured(sigma), plates) for sigma in SIGMAS})


def tell(names, sharp, plates, others):
    """How many sharp fields are called blurred, and how many of others, one at a time among them;
    others: name to numbers and plates."""
    focus = focus_in(names)
    words = quality_of(names, sharp, blurred(sharp[:, focus], plates))
    for word in ("empty", "crowded", "saturated", "blurred"):
        print(f"as they are: {sum(word in one for one in words)} of {len(words)} {word}")
    for name, (numbers, theirs) in others.items():
        hits = [blurred(np.vstack([sharp[:, focus], one[focus]]), [*plates, plate])[-1]
                for one, plate in zip(numbers, theirs)]
        print(f"blurred by {name}: {sum(hits)} of {len(hits)} blurred")


if __name__ == "__main__":
    if sys.argv[1:]:
        focus_of(sys.argv[1])
    else:
        crowding()
        focus_of_simulated()
