# SPDX-License-Identifier: BSD-3-Clause
"""A real plate from its folder to scores: translocation of FKHR-GFP, two drugs, nine doses.

The short form of what docs/measured.md reports: half the control wells are trained on, the other
half and all dose wells are scored.
"""

import numpy as np
import pytest

pandas = pytest.importorskip("pandas")
pytest.importorskip("click")
from phenoscale.__main__ import cli
from phenoscale.profiles.aggregate import log_odds
from phenoscale.profiles.dose_response import dose_response
from phenoscale.tables.read import read_table


def verb(*words):
    """Status of a verb of the command line."""
    return cli.main([str(word) for word in words], standalone_mode=False) or 0


def test_controls_of_other_rows_and_doses(shared_data, tmp_path, capsys):
    folder, table, run = shared_data("bbbc013"), tmp_path / "plate.csv", tmp_path / "run"
    assert verb("check", folder, "--preset", "bbbc013", "--write", table, "--label",
                "Metadata_Control", "--quiet") == 0
    said = capsys.readouterr().out
    for words in ("96 in 96 wells on 1 plate", "2: GFP, DNA", "640 x 640", "8-bit"):
        assert words in said
    controls = read_table(table).column("Metadata_Control")
    assert controls.value_counts().to_dict() == {"": 72, "negative": 16, "positive": 8}

    assert verb("train", table, "--label", "Metadata_Control", "--out", run, "--holdout",
                "Metadata_Row=B,D,F,H", "--val-fraction", "0", "--network", "mcnn",
                "--epochs", "12", "--batch", "4", "--quiet") == 0
    assert (run / "report.html").stat().st_size > 100_000
    frame = pandas.read_csv(run / "predictions.csv", keep_default_na=False,
                            usecols=lambda name: "Emb" not in name)
    is_control = frame["Metadata_Control"] != ""
    assert len(frame) == 84 and is_control.sum() == 12
    wrong = (frame["Phenoscale_Class"] != frame["Metadata_Control"])[is_control].sum()
    assert wrong <= 1

    frame["Score"] = log_odds(frame, "positive", "negative")
    doses = dose_response(frame[~is_control], "Metadata_Compound", "Metadata_Concentration",
                          "Score").set_index("compound")
    assert doses["n"].to_dict() == {"LY294002": 36, "Wortmannin": 36}
    assert np.all(doses["spearman"] >= 0.6), doses
    print(f"{wrong} of 12 held-out controls wrong; Spearman {doses['spearman'].to_dict()}")
