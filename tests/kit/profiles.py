# SPDX-License-Identifier: BSD-3-Clause
"""The folder of a profile that is made up: hits, wells and treatments of a run's predictions."""

import json

import numpy as np
import pandas

from phenoscale.files.csv import write_csv

COMPONENTS = 8


def make_profile(run, out=None):
    """RUN/profile of the wells of RUN/predictions.csv; the path of the folder.

    A treatment is a hit where its wells are often called another class than the controls.
    """
    rng, out = np.random.default_rng(5), out or run / "profile"
    out.mkdir()
    found = pandas.read_csv(run / "predictions.csv", keep_default_na=False)
    found = found.drop(columns=list(found.filter(regex="_Emb|^Image_(?!FileName)")))
    where = ["Metadata_Plate", "Metadata_Well"]
    wells = found.groupby(where, as_index=False, sort=False).first()
    wells["Phenoscale_Fields"] = found.groupby(where, sort=False).size().to_numpy()
    named = wells["Metadata_Compound"] + " " + wells["Metadata_Concentration"].map(str)
    is_control = wells["Metadata_Control"] == "negative"
    wells["Phenoscale_Treatment"] = named.str.strip().where(~is_control, "DMSO")
    wells["Phenoscale_Control"] = wells["Metadata_Control"]
    usual = wells.loc[is_control, "Phenoscale_Class"].mode().iloc[0]
    classes = sorted(set(wells["Phenoscale_Class"]))
    far = (wells["Phenoscale_Class"] != usual) * 4.0 + rng.uniform(0.8, 1.3, len(wells))
    wells["Phenoscale_Distance"], wells["Phenoscale_P"] = far, np.exp(-far)
    cells = np.round(30 - 3 * far + rng.normal(0, 1, len(wells)), 1)
    wells["Metadata_CellCount"] = wells.get("Metadata_CellCount", cells)
    middle = wells.loc[is_control, "Metadata_CellCount"].astype(float).median()
    wells["Phenoscale_CellRatio"] = wells["Metadata_CellCount"].astype(float) / middle
    profile = rng.normal(0, 0.5, (len(wells), COMPONENTS))
    profile[np.arange(len(wells)), [classes.index(c) % COMPONENTS
                                    for c in wells["Phenoscale_Class"]]] += far
    columns = [f"Image_Profile_{k:04d}" for k in range(COMPONENTS)]
    wells = pandas.concat([wells, pandas.DataFrame(profile, columns=columns)], axis=1)
    treatments = _treatments(wells, columns)
    hits = _hits(wells, treatments, columns)
    for frame, name in ((wells, "wells"), (treatments, "treatments"), (hits, "hits")):
        write_csv(frame, out / f"{name}.csv")
    (out / "profile.json").write_text(json.dumps({
        "version": "0.1.0", "inputs": [{"path": str(run / "predictions.csv"), "sha256": ""}],
        "wells": len(wells), "plates": wells["Metadata_Plate"].nunique(),
        "aggregate": "mean", "standardise": "robust", "scores": [], "notes": ["a note of <it>"],
        "steps": [{"step": "pca", "kept": True, "value": 8, "tried": [],
                   "why": "retrieval of held-out replicates gains 0.02"}],
        "hits": {"treatments": len(hits), "hits": int((hits["Hit"] == "yes").sum())}}))
    return out


def _treatments(wells, columns):
    rows = wells.groupby("Phenoscale_Treatment", as_index=False, sort=False)
    frame = rows[["Metadata_Compound", "Metadata_Concentration", "Phenoscale_Control"]].first()
    return pandas.concat([frame.assign(Phenoscale_Wells=rows.size()["size"]),
                          rows[columns].median()[columns]], axis=1)


def _hits(wells, treatments, columns):
    """One row a treatment that is no negative control, the farthest first."""
    groups = {name: rows for name, rows in wells.groupby("Phenoscale_Treatment", sort=False)
              if name != "DMSO"}
    consensus = treatments.set_index("Phenoscale_Treatment")[columns]
    unit = consensus / np.linalg.norm(consensus, axis=1)[:, None]
    rows = []
    for name, mine in groups.items():
        far, like = mine["Phenoscale_Distance"].mean(), unit.drop(name) @ unit.loc[name]
        nearest = like.sort_values(ascending=False)[:3]
        first = mine.iloc[0]
        rows.append({
            "Treatment": name, "Compound": first["Metadata_Compound"],
            "Concentration": first["Metadata_Concentration"],
            "Control": "positive" if first["Phenoscale_Control"] == "positive" else "",
            "Wells": len(mine), "Plates": mine["Metadata_Plate"].nunique(), "Distance": far,
            "Effect": 3 * (far - 1), "p": np.exp(-2 * far), "Floor": 1e-4,
            "q": min(1.0, 1.5 * np.exp(-2 * far)), "Agreement": 0.4 if len(mine) > 1 else np.nan,
            "Class": mine["Phenoscale_Class"].mode().iloc[0], "Prob": 0.8,
            "Cells": mine["Metadata_CellCount"].astype(float).mean(),
            "CellRatio": mine["Phenoscale_CellRatio"].mean(),
            "CellWord": "fewer cells" if mine["Phenoscale_CellRatio"].mean() < 0.7 else "",
            **{f"Nearest{k + 1}": other for k, other in enumerate(nearest.index)},
            **{f"Nearest{k + 1}_Similarity": value for k, value in enumerate(nearest)},
            "Words": "" if len(mine) > 1 else "1 well: no replicate"})
    hits = pandas.DataFrame(rows).sort_values("q", kind="stable").reset_index(drop=True)
    hits.insert(0, "Rank", hits.index + 1)
    hits["Hit"] = np.where(hits["q"] < 0.05, "yes", "no")
    active = hits.set_index("Treatment")["Hit"]
    for k in (1, 2, 3):
        hits[f"Nearest{k}_Hit"] = hits[f"Nearest{k}"].map(active).fillna("")
    return hits
