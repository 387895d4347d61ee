# SPDX-License-Identifier: BSD-3-Clause
"""Leave one compound out: a training for each compound of a table, scored on that compound alone.

What `make bbbc021` runs, for each seed.  A field's class is the likeliest; a treatment's the
likeliest of the median of its fields' probabilities (Kensert 2019, SLAS Discovery 24:466).
Intervals are over compounds.
"""

import sys
from pathlib import Path

from heads import FLOORS, floors, opinions, over_groups, said, show
from phenoscale.models.head import HEADS
from phenoscale.profiles.aggregate import aggregate
from phenoscale.progress import Progress
from phenoscale.ranks.crew import Crew
from phenoscale.tables.predictions import CLASS
from phenoscale.tables.read import read_table
from phenoscale.tables.split import Split
from phenoscale.training.recipe import Recipe
from phenoscale.training.run import train_run
from phenoscale.training.run_folder import RunFolder

RECIPE = {"network": "mcnn-gap", "epochs": 20, "augment": ("flip", "turn")}


def left_out(fields, label, compound, folder, seed):
    """{head: (fields right, fields, treatments right, treatments)} of a compound; floors are known
    by fields alone."""
    split = Split(holdout={fields.roles["compound"]: [compound]}, val_fraction=0)
    with Progress(quiet=False) as progress:
        model, _ = train_run(fields, label, folder, Recipe(seed=seed, **RECIPE), split,
                             crew=Crew(progress=progress))
    by, run = [fields.roles[role] for role in ("compound", "concentration")], RunFolder(folder)
    found = {}
    for head, frame in opinions(run, fields).items():
        treatments = aggregate(frame, [*by, label], model.classes)
        found[head] = sum((((one[label] == one[CLASS]).sum(), len(one))
                           for one in (frame, treatments)), ())
    return {**found, **floors(run)}


def main(table, label, channels, out, seeds="0,1,2", compounds=""):
    """Train, score, print; by default all compounds."""
    fields = read_table(table, channels=channels.split(","))
    known = sorted(set(fields.role("compound")))
    for seed in map(int, seeds.split(",")):
        scores = {}
        for compound in compounds.split(",") if compounds else known:
            print(f"seed {seed}, without {compound}", file=sys.stderr)
            name = "".join(c if c.isalnum() else "_" for c in compound)
            scores[compound] = left_out(fields, label, compound, Path(out) / f"{name}_{seed}", seed)
        print(f"seed {seed}: right, with the 95 % interval over {len(scores)} compounds")
        show([{"head": head, **{what: _over(scores, head, at) for what, at in (
            ("fields", 0), ("treatments", 2))}} for head in (*HEADS, *FLOORS)])
        show([{"fields right of": compound, **{head: found[head][0] for head in found},
               "of": found[HEADS[0]][1]} for compound, found in scores.items()])


def _over(scores, head, at):
    """What is said of a head, over compounds; "" where that is not known."""
    parts = [found[head][at : at + 2] for found in scores.values() if head in found]
    if not parts or not parts[0]:
        return ""
    right, n = zip(*parts)
    return said(sum(right), sum(n), *over_groups(right, n))


if __name__ == "__main__":
    main(*sys.argv[1:])
