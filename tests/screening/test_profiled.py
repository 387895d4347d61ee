# SPDX-License-Identifier: BSD-3-Clause
"""The folder of a profile as it is read: numbers and text apart, what is missing named."""

import json

import numpy as np
import pytest

pandas = pytest.importorskip("pandas")

from phenoscale import InputError
from phenoscale.screening.profiled import read_profiled


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "profile.json").write_text(json.dumps({"inputs": [{"path": "p.csv"}, 3]}))
    (tmp_path / "wells.csv").write_text(
        "Metadata_Well,Phenoscale_Treatment,Phenoscale_Distance\nA01,1.0,0.5\nA02,,\n")
    (tmp_path / "treatments.csv").write_text("Phenoscale_Treatment,Image_Profile_0000\n1.0,2\n")
    (tmp_path / "hits.csv").write_text("Rank,Treatment,Hit,q,Concentration\n1,1.0,yes,0.01,low\n")
    return tmp_path


def test_numbers_are_numbers_and_names_stay(folder):
    found = read_profiled(folder)
    assert found.wells["Phenoscale_Distance"].tolist()[0] == 0.5
    assert np.isnan(found.wells["Phenoscale_Distance"].tolist()[1])
    assert found.wells["Phenoscale_Treatment"].tolist() == ["1.0", ""]
    assert found.hits["q"].tolist() == [0.01] and found.hits["Concentration"].tolist() == ["low"]
    assert found.inputs() == [str(folder / "p.csv")]


@pytest.mark.parametrize("name", ["profile.json", "wells.csv", "treatments.csv", "hits.csv"])
def test_what_is_missing_is_named(folder, name):
    (folder / name).unlink()
    with pytest.raises(InputError, match=f"{name}.*that phenoscale profile wrote"):
        read_profiled(folder)


@pytest.mark.parametrize("name, text", [
    ("profile.json", "[1]"), ("profile.json", "{"), ("hits.csv", "Rank,Treatment\n1,a\n"),
    ("wells.csv", "Metadata_Well\nA01\n"), ("hits.csv", "Rank,Treatment,Hit\n")])
def test_what_is_no_profile_is_refused(folder, name, text):
    (folder / name).write_text(text)
    with pytest.raises(InputError, match=name):
        read_profiled(folder)
