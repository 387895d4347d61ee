# SPDX-License-Identifier: BSD-3-Clause
"""The network as a whole: the published shapes, one set of bits however it is run, learning."""

import hashlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import reference
from agreement import compare, random_case, run_step, train_net
from phenoscale import _core
from phenoscale.models.networks import describe

SMALL = """
field: input channels=2 height=20 width=26 pad=8
s0: conv filters=4 kernel=5 relu=1
p0: pool window=8
h1: pool window=2 from=field
s1: conv filters=5 kernel=3 relu=1
p1: pool window=4
m: merge from=p0,p1
n: conv filters=9 kernel=1 relu=1
d: dense units=17 relu=1
z: dense units=3
""".strip()


def digest(array):
    return hashlib.sha256(array.tobytes()).hexdigest()


def batches(sizes, seed=3):
    return [random_case(np.random.default_rng([seed, k]), n, 2, 20, 26, 3, "uint16")
            for k, n in enumerate(sizes)]


def weights_after(sizes, threads, parts=None, images=None):
    """Hash of the weights after a step for each batch size, and of the logits on the way."""
    net = _core.Net(SMALL, threads=threads, training=True, images=images or max(sizes),
                    batch=max(sizes))
    net.initialise(11)
    optimizer = _core.Optimizer("nesterov", net)
    seen = []
    for case in batches(sizes):
        loss, logits, norm = run_step(net, case, 0.1, parts)
        optimizer.update(net, 0.02, decay=1e-4, scale=min(1.0, 0.5 / norm))
        seen += [loss, norm, digest(logits)]
    return digest(net.parameters), seen


# ---- one set of bits ------------------------------------------------------------------------


def test_threads_do_not_change_a_bit():
    results = [weights_after([1, 3, 7, 8], threads) for threads in (1, 2, 3, 4)]
    assert all(result == results[0] for result in results)
    assert results[0] == weights_after([1, 3, 7, 8], 2)


@pytest.mark.parametrize("threads", [1, 4])
def test_parts_of_a_batch_do_not_change_a_bit(threads):
    whole = weights_after([8, 8], 2)[0]
    for parts in ([2] * 4, [4] * 2, [1] * 8, [3, 1, 4], [5, 3]):
        assert weights_after([8, 8], threads, parts, max(parts))[0] == whole


def test_batch_gradient_is_the_pairwise_sum_of_its_images():
    """Bit for bit, for the layers that work on one image at a time (design of the tree)."""
    case = random_case(np.random.default_rng(0), 7, 2, 20, 26, 3)
    net = train_net(SMALL, case)
    single = []
    for i in range(7):
        net.begin()
        net.forward(case.fields[i : i + 1], case.scale, case.offset)
        net.backward(case.labels[i : i + 1], case.weights[i : i + 1])
        net.gradient()
        single.append(net.gradients.copy())
    run_step(net, case)
    head = next(offset for name, offset, *_ in net.slices if name == "d.weight")
    assert np.array_equal(reference.pairwise_sum(single)[:head], net.gradients[:head])
    assert np.allclose(np.sum(single, axis=0), net.gradients, atol=1e-6 * abs(net.gradients).max())


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("threads", [1, 2, 4])
def test_a_row_does_not_depend_on_its_company(threads, training):
    case = random_case(np.random.default_rng(1), 9, 2, 20, 26, 3, "uint8", gain=True)
    net = _core.Net(SMALL, threads=threads, training=training, images=2, batch=2)
    net.initialise(4)
    logits, embeddings = net.predict(case.fields, *case.numbers())
    for rows in (slice(0, 1), slice(3, 9), slice(4, 6), slice(8, 9)):
        some, inner = net.predict(list(case.fields[rows]), *case.numbers())
        assert np.array_equal(some, logits[rows]) and np.array_equal(inner, embeddings[rows])


def test_prediction_equals_training_forward():
    case = random_case(np.random.default_rng(1), 5, 2, 20, 26, 3)
    net = train_net(SMALL, case)
    _, logits, _ = run_step(net, case)
    plain = _core.Net(SMALL, threads=4)
    plain.parameters[:] = net.parameters
    assert np.array_equal(plain.predict(case.fields, case.scale, case.offset)[0], logits)
    assert plain.memory < net.memory


# ---- the published network ------------------------------------------------------------------


