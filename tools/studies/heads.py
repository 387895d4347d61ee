# SPDX-License-Identifier: BSD-3-Clause
"""What each head of a run says of the fields that it was not trained on: under the other studies.

    model, its fields -> predicted once more -> network, measures, both: a predictions frame each
    heads.csv         -> how many fields cell count alone and an untrained network are right in
"""

from dataclasses import replace

import numpy as np
import pandas

from phenoscale.models.head import HEADS
from phenoscale.prediction.frame import prediction_frame
from phenoscale.prediction.predict import predict_table
from phenoscale.scores.intervals import wilson
from phenoscale.tables.keys import KEY
from phenoscale.training.ending import COUNT_ALONE, UNTRAINED

FLOORS = (COUNT_ALONE, UNTRAINED)
_DRAWS = 10_000


def opinions(run, table):
    """{head: predictions frame} of the fields of a table that are in the run's predictions.csv.

    run : RunFolder
    """
    model, keys = run.model(), set(run.cells(run.PREDICTIONS)[KEY])
    held = table.select([row for row, key in enumerate(table.keys) if key in keys])
    found, frames = predict_table(model, held, measures="all"), {}
    for kind in HEADS:
        found.model = replace(model, head=replace(model.head, kind=kind))
        frames[kind] = prediction_frame(model, held, found, "none", "none")
    return frames


def floors(run):
    """{floor: (fields right, fields)} of a run that has them."""
    cells = run.cells(run.HEADS).set_index("Head")
    return {name: (int(cells.at[name, "FieldsRight"]), int(cells.at[name, "Fields"]))
            for name in FLOORS if name in cells.index}


def over_groups(right, n):
    """The 95 % interval of a share where groups (compounds) are what was drawn: their bootstrap,
    by percentiles (Efron 1979, Annals of Statistics 7:1); where all or none are right that has no
    width, and a group is taken for one draw.

    right, n : sequences, of each group how many are right, and of how many.
    """
    right, n = np.asarray(right), np.asarray(n)
    if right.sum() in (0, n.sum()):
        return wilson(len(n) if right.any() else 0, len(n))
    picks = np.random.default_rng(0).integers(len(n), size=(_DRAWS, len(n)))
    return tuple(np.percentile(right[picks].sum(axis=1) / n[picks].sum(axis=1), [2.5, 97.5]))


def said(rights, n, interval):
    """"36, 35, 36 of 40 (89 %, 77 to 96)": the right ones of each seed, the mean, its interval."""
    low, high = (100 * end for end in interval)
    return (f"{', '.join(map(str, rights))} of {n} ({100 * np.mean(rights) / n:.1f} %, "
            f"{low:.0f} to {high:.0f})")


def over_wells(rights, n):
    """`said`, its interval that of independent wells: the same ones at every seed."""
    return said(rights, n, wilson(float(np.mean(rights)), n))


def show(rows):
    """Print dicts as a table."""
    print(pandas.DataFrame(rows).to_string(index=False, na_rep=""), flush=True)
