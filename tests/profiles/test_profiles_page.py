# SPDX-License-Identifier: BSD-3-Clause
"""docs/profiles.md: its code runs as it stands, from predictions to a score of replicates."""

import re
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("tifffile")
pytest.importorskip("pycytominer", reason="pycytominer is not installed")
pytest.importorskip("copairs", reason="copairs is not installed")
import phenoscale
import screens

PAGE = Path(__file__).parents[2] / "docs" / "profiles.md"


@pytest.mark.filterwarnings("ignore")
def test_the_page_runs(tmp_path, monkeypatch):
    screen = phenoscale.simulate(tmp_path / "screen", seed=0, plates=2, phenotypes=3,
                                 size=(128, 128), wells=24)
    table = phenoscale.read_table(screen)
    phenoscale.predict_to_file(screens.make_model("mcnn", channels=table.channels), screen,
                               tmp_path / "predictions.csv")
    monkeypatch.chdir(tmp_path)
    names = {}
    for code in re.findall(r"^```python\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL):
        exec(compile(code, str(PAGE), "exec"), names)
    wells, robust, kept = names["wells"], names["robust"], names["kept"]
    assert len(wells) == 48 and len(names["features"]) == 512
    of_controls = robust[robust["Metadata_Control"] == "negative"][names["features"]].to_numpy()
    assert np.isfinite(of_controls).all() and np.abs(of_controls).max() < 1e4
    assert len(kept) > 4 and np.isfinite(names["sphered"][kept].to_numpy()).all()
    scores = names["scores"]
    assert len(scores) > 3 and scores["mean_average_precision"].between(0, 1).all()