def test_mcnn_equals_twin():
    """Among a million ReLUs some number is always near 0: one case may differ, if traced to it."""
    agreed = 0
    for seed, height, width, dtype in [(0, 128, 128, "uint8"), (1, 128, 128, "uint16"),
                                       (2, 128, 128, "float32"), (0, 256, 128, "uint8")]:
        case = random_case(np.random.default_rng(seed), 1, 3, height, width, 13, dtype)
        agreed += compare(describe("mcnn", 3, height, width, 13), case)
    assert agreed >= 3


def test_mcnn_gap_equals_twin():
    agreed = 0
    for seed, height, width in [(0, 150, 100), (1, 128, 100)]:
        case = random_case(np.random.default_rng(seed), 1, 2, height, width, 4, gain=seed == 1)
        agreed += compare(describe("mcnn-gap", 2, height, width, 4), case)
    assert agreed >= 1


@pytest.mark.parametrize("network, parameters", [("mcnn", 42_577_261), ("mcnn-gap", 653_677)])
def test_parameters_of_the_published_size(network, parameters):
    twin = reference.ReferenceNet(describe(network, 3, 1024, 1280, 13))
    assert twin.count == parameters


def test_parameters_of_the_core_are_those_of_the_twin():
    assert _core.Net(describe("mcnn", 3, 1024, 1280, 13)).parameters.shape == (42_577_261,)
    assert _core.Net(describe("mcnn-gap", 3, 512, 640, 13)).parameters.shape == (653_677,)
    assert _core.Net(describe("mcnn", 3, 724, 724, 13)).parameters.shape == (19_508_589,)


def test_mcnn_is_as_published():
    """network.md, section 1: seven columns of 16 to 64 channels that end in one 208-channel map."""
    twin = reference.ReferenceNet(describe("mcnn", 3, 724, 724, 13))
    shapes = [layer.shape for layer in twin.layers.values()]
    assert shapes[0] == (768, 768, 3)
    assert (12, 12, 208) in shapes and (12, 12, 1024) in shapes and (6, 6, 1024) in shapes
    convolutions = [layer for layer in twin.layers.values() if isinstance(layer, reference.Conv)]
    fives = [layer.shape for layer in convolutions if layer.options["kernel"] == 5]
    assert sorted(shape[2] for shape in fives) == [16] * 9 + [32] * 9 + [64] * 3
    assert all(layer.options["relu"] == 1 for layer in convolutions)
    heads = [layer for layer in twin.layers.values() if isinstance(layer, reference.Dense)]
    assert [layer.shape for layer in heads] == [(512,), (13,)]
    assert [*twin.layers][-3:] == ["fc", "classes.relu", "classes"]
    linear = reference.ReferenceNet(describe("mcnn", 3, 724, 724, 13, fc_relu=False))
    assert [*linear.layers][-2:] == ["fc", "classes"]


def test_gap_takes_any_size_with_the_same_weights():
    counts = set()
    for height, width in [(128, 128), (90, 300), (257, 129)]:
        net = _core.Net(describe("mcnn-gap", 1, height, width, 2))
        net.initialise(0)
        counts.add(net.parameters.size)
        logits, embeddings = net.predict(np.ones((1, 1, height, width), np.uint8), [0.5], [0.1])
        assert np.isfinite(logits).all() and embeddings.shape == (1, 2048)
    assert len(counts) == 1


# ---- gradients, weights, learning -----------------------------------------------------------


def test_initial_weights_are_glorot_uniform():
    net = _core.Net("field: input channels=8 height=8 width=8\na: conv filters=32 kernel=5\n"
                    "z: dense units=10")
    net.initialise(1)
    for name, offset, shape, is_bias in net.slices:
        values = net.parameters[offset : offset + int(np.prod(shape))]
        if is_bias:
            assert not values.any()
            continue
        area = 25 if name == "a.weight" else 1
        bound = np.sqrt(6 / (np.prod(shape[1:]) + shape[0] * area))
        assert 0.99 * bound < np.abs(values).max() <= bound * 1.000001
        assert values.std() == pytest.approx(bound / 3**0.5, rel=0.02)
        assert abs(values.mean()) < 0.03 * bound
    first = net.parameters.copy()
    net.initialise(2)
    assert not np.array_equal(net.parameters, first)
    net.initialise(1)
    assert np.array_equal(net.parameters, first)


