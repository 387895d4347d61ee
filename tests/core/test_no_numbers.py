# SPDX-License-Identifier: BSD-3-Clause
"""Numbers that are none, NaN or infinite, and such as become so on the way: each is refused or
seen in what comes out, whichever layer or measure it meets."""

import numpy as np
import pytest

from phenoscale import _core
from phenoscale.models.networks import describe

SIDE = 128
INPUT = f"f: input channels=2 height={SIDE} width={SIDE}\n"
#: What a NaN meets between the field and the logits.
NETWORKS = {
    "tower": "s: tower filters=4 window=8\ng: gap\n",
    "tower, ReLU": "s: tower filters=4 window=8\nm: conv filters=4 kernel=1 relu=1\ng: gap\n",
    "windows of 2": "s: tower filters=4 window=2\nm: conv filters=4 kernel=3 relu=1\n",
    "pyramid": "p: pyramid levels=2\ns: tower filters=17 window=8 level=2 from=p\n"
               "g: gap rectify=1\n",
    "plain": "c: conv filters=4 kernel=5 relu=1\np: pool window=8\nd: dense units=5 relu=1\n",
    "linear": "c: conv filters=4 kernel=3\np: pool window=16\ng: gap rectify=1\n",
}


def make(layers, training=False):
    net = _core.Net(INPUT + layers + "z: dense units=3", training=training)
    net.initialise(1)
    return net


def field(value=None, dtype="float32"):
    pixels = np.random.default_rng(0).integers(0, 100, (2, SIDE, SIDE)).astype(dtype)
    if value is not None:
        pixels[1, 40, 41] = value
    return pixels


ONE, NONE = np.float32([1, 1]), np.float32([0, 0])


@pytest.mark.parametrize(("name", "value"), [
    (name, value) for name in NETWORKS for value in (3e38, -3e38)
    if (name, value) != ("pyramid", -3e38)])  # of which a maximum makes nothing, rightly
def test_what_overflows_within_is_seen(name, value):
    """A finite pixel, a code for "no data", whose sums are none: never the logits of another."""
    fields = [field(value)]
    try:
        logits, _ = make(NETWORKS[name]).predict(fields, ONE, NONE)
    except OverflowError as error:
        assert "too large for float32" in str(error)
    else:  # no sum of this network left the range
        assert np.abs(logits).max() > 1e30
    net = make(NETWORKS[name], training=True)
    net.begin()
    net.forward(fields, ONE, NONE)
    loss, logits = net.backward([0], [1.0])
    norm = net.gradient()
    assert np.abs(logits).max() > 1e30 or not np.isfinite(logits).all()
    assert np.isfinite(logits).all() or not np.isfinite(norm) or not np.isfinite(loss).all()


@pytest.mark.parametrize("gain", [None, 1, 1e20])
def test_the_published_network_sees_it_too(gain):
    net = _core.Net(describe("mcnn", 2, SIDE, SIDE, 3))
    net.initialise(0)
    words = () if gain is None else (np.full((2, SIDE, SIDE), gain, np.float32),)
    with pytest.raises((OverflowError, ValueError), match="too large for float32"):
        net.predict([field(3e38)], ONE, NONE, *words)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_numbers_beside_the_pixels_are_looked_at(name, value, dtype):
    """Scale, offset and gain come from a model or a caller."""
    net, fields, bad = make(NETWORKS[name]), [field(dtype=dtype)], np.float32([1, value])
    gain = np.ones((2, SIDE, SIDE), np.float32)
    gain[1, 3, 4] = value
    for which, numbers in (("scale", (bad, NONE)), ("offset", (ONE, bad)),
                           ("gain", (ONE, NONE, gain))):
        with pytest.raises(ValueError, match=f"1 numbers of a field's {which} are NaN"):
            net.predict(fields, *numbers)


@pytest.mark.parametrize("name", NETWORKS)
def test_products_that_overflow_are_refused(name):
    """0 * infinity within a pyramid's maxima would be gone."""
    net, gain = make(NETWORKS[name]), np.full((2, SIDE, SIDE), 1e10, np.float32)
    with pytest.raises(ValueError, match="counts .* too large for float32"):
        net.predict([field(3e30)], ONE, NONE, gain)
    with pytest.raises(ValueError, match="counts .* too large for float32"):
        net.predict([field(60000, "uint16")], ONE * np.float32(1e35), NONE)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("place", [(0, 0), (5, 6), (11, 12)])
def test_measures_of_no_numbers_are_refused(value, place):
    """First, last or in the middle: a comparison would pass over a NaN."""
    plane = np.ones((12, 13), np.float32)
    plane[place] = value
    for call in (lambda: _core.measure(plane), lambda: _core.numbers(plane[None]),
                 lambda: _core.numbers(np.stack([np.ones_like(plane), plane]), 0)):
        with pytest.raises(ValueError, match="1 pixels of a (plane|field) are NaN or infinite"):
            call()
    with pytest.raises(_core.ImageError, match="NaN or infinite"):
        _core.check_floats(plane)


@pytest.mark.parametrize("at", [0, 1, 2])
@pytest.mark.parametrize("z", _core.z_names())
def test_a_projection_keeps_what_is_no_number(z, at):
    stack = np.ones((3, 4, 5), np.float32)
    stack[at, 2, 3] = np.nan
    plane = _core.z(z, stack)
    assert np.isnan(plane[2, 3]) and np.isnan(plane).sum() == 1
    assert np.isnan(_core.bin(plane, 2)).sum() == 1
