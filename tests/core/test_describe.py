# SPDX-License-Identifier: BSD-3-Clause
"""Descriptions of networks, which come from model files: every mistake is explained."""

import pytest

from phenoscale import _core

FIELD = "field: input channels=1 height=16 width=16\n"
LAST = "\nz: dense units=2"
BAD = [
    ("", "empty"),
    ("\n\n", "empty"),
    ("field", "name: type"),
    (FIELD, "dense"),
    (FIELD + "a: convolution filters=3" + LAST, "no layer type 'convolution'"),
    (FIELD + "a:" + LAST, "no layer type"),
    (FIELD + "a: conv filters=3 kernel=3 colour=1" + LAST, "no option 'colour'"),
    (FIELD + "a: conv filters=3" + LAST, "kernel="),
    (FIELD + "a: conv filters=3 kernel=0" + LAST, "kernel=0"),
    (FIELD + "a: conv filters=3 kernel=4" + LAST, "even"),
    (FIELD + "a: conv filters=-1 kernel=3" + LAST, "filters=-1"),
    (FIELD + "a: conv filters=3x kernel=3" + LAST, "filters=3x"),
    (FIELD + "a: conv filters=99999999999999999999 kernel=3" + LAST, "whole number"),
    (FIELD + "a: conv filters=3 filters=3 kernel=3" + LAST, "twice"),
    (FIELD + "a: conv filters kernel=3" + LAST, "key=value"),
    (FIELD + "a: pool window=17" + LAST, "window"),
    (FIELD + "a: pool window=2 from=b" + LAST, "no layer 'b'"),
    (FIELD + "a: pool window=2 from=a" + LAST, "no layer 'a'"),
    (FIELD + "a: pool window=2\nb: merge from=a,field" + LAST, "'field' is 16 x 16"),
    (FIELD + "a: merge from=" + ",".join(["field"] * 17) + LAST, "16"),
    (FIELD + "a: dense units=3\nb: conv filters=1 kernel=1" + LAST, "dense"),
    (FIELD + "a: dense units=3\nb: gap" + LAST, "dense"),
    (FIELD + "a: pool window=2" + LAST + " from=field", "reads the layer above"),
    (FIELD + "a: conv filters=1 kernel=1\nb: merge from=a,a" + LAST, "read twice"),
    (FIELD + "a: conv filters=1 kernel=1\nb: conv filters=1 kernel=1 from=field" + LAST, "nobody"),
    (FIELD + "field: pool window=2" + LAST, "twice"),
    (FIELD + "a: input channels=1 height=16 width=16" + LAST, "input"),
    ("a: conv filters=1 kernel=1" + LAST, "'a'"),
    ("z: dense units=2", "'z'"),
    ("field: input channels=65 height=16 width=16" + LAST, "channels=65"),
    ("field: input channels=1 height=65536 width=65536" + LAST, "limit"),
    (FIELD + "a" * 60 + ": gap" + LAST, "name"),
    (FIELD + "a/../b: gap" + LAST, "name"),
    (FIELD + "a: gap " + "x" * 2000 + LAST, "longer"),
    (FIELD + "".join(f"a{i}: pool window=1\n" for i in range(10_000)) + LAST, "longer"),
    (FIELD + "\n".join(f"a{i}: pool window=1" for i in range(600)) + LAST, "512 layers"),
]


@pytest.mark.parametrize("number", range(len(BAD)))
def test_bad_descriptions_are_explained(number):
    description, words = BAD[number]
    with pytest.raises(ValueError) as caught:
        _core.Net(description)
    assert words in str(caught.value) and len(str(caught.value)) < 300


@pytest.mark.parametrize("layers", [
    "".join(f"m{k}: merge from=" + ",".join([f"m{k - 1}" if k else "field"] * 16) + "\n"
            for k in range(20)),
    "a: conv filters=4096 kernel=15\nb: conv filters=4096 kernel=15",
    "".join(f"a{k}: conv filters=4096 kernel=1\n" for k in range(500)),
])
def test_sizes_beyond_any_machine_are_refused(layers):
    """Long before a byte of it is allocated."""
    for training in (False, True):
        with pytest.raises((ValueError, MemoryError)):
            _core.Net("field: input channels=1 height=13000 width=13000\n" + layers + LAST,
                      training=training, images=2, batch=1 << 20)


@pytest.mark.parametrize("training", [False, True])
def test_memory_over_the_limit_is_refused_with_its_figure(training):
    """Before it is made: what a network holds is what is asked for, to the byte."""
    text = ("field: input channels=1 height=256 width=256\np: pyramid levels=1\n"
            "t: tower from=p level=1 filters=5 window=8\nc: conv filters=40 kernel=3 relu=1\n"
            "z: dense units=2")
    needed = _core.Net(text, 2, training, memory=1 << 40).memory
    assert _core.Net(text, 2, training, memory=needed).memory == needed
    with pytest.raises(MemoryError, match="need .* GB of memory, of which .* GB may be used"):
        _core.Net(text, 2, training, memory=needed - 1)
    if training:
        net = _core.Net(text, 2, training, memory=needed + 4 * _core.Net(text).parameters.size)
        with pytest.raises(MemoryError, match="the network and its optimizer need"):
            _core.Optimizer("adam", net)
        assert _core.Optimizer("nesterov", net).states


def test_parameters_over_the_limit_are_refused_before_they_are_made():
    """The text of a model file may promise more weights than the file holds."""
    huge = ("field: input channels=1 height=128 width=128\np: pool window=64\n"
            + "\n".join(f"d{k}: dense units=16384" for k in range(3)) + "\nz: dense units=2")
    with pytest.raises(ValueError, match="layer 'd1' the network has more than 1000000 param"):
        _core.Net(huge, limit=1_000_000)
    count = 16384 * 5 + 2 * (16384**2 + 16384) + 2 * 16385
    with pytest.raises(ValueError, match="more than"):
        _core.Net(huge, limit=count - 1)
    conv = "field: input channels=64 height=128 width=128\nc: conv filters=4096 kernel=15\n"
    with pytest.raises(ValueError, match="layer 'c' the network has more than 5000 parameters"):
        _core.Net(conv + "g: gap\nz: dense units=2", limit=5000)