def test_norm_is_that_of_the_gradients():
    """Of the dense layers it comes from factors, and images of a step are not independent."""
    for n in (1, 2, 8):
        case = random_case(np.random.default_rng(n), n, 2, 20, 26, 3)
        net = train_net(SMALL, case)
        norm = run_step(net, case)[2]
        assert norm == pytest.approx(np.linalg.norm(net.gradients.astype(float)), rel=1e-6)


@pytest.mark.parametrize("where", ["d.weight", "z.bias"])
def test_nan_weights_of_the_head_give_a_norm_that_says_so(where):
    case = random_case(np.random.default_rng(1), 3, 2, 20, 26, 3)
    net = train_net(SMALL, case)
    offset = next(slice_[1] for slice_ in net.slices if slice_[0] == where)
    net.parameters[offset] = np.nan
    loss, _, norm = run_step(net, case)
    assert not np.isfinite(norm) and not np.isfinite(loss)


@pytest.mark.parametrize("where", ["s0.weight", "n.bias"])
def test_nan_weights_under_a_relu_are_refused(where):
    """oneDNN's ReLU makes 0 of a NaN: the weights are looked at instead."""
    case = random_case(np.random.default_rng(1), 3, 2, 20, 26, 3)
    net = train_net(SMALL, case)
    offset = next(slice_[1] for slice_ in net.slices if slice_[0] == where)
    net.parameters[offset] = np.nan
    with pytest.raises(ValueError, match=f"'{where.split('.')[0]}': its weights are NaN"):
        run_step(net, case)


@pytest.mark.parametrize("where", ["s0.weight", "s0.bias", "n.weight", "d.weight"])
def test_overflow_under_a_relu_is_seen(where):
    """Finite weights whose sums are not: an error of predictions, a norm that says so."""
    case = random_case(np.random.default_rng(1), 3, 2, 20, 26, 3)
    net = train_net(SMALL, case)
    name, offset, shape, _ = next(slice_ for slice_ in net.slices if slice_[0] == where)
    large = net.parameters[offset : offset + np.prod(shape)]
    large[:] = 3e38 * np.where(np.arange(large.size) % 2, -1, 1)
    with pytest.raises(OverflowError, match="the numbers of field 1 of 3 are too large"):
        net.predict(case.fields, case.scale, case.offset)
    with pytest.raises(OverflowError, match="of this field are too large"):
        net.evidence(case.fields[:1], case.scale, case.offset, -1)
    loss, _, norm = run_step(net, case)
    assert not np.isfinite(norm) or not np.isfinite(loss)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_nan_pixels_are_refused(value):
    case = random_case(np.random.default_rng(1), 3, 2, 20, 26, 3)
    case.fields[1, 0, 10, 10] = value
    with pytest.raises(ValueError, match="NaN or infinite"):
        run_step(train_net(SMALL, case), case)


def test_a_step_in_the_wrong_order_is_refused():
    case = random_case(np.random.default_rng(1), 4, 2, 20, 26, 3)
    net = _core.Net(SMALL, training=True, images=2, batch=3)
    net.initialise(0)
    arguments = case.labels[:2], case.weights[:2]
    net.begin()
    with pytest.raises(ValueError, match="forward"):
        net.backward(*arguments)
    with pytest.raises(ValueError, match="forward"):
        net.gradient()
    with pytest.raises(ValueError):
        net.forward(case.fields[:3], case.scale, case.offset)  # more than images
    net.forward(case.fields[:2], case.scale, case.offset)
    net.backward(*arguments)
    with pytest.raises(ValueError):
        net.forward(case.fields[:2], case.scale, case.offset)  # more than batch
    net.predict(case.fields, case.scale, case.offset)  # ends the step
    with pytest.raises(ValueError):
        net.gradient()
    plain = _core.Net(SMALL)
    for call in (plain.begin, lambda: plain.forward(case.fields[:1], case.scale, case.offset)):
        with pytest.raises(ValueError, match="training"):
            call()


def test_wrong_fields_are_refused():
    net = _core.Net(SMALL, training=True, images=2, batch=2)
    net.initialise(0)
    good = np.zeros((1, 2, 20, 26), np.uint8)
    one = np.ones(2, np.float32)
    for fields, scale, gain in [
            (good[:, :1], one, None), (good[:, :, :19], one, None), (good[0, 0], one, None),
            (good.astype(np.int64), one, None), (good, one[:1], None), ("field", one, None),
            ([good[0], good[0, :, :, 1:]], one, None), (good, one, np.ones((2, 20, 25), "f4"))]:
        with pytest.raises((ValueError, TypeError)):
            net.predict(fields, scale, one, gain)
    net.begin()
    net.forward(good, one, one)
    for labels, weights in [([3], [1.0]), ([-1], [1.0]), ([0, 1], [1.0, 1.0]), ([0], [])]:
        with pytest.raises((ValueError, TypeError)):
            net.backward(np.array(labels), np.array(weights))
        net.begin()
        net.forward(good, one, one)
    with pytest.raises(ValueError, match="loss"):
        net.backward(np.array([0]), np.array([1.0]), loss="hinge")
    assert net.predict(good[:0], one, one)[0].shape == (0, 3)


