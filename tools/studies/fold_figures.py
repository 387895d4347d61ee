# SPDX-License-Identifier: BSD-3-Clause
"""Figures of cross-validations by compound, a seed each: what `make bbbc021` prints at its end.

A field's class is the likeliest; a treatment's the likeliest of the median of its fields'
probabilities (Kensert 2019, SLAS Discovery 24:466).  Intervals are over compounds.
"""

import sys

import numpy as np
import pandas

from heads import FLOORS, floors, over_groups, said, show
from phenoscale.evaluation.cross_validation import pooled_folder
from phenoscale.models.head import HEADS
from phenoscale.tables.class_keys import class_keys
from phenoscale.tables.predictions import opinion_column


def rights_of(run):
    """{head: (fields, treatments)}, each a frame of compound and whether it is right."""
    config = run.config()
    label, roles, classes = (config[name] for name in ("label", "roles", "classes"))
    frame = pandas.read_csv(run.file(run.PREDICTIONS), keep_default_na=False)
    chances = {kind: frame[[opinion_column(kind, key) for key in class_keys(classes)]].to_numpy()
               for kind in HEADS[:2]}
    chances[HEADS[2]] = (chances[HEADS[0]] + chances[HEADS[1]]) / 2
    found = {}
    for head, numbers in chances.items():
        one = pandas.DataFrame(numbers).assign(
            compound=frame[roles["compound"]], dose=frame[roles["concentration"]],
            truth=[classes.index(name) for name in frame[label]])
        treatments = one.groupby(["compound", "dose", "truth"], as_index=False).median()
        found[head] = [pandas.DataFrame({
            "compound": part["compound"],
            "right": part[range(len(classes))].to_numpy().argmax(axis=1) == part["truth"]})
            for part in (one, treatments)]
    return found


def over_seeds(frames):
    """What is said of one head's frames, a seed each."""
    sums = [frame.groupby("compound")["right"].agg(["sum", "count"]) for frame in frames]
    right, n = (np.sum([one[name] for one in sums], axis=0) for name in ("sum", "count"))
    return said([int(one["sum"].sum()) for one in sums], int(sums[0]["count"].sum()),
                over_groups(right, n))


def main(*folders):
    """Print a line for each head, of runs that `phenoscale train --cv compound` wrote."""
    runs = [pooled_folder(folder) for folder in folders]
    rights, known = [rights_of(run) for run in runs], [floors(run) for run in runs]
    rows = [{"head": head, **{what: over_seeds([one[head][k] for one in rights])
                              for k, what in enumerate(("fields right", "treatments right"))}}
            for head in HEADS]
    rows += [{"head": head, "fields right": f"{', '.join(str(one[head][0]) for one in known)} of "
              f"{known[0][head][1]}", "treatments right": "-"} for head in FLOORS]
    show(rows)


if __name__ == "__main__":
    main(*sys.argv[1:])
