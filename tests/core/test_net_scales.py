# SPDX-License-Identifier: BSD-3-Clause
"""Scale and offset of each field of a batch: bit for bit what the field is alone."""

import numpy as np
import pytest

import reference
from agreement import random_case, train_net
from phenoscale import _core

SMALL = """
field: input channels=2 height=20 width=26 pad=8
s0: conv filters=4 kernel=5 relu=1
p0: pool window=4
d: dense units=17 relu=1
z: dense units=3
""".strip()


def by_field(case, seed=3):
    """Scales and offsets (n, c) about those of a case."""
    rng, shape = np.random.default_rng(seed), (len(case.fields), len(case.scale))
    return (case.scale * rng.uniform(0.5, 2, shape)).astype(np.float32), (
        case.offset + rng.uniform(-1, 1, shape)).astype(np.float32)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_each_field_may_have_its_own_scale_and_offset(dtype):
    """Bit for bit what it is alone: forward, and the sum of the gradients."""
    case = random_case(np.random.default_rng(2), 5, 2, 20, 26, 3, dtype)
    scale, offset = by_field(case)
    net = train_net(SMALL, case)
    logits, embeddings = net.predict(case.fields, scale, offset)
    single = []
    for i in range(5):
        one = case.fields[i : i + 1]
        alone = net.predict(one, scale[i], offset[i])
        assert np.array_equal(alone[0][0], logits[i])
        assert np.array_equal(alone[1][0], embeddings[i])
        net.begin()
        net.forward(one, scale[i], offset[i])
        net.backward(case.labels[i : i + 1], case.weights[i : i + 1])
        net.gradient()
        single.append(net.gradients.copy())
    net.begin()
    net.forward(case.fields, scale, offset)
    assert np.array_equal(net.backward(case.labels, case.weights)[1], logits)
    net.gradient()
    head = next(at for name, at, *_ in net.slices if name == "d.weight")
    assert np.array_equal(reference.pairwise_sum(single)[:head], net.gradients[:head])
    assert not np.array_equal(logits, net.predict(case.fields, case.scale, case.offset)[0])


@pytest.mark.parametrize("shape", [(4, 2), (5, 3), (5, 1), (1, 5, 2), (3,), (0, 2)])
def test_scales_of_another_shape_are_refused(shape):
    case = random_case(np.random.default_rng(2), 5, 2, 20, 26, 3)
    net = _core.Net(SMALL)
    for numbers in ((np.ones(shape), case.offset), (case.scale, np.ones(shape))):
        with pytest.raises(ValueError, match=r"or a row of them a field|object.*depth|too deep"):
            net.predict(case.fields, *numbers)
