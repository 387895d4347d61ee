# SPDX-License-Identifier: BSD-3-Clause
"""Real fields of BBBC021: what `make bbbc021` does, one compound left out, a few epochs."""

import pandas

from calls import train_run
from phenoscale.checks.check import check
from phenoscale.tables.read import read_table
from phenoscale.training.recipe import Recipe


def test_one_compound_left_out(shared_data, tmp_path):
    """Protein synthesis inhibitors are told by the other two of their kind."""
    table = read_table(shared_data("bbbc021_fields") / "labels.csv",
                       channels=["Actin=file:0", "Tubulin=file:1", "DNA=file:2"])
    assert (len(table), set(table.roles)) == (384, {"plate", "well", "compound", "concentration"})
    found = check(table, label="moa")
    assert found.ok and found.survey.kinds == {"PNG": 1152} and found.survey.dtype == "uint8"
    assert found.labels.fields == {
        "Aurora kinase inhibitors": 144, "Eg5 inhibitors": 144, "Protein synthesis": 96}
    assert [f.kind for f in found.findings if f.kind in ("named twice", "duplicate")] == []
    train_run(table, "moa", tmp_path / "run", Recipe(network="mcnn-gap", epochs=3), val_fraction=0,
              holdout={"Metadata_Compound": ["emetine"]})
    scored = pandas.read_csv(tmp_path / "run" / "predictions.csv")
    assert len(scored) == 36 and set(scored["moa"]) == {"Protein synthesis"}
    assert (scored["Phenoscale_Class"] == scored["moa"]).mean() > 0.8
