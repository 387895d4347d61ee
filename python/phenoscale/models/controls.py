# SPDX-License-Identifier: BSD-3-Clause
"""What a model knows of the control fields that it was trained on."""

from __future__ import annotations

import numpy as np

from phenoscale.models.metadata import LIMIT_NUMBERS

__all__ = ["controls_of"]


def controls_of(embeddings: np.ndarray) -> dict | None:
    """`Model.controls` from embeddings (n, embedding); None for fewer than two, or all alike.

    A Mahalanobis distance with a diagonal covariance; each variance is drawn half-way to their
    mean, since some numbers of an embedding hardly vary in the controls.  The root mean square
    distance of the controls themselves is 1.
    """
    embeddings = np.asarray(embeddings, np.float64)
    if not 0 < embeddings.shape[1] <= LIMIT_NUMBERS or len(embeddings) < 2:
        return None
    mean, variance = embeddings.mean(axis=0), embeddings.var(axis=0, ddof=1)
    if not variance.any():
        return None
    shrunk = (variance + variance.mean()) / 2
    own = (((embeddings - mean) ** 2) / shrunk).mean()
    return {"mean": mean.tolist(), "spread": np.sqrt(shrunk * own).tolist()}
