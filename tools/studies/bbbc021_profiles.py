# SPDX-License-Identifier: BSD-3-Clause
"""Profiles of BBBC021 for the table of docs/match.md, as their makers prepared them.

    python tools/studies/bbbc021_profiles.py published WELLS IMAGES MOA OUT
    python tools/studies/bbbc021_profiles.py measured MEASURES OUT

WELLS: the means of wells of Ljosa 2013; IMAGES, MOA: the tables of BBBC021; MEASURES: what
`phenoscale measure` wrote.  `phenoscale match OUT` then scores them.
"""

import itertools
import sys

import numpy as np
import pandas

TREATMENT = ["Metadata_Compound", "Metadata_Concentration"]


def published(wells, images, moa, out):
    """The recipe of cytominergallery's vignette predict_moa: NSC 0.82.

    Features whose replicates correlate by 0.5 or more, of those that correlate by more than 0.95
    one; standardised on the DMSO wells of each plate; the mean of each treatment, less the mean of
    its row, so that the cosine is a correlation.
    """
    frame = pandas.read_csv(wells).rename(columns=_plain)
    about = pandas.read_csv(images).rename(columns=_plain)
    about = about[[name for name in about if name.startswith("Metadata_")]].drop_duplicates()
    names = {"compound": TREATMENT[0], "concentration": TREATMENT[1], "moa": "Metadata_moa"}
    frame = frame.merge(about.merge(pandas.read_csv(moa).rename(columns=names))).copy()
    features = [name for name in frame if name.startswith(("Cells_", "Nuclei_", "Cytoplasm_"))]
    features = _different(frame[_repeatable(frame, features)])
    plates = []
    for _, plate in frame.groupby("Metadata_Plate"):
        controls = plate.loc[plate["Metadata_Compound"] == "DMSO", features]
        plates.append((plate[features] - controls.mean()) / controls.std())
    scaled = pandas.concat(plates).replace([np.inf, -np.inf], np.nan).dropna(axis=1)
    scaled = scaled.join(frame[[*TREATMENT, "Metadata_moa"]])
    scaled = scaled[scaled["Metadata_Compound"] != "DMSO"]
    means = scaled.groupby([*TREATMENT, "Metadata_moa"]).mean()
    means.sub(means.mean(axis=1), axis=0).reset_index().to_csv(out, index=False)


def measured(measures, out):
    """The means of wells, standardised over all of them, since there are no controls; the batch is
    the week that the name of a plate begins with."""
    frame = pandas.read_csv(measures)
    features = [name for name in frame
                if name.startswith("Image_") and frame[name].dtype.kind == "f"]
    wells = frame.groupby([*TREATMENT, "Metadata_Plate", "Metadata_Well"])[features].mean()
    wells = ((wells - wells.mean()) / wells.std()).dropna(axis=1).copy().reset_index().copy()
    wells.insert(0, "Metadata_Batch", wells["Metadata_Plate"].str.split("_").str[0])
    wells.to_csv(out, index=False)


def _plain(name):
    """Image_Metadata_Plate_DAPI -> Metadata_Plate."""
    return name.replace("Image_Metadata_", "Metadata_").replace("_DAPI", "")


def _repeatable(frame, features):
    """Features whose values of three replicates correlate."""
    mixed = frame.sample(frac=1, random_state=0)
    number = mixed.groupby(TREATMENT).cumcount()
    replicates = [mixed[number == k].set_index(TREATMENT)[features] for k in range(3)]
    found = [a.corrwith(b.reindex(a.index)) for a, b in itertools.combinations(replicates, 2)]
    median = pandas.DataFrame(found).median()
    return [name for name in features if median[name] >= 0.5]


def _different(values):
    """Names without those that another says: caret's findCorrelation, the most correlated first."""
    r = values.corr().abs().to_numpy().copy()
    np.fill_diagonal(r, 0)
    order, left = np.argsort(-r.mean(axis=0)), np.ones(len(r), bool)
    for at, a in enumerate(order):
        for b in order[at + 1 :]:
            if left[a] and left[b] and r[a, b] > 0.95:
                left[a if r[a, left].mean() > r[b, left].mean() else b] = False
    return list(values.columns[left])


if __name__ == "__main__":
    {"published": published, "measured": measured}[sys.argv[1]](*sys.argv[2:])
