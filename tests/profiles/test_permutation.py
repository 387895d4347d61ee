# SPDX-License-Identifier: BSD-3-Clause
"""Sets of control wells: a slow twin that looks at all of them, the floor of p, and that chance is
what it says it is."""

from itertools import combinations, product

import numpy as np
import pytest

from phenoscale.profiles.permutation import Null, pattern_of


def slow_distances(profiles, plates, pattern):
    """Of every set of so many control wells of different plates."""
    rows = {plate: [i for i, one in enumerate(plates) if one == plate] for plate in set(plates)}
    found = {}
    for chosen in product(rows, repeat=len(pattern)):
        if len(set(chosen)) < len(pattern) or any(
                len(rows[plate]) <= m for plate, m in zip(chosen, pattern)):
            continue
        for drawn in product(*(combinations(rows[plate], m) for plate, m in zip(chosen, pattern))):
            mean = np.zeros(profiles.shape[1])
            for plate, mine in zip(chosen, drawn):
                n, m = len(rows[plate]), len(mine)
                mean += profiles[list(mine)].sum(axis=0) * (n - 1) / (n - m) / sum(pattern)
            found[tuple(sorted(sum(drawn, ())))] = float(np.linalg.norm(mean))
    return sorted(found.values())


PLATES = np.array([3, 3, 3, 8, 8, 8, 8, 5, 5])
PROFILES = np.random.default_rng(0).normal(size=(9, 4)).astype(np.float32)


@pytest.mark.parametrize("pattern", [(1,), (2,), (3,), (1, 1), (2, 1), (1, 1, 1), (2, 1, 1)])
def test_sets_equal_their_slow_twin(pattern):
    found = Null(PROFILES, PLATES).distances(pattern)
    assert found == pytest.approx(slow_distances(PROFILES, PLATES, pattern), rel=1e-5)


def test_p_has_its_exact_floor():
    null = Null(PROFILES, PLATES)
    assert null.p(1e9, (1,)) == (1 / 10, 1 / 10)
    assert null.p(0, (1,)) == (1, 1 / 10)
    distances = null.distances((1,))
    assert null.p(distances[-1], (1,))[0] == 2 / 10  # as far as one of nine


def test_more_wells_than_can_be_drawn_become_fewer():
    null = Null(PROFILES, PLATES)
    assert null.fitting((30,)) == (3,)  # of four, one is what they are compared with
    assert null.fitting((1, 1, 1, 1)) == (2, 1, 1)
    assert null.fitting((9, 9, 9, 9)) == (3, 2, 1)
    assert len(null.distances((9, 9, 9, 9))) > 0


def test_without_two_controls_of_a_plate_there_is_no_null():
    for profiles, plates in ((PROFILES[:2], [1, 2]), (PROFILES[:0], [])):
        null = Null(profiles, np.array(plates, int))
        assert len(null) == 0 and np.isnan(null.p(1.0, (1,))).all()


def test_draws_are_the_same_for_a_seed_and_their_number_is_kept():
    rng = np.random.default_rng(1)
    profiles, plates = rng.normal(size=(80, 5)).astype(np.float32), np.repeat(range(5), 16)
    null = Null(profiles, plates, draws=500)
    assert 450 < len(null.distances((2, 1))) <= 500
    assert np.array_equal(null.distances((2, 1)), Null(profiles, plates, 500).distances((2, 1)))


def test_p_of_wells_that_are_as_the_controls_is_uniform():
    """Nothing is done to half of the wells: a twentieth of them have p <= 0.05, or fewer."""
    rng, low = np.random.default_rng(4), []
    for _ in range(60):
        null = Null(rng.normal(size=(32, 6)).astype(np.float32), np.repeat(range(4), 8))
        for pattern in ((1,), (1, 1), (2, 1)):
            means = [rng.normal(size=(m, 6)).sum(axis=0) for m in pattern]
            far = np.linalg.norm(np.sum(means, axis=0) / sum(pattern))
            low.append(null.p(far, pattern)[0] <= 0.05)
    assert np.mean(low) <= 0.1


def test_the_pattern_of_plates():
    assert pattern_of(np.array([5, 1, 5, 5, 2, 1])) == (3, 2, 1)
