# SPDX-License-Identifier: BSD-3-Clause
"""Streams of random numbers: one for each purpose, the same whoever asks."""

import numpy as np

from phenoscale.simulation.chance import stream


def test_a_stream_is_of_its_words_alone():
    one, again, other, seed = (stream(*words).random(5) for words in (
        (0, "plate", 1), (0, "plate", 1), (0, "plate", 2), (1, "plate", 1)))
    assert (one == again).all()
    assert not np.isclose(one, other).any() and not np.isclose(one, seed).any()
