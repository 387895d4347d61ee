# SPDX-License-Identifier: BSD-3-Clause
"""The slow twin of the augmentations, and of the random numbers that decide them."""

import numpy as np

_STEP = 0x9E3779B97F4A7C15


def _mixed(state):
    mask = (1 << 64) - 1
    state = (state ^ state >> 30) * 0xBF58476D1CE4E5B9 & mask
    state = (state ^ state >> 27) * 0x94D049BB133111EB & mask
    return state ^ state >> 31


def random_bits(*words):
    """The 64 bits that whole numbers decide: splitmix64 (Steele, Lea, Flood 2014)."""
    state = 0
    for word in words:
        state = _mixed(state + word + _STEP & (1 << 64) - 1)
    return state


def random_unit(*words):
    """Number in [0, 1) that whole numbers decide."""
    return (random_bits(*words) >> 11) / 2**53


def bell(start, n):
    """n numbers of splitmix64 from a start, each the sum of its bytes, of mean 0 and variance 1."""
    numbers = [_mixed(start + i * _STEP & (1 << 64) - 1) for i in range(1, n + 1)]
    sums = np.array([sum(number.to_bytes(8, "little")) for number in numbers])
    return (sums - 8 * 127.5) / np.sqrt(8 * (256**2 - 1) / 12)


def as_pixels(values, dtype):
    """Rounded and clipped to what a type holds."""
    if np.dtype(dtype).kind == "u":
        values = np.clip(np.floor(values + 0.5), 0, np.iinfo(dtype).max)
    return values.astype(dtype)


# An augmentation makes a new field (c, h, w) from one; draw(0), draw(1) ... are in [0, 1), and
# draw.bits(0), ... are the same before they become that.
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
    return as_pixels(field * np.where(u < 0.5, 0.8 + 0.4 * u, 1 / (1.2 - 0.4 * u)), field.dtype)


def rotate(field, draw):
    """Up to 10 degrees about the centre, bilinear; the border is mirrored."""
    _, h, w = field.shape
    angle = np.radians(10 * (2 * draw(0) - 1))
    middle = np.array([(h - 1) / 2, (w - 1) / 2]).reshape(2, 1, 1)
    y, x = np.mgrid[:h, :w] - middle
    y, x = np.array([np.cos(angle) * y - np.sin(angle) * x,
                     np.sin(angle) * y + np.cos(angle) * x]) + middle
    wide = h + w  # no corner turns farther out
    wider = np.pad(field.astype(float), ((0, 0), (wide,) * 2, (wide,) * 2), "symmetric")
    values = 0
    for dy in (0, 1):
        for dx in (0, 1):
            at_y, at_x = np.floor(y).astype(int) + dy, np.floor(x).astype(int) + dx
            weight = (1 - abs(y - at_y)) * (1 - abs(x - at_x))
            values = values + weight * wider[:, at_y + wide, at_x + wide]
    return as_pixels(values, field.dtype)


def noise(field, draw):
    """Noise whose standard deviation is 0 to a tenth of the channel's own."""
    values = field.astype(float)
    for k, channel in enumerate(values):
        deviation = 0.1 * draw(k) * channel.std()
        channel += deviation * bell(draw.bits(64 + k), channel.size).reshape(channel.shape)
    return as_pixels(values, field.dtype)


def drop(field, draw):
    """One channel in ten, never all, becomes its own mean."""
    u = np.array([draw(k) for k in range(len(field))])
    dropped = (u < 0.1) & (np.arange(len(u)) != u.argmax())
    means = as_pixels(field.mean(axis=(1, 2), dtype=float), field.dtype)
    return np.where(dropped[:, None, None], means[:, None, None], field)


AUGMENTS = {"flip": flip, "turn": turn, "shift": shift, "intensity": intensity, "rotate": rotate,
            "noise": noise, "drop": drop}


class Draw:
    """The random numbers of a sample in a row of the table."""

    def __init__(self, *words):
        *self._sample, self._row = words

    def bits(self, number):
        """64 of them."""
        return random_bits(*self._sample, self._row << 8 | number)

    def __call__(self, number):
        return (self.bits(number) >> 11) / 2**53


def augment(field, names, seed, epoch, sample):
    """The field after the named augmentations, in the order of the table."""
    for row, (name, change) in enumerate(AUGMENTS.items(), 1):
        if name in names:
            field = change(field, Draw(seed, epoch, sample, row))
    return field
