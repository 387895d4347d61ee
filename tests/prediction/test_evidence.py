# SPDX-License-Identifier: BSD-3-Clause
"""Evidence maps: they sum to the logit, equal their slow twin, and what they mark matters."""

import re

import numpy as np
import pytest

import screens
from agreement import random_case, train_net
from phenoscale import InputError, _core, predict
from phenoscale.models import networks
from phenoscale.models.model import Model
from phenoscale.prediction.evidence import Explainer, smooth
from reference import ReferenceNet


def biased(network, size=(128, 128), channels=2, bin=1):
    """A model nobody trained, its biases not zero, and a field for it."""
    model = screens.make_model(network, tuple(side // bin for side in size),
                               screens.CHANNELS[:channels])
    random = np.random.default_rng(3)
    for _, at, shape, is_bias in model.slices:
        if is_bias:
            model.parameters[at : at + shape[0]] = random.uniform(-0.05, 0.05, shape[0])
    model.bin, model.size = bin, list(size)
    return model, screens.draw_field("fine", random, size, channels)


@pytest.mark.parametrize(("network", "size", "bin"), [
    ("mcnn", (128, 128), 1), ("mcnn", (200, 330), 1), ("mcnn-gap", (256, 128), 1),
    ("mcnn-gap", (129, 257), 1), ("mcnn-gap", (259, 300), 2)])
def test_shares_and_biases_are_the_logit(network, size, bin):
    model, field = biased(network, size, bin=bin)
    found = predict(model, field[None])
    explainer = Explainer(model, size, 2)
    for k, name in enumerate(model.classes):
        evidence = explainer.explain(field, name)
        assert evidence.name == name and not evidence.is_coarse
        assert evidence.map.shape == size and np.abs(evidence.map).max() > 0
        assert abs(evidence.map.sum() + evidence.bias - evidence.logit) < 1e-4
        assert abs(evidence.logit - found.logits[0, k]) < 1e-6
        assert abs(sum(evidence.scales.values()) - evidence.map.sum()) < 1e-4
        assert sorted(evidence.scales) == [2**level for level in range(7)]
        assert evidence.probabilities == pytest.approx(found.probabilities[0], abs=1e-6)
    best = model.classes[int(found.logits[0].argmax())]
    assert explainer.explain(field).name == best


def twin_map(net, parameters, field, case, wanted):
    """The map by loops over every share, in float64; and the share of the biases."""
    shares = {}

    def watch(name, layer, backward):
        def watched(gradient):
            out = (np.take_along_axis(layer.cells, layer.where, 2)[:, :, 0]
                   if hasattr(layer, "cells") else np.maximum(layer.z, 0))
            shares[name] = gradient * out
            return backward(gradient)
        layer.backward = watched

    for name, layer in net.layers.items():
        if re.fullmatch(r"scale\d", name):
            watch(name, layer, layer.backward)
    logits, _ = net.forward(parameters, field, case.scale, case.offset)
    flat = net.backward(np.eye(len(logits))[wanted])
    drawn = np.zeros(field.shape[1:])
    for name, share in shares.items():
        layer, pixel = net.layers[name], 2 ** int(name[-1])
        window = layer.options.get("window", 1)
        for y, x, c in np.ndindex(share.shape):
            place = int(layer.where[y, x, 0, c]) if hasattr(layer, "where") else 0
            top = (y * window + place // window) * pixel - net.layers["field"].rows // 2
            left = (x * window + place % window) * pixel - net.layers["field"].columns // 2
            rows = [r for r in range(top, top + pixel) if 0 <= r < drawn.shape[0]] or [
                0 if top < 0 else drawn.shape[0] - 1]
            columns = [r for r in range(left, left + pixel) if 0 <= r < drawn.shape[1]] or [
                0 if left < 0 else drawn.shape[1] - 1]
            drawn[np.ix_(rows, columns)] += share[y, x, c] / (len(rows) * len(columns))
    behind = sum((parameters[at : at + shape[0]] * flat[at : at + shape[0]]).sum()
                 for name, at, shape, is_bias in net.slices if is_bias and "scale" not in name)
    return logits, drawn, behind


@pytest.mark.parametrize(("network", "h", "w"), [("mcnn", 128, 128), ("mcnn-gap", 128, 128),
                                                 ("mcnn-gap", 100, 90)])
def test_equals_the_float64_twin(network, h, w):
    """Share by share and pixel by pixel, padded fields too; float32 may decide a maximum otherwise:
    of several fields most must agree."""
    agreed = 0
    for seed in range(3):
        case = random_case(np.random.default_rng(seed), 1, 2, h, w, 3, "uint16")
        text = networks.describe(network, 2, h, w, 3)
        net = train_net(text, case)
        model = Model(net.parameters, net.slices, text, network, ["a", "b", "c"], ["x", "y"],
                      [h, w], "uint16", case.scale.tolist(), case.offset.tolist(),
                      embedding={"size": net.embedding})
        evidence = Explainer(model, (h, w)).explain(case.fields[0], "b")
        logits, drawn, bias = twin_map(ReferenceNet(text), net.parameters, case.fields[0], case, 1)
        assert np.abs(evidence.logits - logits).max() < 1e-4 * np.abs(logits).max()
        assert abs(logits[1] - drawn.sum() - bias) < 1e-9
        agreed += np.abs(evidence.map - drawn).max() < 1e-4 * np.abs(drawn).max()
    assert agreed >= 2


def test_a_share_lies_where_its_pixel_is():
    """A field that is black but for one spot: the evidence that differs from black lies there."""
    model, _ = biased("mcnn-gap", (256, 256))
    black = np.full((2, 256, 256), 20000, np.uint16)
    spot = black.copy()
    spot[:, 196:204, 60:68] = 50000
    explainer = Explainer(model, (256, 256))
    change = np.abs(explainer.explain(spot, "fine").map - explainer.explain(black, "fine").map)
    assert change[164:236, 28:100].sum() > 0.5 * change.sum()


def test_what_has_the_most_evidence_matters_most():
    """Where the top 5 % of the evidence is taken out the class falls more than where a random 5 %
    is."""
    images, names = screens.draw_fields(16, seed=2)
    from phenoscale import WholeImageClassifier

    model = WholeImageClassifier(network="mcnn-gap", epochs=6, augment=()).fit(
        images, names).model_
    explainer, random = Explainer(model, (128, 128)), np.random.default_rng(0)
    wins, falls = 0, []
    for field in screens.draw_fields(12, seed=9)[0]:
        evidence = explainer.explain(field)
        heat = evidence.heat(radius=2)
        k = heat.size // 20
        top = np.argpartition(heat.ravel(), -k)[-k:]
        mean = field.mean(axis=(1, 2), keepdims=True).astype(field.dtype)

        def fall(pixels, field=field, mean=mean, evidence=evidence):
            without = field.copy().reshape(len(field), -1)
            without[:, pixels] = mean[:, 0]
            return evidence.logit - explainer.explain(without.reshape(field.shape),
                                                      evidence.name).logit
        others = np.mean([fall(random.permutation(heat.size)[:k]) for _ in range(3)])
        falls.append((fall(top), others))
        wins += falls[-1][0] > falls[-1][1]
    assert wins >= 10 and np.mean(falls, axis=0)[0] > np.mean(falls, axis=0)[1], falls


def test_networks_without_windows_have_a_coarse_map():
    text = ("field: input channels=1 height=32 width=32\nconv: conv filters=4 kernel=3 relu=1\n"
            "pool: pool window=4\nmix: conv filters=6 kernel=1 relu=1\ngap: gap\n"
            "classes: dense units=2\n")
    net = _core.Net(text)
    net.initialise(1)
    model = Model(net.parameters.copy(), net.slices, text, "mcnn-gap", ["a", "b"], ["x"], [32, 32],
                  "uint8", [0.01], [-1.0], embedding={"size": net.embedding})
    field = np.random.default_rng(0).integers(0, 255, (1, 32, 32)).astype(np.uint8)
    evidence = Explainer(model, (32, 32)).explain(field)
    assert evidence.is_coarse and list(evidence.scales) == [1]
    assert abs(evidence.map.sum() + evidence.bias - evidence.logit) < 1e-4
    cells = evidence.map.reshape(8, 4, 8, 4)
    assert (cells == cells[:, :1, :, :1]).all() and np.ptp(cells) > 0


def test_heat():
    model, field = biased("mcnn-gap", (256, 192))
    evidence = Explainer(model, (256, 192)).explain(field)
    heat = evidence.heat()
    assert heat.dtype == np.float32 and heat.shape == (256, 192)
    assert np.abs(heat).max() == 1
    evidence.map[:] = 0
    assert (evidence.heat() == 0).all()


@pytest.mark.parametrize("shape", [(40, 50), (3, 200), (1, 1)])
def test_smoothing_keeps_the_sum_and_has_its_deviation(shape):
    image = np.random.default_rng(0).normal(size=shape)
    assert smooth(image, 3.0).sum() == pytest.approx(image.sum())
    spot = np.zeros((201, 201))
    spot[100, 100] = 1
    blurred = smooth(spot, 8.0)
    at = np.arange(201) - 100
    deviation = np.sqrt((blurred.sum(axis=1) * at**2).sum())
    assert deviation == pytest.approx(8.0, rel=0.07)  # sides are whole and odd


def test_what_cannot_be_explained():
    model, field = biased("mcnn")
    explainer = Explainer(model, (128, 128))
    with pytest.raises(InputError, match="no class 'coarsest': it has coarse, fine"):
        explainer.explain(field, "coarsest")
    with pytest.raises(InputError, match="1 channels, the model needs 2"):
        explainer.explain(field[:1])
    with pytest.raises(InputError, match="takes no other size"):
        explainer.explain(np.zeros((2, 128, 256), np.uint16))
    with pytest.raises(InputError, match="the fields are uint8"):
        explainer.explain(field.astype(np.uint8))
    with pytest.raises(InputError, match="the class 0 is no text: it is one of"):
        explainer.explain(field, 0)
    for other in (field[0], field.tolist()[0], np.zeros((2, 256, 128), np.uint16)):
        with pytest.raises(InputError, match="a field of shape .*|takes no other size"):
            explainer.explain(other)
    explainer = Explainer(biased("mcnn-gap", (128, 128))[0], (128, 128))
    with pytest.raises(InputError, match=r"this explainer takes \(channels, 128, 128\)"):
        explainer.explain(np.zeros((2, 256, 128), np.uint16))


def test_threads_do_not_matter():
    model, field = biased("mcnn-gap", (256, 256))
    one, two = (Explainer(model, (256, 256), threads).explain(field) for threads in (1, 2))
    assert (one.map == two.map).all() and one.bias == two.bias
