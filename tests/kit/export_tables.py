# SPDX-License-Identifier: BSD-3-Clause
"""Tables to be exported: fields as `predict` writes them, wells and treatments as `profile`."""

import numpy as np
import pandas

from phenoscale.files.csv import write_csv

CHANNELS = ["DNA", "Actin"]
MEASURES = ["Intensity_MeanIntensity_DNA", "Texture_Contrast_Actin_3_00_256",
            "Correlation_Overlap_DNA_Actin", "Cells_Count_DNA"]
CELL = "=cmd|x"  # what a spreadsheet would take for a formula


def fields(embedding=8, plates=("P1", "P2"), seed=0):
    """Two fields in each of the wells A01 to B03 of some plates; column 1 is DMSO."""
    rng = np.random.default_rng(seed)
    rows = [(plate, f"{row}{column:02d}", str(site)) for plate in plates for row in "AB"
            for column in (1, 2, 3) for site in (1, 2)]
    n, is_control = len(rows), [well.endswith("01") for _, well, _ in rows]
    up = rng.uniform(0.05, 0.95, n).astype(np.float32)
    table = pandas.DataFrame(rows, columns=["Metadata_Plate", "Metadata_Well", "Metadata_Site"])
    table["Metadata_Compound"] = np.where(is_control, "DMSO", CELL).astype(object)
    table["Metadata_Concentration"] = np.where(is_control, 0, 0.3)
    for channel in CHANNELS:
        table[f"Image_FileName_{channel}"] = [f"{p}_{w}_{s}_{channel}.tif" for p, w, s in rows]
        table[f"Image_PathName_{channel}"] = [f"/data/{p}" for p, _, _ in rows]
    table["Phenoscale_Field"] = [f"{p}/{w}_{s}.tif {k:012x}" for k, (p, w, s) in enumerate(rows)]
    table["Metadata_CellCount"] = rng.poisson(50, n).astype(np.float32)
    table["Phenoscale_Class"] = np.where(up > 0.5, "Up+", "Down").astype(object)
    table["Phenoscale_Prob_Down"], table["Phenoscale_Prob_Up"] = 1 - up, up
    table["Phenoscale_Model"] = "0123456789abcdef"
    for name in [f"Image_Phenoscale_Emb{k:04d}" for k in range(embedding)] + [
            f"Image_{name}" for name in MEASURES]:
        table[name] = rng.normal(size=n).astype(np.float32)
    return table


def wells(components=5):
    """One row a well, as in wells.csv."""
    some = fields().drop_duplicates(["Metadata_Plate", "Metadata_Well"]).reset_index(drop=True)
    rng = np.random.default_rng(1)
    table = some[["Metadata_Plate", "Metadata_Well", "Metadata_Compound",
                  "Metadata_Concentration"]].copy()
    is_control = table["Metadata_Compound"] == "DMSO"
    table["Phenoscale_Treatment"] = np.where(is_control, "DMSO 0", f"{CELL} 0.3").astype(object)
    table["Phenoscale_Control"] = np.where(is_control, "negative", "").astype(object)
    table["Phenoscale_Fields"] = 2
    table["Phenoscale_Class"] = some["Phenoscale_Class"]
    table["Phenoscale_Prob_Down"] = some["Phenoscale_Prob_Down"]
    table["Phenoscale_Prob_Up"] = some["Phenoscale_Prob_Up"]
    table["Metadata_CellCount"] = some["Metadata_CellCount"]
    table["Phenoscale_Distance"] = rng.uniform(1, 4, len(table))
    table["Phenoscale_P"] = np.where(is_control, np.nan, 1 / 3)
    for k in range(components):
        table[f"Image_Profile_{k:04d}"] = rng.normal(size=len(table)).astype(np.float32)
    return table


def treatments():
    """One row a treatment, as in treatments.csv."""
    some = wells()
    features = [name for name in some if name.startswith("Image_Profile_")]
    groups = some.groupby("Phenoscale_Treatment", sort=False)
    table = some.drop_duplicates("Phenoscale_Treatment")[[
        "Phenoscale_Treatment", "Metadata_Compound", "Metadata_Concentration",
        "Phenoscale_Control"]].reset_index(drop=True)
    table["Phenoscale_Wells"], table["Phenoscale_Plates"] = groups.size().to_numpy(), 2
    return pandas.concat([table, groups[features].median().reset_index(drop=True)], axis=1)


def written(frame, path):
    """The path of a frame as CSV."""
    write_csv(frame, path)
    return path
