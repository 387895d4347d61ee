# SPDX-License-Identifier: BSD-3-Clause
"""Simple classifiers beside the network: what brightness, cell count and texture alone tell.

Each gives its balanced accuracy on the plates held out, after training on all the others.
"""

from pathlib import Path

import numpy as np
import pandas
import tifffile

CHANNELS = ("DNA", "Actin", "Tubulin")
LABEL, COUNT = "Metadata_Phenotype", "Truth_CellCount"


def baselines(csv, plates, features=None):
    """Score the baselines on a simulated screen.

    Parameters
    ----------
    csv : path
        As `phenoscale.simulate` returns it.
    plates : sequence of str
        Plates held out.
    features : dict, optional
        Of `baseline_features`, where they are known already.

    Returns
    -------
    dict of str to float
        Balanced accuracy of "mean intensity", "mean intensity (forest)", "cell count",
        "cell count (forest)" and "texture".
    """
    frame = pandas.read_csv(csv, keep_default_na=False)
    features = features or baseline_features(frame, Path(csv).parent)
    labelled = (frame[LABEL] != "").to_numpy()
    test = frame["Metadata_Plate"].isin(plates).to_numpy()
    scores = {}
    for name, values in features.items():
        for word, model in _models():
            if word and name == "texture":
                continue
            scores[name + word] = _held_out(model, values, frame[LABEL].to_numpy(),
                                            labelled & ~test, labelled & test)
    return scores


def baseline_features(frame, folder):
    """Features of every row of a table: {"mean intensity", "cell count", "texture"}: (n, f)."""
    means, textures = [], []
    for _, row in frame.iterrows():
        planes = np.stack([tifffile.imread(
            folder / row[f"Image_PathName_{ch}"] / row[f"Image_FileName_{ch}"])
            for ch in CHANNELS]).astype(np.float32)
        means.append(np.log(planes.mean((1, 2))))
        textures.append(np.concatenate([texture(plane) for plane in planes]))
    count = frame[[COUNT]].to_numpy(np.float64)
    return {"mean intensity": np.array(means), "cell count": count,
            "texture": np.array(textures)}


def texture(plane):
    """Texture of a plane (h, w), blind to gain and offset: band energies and binary patterns."""
    plane = (plane - plane.mean()) / plane.std()
    found, level = [], plane
    for _ in range(6):
        height, width = (n // 2 * 2 for n in level.shape)
        a, b, c, d = (level[i:height:2, j:width:2] for i in (0, 1) for j in (0, 1))
        for band in (a - b + c - d, a + b - c - d, a - b - c + d):
            power = band * band
            found.append(np.log(power.mean() + 1e-9))
            found.append(np.log((power * power).mean() / power.mean() ** 2))
        level = (a + b + c + d) / 4
        if level.shape[0] >= plane.shape[0] // 4:
            found += list(_patterns(level))
    return np.array(found)


def _patterns(level):
    """Shares of the local binary patterns, rotations and mirror images taken together."""
    core = level[1:-1, 1:-1]
    ring = [(0, 0), (0, 1), (0, 2), (1, 2), (2, 2), (2, 1), (2, 0), (1, 0)]
    higher = [(level[i:i + core.shape[0], j:j + core.shape[1]] > core).view(np.uint8)
              for i, j in ring]
    changes = sum(higher[i] ^ higher[i - 1] for i in range(8))
    code = np.where(changes <= 2, sum(higher), 9)
    return np.bincount(code.ravel(), minlength=10) / code.size


def _models():
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    linear = LogisticRegression(C=1.0, max_iter=3000, class_weight="balanced")
    return [("", make_pipeline(StandardScaler(), linear)),
            (" (forest)", RandomForestClassifier(200, class_weight="balanced", random_state=0))]


def _held_out(model, values, labels, train, test):
    """Balanced accuracy on test of a model fitted on train."""
    from sklearn.metrics import balanced_accuracy_score

    model.fit(values[train], labels[train])
    return float(balanced_accuracy_score(labels[test], model.predict(values[test])))
