# SPDX-License-Identifier: BSD-3-Clause
"""The demo's screen and recipe: the network finds the phenotypes where brightness and cell counts
do not.  One seed here; ``make figures`` shows three."""

from figures import held_out
from phenoscale.models.head import HEADS


def test_a_held_out_plate(tmp_path):
    scores, _ = held_out(tmp_path, seed=0)
    simple = {name: score for name, score in scores.items() if name not in (*HEADS, "texture")}
    print(scores)
    assert scores["network"] >= 0.85 and scores["both"] >= 0.85
    assert len(simple) == 4 and max(simple.values()) <= 0.5
