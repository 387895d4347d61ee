# SPDX-License-Identifier: BSD-3-Clause
"""Which recipe wins where nothing that is reported is looked at: ``make recipes BBBC021=FOLDER``.

    real fields      -> two compounds left out at a time, each scored: a recipe can be chosen for
                        either without a label of it
    simulated screen -> of strong effects; each plate left out but the last one, which is not read

Every training keeps its run folder, so a study that was stopped goes on.
"""

import itertools
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas

from heads import show
from phenoscale.models.averaged import VIEWS
from phenoscale.prediction.predict import predict_table
from phenoscale.progress import Progress
from phenoscale.ranks.crew import Crew
from phenoscale.simulation.simulate import simulate
from phenoscale.tables.keys import KEY
from phenoscale.tables.read import read_table
from phenoscale.tables.split import Split
from phenoscale.training.recipe import Recipe
from phenoscale.training.run import train_run
from phenoscale.training.run_folder import RunFolder
from phenoscale.training.running import Running

#: name -> what it has beside mcnn-gap and the defaults
RECIPES = {
    "20 epochs, flips": {"epochs": 20, "augment": ("flip",)},
    "40 epochs, flips, turns, intensity": {},
}
ROUNDS = 1  # how often each compound is left out
SCREEN = {"plates": 4, "phenotypes": 6, "size": (256, 256), "sites": 2, "effects": "strong"}
KEPT = "Plate04"


def pairs(table, label, column):
    """Pairs of groups that can be left out together with no class lost: each group in `ROUNDS`."""
    frame = pandas.DataFrame({name: table.column(name) for name in (label, column)})
    frame = frame[frame[label] != ""].drop_duplicates()
    classes = set(frame[label])
    left = {name: ROUNDS for name in sorted(set(frame[column]))}
    for pair in itertools.combinations(left, 2):
        kept = set(frame[~frame[column].isin(pair)][label])
        if kept == classes and all(left[name] for name in pair):
            for name in pair:
                left[name] -= 1
            yield pair


def folds(real, out):
    """(name of the set, table, label, Split) of every training of a recipe."""
    table = read_table(real)
    for pair in pairs(table, "moa", "Metadata_Compound"):
        yield "BBBC021", table, "moa", Split(holdout={"Metadata_Compound": list(pair)},
                                             val_fraction=0)
    path = Path(out) / "screen" / "screen.csv"
    if not path.exists():
        simulate(path.parent, **SCREEN)
    table = read_table(path)
    plates = table.column("Metadata_Plate")
    table = table.select([row for row, name in enumerate(plates) if name != KEPT])
    for plate in sorted(set(plates) - {KEPT}):
        yield "simulated", table, "Metadata_Phenotype", Split(
            holdout={"Metadata_Plate": [plate]}, val_fraction=0)


def scored(table, label, split, folder, recipe):
    """{views: (fields right, fields, log loss summed)} of the fields held out by a training."""
    run = RunFolder(folder)
    if not Path(run.file(run.PREDICTIONS)).exists():
        with Progress(quiet=True) as progress:
            train_run(table, label, folder, recipe, split, crew=Crew(progress=progress),
                      running=Running(resume=True))
    frame = run.cells(run.PREDICTIONS)
    keys = set(frame[KEY][frame[label] != ""])
    held = table.select([row for row, key in enumerate(table.keys) if key in keys])
    model = run.model()
    truth = np.array([model.classes.index(name) for name in held.column(label)])
    found = {}
    for views in VIEWS:
        chances = predict_table(replace(model, views=views), held, measures="none").probabilities
        sure = chances[np.arange(len(truth)), truth]
        found[views] = (int((chances.argmax(axis=1) == truth).sum()), len(truth),
                        float(-np.log(sure.clip(1e-7)).sum()))
    return found


def main(real, out, *names):
    """Train what is not there yet, print a line for each recipe."""
    rows = []
    for name in names or RECIPES:
        recipe, sums = Recipe(network="mcnn-gap", head="network", **RECIPES[name]), {}
        for number, (data, *fold) in enumerate(folds(real, out)):
            folder = Path(out) / name.replace(", ", "_").replace(" ", "-") / str(number)
            for views, counts in scored(*fold, folder, recipe).items():
                sums.setdefault(views, {}).setdefault(data, []).append(counts)
            print(name, data, number, {views: found[data][-1] for views, found in sums.items()},
                  file=sys.stderr, flush=True)
        rows += [{"recipe": name, "views": views, **{
            f"{data}: {what}": value for data, counts in found.items()
            for what, value in zip(("right", "loss"), _said(counts))}}
            for views, found in sums.items()]
    show(rows)


def _said(found):
    right, n, loss = np.array(found).T
    each = loss / n
    return (f"{right.sum():.0f} of {n.sum():.0f}",
            f"{loss.sum() / n.sum():.3f} +- {each.std(ddof=1) / len(each) ** 0.5:.3f}")


if __name__ == "__main__":
    main(*sys.argv[1:])
