# SPDX-License-Identifier: BSD-3-Clause
"""Runs the C network and its slow twin on the same numbers and compares them."""

from dataclasses import dataclass

import numpy as np

from phenoscale import _core
from reference import ReferenceNet

FORWARD = 2e-5  # of the largest value
GRADIENT = 1e-4  # of the largest value of a tensor
MARGIN = 1e-5  # below it float32 may choose another side of a ReLU or another maximum


@dataclass
class Case:
    """Fields with all that goes with them into a step."""

    fields: np.ndarray  # (n, c, h, w) of uint8, uint16 or float32
    labels: np.ndarray  # (n)
    weights: np.ndarray  # (n) of each image's loss
    scale: np.ndarray  # (c)
    offset: np.ndarray  # (c)
    gain: np.ndarray = None  # (c, h, w)

    def numbers(self):
        """What the input layer takes beside the fields."""
        return self.scale, self.offset, self.gain


def random_case(random, n, c, h, w, classes, dtype="float32", gain=False):
    """Fields of about unit spread after normalisation."""
    white = {"uint8": 255, "uint16": 65535, "float32": 1}[dtype]
    fields = (random.random((n, c, h, w)) * white).astype(dtype)
    scale = random.uniform(2, 4, c).astype(np.float32) / np.float32(white)
    offset = random.uniform(-2, -1, c).astype(np.float32)
    plane = random.uniform(0.7, 1.4, (c, h, w)).astype(np.float32) if gain else None
    labels = random.integers(0, classes, n)
    return Case(fields, labels, random.uniform(0.2, 1, n), scale, offset, plane)


def train_net(description, case, threads=2, seed=1):
    """A C network ready to train on the case, its biases not zero."""
    n = len(case.fields)
    net = _core.Net(description, threads=threads, training=True, images=n, batch=n)
    net.initialise(seed)
    random = np.random.default_rng(seed)
    for _, offset, shape, is_bias in net.slices:
        if is_bias:
            net.parameters[offset : offset + shape[0]] = random.uniform(-0.2, 0.2, shape[0])
    return net


def run_step(net, case, smoothing=0.0, parts=None):
    """Loss and logits of one whole step, in one forward or in parts; fills net.gradients."""
    net.begin()
    loss, logits, start = 0.0, [], 0
    for size in parts or [len(case.fields)]:
        part = slice(start, start + size)
        if case.gain is None:
            net.forward(case.fields[part], case.scale, case.offset)
        else:
            net.forward(case.fields[part], *case.numbers())
        value, rows = net.backward(case.labels[part], case.weights[part], smoothing)
        loss += value.sum()
        logits.append(rows)
        start += size
    return loss, np.concatenate(logits), net.gradient()


def off_by(measured, expected):
    """Largest difference over the largest value expected."""
    largest = np.abs(expected).max()
    return np.abs(measured - expected).max() / (largest if largest > 0 else 1)


def gradient_excess(net, twin, gradient):
    """Worst disagreement of a tensor's gradients: (relative difference, its name).

    A tensor whose gradient nearly cancels out is measured by a thousandth of the largest of all.
    """
    floor = 1e-3 * np.abs(gradient).max()
    measured, expected = twin.tensors(net.gradients), twin.tensors(gradient)
    return max((np.abs(measured[name] - expected[name]).max()
                / max(np.abs(expected[name]).max(), floor, 1e-30), name) for name in expected)


def compare(description, case, threads=2, smoothing=0.1):
    """Assert that C and twin agree; False where the gradients do not, for want of a margin."""
    net, twin = train_net(description, case, threads), ReferenceNet(description)
    assert [(name, at, tuple(shape), bool(is_bias)) for name, at, shape, is_bias in net.slices] \
        == twin.slices
    loss, logits, norm = run_step(net, case, smoothing)
    expected_loss, expected, gradient, margin = twin.step(
        net.parameters, case.fields, case.labels, case.weights, *case.numbers(), smoothing)
    assert off_by(logits, expected) < FORWARD
    assert abs(loss - expected_loss) < 1e-4 * max(1, abs(expected_loss))
    check_prediction(description, case, net, twin, threads)

    flat = net.gradients.astype(np.float64)
    assert abs(norm - np.sqrt(flat @ flat)) <= 1e-5 * norm
    worst, name = gradient_excess(net, twin, gradient)
    assert worst < GRADIENT or margin < MARGIN, (name, worst, margin)
    return worst < GRADIENT


def check_prediction(description, case, net, twin, threads):
    """The net for predictions only gives the twin's logits and embeddings."""
    plain = _core.Net(description, threads=threads)
    plain.parameters[:] = net.parameters
    logits, embeddings = plain.predict(list(case.fields), *case.numbers())
    assert (plain.classes, plain.embedding) == (logits.shape[1], embeddings.shape[1])
    rows = [twin.forward(net.parameters, field, *case.numbers()) for field in case.fields]
    assert off_by(logits, np.array([row[0] for row in rows])) < FORWARD
    assert off_by(embeddings, np.array([row[1] for row in rows])) < FORWARD
