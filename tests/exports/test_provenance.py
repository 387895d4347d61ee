# SPDX-License-Identifier: BSD-3-Clause
"""Where the numbers of a table come from."""

import hashlib
import json

import pytest

import export_tables
import phenoscale
from phenoscale.exports.provenance import provenance_of, stem_of
from phenoscale.files.parquet import write_parquet


def test_of_a_csv_the_digest_the_model_and_its_normalisation(tmp_path):
    table = export_tables.fields()
    path = export_tables.written(table, tmp_path / "p.csv")
    assert provenance_of(path, table) == {
        "phenoscale": phenoscale.__version__, "table": "p.csv",
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "model": "0123456789abcdef", "normalisation": "that of the model"}


def test_of_parquet_what_predict_wrote_into_it(tmp_path):
    pytest.importorskip("pyarrow")
    about = {"phenoscale": "0", "model": "f" * 64, "normalisation": "by channel"}
    write_parquet([export_tables.fields()], tmp_path / "p.parquet", about)
    found = provenance_of(tmp_path / "p.parquet", export_tables.fields())
    assert (found["model"], found["normalisation"]) == ("f" * 64, "by channel")
    assert found["phenoscale"] == phenoscale.__version__


def test_of_a_frame_a_digest_that_changes_with_a_value():
    table = export_tables.fields()
    one = provenance_of(table, table)
    assert one == provenance_of(table.copy(), table) and one["table"] == "DataFrame"
    table.loc[3, "Image_Phenoscale_Emb0000"] += 1
    assert provenance_of(table, table)["sha256"] != one["sha256"]


PROFILE = {"model": "abc", "standardise": "mean", "steps": [
    {"step": "position", "kept": True, "value": None}, {"step": "pca", "kept": True, "value": 20},
    {"step": "sphering", "kept": False, "value": 0.1}]}


def test_of_the_tables_of_a_profile_what_was_done_to_them(tmp_path):
    (tmp_path / "profile.json").write_text(json.dumps(PROFILE))
    table = export_tables.wells()
    found = provenance_of(export_tables.written(table, tmp_path / "wells.csv"), table)
    assert found["model"] == "abc" and found["normalisation"] == (
        "standardised by mean on the controls of a plate, position, pca 20")
    other = provenance_of(export_tables.written(table, tmp_path / "mine.csv"), table)
    assert other["model"] == "" and other["normalisation"] == ""


@pytest.mark.parametrize("text", ["{", "[]", '{"steps": 1}', "null"])
def test_another_profile_json_says_nothing(tmp_path, text):
    (tmp_path / "profile.json").write_text(text)
    table = export_tables.wells()
    found = provenance_of(export_tables.written(table, tmp_path / "wells.csv"), table)
    assert found["normalisation"] == ""


@pytest.mark.parametrize("path, stem", [("a/b.csv", "a/b"), ("b.csv.gz", "b"), ("B.CSV", "B"),
                                        ("x.1.properties", "x.1")])
def test_stems(path, stem):
    assert stem_of(path) == stem
