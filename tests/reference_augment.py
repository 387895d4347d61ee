# SPDX-License-Identifier: BSD-3-Clause
"""The slow twin of the augmentations, and of the random numbers that decide them."""

import numpy as np


def random_unit(*words):
    """Number in [0, 1) that whole numbers decide: splitmix64 (Steele, Lea, Flood 2014)."""
    mask, state = (1 << 64) - 1, 0
    for word in words:
        state = (state + word + 0x9E3779B97F4A7C15) & mask
        state = (state ^ state >> 30) * 0xBF58476D1CE4E5B9 & mask
        state = (state ^ state >> 27) * 0x94D049BB133111EB & mask
        state ^= state >> 31
    return (state >> 11) / 2**53


# An augmentation makes a new field (c, h, w) from one; draw(0), draw(1) ... are in [0, 1).
def flip(field, draw):
    """Each axis reversed or not."""
    upside, mirror = (-1 if draw(k) < 0.5 else 1 for k in (0, 1))
    return field[:, ::upside, ::mirror]


def turn(field, draw):
    """Quarter turns of a square field."""
    return np.rot90(field, int(draw(0) * 4), axes=(1, 2))


def shift(field, draw):
    """Up to a sixteenth of each side; the border is mirrored."""
    _, h, w = field.shape
    reach = h // 16, w // 16
    y, x = (int(draw(k) * (2 * reach[k] + 1)) for k in (0, 1))
    wider = np.pad(field, ((0, 0), (reach[0],) * 2, (reach[1],) * 2), "symmetric")
    return wider[:, y : y + h, x : x + w]


def intensity(field, draw):
    """Each channel times 0.8 to 1.25, rounded and clipped to what its type holds."""
    u = np.array([draw(k) for k in range(len(field))])[:, None, None]
    values = field * np.where(u < 0.5, 0.8 + 0.4 * u, 1 / (1.2 - 0.4 * u))
    if field.dtype.kind == "u":
        values = np.clip(np.floor(values + 0.5), 0, np.iinfo(field.dtype).max)
    return values.astype(field.dtype)


AUGMENTS = {"flip": flip, "turn": turn, "shift": shift, "intensity": intensity}


def augment(field, names, seed, epoch, sample):
    """The field after the named augmentations, in the order of the table."""
    for row, (name, change) in enumerate(AUGMENTS.items(), 1):
        if name in names:
            field = change(field, lambda k: random_unit(seed, epoch, sample, row << 8 | k))
    return field
