# SPDX-License-Identifier: BSD-3-Clause
"""Fields unlike every class are found, others are not, by whole groups."""

import numpy as np
import pytest

pytest.importorskip("pandas"), pytest.importorskip("sklearn")
from phenoscale.models.head import Head
from phenoscale.training.novelty import fit_novelty

N = 12
HEAD = Head("both", [f"m{k}" for k in range(N)], None, 1.0, "", np.zeros(N, np.float32),
            np.ones(N, np.float32))


def fields(n, classes=2, seed=0):
    """Numbers (n, N) that go together in part, about the centre of each class; labels; wells."""
    mix = np.random.default_rng(99).normal(size=(N, N)) / 4
    rng = np.random.default_rng(seed)
    labels = np.arange(n) // 2 % classes
    centres = 2 * np.random.default_rng(98).normal(size=(classes, N))
    return ((centres[labels] + rng.normal(size=(n, N)) @ mix).astype(np.float32), labels,
            np.arange(n) // 2)


def test_others_of_the_classes_are_within_and_strangers_without():
    found = fit_novelty(HEAD, *fields(400))
    far = found.of(HEAD, fields(400, seed=1)[0])
    assert 0.02 < (far > 1).mean() < 0.10  # 5 %
    strangers, _, _ = fields(400, classes=5, seed=2)
    unseen = fields(400, classes=5)[1] >= 2
    assert (found.of(HEAD, strangers[unseen]) > 1).mean() > 0.95
    assert "95% of the training fields" in found.why and "5 inner folds" in found.why


def test_the_limit_is_found_on_wells_that_were_not_looked_at():
    """Copies within a well would be near themselves."""
    numbers, labels, _ = fields(60, seed=3)
    numbers, labels = np.repeat(numbers, 4, axis=0), np.repeat(labels, 4)
    wells = np.repeat(np.arange(60), 4)
    apart = fit_novelty(HEAD, numbers, labels, np.arange(240))
    assert fit_novelty(HEAD, numbers, labels, wells).limit > apart.limit


def test_without_folds():
    numbers, labels, _ = fields(8)
    assert fit_novelty(HEAD, numbers, labels, labels) is None


def test_a_number_that_never_varies():
    numbers, labels, wells = fields(80)
    numbers[:, 3] = 7.0
    found = fit_novelty(HEAD, numbers, labels, wells)
    assert np.isfinite(found.whiten).all() and np.isfinite(found.of(HEAD, numbers)).all()


def test_fields_that_are_all_alike():
    numbers, labels, wells = fields(80)
    assert fit_novelty(HEAD, np.zeros_like(numbers), labels, wells) is None


def test_more_measures_than_fields():
    rng = np.random.default_rng(5)
    n = 400
    head = Head("both", [f"m{k}" for k in range(n)], None, 1.0, "", np.zeros(n, np.float32),
                np.ones(n, np.float32))
    values = np.tile(rng.normal(size=(20, 1)), (1, n)) * (np.arange(n) < 3)
    found = fit_novelty(head, values.astype(np.float32), np.arange(20) // 2 % 2, np.arange(20) // 2)
    assert found is None or np.isfinite(found.of(head, values.astype(np.float32))).all()
