# SPDX-License-Identifier: BSD-3-Clause
"""Every layer type of the C core against its slow twin, over odd and tiny shapes."""

import numpy as np
import pytest

from agreement import GRADIENT, compare, gradient_excess, random_case, run_step, train_net
from phenoscale import _core
from phenoscale.models import networks
from reference import LAYERS, ReferenceNet

SHAPES = 20
CHANNELS = [1, 2, 3, 5, 8, 16, 17]
DTYPES = ["uint8", "uint16", "float32"]


def input_net(random, h, w):
    """Padding of every kind: none, an even rest, an odd rest."""
    return "z: dense units=3", int(random.choice([1, 2, 5, 8, 32]))


def conv_net(random, h, w):
    """Two of them, so that the gradient by the input of one is tried as well."""
    f, g = random.choice(CHANNELS, 2)
    k, m = random.choice([1, 3, 5], 2)
    relu, other = random.integers(0, 2, 2)
    return (f"a: conv filters={f} kernel={k} relu={relu}\n"
            f"b: conv filters={g} kernel={m} relu={other}\nz: dense units=3"), 1


def pool_net(random, h, w):
    """A maximum straight from the field and one behind a convolution; VALID leaves rests out."""
    f, window = random.choice(CHANNELS), random.integers(1, min(h, w, 7) + 1)
    return (f"a: conv filters={f} kernel=3\np: pool window={window}\n"
            f"q: pool window={window} from=field\nm: merge from=p,q\nz: dense units=3"), 1


def merge_net(random, h, w):
    """Four sources, some with parameters above them; one map without is read three times."""
    f, g = random.choice(CHANNELS, 2)
    return (f"a: conv filters={f} kernel=3 relu=1\nb: conv filters={g} kernel=1 from=field\n"
            "m: merge from=b,field,a,field\nn: conv filters=4 kernel=1 relu=1\n"
            "z: dense units=3"), 1


def gap_net(random, h, w):
    """Behind pools, with cells of the padding to be left out."""
    f, window = random.choice(CHANNELS), int(random.choice([1, 2, 4]))
    rectify = random.integers(2)
    return (f"a: conv filters={f} kernel=3\np: pool window={window}\ng: gap rectify={rectify}\n"
            "z: dense units=3"), window * int(random.choice([1, 3, 8]))


def dense_net(random, h, w):
    """A chain of them: behind a map, behind each other; ReLUs of the writer or of the reader."""
    units, more = random.choice([1, 2, 7, 16, 33], 2)
    relu, first, last = random.integers(0, 2, 3)
    return (f"a: conv filters=3 kernel=3 relu=1\nb: dense units={units} relu={relu} "
            f"rectify={first}\nc: dense units={more} relu={1 - last}\n"
            f"z: dense units=3 rectify={last}"), 1


def pyramid_net(random, h, w):
    """Every level read by a tower."""
    levels = int(np.log2(min(h, w)))
    if levels == 0:  # a field of one pixel
        return "a: tower from=field filters=3 window=1\nz: dense units=3", 1
    towers = "".join(f"t{level}: tower from=p level={level} filters=3 "
                     f"window={2 ** (levels - level)}\n" for level in range(1, levels + 1))
    names = ",".join(f"t{level}" for level in range(1, levels + 1))
    return f"p: pyramid levels={levels}\n{towers}m: merge from={names}\nz: dense units=3", 1


def tower_net(random, h, w):
    """Windows of one pixel to the whole field; filters that fill a block of 16 and that do not."""
    window = 2 ** int(random.integers(0, int(np.log2(min(h, w))) + 1))
    return (f"a: tower from=field filters={random.choice([1, 4, 16, 19, 32])} window={window}\n"
            "z: dense units=3"), 1


NETS = {"input": input_net, "conv": conv_net, "pool": pool_net, "merge": merge_net,
        "gap": gap_net, "dense": dense_net, "pyramid": pyramid_net, "tower": tower_net}
agreed = dict.fromkeys(NETS, 0)


def test_every_layer_type_is_tried():
    assert set(NETS) == set(LAYERS) | set(networks.PLAIN_LAYERS) == set(_core.layer_names())


@pytest.mark.parametrize("number", range(SHAPES))
@pytest.mark.parametrize("kind", NETS)
def test_layer_equals_twin(kind, number):
    random = np.random.default_rng([number, *kind.encode()])
    c, n = random.choice(CHANNELS), random.choice([1, 2, 3, 5])
    h, w = random.integers(1, 14, 2) if number % 4 else random.integers(12, 27, 2)
    if number in (1, 2):
        h, w = [(1, 1), (1, w)][number - 1]
    layers, pad = NETS[kind](random, h, w)
    description = f"field: input channels={c} height={h} width={w} pad={pad}\n{layers}\n"
    case = random_case(random, n, c, h, w, 3, DTYPES[number % 3], gain=number % 5 == 0)
    agreed[kind] += compare(description, case, threads=1 + number % 3)


@pytest.mark.parametrize("kind", NETS)
def test_margins_excused_few_cases(kind):
    if agreed[kind] == 0:
        pytest.skip("test_layer_equals_twin did not run")
    assert agreed[kind] >= SHAPES - 2


@pytest.mark.parametrize("last", ["p: pool window=3", "g: gap", "p: pool window=2\ng: gap"])
def test_maximum_of_equals_is_the_first(last):
    """Weights of 0 give equal maps of unequal surroundings: the gradient tells which one won."""
    description = ("field: input channels=1 height=9 width=11\n"
                   f"a: conv filters=3 kernel=3\n{last}\nz: dense units=2")
    case = random_case(np.random.default_rng(0), 2, 1, 9, 11, 2, "uint8")
    net, twin = train_net(description, case), ReferenceNet(description)
    net.parameters[:27] = 0
    run_step(net, case)
    gradient = twin.step(net.parameters, case.fields, case.labels, case.weights,
                         *case.numbers())[2]
    assert np.abs(gradient[:27]).max() > 0.01
    assert gradient_excess(net, twin, gradient)[0] < GRADIENT


def test_nan_is_not_lost_on_its_way():
    """One NaN pixel, which a ReLU would hide, is refused; a NaN weight of the head is seen."""
    description = ("field: input channels=1 height=16 width=16\n"
                   "a: conv filters=4 kernel=3 relu=1\np: pool window=4\n"
                   "b: conv filters=4 kernel=1 relu=1\nm: merge from=b\ng: gap\n"
                   "c: dense units=4 relu=1\nz: dense units=2")
    case = random_case(np.random.default_rng(0), 1, 1, 16, 16, 2)
    case.fields[0, 0, 7, 7] = np.nan
    net = _core.Net(description)
    net.initialise(0)
    with pytest.raises(ValueError, match="1 pixels of a field are NaN or infinite"):
        net.predict(case.fields, case.scale, case.offset)
    case.fields[0, 0, 7, 7] = 1
    bias = next(at for name, at, *_ in net.slices if name == "c.bias")
    net.parameters[bias] = np.nan
    with pytest.raises(OverflowError, match="the numbers of field 1 of"):
        net.predict(case.fields, case.scale, case.offset)
