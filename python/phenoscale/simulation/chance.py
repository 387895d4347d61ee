# SPDX-License-Identifier: BSD-3-Clause
"""The random numbers of a simulated screen: a stream of its own for each thing that is drawn."""

import hashlib

import numpy as np


def stream(seed, *words):
    """A generator of its own for every purpose, plate, well and site."""
    digest = hashlib.blake2b(repr((int(seed),) + words).encode(), digest_size=16).digest()
    return np.random.Generator(np.random.Philox(key=np.frombuffer(digest, "<u8")))
