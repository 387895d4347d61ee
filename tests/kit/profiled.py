# SPDX-License-Identifier: BSD-3-Clause
"""Predictions of a screen that was never photographed: embeddings, classes, cells."""

import numpy as np
import pandas

FEATURES = 12
#: compound -> how strong it is; SIM-0 does nothing
ACTIVE = {"SIM-1": 6.0, "SIM-2": 4.0, "SIM-3": 4.0}
DUDS = [f"DUD-{k}" for k in range(9)]


def predictions(seed=0, plates=("P1", "P2", "P3", "P4"), fields=2, controls=8, shift=3.0):
    """A frame as `predict` writes it: on each plate of 8 x 8 wells controls, a well of each active
    compound and dose, and wells of compounds that do nothing; plates are shifted and scaled."""
    directions = np.random.default_rng(0).normal(size=(len(ACTIVE), FEATURES))
    rows = []
    for plate in plates:
        rng = np.random.default_rng([seed, sum(plate.encode())])
        level, gain = rng.normal(0, shift, FEATURES), np.exp(rng.normal(0, 0.3))
        wells = [("DMSO", "0", 0.0, -1)] * controls
        wells += [(name, dose, size * float(dose), k) for k, (name, size) in enumerate(
            ACTIVE.items()) for dose in ("1", "0.8")] * 2
        wells += [(name, "1", 0.0, -1) for name in DUDS] * 2
        for at, place in enumerate(rng.permutation(64)[: len(wells)]):
            name, dose, strength, k = wells[at]
            mean = rng.normal(size=FEATURES) + strength * directions[k] * (k >= 0)
            for site in range(fields):
                numbers = level + gain * (mean + rng.normal(0, 0.3, FEATURES))
                up = 1 / (1 + np.exp(-strength + 2))
                rows.append({
                    "Metadata_Plate": plate, "Metadata_Well": f"{'ABCDEFGH'[place % 8]}"
                    f"{place // 8 + 1:02d}", "Metadata_Site": str(site + 1),
                    "Metadata_Compound": name, "Metadata_Concentration": dose,
                    "Metadata_Control": "negative" if name == "DMSO" else "",
                    "Phenoscale_Field": f"{plate} {place} {site}",
                    "Metadata_CellCount": 10 if name == "SIM-2" else 30 + int(rng.integers(3)),
                    "Phenoscale_Class": "up" if up > 0.5 else "as is",
                    "Phenoscale_Prob_asis": 1 - up, "Phenoscale_Prob_up": up,
                    "Phenoscale_Set": "(none of these)" if name == "SIM-3" else "asis up",
                    "Phenoscale_Model": "abc",
                    **{f"Image_Phenoscale_Emb{j:04d}": x for j, x in enumerate(numbers)}})
    return pandas.DataFrame(rows)


def is_active(treatments):
    """Whether each treatment is one that does something."""
    return np.array([name.split()[0] in ACTIVE for name in treatments])
