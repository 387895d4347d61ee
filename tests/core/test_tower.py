# SPDX-License-Identifier: BSD-3-Clause
"""The fused tower against the plain layers it stands for: twins, sizes, instruction sets, bits."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

from agreement import Case, compare, random_case, run_step, train_net
from phenoscale import _core
from phenoscale.models import networks

ISAS = ("avx512", "avx2", "portable")


def tower_net(h, w, c=3, filters=16, window=4, level=0, pad=1):
    """The description of one tower between an input and a small dense layer."""
    levels = f"pyramid: pyramid levels={level}\n" if level else ""
    source = f"pyramid level={level}" if level else "field"
    return (f"field: input channels={c} height={h} width={w} pad={pad}\n{levels}"
            f"scale: tower from={source} filters={filters} window={window}\n"
            "classes: dense units=4\n")


SIZES = [(16, 16, 3, 16, 4), (37, 29, 1, 16, 4), (21, 50, 2, 20, 2), (19, 23, 5, 64, 1),
         (64, 64, 3, 16, 64), (33, 70, 8, 32, 16), (40, 13, 4, 5, 8), (5, 4, 3, 16, 1),
         (1, 1, 2, 16, 1), (70, 6, 3, 48, 2)]


@pytest.mark.parametrize("h, w, c, filters, window", SIZES)
def test_equals_the_float64_twin(h, w, c, filters, window):
    random = np.random.default_rng(h * w)
    agreed = [compare(tower_net(h, w, c, filters, window),
                      random_case(random, 2, c, h, w, 4, dtype, gain))
              for dtype, gain in (("uint8", False), ("uint16", True), ("float32", False))]
    assert any(agreed)  # the others for want of a margin


@pytest.mark.parametrize("level, h, w, pad", [(1, 40, 36, 1), (2, 67, 90, 1), (3, 120, 96, 128)])
def test_pyramid_levels_equal_the_twin(level, h, w, pad):
    random = np.random.default_rng(level)
    assert compare(tower_net(h, w, 2, 16, 2, level, pad),
                   random_case(random, 2, 2, h, w, 4, "uint16", True))


def both(description, case, threads=2):
    """(logits, gradients) of the description and of its plain layers, with the same weights."""
    results = []
    for text in (description, networks.plain(description)):
        net = train_net(text, case, threads)
        results.append((run_step(net, case)[1], net.gradients, net.slices))
    return results


def worst_tensor(fused, plain):
    """Largest relative difference of a tensor's gradients."""
    ends = [at for _, at, _, _ in plain[2][1:]] + [len(plain[1])]
    floor = 1e-3 * np.abs(plain[1]).max()
    return max(np.abs(fused[1][at:end] - plain[1][at:end]).max()
               / max(np.abs(plain[1][at:end]).max(), floor)
               for (_, at, _, _), end in zip(plain[2], ends))


@pytest.mark.parametrize("network, c, h, w", [("mcnn", 3, 256, 384), ("mcnn-gap", 5, 300, 200),
                                              ("mcnn-gap", 1, 700, 900)])
def test_whole_networks_equal_their_plain_layers(network, c, h, w):
    """Strips begin and end within the largest of these fields.

    In float32 a ReLU or a maximum may be decided otherwise: of several fields most must agree.
    """
    worst = []
    for seed in range(3):
        case = random_case(np.random.default_rng(seed), 1, c, h, w, 6, "uint16")
        fused, plain = both(networks.describe(network, c, h, w, 6), case)
        assert np.abs(fused[0] - plain[0]).max() < 2e-5 * np.abs(plain[0]).max()
        worst.append(worst_tensor(fused, plain))
    assert sorted(worst)[0] < 3e-4 and max(worst) < 1, worst


