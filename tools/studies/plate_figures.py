# SPDX-License-Identifier: BSD-3-Clause
"""Figures of the real plate: what ``make bbbc013 BBBC013=FOLDER`` runs, for each seed.

Rows of the plate are held out, then one drug and the other.  Of each training, and of each head,
the controls and the dose wells it was not trained on: how many controls are right, how far the
score, the log-odds of positive against negative, parts them (Z'), and how it follows the rank of
the dose.
"""

import sys
from pathlib import Path

from heads import floors, opinions, over_wells, show
from phenoscale.profiles.aggregate import log_odds
from phenoscale.profiles.dose_response import dose_response
from phenoscale.progress import Progress
from phenoscale.ranks.crew import Crew
from phenoscale.scores.controls import separation
from phenoscale.tables.predictions import CLASS
from phenoscale.tables.read import read_table
from phenoscale.tables.split import Split
from phenoscale.training.recipe import Recipe
from phenoscale.training.run import train_run
from phenoscale.training.run_folder import RunFolder

LABEL, COMPOUND = "Metadata_Control", "Metadata_Compound"
RECIPE = {"network": "mcnn"}
HELD_OUT = {"rows": {"Metadata_Row": ["B", "D", "F", "H"]},
            "LY294002": {COMPOUND: ["LY294002"]}, "Wortmannin": {COMPOUND: ["Wortmannin"]}}


def plate_figures(frame, holdout):
    """(controls right, controls, Z', {compound: Spearman over the dose wells}) of predictions."""
    (column, values), = holdout.items()
    controls = frame[frame[LABEL] != ""]
    parted = separation(*(log_odds(controls[controls[LABEL] == name], "positive", "negative")
                          for name in ("positive", "negative")))
    right = int((controls[LABEL] == controls[CLASS]).sum())
    doses = frame[frame[LABEL] == ""].copy()
    if column == COMPOUND:
        doses = doses[doses[column].isin(values)]
    doses["score"] = log_odds(doses, "positive", "negative")
    doses["dose"] = doses["Metadata_Concentration"].astype(float)
    table = dose_response(doses, COMPOUND, "dose", "score")
    return right, len(controls), parted["z_prime"], dict(zip(table["compound"], table["spearman"]))


def trained(fields, holdout, folder, seed):
    """{head: (controls right, controls, Z', {compound: Spearman})} of a training; of floors the
    controls alone are known."""
    with Progress(quiet=False) as progress:
        train_run(fields, LABEL, folder, Recipe(seed=seed, **RECIPE), Split(holdout=holdout),
                  {LABEL: ["negative"]}, crew=Crew(progress=progress))
    run = RunFolder(folder)
    return {**{head: plate_figures(frame, holdout) for head, frame in
               opinions(run, fields).items()},
            **{head: (*counts, None, {}) for head, counts in floors(run).items()}}


def main(table, out, seeds="0,1,2"):
    """Train, score, print a line for each head of each side that is held out."""
    fields, rows = read_table(table), []
    for name, holdout in HELD_OUT.items():
        found = [trained(fields, holdout, Path(out) / f"without_{name}_{seed}", int(seed))
                 for seed in seeds.split(",")]
        for head, (_, n, parted, drugs) in found[0].items():
            rows.append({"held out": name, "head": head,
                         "controls right": over_wells([one[head][0] for one in found], n),
                         "Z'": "" if parted is None else " ".join(
                             f"{one[head][2]:.2f}" for one in found),
                         **{drug: " ".join(f"{one[head][3][drug]:.2f}" for one in found)
                            for drug in drugs}})
    print(f"at seed {seeds}: held-out controls right (mean, 95 % interval if wells were "
          "independent), Z', Spearman of the score with the dose rank")
    show(rows)


if __name__ == "__main__":
    main(*sys.argv[1:])
