# SPDX-License-Identifier: BSD-3-Clause
"""Optimizers of the C core against their slow twins, over several real steps of a small net."""

import numpy as np
import pytest

import reference
from agreement import off_by, random_case, run_step, train_net
from phenoscale import _core

NET = ("field: input channels=2 height=6 width=5\na: conv filters=3 kernel=3 relu=1\n"
       "z: dense units=3")
RECIPES = [
    {"rate": 0.05},
    {"rate": 0.05, "momentum": 0.0},
    {"rate": 0.02, "momentum": 0.5, "decay": 0.1},
    {"rate": 0.02, "momentum": 0.9, "decay": 0.01, "scale": 0.3},
    {"rate": 0.01, "momentum": 0.8, "second": 0.95, "epsilon": 1e-4},
]
DEFAULTS = {"momentum": 0.9, "second": 0.999, "epsilon": 1e-8, "decay": 0.0, "scale": 1.0}


def small_net():
    case = random_case(np.random.default_rng(5), 3, 2, 6, 5, 3)
    return train_net(NET, case), case


def test_names_are_those_of_the_twin():
    assert set(_core.optimizer_names()) == set(reference.OPTIMIZERS)


@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize("name", reference.OPTIMIZERS)
def test_optimizer_equals_twin(name, recipe):
    net, case = small_net()
    optimizer = _core.Optimizer(name, net)
    is_bias = np.repeat([slice_[3] for slice_ in net.slices],
                        [np.prod(slice_[2]) for slice_ in net.slices])
    update, n_states = reference.OPTIMIZERS[name]
    weights = net.parameters.astype(np.float64)
    states = [np.zeros(weights.size) for _ in range(n_states)]
    full = {**DEFAULTS, **recipe}
    for step in range(1, 7):
        run_step(net, case)
        g = reference.effective_gradient(net.gradients.astype(np.float64), weights, is_bias,
                                         full["decay"], full["scale"])
        update(weights, g, states, step, full)
        optimizer.update(net, **recipe)
        assert optimizer.steps == step
        assert off_by(net.parameters, weights) < 2e-6
        for mine, expected in zip(optimizer.states, states):
            assert off_by(mine, expected) < 1e-5
        assert len(optimizer.states) == n_states


@pytest.mark.parametrize("name", reference.OPTIMIZERS)
def test_state_and_steps_are_all_there_is(name):
    """A new optimizer with the old one's arrays goes on with the same bits."""
    (net, case), (other, _) = small_net(), small_net()
    first, resumed = _core.Optimizer(name, net), _core.Optimizer(name, other)
    for step in range(4):
        run_step(net, case)
        first.update(net, 0.03)
        if step == 1:
            other.parameters[:] = net.parameters
            for mine, old in zip(resumed.states, first.states):
                mine[:] = old
            resumed.steps = first.steps
        elif step > 1:
            run_step(other, case)
            resumed.update(other, 0.03)
    assert np.array_equal(net.parameters, other.parameters)


@pytest.mark.parametrize("name", reference.OPTIMIZERS)
def test_a_refused_update_is_none(name):
    """It changes neither weights nor state, and the next has the bits of one without it."""
    results = []
    for refusals in (0, 3):
        net, case = small_net()
        optimizer = _core.Optimizer(name, net)
        for _ in range(2):
            net.begin()
            before = [net.parameters.copy(), *(state.copy() for state in optimizer.states)]
            steps = optimizer.steps
            for _ in range(refusals):
                with pytest.raises(ValueError, match="gradient of a whole step"):
                    optimizer.update(net, 0.03)
            assert optimizer.steps == steps
            for mine, old in zip([net.parameters, *optimizer.states], before):
                assert mine.tobytes() == old.tobytes()
            run_step(net, case)
            optimizer.update(net, 0.03)
        results.append([optimizer.steps, net.parameters.tobytes(),
                        *(state.tobytes() for state in optimizer.states)])
    assert results[0] == results[1] and results[0][0] == 2


@pytest.mark.parametrize("steps", [-1, 2**53 + 1, 2**63 - 1, 2**64, None, "2"])
def test_steps_are_a_number_of_updates(steps):
    optimizer = _core.Optimizer("adam", small_net()[0])
    with pytest.raises((ValueError, OverflowError, TypeError)):
        optimizer.steps = steps
    with pytest.raises(ValueError):
        del optimizer.steps
    assert optimizer.steps == 0


def test_the_last_step_is_refused_and_changes_nothing():
    net, case = small_net()
    optimizer = _core.Optimizer("adam", net)
    optimizer.steps = 2**53 - 1
    run_step(net, case)
    optimizer.update(net, 0.03)
    before = net.parameters.tobytes()
    for _ in range(3):
        with pytest.raises(ValueError, match="to 2.53 updates, not 9007199254740992"):
            optimizer.update(net, 0.03)
    assert optimizer.steps == 2**53 and net.parameters.tobytes() == before


def test_threads_do_not_change_a_bit():
    results = []
    for threads in (1, 2, 4):
        case = random_case(np.random.default_rng(5), 3, 2, 6, 5, 3)
        net = train_net(NET, case, threads)
        optimizer = _core.Optimizer("nesterov", net)
        for _ in range(3):
            run_step(net, case)
            optimizer.update(net, 0.05, decay=0.01)
        results.append(net.parameters.tobytes())
    assert len(set(results)) == 1


def test_clear_errors():
    net, _ = small_net()
    with pytest.raises(ValueError, match="lion"):
        _core.Optimizer("lion", net)
    with pytest.raises(ValueError, match="training"):
        _core.Optimizer("sgd", _core.Net(NET))
    other = _core.Net(NET.replace("units=3", "units=4"), training=True)
    with pytest.raises(ValueError, match="another network"):
        _core.Optimizer("sgd", net).update(other, 0.1)
