# SPDX-License-Identifier: BSD-3-Clause
"""Steps are kept where they help, and only there; never by what is in the columns of classes."""

import numpy as np
import pytest

import profiled
from phenoscale.profiles.position import places_of
from phenoscale.screening import choice
from phenoscale.screening.asked import Asked
from phenoscale.screening.choice import choose
from phenoscale.screening.wells import read_wells


def chosen(frame, standardise=None):
    wells = read_wells([frame], Asked())
    return choose(wells, places_of(wells.frame["Metadata_Well"]), "mean", standardise)


def kept(found):
    return {step["step"]: step["kept"] for step in found.steps}


def test_a_nuisance_that_controls_share_is_sphered_away():
    frame = profiled.predictions()
    names = [c for c in frame if "Emb" in c]
    wells = frame.groupby(["Metadata_Plate", "Metadata_Well"], sort=False).ngroup()
    nuisance = np.random.default_rng(5).normal(0, 25, wells.max() + 1)[wells]
    frame[names[:6]] += nuisance[:, None]
    found = chosen(frame)
    assert kept(found)["sphering"] and found.recipe.eps in choice.STRENGTHS
    assert {step["step"] for step in found.steps} == {"standardise", "position", "pca", "sphering"}
    for step in found.steps:
        for one in step["tried"]:
            assert np.isfinite([one["gain"], one["error"], one["retrieval"]]).all()
    strongest = next(step for step in found.steps if step["step"] == "sphering")
    assert max(strongest["tried"], key=lambda one: one["gain"])["value"] == found.recipe.eps


def test_noise_gains_by_nothing_more_than_its_error():
    frame = profiled.predictions(3)
    names = [c for c in frame if "Emb" in c]
    frame[names] = np.random.default_rng(0).normal(size=(len(frame), len(names)))
    found = chosen(frame)
    for step in found.steps:
        best = max((one["gain"] - one["error"] for one in step["tried"]), default=-1)
        if step["step"] != "standardise":
            assert step["kept"] == (best > 0 and step["value"] is not None)
    assert sum(kept(found).values()) <= 2  # standardise is one


def test_effects_of_position_are_corrected_where_there_are_any():
    frame = profiled.predictions(plates=("P1", "P2", "P3", "P4"))
    names = [c for c in frame if "Emb" in c]
    place = places_of(frame["Metadata_Well"])
    effects = np.random.default_rng(1).normal(size=(8, len(names)))
    frame[names] += 12 * (place[:, :1] - 3.5) * effects[0] + 12 * (place[:, 1:] - 3.5) * effects[1]
    assert kept(chosen(frame))["position"]
    few = frame[frame["Metadata_Well"].str[0] < "D"]
    step = next(one for one in chosen(few).steps if one["step"] == "position")
    assert not step["kept"] and step["why"].startswith("no plate has wells enough")


def test_classes_are_not_looked_at():
    frame = profiled.predictions()
    rng = np.random.default_rng(0)
    other = frame.assign(Phenoscale_Class="up", Phenoscale_Set="asis")
    other["Phenoscale_Prob_up"] = rng.uniform(0.6, 1, len(frame))
    other["Phenoscale_Prob_asis"] = 1 - other["Phenoscale_Prob_up"]
    assert chosen(frame) == chosen(other)


def test_without_replicates_or_controls_less_is_chosen():
    frame = profiled.predictions()
    alone = frame.assign(Metadata_Compound=np.where(
        frame["Metadata_Compound"] == "DMSO", "DMSO",
        frame["Metadata_Plate"] + frame["Metadata_Well"]))
    found = chosen(alone)
    assert not found.steps and "no treatment has two wells" in found.notes[0]
    bare = frame[frame["Metadata_Compound"] != "DMSO"]
    found = chosen(bare)
    assert found.recipe.standardise == "none" and set(kept(found)) == {"position", "scale", "pca"}


def test_one_plate_is_halved_by_treatments():
    found = chosen(profiled.predictions(plates=("P1",)))
    assert {"pca", "sphering"} <= set(kept(found))


@pytest.mark.parametrize("most", [40, 60])
def test_of_many_wells_some_whole_treatments_are_looked_at(monkeypatch, most):
    monkeypatch.setattr(choice, "_TREATED", most)
    wells = read_wells([profiled.predictions()], Asked())
    trial = choice._Trial(wells, np.random.default_rng(0))
    treated = trial.rows[~trial.is_control]
    assert 0 < len(treated) <= most
    for one in np.unique(wells.treatment[treated]):
        assert (wells.treatment[treated] == one).sum() == (wells.treatment == one).sum()