@pytest.mark.parametrize("kind", ["blank", "saturated", "constant", "half"])
def test_flat_fields(kind):
    """Equal maxima may be taken anywhere: forward must agree, gradients be finite."""
    h, w = 96, 100
    fields = {"blank": np.zeros((1, 3, h, w)), "saturated": np.full((1, 3, h, w), 65535),
              "constant": np.full((1, 3, h, w), 1234),
              "half": np.where(np.arange(w) < w // 2, 0, 65535) * np.ones((1, 3, h, 1))}[kind]
    case = Case(fields.astype(np.uint16), np.array([1]), np.ones(1),
                np.full(3, 3 / 65535, np.float32), np.full(3, -1, np.float32))
    fused, plain = both(tower_net(h, w, 3, 16, 16), case)
    assert np.abs(fused[0] - plain[0]).max() < 2e-5 * np.abs(plain[0]).max()
    assert np.isfinite(fused[1]).all() and np.abs(fused[1]).max() > 0
    # gradients by biases of the last convolution and by the dense layer do not depend on where
    names = {name: (at, int(np.prod(shape))) for name, at, shape, _ in fused[2]}
    for name in ("scale.conv3.bias", "classes.weight"):
        at, size = names[name]
        assert np.allclose(fused[1][at:at + size], plain[1][at:at + size], rtol=1e-3,
                           atol=1e-4 * np.abs(plain[1]).max())


def test_broken_weights_are_refused():
    case = random_case(np.random.default_rng(0), 1, 3, 32, 32, 4)
    net = train_net(tower_net(32, 32), case)
    net.parameters[7] = np.nan
    with pytest.raises(ValueError, match="'scale': its weights are NaN or infinite"):
        net.predict(case.fields, case.scale, case.offset)


def test_overflow_is_seen():
    """Finite weights whose products are not are an error, not a number."""
    case = random_case(np.random.default_rng(0), 1, 3, 32, 32, 4)
    net = train_net(tower_net(32, 32), case)
    net.parameters[: net.slices[-2][1]] *= 1e18
    with pytest.raises(OverflowError, match="the numbers of field 1 of 1 are too large"):
        net.predict(case.fields, case.scale, case.offset)


@pytest.mark.parametrize("text, words", [
    ("scale: tower from=field filters=16 window=3\n", "no power of two"),
    ("scale: tower from=field filters=16 window=64\n", "too small"),
    ("scale: tower from=field filters=16 level=1\n", "level=1 of 'field' is not there"),
    ("p: pyramid levels=2\nscale: tower from=p filters=16\n", "level=0 of 'p' is not there"),
    ("p: pyramid levels=2\nscale: tower from=p filters=16 level=3\n", "has no level 3"),
    ("p: pyramid levels=9\nscale: tower from=p filters=16 level=1\n", "too small"),
    ("p: pyramid levels=1\nscale: pool window=2\n", "cannot read a pyramid"),
    ("a: conv filters=4 kernel=3\nscale: tower from=a filters=16\n", "cannot read a conv")])
def test_impossible_towers_are_explained(text, words):
    with pytest.raises(ValueError, match=words):
        _core.Net("field: input channels=3 height=40 width=40\n" + text + "end: dense units=2\n")


WHOLE = networks.describe("mcnn-gap", 2, 330, 400, 4)


def bits(threads, parts=None, n=2, description=WHOLE):
    """Logits and gradients of a step on n fields of two strips each way, as bytes."""
    case = random_case(np.random.default_rng(5), n, 2, 330, 400, 4, "uint8")
    net = train_net(description, case, threads)
    logits = run_step(net, case, parts=parts)[1]
    return logits.tobytes() + net.gradients.tobytes() + net.predict(
        case.fields, case.scale, case.offset)[0].tobytes()


def test_threads_and_parts_give_the_same_bits():
    """A batch of 2, and of 1, keeps 4 threads busy with strips."""
    assert bits(1) == bits(2) == bits(4) == bits(4, [1, 1])
    assert bits(1, n=1) == bits(4, n=1)


def test_strips_of_one_field_go_to_all_threads():
    """On 4 threads no thread does most of the work of a single field."""
    net = _core.Net(networks.describe("mcnn-gap", 3, 1024, 1280, 3), threads=4)
    assert net.memory > 3 * 5e6  # a workspace each


IN_CHILD = """
import hashlib, json, sys, numpy as np
sys.path[:0] = sys.argv[1:]
from agreement import compare, random_case
from phenoscale import _core
from test_tower import SIZES, bits, tower_net
agreed = [bool(compare(tower_net(h, w, c, filters, window),
                       random_case(np.random.default_rng(h), 1, c, h, w, 4, "uint16")))
          for h, w, c, filters, window in SIZES]
tower = bits(2, description=tower_net(330, 400, 2, 16, 16))
print(json.dumps([_core.isa(), agreed, hashlib.sha256(tower).hexdigest()]))
"""


def run_with(isa):
    """What a process that is forced to an instruction set finds; None where it cannot run."""
    done = subprocess.run(
        [sys.executable, "-c", IN_CHILD, os.path.dirname(__file__), *sys.path], text=True,
        capture_output=True, env={**os.environ, "PHENOSCALE_ISA": isa}, check=False)
    if "this machine does not have it" in done.stderr:
        return None
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_every_instruction_set_agrees_with_the_twin():
    found = {isa: run_with(isa) for isa in ISAS}
    assert found["portable"] is not None
    for isa, result in found.items():
        if result is not None:
            assert result[0] == isa and sum(result[1]) >= len(SIZES) - 2, result
    if found["avx512"] and found["avx2"]:  # both fuse every multiply-add, in the same order
        assert found["avx512"][2] == found["avx2"][2]


def test_an_unknown_instruction_set_is_named(monkeypatch):
    monkeypatch.setenv("PHENOSCALE_ISA", "mmx")
    with pytest.raises(ValueError, match="PHENOSCALE_ISA=mmx: choose avx512, avx2 or portable"):
        _core.isa()
    with pytest.raises(ValueError, match="PHENOSCALE_ISA=mmx"):
        _core.Net(tower_net(16, 16))


def test_operations_are_counted():
    """Fewer than the plain layers execute, and all of them."""
    executed = {}
    for tower in networks.TOWERS:
        case = random_case(np.random.default_rng(2), 1, 3, 512, 512, 3, "uint8")
        net = train_net(networks.describe("mcnn-gap", 3, 512, 512, 3, tower=tower), case)
        run_step(net, case)
        executed[tower] = net.executed
    assert 0.08 * executed["plain"] < executed["fused"] < 0.6 * executed["plain"]
