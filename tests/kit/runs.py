# SPDX-License-Identifier: BSD-3-Clause
"""Run folders that are made up, for the tests of what becomes of them.

A screen of four plates with one held out, and one plate laid out like BBBC013 with controls at both
ends of each row of doses.
"""

import json

import numpy as np
import pandas
import tifffile

from phenoscale.files.csv import write_csv
from phenoscale.tables.class_keys import class_key

PHENOTYPES = ["Normal", "Bundled tubulin", "Actin aggregates", "Fragmented nuclei", "Elongated",
              "Mitotic arrest"]


def draw_field(rng, strength, channels, size):
    """Blobs that become wider rings with the strength: (channels, h, w) uint16."""
    y, x = np.mgrid[:size[0], :size[1]]
    field = rng.poisson(300, (channels, *size)).astype(float)
    for _ in range(size[0] * size[1] // 350):
        distance = np.hypot(y - rng.uniform(0, size[0]), x - rng.uniform(0, size[1]))
        for c in range(channels):
            ring = c * (2 + 1.2 * c * strength)
            field[c] += 4000 / (c + 1) * np.exp(-((distance - ring) / (3 + c)) ** 2)
    return field.clip(0, 65535).astype(np.uint16)


def write_run(folder, rows, classes, label, channels, size=(48, 60), **config):
    """The files that train leaves; images only of fields that were not trained on.

    The network is made up: some skill, from the columns Kind (class number) and Strength.
    """
    rng, rows = np.random.default_rng(2), pandas.DataFrame(rows)
    logits = rng.normal(0, 1.0, (len(rows), len(classes)))
    logits[:, 0] += 6 * (1 - rows["Strength"])
    logits[np.arange(len(rows)), rows["Kind"]] += 6 * rows["Strength"]
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    for channel in channels:
        rows[f"Image_FileName_{channel}"] = [f"{i}_{channel}.tif" for i in range(len(rows))]
    files = [c for c in rows if c.startswith(("Image_", "Metadata_")) or c == label]
    (folder / "images").mkdir(parents=True)
    write_csv(rows[[*files, "Split"]], folder / "split.csv")
    for channel in channels:
        rows[f"Image_PathName_{channel}"] = str(folder / "images")
    rows["Phenoscale_Class"] = [classes[i] for i in p.argmax(axis=1)]
    for i, name in enumerate(classes):
        rows["Phenoscale_Prob_" + class_key(name)] = p[:, i]
    rows["Phenoscale_Model"], rows["Image_Phenoscale_Emb0000"] = "3f2a9c", 0.25
    rows = rows[rows["Split"] != "train"]
    for _, row in rows.iterrows():
        for name, plane in zip(channels, draw_field(rng, row["Strength"], len(channels), size)):
            tifffile.imwrite(folder / "images" / row[f"Image_FileName_{name}"], plane)
    write_csv(rows.drop(columns=["Split", "Kind", "Strength"]), folder / "predictions.csv")
    log = pandas.DataFrame({"epoch": range(1, 13), "rate": 0.01, "loss": 1.5 / np.arange(1, 13)})
    for column in ("val_loss", "val_accuracy", "val_balanced_accuracy"):
        log[column] = 1 - log["loss"] / 2 if (rows["Split"] == "val").any() else np.nan
    write_csv(log, folder / "log.csv")
    config = {"table": "screen.csv", "label": label, "channels": channels, "classes": classes,
              "network": "mcnn-gap", "epochs": 12, "normalisation": {"mean": [712.25, 640.5]},
              "weights_sha256": "3f2a9c" * 10, **config}
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    return folder


def make_screen(folder, classes=PHENOTYPES, held=("P4",), **options):
    """Four plates of 60 wells with 2 fields: DMSO, a positive control, six doses of eight
    compounds of which the two lowest have no label; plate P4 is held out."""
    rng, rows = np.random.default_rng(1), []
    for plate, row, column, site in np.ndindex(4, 6, 10, 2):
        kind, dose, compound, control = 0, 0.0, "DMSO", "negative"
        if 0 < column < 9:
            kind, compound, control = 1 + (column - 1) % 5, f"Compound {column}", ""
            dose = [0.1, 0.3, 1.0, 3.0, 10.0, 30.0][row]
        elif (row + column) % 2:
            kind, dose, compound, control = 1, 10.0, "Compound 0", "positive"
        if site == 0:
            split = "unlabelled" if 0 < dose < 1 else "test" if plate == 3 else (
                "val" if rng.random() < 0.12 else "train")
        rows.append({
            "Metadata_Plate": f"P{plate + 1}", "Metadata_Well": f"{'BCDEFG'[row]}{column + 2:02d}",
            "Metadata_Site": str(site + 1), "Metadata_Batch": f"Week{plate // 2 + 1}",
            "Metadata_Compound": compound, "Metadata_Concentration": f"{dose:g}",
            "Metadata_Control": control, "Split": split, "Kind": kind,
            "Strength": dose / (dose + 0.8),
            "Metadata_Phenotype": "" if split == "unlabelled" else classes[kind]})
    return write_run(folder, rows, classes, "Metadata_Phenotype", ["DNA", "Actin", "Tubulin"],
                     holdout={"Metadata_Plate": list(held)}, **options)


def make_plate(folder, classes=("negative", "positive"), **options):
    """One plate like BBBC013, controls of rows A, C, E, G trained on; doses are ranks."""
    rows = []
    for r, column in np.ndindex(8, 12):
        row, column, first = "ABCDEFGH"[r], column + 1, r < 4
        negative, positive = ((1, 2), 12) if first else ((2, 12), 1)
        control = "negative" if column in negative else "positive" if column == positive else ""
        rank = {"negative": 0, "positive": 10, "": column - 2}[control]
        rows.append({
            "Metadata_Plate": "BBBC013", "Metadata_Well": f"{row}{column:02d}",
            "Metadata_Row": row, "Metadata_Compound": "Wortmannin" if first else "LY294002",
            "Metadata_Concentration": str(rank), "Metadata_Control": control,
            "Class": "" if not control else classes[control == "positive"],
            "Split": "unlabelled" if not control else "train" if row in "ACEG" else "test",
            "Kind": int(rank > 0), "Strength": 1 / (1 + np.exp(4.5 - rank)) if rank else 0.0})
    return write_run(folder, rows, list(classes), "Class", ["GFP", "DNA"],
                     holdout={"Metadata_Row": ["B", "D", "F", "H"]}, **options)
