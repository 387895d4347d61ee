# SPDX-License-Identifier: BSD-3-Clause
"""Leave one compound out: a training for each compound of a table, scored on that compound alone.

What `make bbbc021` runs.  A field's class is the likeliest; a treatment's the likeliest of the
median of its fields' probabilities (Kensert 2019, SLAS Discovery 24:466).
"""

import sys
from pathlib import Path

import pandas

from phenoscale.profiles.aggregate import aggregate
from phenoscale.progress import Progress
from phenoscale.ranks.crew import Crew
from phenoscale.scores.classification import classification
from phenoscale.tables.read import read_table
from phenoscale.tables.split import Split
from phenoscale.training.recipe import Recipe
from phenoscale.training.run import train_run
from phenoscale.training.run_folder import RunFolder

RECIPE = Recipe(network="mcnn-gap", epochs=20, augment=("flip", "turn"), seed=0)


def main(table, label, channels, out):
    """Train, score, print."""
    fields = read_table(table, channels=channels.split(","))
    compounds = fields.role("compound")
    scored, classes = [], None
    for compound in sorted(set(compounds)):
        print(f"without {compound}", file=sys.stderr)
        folder = Path(out) / "".join(c if c.isalnum() else "_" for c in compound)
        split = Split(holdout={fields.roles["compound"]: [compound]}, val_fraction=0)
        with Progress(quiet=False) as progress:
            model, _ = train_run(fields, label, folder, RECIPE, split,
                                 crew=Crew(progress=progress))
        classes = model.classes
        scored.append(pandas.read_csv(folder / RunFolder.PREDICTIONS, dtype={label: str}))
    scored = pandas.concat(scored, ignore_index=True)
    by = [fields.roles[role] for role in ("compound", "concentration")]
    treatments = aggregate(scored, [*by, label], classes)
    for what, frame in (("fields", scored), ("treatments", treatments)):
        found = classification(frame[label], frame["Phenoscale_Class"], classes)
        right = int(found["confusion"].trace())
        print(f"{what:<10} {right} of {found['n']} right ({found['accuracy']:.1%}), balanced over "
              f"classes {found['balanced_accuracy']:.1%}")
    for compound, frame in scored.groupby(by[0]):
        right = (frame[label] == frame["Phenoscale_Class"]).sum()
        print(f"  {compound:<20} {frame[label].iloc[0]:<28} {right} of {len(frame)} fields")


if __name__ == "__main__":
    main(*sys.argv[1:])
