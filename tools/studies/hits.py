# SPDX-License-Identifier: BSD-3-Clause
"""Are the hits of a simulated screen those that are active?

    python tools/studies/hits.py PREDICTIONS SCREEN [DRAWS]

PREDICTIONS of `phenoscale predict` for SCREEN, the table of `phenoscale simulate`, in which every
compound is active.  So in each draw half of the DMSO wells of each plate become compounds that do
nothing, of three wells on different plates; the others are the controls.  Active is what has a
label: a strength of 0.3 or more.
"""

from __future__ import annotations

import sys

import numpy as np
import pandas

import phenoscale

ROLES = ["Metadata_Plate", "Metadata_Well"]


def with_duds(frame, rng):
    """Predictions in which half of the DMSO wells are of compounds that do nothing."""
    frame = frame.copy()
    frame["Metadata_Concentration"] = frame["Metadata_Concentration"].astype(str)
    wells = frame[frame["Metadata_Control"] == "negative"].drop_duplicates(ROLES)[ROLES]
    columns = []
    for _, mine in wells.groupby("Metadata_Plate"):
        columns.append(mine.iloc[rng.permutation(len(mine))[: len(mine) // 2]])
    turns = max(map(len, columns))
    order = [part.iloc[k] for k in range(turns) for part in columns if k < len(part)]
    for at, well in enumerate(order[: len(order) // 3 * 3]):
        mine = (frame[ROLES] == well).all(axis=1)
        frame.loc[mine, ["Metadata_Compound", "Metadata_Concentration", "Metadata_Control"]] = [
            f"DUD-{at // 3}", "1", ""]
    return frame


def main(predictions, screen, draws="10"):
    """Print precision and recall over the draws."""
    frame = pandas.read_csv(predictions, keep_default_na=False)
    truth = pandas.read_csv(screen).groupby(ROLES)["Truth_Strength"].first()
    right = wrong = missed = weak = weak_found = duds = 0
    for seed in range(int(draws)):
        found = phenoscale.profile(with_duds(frame, np.random.default_rng(seed)),
                                   controls={"Metadata_Control": ["negative"]})
        wells = found.wells.set_index(ROLES)
        strength = truth.loc[wells.index].groupby(wells["Phenoscale_Treatment"].to_numpy()).first()
        hits = found.hits.set_index("Treatment")
        is_hit, s = hits["Hit"] == "yes", strength.loc[hits.index]
        is_dud = hits.index.str.startswith("DUD-")
        active = ~is_dud & ~(s < 0.3)  # of strengths that are NaN, positive controls
        right, wrong = right + (is_hit & active).sum(), wrong + (is_hit & is_dud).sum()
        missed, duds = missed + (~is_hit & active).sum(), duds + is_dud.sum()
        weak_found, weak = weak_found + (is_hit & ~active & ~is_dud).sum(), weak + (
            ~active & ~is_dud).sum()
        print(f"draw {seed}: {found.about['controls']['negative']} control wells, "
              f"{(is_hit & is_dud).sum()} of {is_dud.sum()} duds, {(is_hit & active).sum()} of "
              f"{active.sum()} active are hits; eps {found.about['eps']}", flush=True)
    print(f"precision {(right + weak_found) / (right + weak_found + wrong):.3f} "
          f"({wrong} of {duds} duds are hits), recall {right / (right + missed):.3f} of "
          f"{right + missed}; of weaker ones {weak_found} of {weak}")


if __name__ == "__main__":
    main(*sys.argv[1:])
