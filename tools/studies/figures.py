# SPDX-License-Identifier: BSD-3-Clause
"""The heads of a model on held-out plates of simulated screens, beside simple classifiers.

``make figures`` draws one screen for each seed at the size of the demo, trains on three plates,
and scores the fourth; the same three plates train the simple classifiers.
"""

import sys
import tempfile
from pathlib import Path

import phenoscale
from baselines import LABEL, baselines
from heads import floors, opinions, over_wells, show
from phenoscale.profiles.aggregate import aggregate
from phenoscale.ranks.crew import Crew
from phenoscale.scores.classification import classification
from phenoscale.tables.predictions import CLASS
from phenoscale.tables.split import Split
from phenoscale.training.recipe import Recipe
from phenoscale.training.run import train_run
from phenoscale.training.run_folder import RunFolder

HELD_OUT = "Plate04"
#: The screen and the recipe of ``make demo``.
SCREEN = {"plates": 4, "phenotypes": 6, "size": (256, 256), "sites": 2}
RECIPE = {"epochs": 12, "augment": ("flip", "turn", "intensity")}


def held_out(folder, seed, progress=None):
    """What was right on the held-out plate: balanced accuracy of fields, {head or classifier:
    score}, and {head: (fields right, fields, wells right, wells)}."""
    path = phenoscale.simulate(Path(folder) / "screen", seed=seed, **SCREEN)
    table, run = phenoscale.read_table(path), RunFolder(Path(folder) / "run")
    model, _ = train_run(
        table, LABEL, run.path, Recipe(seed=seed, **RECIPE),
        Split(holdout={"Metadata_Plate": [HELD_OUT]}, val_fraction=0),
        crew=Crew(progress=progress))
    scores, counts = {}, {}
    for head, frame in opinions(run, table).items():
        fields = frame[(frame["Metadata_Plate"] == HELD_OUT) & (frame[LABEL] != "")]
        wells = aggregate(fields, ["Metadata_Well", LABEL], model.classes)
        scores[head] = classification(fields[LABEL], fields[CLASS],
                                      model.classes)["balanced_accuracy"]
        counts[head] = sum(((int((one[LABEL] == one[CLASS]).sum()), len(one))
                            for one in (fields, wells)), ())
    return {**scores, **baselines(path, [HELD_OUT])}, {**counts, **floors(run)}


def main(seeds="0,1,2"):
    """Print a line of scores for each seed, and a line of counts for each head."""
    scores, counts = [], []
    for seed in map(int, seeds.split(",")):
        with tempfile.TemporaryDirectory() as folder:
            score, right = held_out(folder, seed, lambda event, seed=seed: event[
                "stage"] == "epoch" and print(
                    f"seed {seed} epoch {event['epoch']}: loss {event['loss']:.3f}",
                    file=sys.stderr))
        scores.append({"seed": seed, **{name: f"{value:.2f}" for name, value in score.items()}})
        counts.append(right)
    print(f"balanced accuracy of fields of {HELD_OUT}, which no classifier was trained on; chance "
          f"{1 / SCREEN['phenotypes']:.2f}")
    show(scores)
    print(f"right there at seed {seeds}: mean share, 95 % interval if they were independent")
    show([{"head": head, **{
        what: over_wells([one[head][at] for one in counts], first[at + 1])
        for what, at in (("fields", 0), ("wells", 2)) if first[at:]}}
        for head, first in counts[0].items()])


if __name__ == "__main__":
    main(*sys.argv[1:])
