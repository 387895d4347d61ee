# SPDX-License-Identifier: BSD-3-Clause
"""The slow twin itself: its gradients against central differences, its rules against examples."""

import math

import numpy as np
import pytest

import reference
import reference_augment
from reference import ReferenceNet

EPSILON = 1e-5

FIELD = "field: input channels={c} height={h} width={w} pad={pad}\n"
NETS = {
    "dense": "a: dense units=3",
    "dense_relu": "a: dense units=4 relu=1\nb: dense units=3",
    "conv": "a: conv filters=3 kernel=3\nz: dense units=2",
    "conv_relu": "a: conv filters=3 kernel=5 relu=1\nz: dense units=2",
    "conv_1x1": "a: conv filters=3 kernel=1 relu=1\nb: conv filters=2 kernel=3\nz: dense units=2",
    "pool": "a: conv filters=2 kernel=3\nb: pool window=3\nz: dense units=2",
    "pool_of_pool": "a: conv filters=2 kernel=3\nb: pool window=2\nc: pool window=2\n"
                    "z: dense units=2",
    "merge": "a: conv filters=2 kernel=3 relu=1\nb: conv filters=3 kernel=1 from=field\n"
             "m: merge from=b,a,field\nz: dense units=2",
    "gap": "a: conv filters=3 kernel=3\ng: gap\nz: dense units=2",
    "rectify": "a: conv filters=3 kernel=3\ng: gap rectify=1\nb: dense units=5 rectify=1\n"
               "z: dense units=2 rectify=1",
    "whole": "s0: conv filters=2 kernel=3 relu=1\np0: pool window=4\n"
             "h1: pool window=2 from=field\ns1: conv filters=3 kernel=3 relu=1\n"
             "p1: pool window=2\nm: merge from=p0,p1\nn: conv filters=4 kernel=1 relu=1\n"
             "g: gap\nd: dense units=5 relu=1\nz: dense units=3",
}


def numeric(function, at, places=None):
    """Central differences of a function of a flat vector, at some places of it or at all."""
    result = []
    for k in range(at.size) if places is None else places:
        above, below = at.copy(), at.copy()
        above[k] += EPSILON
        below[k] -= EPSILON
        result.append((function(above) - function(below)) / (2 * EPSILON))
    return np.array(result)


@pytest.mark.parametrize("name", NETS)
@pytest.mark.parametrize("c, h, w, pad", [(1, 7, 9, 1), (2, 9, 6, 4), (3, 8, 8, 8)])
def test_gradient_is_the_slope(name, c, h, w, pad):
    """Gradients of every layer by every parameter, through nets that contain it."""
    net = ReferenceNet(FIELD.format(c=c, h=h, w=w, pad=pad) + NETS[name])
    random = np.random.default_rng(hash_of(name, c, h, w))
    fields = random.normal(size=(2, c, h, w))
    scale, offset = random.uniform(0.5, 1, c), random.uniform(-0.5, 0.5, c)
    gain = random.uniform(0.5, 1.5, (c, h, w))
    weights = [0.7, 0.4]
    parameters = random.normal(size=net.count) * 0.3

    def loss(p):
        return net.step(p, fields, [0, 1], weights, scale, offset, gain, smoothing=0.1)[0]

    _, _, gradient, margin = net.step(parameters, fields, [0, 1], weights, scale, offset, gain,
                                      smoothing=0.1)
    places = np.concatenate([  # at most 25 of each tensor
        at + random.permutation(math.prod(shape))[:25] for _, at, shape, _ in net.slices])
    slope = numeric(loss, parameters, places)
    worst = np.abs(gradient[places] - slope).max() / np.abs(slope).max()
    assert worst < 1e-6 or margin < 1e-4, (worst, margin)
    assert worst < 1e-2


def hash_of(name, *numbers):
    """A seed that is the same in every process."""
    return [ord(letter) for letter in name] + list(numbers)


def test_every_layer_is_tried():
    tried = {line.split(": ")[1].split()[0] for net in NETS.values() for line in net.splitlines()}
    assert tried | {"input"} == set(reference.LAYERS)


@pytest.mark.parametrize("name", reference.LOSSES)
@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.9])
def test_loss_gradient_is_the_slope(name, smoothing):
    logits = np.random.default_rng(1).normal(size=7) * 3
    loss = reference.LOSSES[name]
    slope = numeric(lambda x: loss(x, 3, smoothing)[0], logits)
    assert np.abs(loss(logits, 3, smoothing)[1] - slope).max() < 1e-8


def test_softmax_loss_by_hand():
    loss, gradient = reference.softmax_loss([0.0, math.log(3)], 1)
    assert loss == pytest.approx(-math.log(0.75))
    assert gradient == pytest.approx([0.25, -0.25])


