# SPDX-License-Identifier: BSD-3-Clause
"""The calls of a training step in every order but the right one: an error, never a number that
nobody computed."""

import numpy as np
import pytest

from agreement import random_case
from phenoscale import _core

NET = ("f: input channels=1 height=16 width=18\ns: tower filters=3 window=4\n"
       "c: conv filters=4 kernel=3 relu=1\nd: dense units=5\nz: dense units=3")
CASE = random_case(np.random.default_rng(0), 2, 1, 16, 18, 3)


def make(**options):
    net = _core.Net(NET, training=True, images=2, batch=2, **options)
    net.initialise(0)
    return net


def calls_of(net):
    """Name -> a call of a step, of arguments that are right at its place."""
    def end():
        n = 1 if net_forms(net) else 1 + 2 * 2
        return net.end(2, np.ones(n))

    return {"begin": net.begin,
            "forward": lambda: net.forward(CASE.fields, CASE.scale, CASE.offset),
            "head": lambda: net.backward_head(CASE.labels, CASE.weights),
            "fields": net.backward_fields, "form": net.form, "sum": net.sum,
            "squares": lambda: net.squares(2), "end": end, "gradient": net.gradient,
            "update": lambda: _core.Optimizer("sgd", net).update(net, 1e-3)}


def net_forms(net):
    return len(net.sums[1]) > 0


class Twin:
    """What may be called, told slowly: each method is whether it may, and what is then so."""

    def __init__(self, forms_dense):
        self.forms, self.rows = forms_dense, False
        self.forget()

    def forget(self):
        self.begun = self.ahead = self.through = self.done = self.summed = False

    def begin(self):
        self.forget()
        self.begun, self.rows = True, False
        return True

    def forward(self):
        may = self.begun and not self.done
        self.ahead, self.through, self.summed = may, False, False
        return may

    def head(self):
        self.through = self.ahead
        return self.ahead

    def fields(self):
        may = self.ahead and self.through
        self.ahead, self.done = False, may
        self.summed &= may  # half a step is no step
        return may

    def form(self):
        return self.forms and self.begun and (not self.ahead or self.through)

    def sum(self):
        may = self.begun and not self.ahead
        self.summed |= may
        return may

    def squares(self):
        return self.summed

    def end(self):
        may = self.summed
        if may:
            self.forget()
            self.rows = True
        return may

    def gradient(self):
        return self.begun and self.done and not self.ahead and self.sum() and self.end()

    def update(self):
        return self.rows


@pytest.mark.parametrize("forms_dense", [False, True])
def test_every_order_is_that_of_the_twin(forms_dense):
    """Calls at random: what is refused and what is not, and no number that is none."""
    random, may = np.random.default_rng(4), {True: 0, False: 0}
    for _ in range(150):
        net, twin = make(forms_dense=forms_dense), Twin(forms_dense)
        calls, made = calls_of(net), []
        for name in random.choice([*calls, "begin", "forward", "head", "fields"], 30).tolist():
            is_right, made = getattr(twin, name)(), [*made, name]
            try:
                found = calls[name]()
            except ValueError:
                assert not is_right, " ".join(made)
            else:
                assert is_right, " ".join(made)
                assert found is None or all(np.isfinite(array).all() for array in (
                    found if isinstance(found, tuple) else [found]))
            may[bool(is_right)] += 1
            assert (net.gradients is not None) == twin.rows
        assert np.isfinite(net.parameters).all()
    assert min(may.values()) > 500


@pytest.mark.parametrize("forms_dense", [False, True])
def test_a_forward_needs_a_begin(forms_dense):
    """The layers' own copies of the weights are made there: without it they are those of before."""
    net = make(forms_dense=forms_dense)
    calls = calls_of(net)
    for ends in (net.gradient, lambda: net.predict(CASE.fields, CASE.scale,
                                                                 CASE.offset),
                 lambda: net.evidence(CASE.fields[:1], CASE.scale, CASE.offset, 0)):
        with pytest.raises(ValueError, match="needs the begin of a step"):
            calls["forward"]()
        for name in ("begin", "forward", "head", "fields"):
            calls[name]()
        ends()
    with pytest.raises(ValueError, match="needs the begin of a step"):
        calls["forward"]()


def test_form_waits_for_the_head():
    net = make(forms_dense=True)
    calls = calls_of(net)
    calls["begin"]()
    calls["form"]()
    assert not net.sums[1].any()  # of no image
    calls["forward"]()
    with pytest.raises(ValueError, match="needs the head's backward"):
        calls["form"]()
    calls["head"]()
    calls["form"]()
    assert net.sums[1].any()


def test_a_shared_step_ends_after_its_sum():
    net = make()
    calls = calls_of(net)
    for names, refused in ((("begin",), ("squares", "end")),
                           (("begin", "forward", "head", "fields"), ("squares", "end")),
                           (("sum", "squares", "end"), ("squares", "end", "forward")),
                           (("begin", "sum", "forward"), ("squares", "end", "sum"))):
        for name in names:
            calls[name]()
        for name in refused:
            with pytest.raises(ValueError):
                calls[name]()


@pytest.mark.parametrize(("n", "part", "parts"), [
    (0, 0, 1), (3, 0, 1), (2, -1, 1), (2, 1, 1), (2, 1, 2**63 - 1), (2**62, 0, 1), (2, 0, 0)])
def test_parts_of_squares_are_bounded(n, part, parts):
    net = make()
    net.begin()
    net.sum()
    with pytest.raises(ValueError):
        net.squares(n, part, parts)


@pytest.mark.parametrize("forms_dense", [False, True])
def test_nothing_of_the_heap_is_seen_before_a_step(forms_dense):
    net = make(forms_dense=forms_dense)
    for array in (*net.sums, *net.factors, *_core.Optimizer("adam", net).states):
        assert not array.any()


@pytest.mark.parametrize("layers", ["", "g: gap\n", "g: gap rectify=1\n", "p: pool window=2\n"])
def test_evidence_of_a_network_without_convolutions_is_refused(layers):
    """Its shares would have had no room."""
    net = _core.Net(f"f: input channels=1 height=16 width=18\n{layers}z: dense units=3",
                    training=True)
    net.initialise(0)
    with pytest.raises(ValueError, match="has no evidence maps"):
        net.evidence(CASE.fields[:1], CASE.scale, CASE.offset, -1)


def test_a_gradient_is_not_read_while_it_is_made():
    """From the arguments of a call, while the net is in use by it."""
    net = make()
    net.begin()
    seen = []

    class Fields:
        def __len__(self):
            return 1

        def __getitem__(self, k):
            for name in ("gradients", "sums", "factors"):
                with pytest.raises(RuntimeError, match="busy"):
                    getattr(net, name)
                seen.append(name)
            return CASE.fields[k]

    net.forward(Fields(), CASE.scale, CASE.offset)
    assert seen == ["gradients", "sums", "factors"]
    assert len(net.factors) == 4 and net.gradients is None
