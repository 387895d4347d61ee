# SPDX-License-Identifier: BSD-3-Clause
"""Replicates: retrieval across plates, activity as copairs has it, agreement against its null."""

import numpy as np
import pandas
import pytest

from phenoscale.profiles import replicates
from phenoscale.profiles.replicates import activity, agreement, retrieval
from phenoscale.scores.chance import mean_average_precision
from phenoscale.scores.retrieval import average_precision


def drawn(seed=0, signal=2.0):
    """12 treatments of 6 compounds in 4 wells each on 4 plates, 12 controls; profiles of 20."""
    rng = np.random.default_rng(seed)
    treatment = np.concatenate([np.repeat(np.arange(12), 4), np.full(12, 12)])
    compound = np.where(treatment < 12, treatment // 2, 6)
    plate = np.concatenate([np.tile(np.arange(4), 12), np.repeat(np.arange(4), 3)])
    effects = np.concatenate([rng.normal(0, signal, (12, 20)), np.zeros((1, 20))])
    profiles = (rng.normal(size=(60, 20)) + effects[treatment]).astype(np.float32)
    return profiles, treatment, compound, plate, treatment == 12


def test_retrieval_asks_wells_of_other_plates():
    profiles, treatment, compound, plate, is_control = drawn()
    found = retrieval(profiles, treatment, compound, plate, ~is_control)
    rows = average_precision(profiles, treatment, apart=plate, kin=compound)["precision"]
    for k in range(12):
        assert found[k] == pytest.approx(rows[treatment == k].mean())
    assert np.isnan(found[12])
    # what a plate does to all its wells is of no help: positives are elsewhere
    shift = np.random.default_rng(1).normal(0, 30, (4, 20)).astype(np.float32)
    shifted = profiles + shift[plate]
    assert np.nanmean(retrieval(shifted, treatment, compound, plate, ~is_control)) < 0.5


def test_treatments_of_one_plate_are_asked_within_it():
    profiles, treatment, compound, plate, is_control = drawn()
    found = retrieval(profiles, treatment, compound, np.zeros_like(plate), ~is_control)
    rows = average_precision(profiles, treatment, kin=compound)["precision"]
    assert found[3] == pytest.approx(rows[treatment == 3].mean())


@pytest.mark.parametrize("block", [1, 7, 2048])
def test_activity_in_blocks_is_activity(block, monkeypatch):
    monkeypatch.setattr(replicates, "_BLOCK", block)
    profiles, treatment, _, _, is_control = drawn(1)
    treatment = np.where(treatment == 5, np.arange(60) % 4 + 5, treatment)  # some alone
    whole = average_precision(profiles, treatment, controls=is_control)
    found = activity(profiles, treatment, is_control)
    is_there = np.isfinite(whole["precision"])
    for name in found:
        assert np.array_equal(found[name][is_there], whole[name][is_there])
    assert not np.isfinite(found["precision"][~is_there]).any()


def test_activity_is_that_of_copairs():
    copairs = pytest.importorskip("copairs.map")
    profiles, treatment, _, _, is_control = drawn(2, signal=0.4)
    meta = pandas.DataFrame({"Metadata_T": treatment, "Metadata_C": is_control.astype(int)})
    meta["Metadata_Ref"] = np.where(is_control, np.arange(60), -1)  # controls are no positives
    theirs = copairs.average_precision(meta, profiles, ["Metadata_T", "Metadata_Ref"], [], [],
                                       ["Metadata_C"])
    theirs = theirs[theirs["Metadata_C"] == 0]
    found = activity(profiles, treatment, is_control)
    assert np.allclose(found["precision"][~is_control], theirs["average_precision"], atol=1e-6)
    means = copairs.mean_average_precision(theirs, ["Metadata_T"], 10_000, 0.05, 0)
    ours = mean_average_precision(found, treatment, 10_000)
    assert np.allclose(ours["mean"], means["mean_average_precision"], atol=1e-6)
    is_drawn = ~ours["exact"]
    assert np.abs(ours["p"] - means["p_value"].to_numpy())[is_drawn].max(initial=0) <= 2e-4
    assert np.allclose(ours["p"][~is_drawn], means["p_value"][~is_drawn], atol=0.01)


def test_agreement_and_its_null():
    profiles, treatment, compound, _, is_control = drawn(3)
    found = agreement(profiles, treatment, compound, ~is_control)
    unit = profiles / np.linalg.norm(profiles, axis=1, keepdims=True)
    for k in range(12):
        mine = unit[treatment == k]
        pairs = [mine[i] @ mine[j] for i in range(4) for j in range(i)]
        assert found.median[k] == pytest.approx(np.median(pairs), abs=1e-5)
    assert np.isnan(found.median[12]) and np.isnan(found.p[12])
    assert (found.p[:12] <= 0.01).all() and found.p.min(initial=1, where=~np.isnan(found.p)) > 0
    assert abs(np.median(found.null)) < 0.3 and found.above == 1
    noise = agreement(drawn(4, 0)[0], treatment, compound, ~is_control)
    assert np.nanmean(noise.p) > 0.25 and noise.above < 0.3


def test_agreement_of_wells_that_are_alone():
    profiles = np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)
    found = agreement(profiles, np.arange(3), np.arange(3), np.ones(3, bool))
    assert np.isnan(found.median).all() and np.isnan(found.above)
    alone = agreement(profiles, np.zeros(3, int), np.zeros(3, int), np.ones(3, bool))
    assert np.isfinite(alone.median[0]) and np.isnan(alone.p[0]) and not len(alone.null)
