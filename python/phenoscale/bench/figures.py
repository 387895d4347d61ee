# SPDX-License-Identifier: BSD-3-Clause
"""What `phenoscale bench` makes of its rows of times: ratios, shares of the peak, rates.

A row is a dict: ``contender``, ``variant``, ``batch``, ``cores``, ``train_ms`` and ``infer_ms`` (ms
an image, None where not measured), ``rss_mb`` and more.
"""

from __future__ import annotations

import math

from phenoscale.bench import ours as bench_ours
from phenoscale.bench import peers as bench_peers

KINDS = ("infer", "train")
LEAST_LIVE = 0.9  # with fewer live windows a run is void
# The published training: images/s on 320 cores (Datta 2019, arXiv 1910.04852), and its images.
PUBLISHED_PER_S, PUBLISHED_CORES, EPOCHS, IMAGES = 120, 320, 20, 9093


def fastest(rows, kind):
    """The row of the least time, or None."""
    timed = [row for row in rows if row[kind + "_ms"] is not None]
    return min(timed, key=lambda row: row[kind + "_ms"], default=None)


def best(rows, kind, cores, contender):
    """The fastest row of a contender on that many cores, or None."""
    return fastest([row for row in rows
                    if row["contender"] == contender and row["cores"] == cores], kind)


def ratios(rows):
    """A peer's best time over ours on the same cores (above 1, ours is faster), and peak RSS of
    all in training with the largest batch, on one core."""
    found, most = {}, max(row["cores"] for row in rows)
    for kind in KINDS:
        for cores, ending in ((1, ""), (most, "_all_cores")):
            ours, known = best(rows, kind, cores, "tower"), []
            for name in bench_peers.PEERS:
                peer = best(rows, kind, cores, name)
                ratio = peer and peer[kind + "_ms"] / ours[kind + "_ms"]
                found[f"{kind}_ratio_{name}{ending}"] = ratio
                known += [ratio] if ratio else []
            found[f"{kind}_ratio{ending}"] = min(known, default=None)
    for name in (*bench_ours.TOWERS, *bench_peers.PEERS):
        mine = [(-row["batch"], row["rss_mb"]) for row in rows if row["contender"] == name
                and row["cores"] == 1 and row["train_ms"] is not None]
        found[f"rss_mb_{name}"] = min(mine, default=(0, None))[1]
    return found


def peak_shares(rows, operations, peak):
    """Shares of the FMA peak (GFLOP/s) that ours reaches on one core, by kind and operations."""
    return {f"{kind}_share_{which}":
            count[kind] / (1e6 * best(rows, kind, 1, "tower")[kind + "_ms"] * peak)
            for kind in KINDS for which, count in operations.items()}


def rates(rows):
    """Images/s of ours on one core, and what the published training would take."""
    most = max(row["cores"] for row in rows)
    train, infer = (best(rows, kind, 1, "tower")[kind + "_ms"] for kind in ("train", "infer"))
    hours = EPOCHS * IMAGES / 3.6e6  # times ms an image
    return {"images_per_s_core": 1000 / train, "images_per_s_core_infer": 1000 / infer,
            "cores_for_120_per_s": math.ceil(PUBLISHED_PER_S * train / 1000),
            "hours_20_epochs_one_core": hours * train,
            "hours_20_epochs_all_cores":
                hours * best(rows, "train", most, "tower")["train_ms"]}


def of_rows(rows, operations, peak):
    """All figures that follow from the rows; arguments as for `peak_shares`."""
    return {**ratios(rows), **peak_shares(rows, operations, peak), **rates(rows)}
