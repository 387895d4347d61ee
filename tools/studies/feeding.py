# SPDX-License-Identifier: BSD-3-Clause
"""What normalising by plate, and illumination, are worth on a plate that nothing was trained on.

``python tools/studies/feeding.py`` draws for each seed a screen with strong effects of plates,
places and lamps, trains on three of its plates once for each way to feed the network, and scores
the heads of each model on the fourth.
"""

import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np

import phenoscale
from baselines import LABEL
from heads import show
from phenoscale.models.head import HEADS
from phenoscale.prediction.predict import predict_table
from phenoscale.ranks.crew import Crew
from phenoscale.scores.classification import classification
from phenoscale.tables.split import Split
from phenoscale.training.recipe import Recipe
from phenoscale.training.run import train_run

HELD_OUT = {"Metadata_Plate": ["Plate04"]}
SCREEN = {"plates": 4, "size": (256, 256), "sites": 2, "effects": "strong"}
CONTROLS = {"Metadata_Control": ["negative"]}
RECIPE = {"network": "mcnn-gap", "epochs": 12, "augment": ("flip", "turn", "intensity")}
#: how the fields are made alike -> what of the recipe says so
WAYS = {"fields": {}, "plate": {"normalise": "plate"}, "percentile": {"normalise": "percentile"}}


def held_out(table, folder, seed, way):
    """{head: balanced accuracy of the fields of the held-out plate}."""
    model, _ = train_run(table, LABEL, folder, Recipe(seed=seed, **RECIPE, **WAYS[way]),
                         Split(holdout=HELD_OUT, val_fraction=0), CONTROLS,
                         crew=Crew(threads=1))
    held = table.select(np.flatnonzero(table.matches(HELD_OUT)))
    found, truth, scores = predict_table(model, held, 1, measures="all"), held.column(LABEL), {}
    is_labelled = (truth != "").to_numpy()
    for head in HEADS:
        found.model = replace(model, head=replace(model.head, kind=head))
        said = np.array(model.classes, object)[found.probabilities.argmax(axis=1)]
        scores[head] = classification(truth[is_labelled], said[is_labelled],
                                      model.classes)["balanced_accuracy"]
    return scores


def main(seeds="0,1,2", ways="fields,plate,percentile"):
    """Print a line for each seed and way."""
    for seed in map(int, seeds.split(",")):
        with tempfile.TemporaryDirectory() as folder:
            table = phenoscale.read_table(
                phenoscale.simulate(Path(folder) / "screen", seed=seed, **SCREEN))
            show([{"seed": seed, "fed by": way,
                   **{head: f"{score:.2f}" for head, score in held_out(
                       table, Path(folder) / way, seed, way).items()}}
                  for way in ways.split(",")])


if __name__ == "__main__":
    main(*sys.argv[1:])
