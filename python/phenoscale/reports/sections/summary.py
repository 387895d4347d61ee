# SPDX-License-Identifier: BSD-3-Clause
"""What the page says, in a few sentences, from the sections that say it at length."""

from __future__ import annotations

from phenoscale.evaluation.control_pairs import ALL_PLATES
from phenoscale.evaluation.strictness import confounded
from phenoscale.reports.screen import Screen
from phenoscale.words import count, listed

__all__ = ["section"]


def section(screen: Screen, made: dict) -> dict:
    """The title, and sentences by the question that they answer.

    made: the other sections, by name.
    """
    return {"title": _title(screen, made), "lines": [
        line for line in (("plates", "Plates", _plates(screen, made["plates"])),
                          ("controls", "Controls", made["controls"].get("said", "")
                           or made["controls"]["why"] or made["controls"]["no_pairs"]),
                          ("hits", "Hits", _hits(made["hits"]))) if line[2]],
        "doubts": _doubts(screen, made)}


def _title(screen: Screen, made: dict) -> str:
    wells = screen.wells
    said = [] if wells is None else [count(wells["Plate"].nunique(), "plate"),
                                     count(len(wells), "well")]
    if not made["hits"]["why"]:
        said.append(count(made["hits"]["counts"].get("yes", 0), "hit"))
    return ", ".join(said) or screen.run.folder.path.rpartition("/")[2]


def _plates(screen: Screen, plates: dict) -> str:
    if plates["why"]:
        return plates["why"]
    wells = screen.wells
    gone = int((wells["Read"] == 0).sum())
    text = f"{count(int(wells['Fields'].sum()), 'field')} of {count(len(wells), 'well')}"
    text += f"; {count(gone, 'well')} without a prediction" if gone else ""
    if "Flagged" in wells:
        flagged = int((wells["Flagged"] > 0).sum())
        text += f"; something is wrong with fields of {count(flagged, 'well')}"
    edges = [row["edge"] for row in plates["table"] if row["edge"]]
    return text + (f"; cells at the edge {', '.join(edges)} "
                   "against the inner wells" if 0 < len(edges) < 5 else "") + "."


def _hits(hits: dict) -> str:
    if hits["why"]:
        return hits["why"]
    yes, unsure = hits["counts"].get("yes", 0), hits["counts"].get("cannot say", 0)
    text = f"{yes} of {count(hits['n'], 'treatment')} differ from the controls at q < 0.05"
    return text + (f"; of {unsure} too few control wells can say it" if unsure else "") + "."


def _doubts(screen: Screen, made: dict) -> list[str]:
    """What to distrust, the gravest first."""
    doubts, run = [], screen.run
    overlapping = {row["plate"] for row in made["controls"].get("pairs", [])
                   if row["verdict"] == "overlapping"} - {ALL_PLATES}
    if overlapping:
        doubts.append(f"The controls overlap on {listed(sorted(overlapping), limit=6)}.")
    if run.fields is not None:
        doubts += confounded(run)
    if run.side == "val":
        doubts.append("No fields were held out for testing: the score is of validation fields.")
    return doubts + screen.notes
