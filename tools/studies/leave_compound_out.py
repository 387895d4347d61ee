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
    compounds = compounds.split(",") if compounds else sorted(set(fields.role("compound")))
    scores = {}
    for seed in seeds.split(","):
        for compound in compounds:
            print(f"seed {seed}, without {compound}", file=sys.stderr)
            name = "".join(c if c.isalnum() else "_" for c in compound)
            scores[seed, compound] = left_out(fields, label, compound,
                                              Path(out) / f"{name}_{seed}", int(seed))
    print(f"right at seed {seeds}; mean, 95 % interval over {len(compounds)} compounds")
    show([{"head": head, "fields": _over(scores, head, 0), "treatments": _over(scores, head, 2)}
          for head in (*HEADS, *FLOORS)])
    print("fields right by compound, over the seeds")
    show([{"compound": compound, **{
        head: f"{right} of {n}" for head in (*HEADS, *FLOORS)
        for right, n in [_sums(scores, head, 0, lambda key, c=compound: key[1] == c)]}}
        for compound in compounds])


def _sums(scores, head, at, is_meant):
    """(right, all) of a head, summed over the trainings that are meant; at: 0 fields, 2
    treatments."""
    parts = [found[head][at : at + 2] for key, found in scores.items() if is_meant(key)]
    return tuple(int(sum(numbers)) for numbers in zip(*parts))


def _over(scores, head, at):
    """What is said of a head; "" where that is not known."""
    seeds, compounds = (list(dict.fromkeys(names)) for names in zip(*scores))
    by_seed = [_sums(scores, head, at, lambda key, one=seed: key[0] == one) for seed in seeds]
    by_compound = [_sums(scores, head, at, lambda key, one=name: key[1] == one)
                   for name in compounds]
    if not by_seed[0]:
        return ""
    return said([right for right, _ in by_seed], by_seed[0][1], over_groups(*zip(*by_compound)))


if __name__ == "__main__":
    main(*sys.argv[1:])
