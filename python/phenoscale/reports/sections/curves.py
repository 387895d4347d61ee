# SPDX-License-Identifier: BSD-3-Clause
"""How the training went, epoch by epoch."""

from __future__ import annotations

from phenoscale.evaluation.run import Run
from phenoscale.reports import pictures
from phenoscale.reports.page import encode

__all__ = ["section"]


def section(run: Run) -> dict:
    """Loss and validation by epoch."""
    if run.log is None or not len(run.log):
        return {"why": "The folder holds no log.csv with epochs."}
    return {"image": encode(pictures.curves(run.log, 1 / len(run.classes)), "svg+xml"),
            "epochs": len(run.log), "loss": run.log["loss"].iloc[-1]}