@pytest.mark.parametrize("name", reference.OPTIMIZERS)
def test_optimizers_go_down(name):
    """A bowl of very different slopes is descended to its bottom."""
    update, n_states = reference.OPTIMIZERS[name]
    steepness, weights = np.array([1.0, 10.0]), np.array([3.0, -2.0])
    states = [np.zeros(2) for _ in range(n_states)]
    recipe = {"rate": 0.02, "momentum": 0.9, "second": 0.999, "epsilon": 1e-8}
    for step in range(1, 1001):
        update(weights, steepness * weights, states, step, recipe)
    assert np.abs(weights).max() < 1e-3


def test_decay_spares_biases():
    g = reference.effective_gradient(np.ones(2), np.full(2, 4.0), np.array([False, True]), 0.5, 3)
    assert g.tolist() == [5, 3]


def test_convolution_by_hand():
    net = ReferenceNet("f: input channels=1 height=2 width=3\na: conv filters=1 kernel=3\n"
                       "z: dense units=1")
    kernel = np.zeros((3, 3))
    kernel[1, 2] = 1  # the pixel to the right
    parameters = np.zeros(net.count)
    parameters[:9] = kernel.ravel()
    net.forward(parameters, np.arange(6.0).reshape(1, 2, 3))
    assert net.layers["a"].z[:, :, 0].tolist() == [[1, 2, 0], [4, 5, 0]]


def test_pool_takes_the_first_of_equals_and_nan():
    pool = reference.Pool({"window": 2}, [reference.Input(
        {"channels": 1, "height": 2, "width": 5}, [])])
    image = np.array([[1.0, 3, 2, np.nan, 9], [3, 3, 5, 4, 9]])[:, :, None]
    values = pool.forward([image], [])
    assert values[0, 0, 0] == 3 and math.isnan(values[0, 1, 0])
    where = pool.backward(np.ones((1, 2, 1)))[0][0][:, :, 0]
    assert where.tolist() == [[0, 1, 0, 1, 0], [0, 0, 0, 0, 0]]


@pytest.mark.parametrize("size, pad, padded, top",
                         [(724, 128, 768, 22), (5, 4, 8, 1), (8, 4, 8, 0)])
def test_padding_is_centred_and_zero(size, pad, padded, top):
    layer = reference.Input({"channels": 1, "height": size, "width": 4, "pad": pad}, [])
    values = layer.forward((np.full((1, size, 4), 2), [0.5], [3.0], None), [])
    assert layer.shape[0] == padded
    filled = np.flatnonzero(values[:, values.shape[1] // 2, 0])
    assert (filled[0], len(filled)) == (top, size)
    assert values.max() == 4


def test_gap_leaves_padding_out():
    """Rows 4..6 of 12 hold the field: only the middle row of three cells sees it."""
    net = ReferenceNet("f: input channels=1 height=3 width=4 pad=12\np: pool window=4\n"
                       "g: gap\nz: dense units=1")
    mask = net.layers["g"].mask
    assert mask.tolist() == [[False] * 3, [False, True, False], [False] * 3]
    assert net.forward(np.zeros(net.count), -np.ones((1, 3, 4)))[1].tolist() == [0, 0]


@pytest.mark.parametrize("n", range(1, 10))
def test_tree_sums_all_once_in_its_order(n):
    leaves = np.random.default_rng(n).normal(size=(n, 5)).astype(np.float32)
    before = leaves.copy()
    total = reference.pairwise_sum(leaves)
    assert total == pytest.approx(leaves.sum(0), rel=1e-5)
    assert np.array_equal(leaves, before)
    halves = [reference.pairwise_sum(part) for part in (leaves[:8], leaves[8:]) if len(part)]
    assert np.array_equal(total, reference.pairwise_sum(halves))  # blocks of a power of two


def test_augmentations_by_hand():
    field = np.arange(1, 5, dtype=np.uint8).reshape(1, 2, 2)
    assert reference_augment.flip(field, [0.4, 0.6].__getitem__).tolist() == [[[3, 4], [1, 2]]]
    assert reference_augment.turn(field, lambda k: 0.25).tolist() == [[[2, 4], [1, 3]]]
    darker, brighter = (reference_augment.intensity(field * 60, draw)
                        for draw in (lambda k: 0.0, lambda k: 0.999))
    assert darker.tolist() == [[[48, 96], [144, 192]]] and brighter[0, 1, 1] == 255
    line = np.arange(16)[None, None]
    assert reference_augment.shift(line, lambda k: 0.0)[0, 0, :3].tolist() == [0, 0, 1]
    assert reference_augment.shift(line, lambda k: 0.9)[0, 0, -2:].tolist() == [15, 15]


def test_random_numbers_are_uniform_and_keyed():
    draws = np.array([[reference_augment.random_unit(1, 2, sample, k) for sample in range(2000)]
                      for k in (0, 1)])
    assert 0 <= draws.min() and draws.max() < 1
    assert np.abs(draws.mean(1) - 0.5).max() < 0.02 and np.abs(draws.var(1) - 1 / 12).max() < 4e-3
    assert abs(np.corrcoef(draws)[0, 1]) < 0.06
