# SPDX-License-Identifier: BSD-3-Clause
"""The network on held-out plates of simulated screens, beside simple classifiers.

``make figures`` draws one screen for each seed at the size of the demo, trains on three plates,
and scores the fourth; the same three plates train the simple classifiers.
"""

import sys
import tempfile
from pathlib import Path

import pandas

import phenoscale
from baselines import baselines
from phenoscale.ranks.crew import Crew
from phenoscale.scores.classification import classification
from phenoscale.tables.split import Split
from phenoscale.training.recipe import Recipe
from phenoscale.training.run import train_run
from phenoscale.training.run_folder import RunFolder

HELD_OUT = "Plate04"
#: The screen and the recipe of ``make demo``.
SCREEN = {"plates": 4, "phenotypes": 6, "size": (256, 256), "sites": 2}
RECIPE = {"epochs": 12, "augment": ("flip", "turn", "intensity")}


def held_out_scores(folder, seed, progress=None):
    """Balanced accuracy on the held-out plate, {classifier: score}, "network" among them."""
    table = phenoscale.simulate(Path(folder) / "screen", seed=seed, **SCREEN)
    model, run = train_run(
        phenoscale.read_table(table), "Metadata_Phenotype", Path(folder) / "run",
        Recipe(seed=seed, **RECIPE), Split(holdout={"Metadata_Plate": [HELD_OUT]}, val_fraction=0),
        crew=Crew(progress=progress))
    frame = pandas.read_csv(Path(run) / RunFolder.PREDICTIONS, keep_default_na=False)
    frame = frame[(frame["Metadata_Plate"] == HELD_OUT) & (frame["Metadata_Phenotype"] != "")]
    scores = classification(frame["Metadata_Phenotype"], frame["Phenoscale_Class"], model.classes)
    return {"network": scores["balanced_accuracy"], **baselines(table, [HELD_OUT])}


def main():
    """Print a line for each seed."""
    rows = []
    for seed in (0, 1, 2):
        with tempfile.TemporaryDirectory() as folder:
            rows.append({"seed": seed, **held_out_scores(
                folder, seed, lambda event, seed=seed: event["stage"] == "epoch" and print(
                    f"seed {seed} epoch {event['epoch']}: loss {event['loss']:.3f}",
                    file=sys.stderr))})
    print(f"balanced accuracy on {HELD_OUT}, which no classifier was trained on; chance "
          f"{1 / SCREEN['phenotypes']:.2f}")
    print(pandas.DataFrame(rows).to_string(index=False, float_format="{:.2f}".format))


if __name__ == "__main__":
    main()
