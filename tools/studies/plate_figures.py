# SPDX-License-Identifier: BSD-3-Clause
"""Figures of the real plate: ``make bbbc013 BBBC013=FOLDER`` prints them from its run folders.

For each run the controls and the dose wells it was not trained on: how many controls are right,
and how the score, the log-odds of positive against negative, follows the rank of the dose.
"""

import sys
from pathlib import Path

from phenoscale.profiles.aggregate import log_odds
from phenoscale.profiles.dose_response import dose_response
from phenoscale.tables.predictions import CLASS, probability_columns
from phenoscale.training.run_folder import RunFolder


def plate_figures(run):
    """(right, controls, {compound: Spearman over the dose wells}) of what a run held out.

    run : RunFolder
    """
    config, frame = run.config(), run.cells(run.PREDICTIONS)
    (column, values), = config["holdout"].items()
    probabilities = probability_columns(frame, config["classes"])
    frame[probabilities] = frame[probabilities].astype(float)
    controls = frame[frame["Metadata_Control"] != ""]
    right = int((controls["Metadata_Control"] == controls[CLASS]).sum())
    doses = frame[frame["Metadata_Control"] == ""].copy()
    if column == "Metadata_Compound":
        doses = doses[doses[column].isin(values)]
    doses["score"] = log_odds(doses, "positive", "negative")
    doses["dose"] = doses["Metadata_Concentration"].astype(float)
    table = dose_response(doses, "Metadata_Compound", "dose", "score")
    return right, len(controls), dict(zip(table["compound"], table["spearman"]))


def main(folder):
    """Print a line for each run in the folder."""
    for path in sorted(Path(folder).glob(f"*/{RunFolder.CONFIG}")):
        right, n, spearman = plate_figures(RunFolder(path.parent))
        print(f"{path.parent.name}: {right} of {n} held-out controls right; Spearman of the score "
              "with the dose rank: "
              + ", ".join(f"{name} {value:.2f}" for name, value in spearman.items()))


if __name__ == "__main__":
    main(sys.argv[1])
