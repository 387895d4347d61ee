# SPDX-License-Identifier: BSD-3-Clause
"""Profiles by a fit: what the steps do together, what is stored, what is refused."""

import numpy as np
import pytest

import profiled
from phenoscale.errors import InputError
from phenoscale.profiles.components import covariance, directions
from phenoscale.profiles.fitted import Recipe
from phenoscale.profiles.position import places_of
from phenoscale.profiles.sphering import sphering_matrix
from phenoscale.profiles.standardise import pooled_spread
from phenoscale.screening.asked import Asked
from phenoscale.screening.fit import apply_fit, make_fit, refuse_bare_plates
from phenoscale.screening.wells import read_wells


def read(**words):
    wells = read_wells([profiled.predictions(**words)], Asked())
    return wells, places_of(wells.frame["Metadata_Well"])


def slow_standardised(wells):
    """By each plate's controls, mean and SD, this at least half of that of all."""
    found = np.empty_like(wells.values, dtype=float)
    least = pooled_spread(wells.values, wells.plate, wells.is_control, "mean") / 2
    for plate in np.unique(wells.plate):
        rows = wells.plate == plate
        controls = wells.values[rows & wells.is_control].astype(float)
        found[rows] = (wells.values[rows] - controls.mean(axis=0)) / np.maximum(
            controls.std(axis=0, ddof=1), least)
    return found


def test_steps_in_their_order_equal_a_slow_twin():
    wells, places = read()
    flat = slow_standardised(wells)
    axes = directions(np.cov(flat, rowvar=False))[1]
    made = make_fit(wells, Recipe("mean", "mean", share=0.9, eps=0.1), places)
    axes = axes[:, : made.fitted.columns]
    turned = flat @ axes
    matrix = sphering_matrix(*directions(covariance(turned[wells.is_control].astype(
        np.float32))[1]), 0.1)
    assert made.fitted.columns < profiled.FEATURES
    assert any("of the spreads of single plates lifted" in note for note in made.notes)
    assert np.allclose(made.profiles, turned @ matrix, rtol=1e-3, atol=1e-3)


def test_applied_is_what_was_fitted():
    wells, places = read()
    for recipe in (Recipe("mean", "robust", True, False, 0.95, 0.3), Recipe("mean", "mean"),
                   Recipe("mean", "none", False, True, 0.9), Recipe("mean", "mean", eps=1.0)):
        made = make_fit(read()[0], recipe, places)
        again = apply_fit(read()[0], made.fitted, places)
        assert np.array_equal(made.profiles, again.profiles)
        assert np.array_equal(made.apart, again.apart)


def test_controls_lie_about_0_and_held_out_ones_farther():
    wells, places = read()
    made = make_fit(wells, Recipe("mean", "mean", eps=0.01), places)
    inside = np.linalg.norm(made.profiles[wells.is_control], axis=1)
    assert np.abs(made.profiles[wells.is_control].mean(axis=0)).max() < 1e-3
    assert np.median(np.linalg.norm(made.fitted.null, axis=1)) > 1.1 * np.median(inside)
    assert len(made.fitted.null) == 32 == len(made.fitted.null_plates)
    treated = ~wells.is_control
    assert np.array_equal(made.apart[treated], made.profiles[treated])


def test_without_standardising_distances_are_still_from_the_plates_controls():
    wells, places = read()
    made = make_fit(wells, Recipe("mean", "none", False, True), places)
    for plate in np.unique(wells.plate):
        own = wells.is_control & (wells.plate == plate)
        assert np.abs(made.apart[own].mean(axis=0)).max() < 1e-4
    assert np.linalg.norm(made.profiles.mean(axis=0)) < 1e-3
    none, places = read(controls=0)
    assert np.isnan(make_fit(none, Recipe("mean", "none"), places).apart).all()


def test_features_that_do_not_vary_are_left_out():
    frame = profiled.predictions()
    frame["Image_Phenoscale_Emb0004"] = 7.0
    wells = read_wells([frame], Asked())
    places = places_of(wells.frame["Metadata_Well"])
    for recipe in (Recipe("mean", "mean"), Recipe("mean", "none", False, True)):
        made = make_fit(read_wells([frame], Asked()), recipe, places)
        assert made.fitted.columns == profiled.FEATURES - 1
        assert "Image_Phenoscale_Emb0004" not in made.fitted.features
        assert any("1 feature left out" in note for note in made.notes)


def test_few_controls_are_said_and_none_are_refused():
    wells, places = read(controls=2)
    made = make_fit(wells, Recipe("mean", "mean"), places)
    assert any("fewer than 4 negative control wells on P1, P2, P3 and 1 more" in note
               for note in made.notes)
    wells, places = read(controls=1)
    with pytest.raises(InputError, match="no plate has two negative control wells"):
        make_fit(wells, Recipe("mean", "mean"), places)
    frame = profiled.predictions()
    frame = frame[(frame["Metadata_Plate"] != "P2") | (frame["Metadata_Compound"] != "DMSO")]
    with pytest.raises(InputError, match="1 plate without a negative control well, P2"):
        refuse_bare_plates(read_wells([frame], Asked()))