def test_gradient_is_left_for_the_optimizer():
    """One update of plain descent along the gradient lowers the loss as the slope says."""
    case = random_case(np.random.default_rng(6), 4, 2, 20, 26, 3)
    net = train_net(SMALL, case)
    before, _, norm = run_step(net, case)
    _core.Optimizer("sgd", net).update(net, 1e-3 / norm, momentum=0.0)
    after = run_step(net, case)[0]
    assert before - after == pytest.approx(1e-3 * norm, rel=0.1)


def textures(n, seed):
    """Fields (n, 1, 32, 32) of stripes across or along: the same brightness, random phase."""
    random = np.random.default_rng(seed)
    labels = np.arange(n) % 2
    angle = 2 * np.pi * np.arange(32) / 6 + random.uniform(0, 2 * np.pi, (n, 1))
    waves = np.where(labels[:, None, None] == 1, np.sin(angle)[:, :, None],
                     np.sin(angle)[:, None, :])
    level = random.uniform(80, 170, (n, 1, 1))
    fields = level + 12 * waves + random.normal(0, 12, (n, 32, 32))
    return fields.clip(0, 255).astype(np.uint8)[:, None], labels


@pytest.mark.parametrize("name", reference.OPTIMIZERS)
def test_training_learns(name):
    """Two textures of equal brightness, told apart on fields never seen."""
    net = _core.Net("field: input channels=1 height=32 width=32\n"
                    "a: conv filters=8 kernel=5 relu=1\np: pool window=4\n"
                    "b: conv filters=8 kernel=3 relu=1\ng: gap\nz: dense units=2",
                    threads=2, training=True, images=8, batch=8)
    net.initialise(0)
    optimizer = _core.Optimizer(name, net)
    fields, labels = textures(96, seed=1)
    scale, offset = [1 / 30], [-125 / 30]
    rate = {"sgd": 0.02, "nesterov": 0.02, "adam": 0.003}[name]
    for epoch in range(12):
        order = np.random.default_rng(epoch).permutation(len(fields))
        for part in order.reshape(-1, 8):
            net.begin()
            net.forward(fields[part], scale, offset)
            net.backward(labels[part], np.full(8, 1 / 8))
            norm = net.gradient()
            optimizer.update(net, rate, scale=min(1.0, 1 / norm))
    held_out, truth = textures(100, seed=2)
    logits, _ = net.predict(held_out, scale, offset)
    assert (logits.argmax(1) == truth).mean() > 0.95


# ---- misuse ---------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [
    {"threads": 0}, {"threads": -1}, {"threads": 100_000},
    {"training": True, "images": 0}, {"training": True, "images": 3, "batch": 2},
    {"training": True, "images": 1, "batch": 1 << 40}])
def test_senseless_plans_are_refused(options):
    with pytest.raises(ValueError):
        _core.Net(SMALL, **options)


def test_a_net_serves_one_call_at_a_time():
    """Eight threads on one net: right numbers or a clear refusal, never a race."""
    case = random_case(np.random.default_rng(1), 4, 2, 20, 26, 3)
    net = train_net(SMALL, case)
    expected = net.predict(case.fields, case.scale, case.offset)[0]

    def use(_):
        try:
            return np.array_equal(net.predict(case.fields, case.scale, case.offset)[0], expected)
        except RuntimeError as error:
            return "busy" in str(error)

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(use, range(64)))


def test_arrays_outlive_the_net():
    case = random_case(np.random.default_rng(1), 2, 2, 20, 26, 3)
    net = train_net(SMALL, case)
    assert net.gradients is None
    run_step(net, case)
    parameters, gradients = net.parameters, net.gradients
    kept = parameters.copy(), gradients.copy()
    del net
    assert np.array_equal(parameters, kept[0]) and np.array_equal(gradients, kept[1])
