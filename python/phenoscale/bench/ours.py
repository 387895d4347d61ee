# SPDX-License-Identifier: BSD-3-Clause
"""M-CNN of phenoscale, to be timed beside the peers: our side of `phenoscale bench`.

`run.py` runs this file as a process of its own, with the requests of peers.py and a few
more.  There are two contenders, the same network with the same parameters: "tower" through the
fused kernels, which is what `phenoscale train` uses, and "plain" through the layers of oneDNN.
"""

from __future__ import annotations

import json
import os

import numpy as np

from phenoscale import _core
from phenoscale.bench import peers as bench_peers
from phenoscale.models import networks
from phenoscale.training.train import images_at_once

CLASSES = 13
SPARSE_CHANNELS = 48  # scales 0-2, the ones whose windows are 64x64, 32x32 and 16x16 pixels
#: contender -> how `networks.describe` is to draw the scales
TOWERS = {"tower": "fused", "plain": "plain"}


def dense_operations(slices, height, width):
    """What one image costs where nothing is left out.

    Parameters
    ----------
    slices : list of (name, offset, shape, is_bias)
        The tensors of an M-CNN, as `_core.Net.slices` has them.
    height, width : int
        Of a field in pixels, multiples of 128.

    Returns
    -------
    dict
        "infer" and "train": floating-point operations, a multiplication and an addition being
        two. Training is the forward pass, the gradient by the weights and that by the data; the
        first convolution of a scale has no use for the latter, its data is the image.
    """
    found = {"infer": 0, "train": 0}
    for name, _, shape, is_bias in slices:
        if is_bias:
            continue
        layer = name.split(".")
        scale = int(layer[0][5:]) if name.startswith("scale") else bench_peers.SCALES - 1
        places = 1 if layer[0] in ("fc", "classes") else height * width // 4**scale
        forward = 2 * places * int(np.prod(shape))
        found["infer"] += forward
        found["train"] += forward * (2 if layer[1] == "conv1" else 3)
    return found


class Ours:
    """M-CNN of phenoscale through one of `TOWERS`."""

    def __init__(self, job):
        self.job, self.version = job, "oneDNN " + _core.versions()["oneDNN"]
        self.fields, self.scale, self.offset = bench_peers.read_batch(job)
        self.description = networks.describe("mcnn", *self.fields.shape[1:], CLASSES,
                                           tower=TOWERS[job["contender"]])
        self.net = self.optimizer = self.plan = None

    def net_for(self, **plan):
        """The one network held, made for training or for predictions, with the weights given."""
        if self.plan != plan:
            self.net = self.optimizer = None  # give the old one's memory back first
            self.net = _core.Net(self.description, threads=len(self.job["cores"]), **plan)
            self.net.parameters[:] = np.load(self.path("parameters.npy"), mmap_mode="r")
            self.plan = plan
        return self.net

    def path(self, name):
        """Of a file in the folder of the job."""
        return os.path.join(self.job["folder"], name)

    def weights(self, seed):
        """Write Glorot weights and the table of tensors."""
        net = _core.Net(self.description)
        net.initialise(seed)
        np.save(self.path("parameters.npy"), net.parameters)
        with open(self.path("slices.json"), "w", encoding="utf-8") as text:
            json.dump([row[:3] for row in net.slices], text)
        self.plan = None  # the network held has other weights

    def live(self):
        """Share of (window, channel) pairs above 0 over the fields: of scales 0-2, and of all."""
        lines = self.description.splitlines()
        merge = next(i for i, line in enumerate(lines) if line.split()[1] == "merge")
        scales = _core.Net("\n".join([*lines[: merge + 1], "end: dense units=2", ""]))
        end = scales.slices[-2][1]
        scales.parameters[:end] = np.load(self.path("parameters.npy"), mmap_mode="r")[:end]
        maxima = scales.predict(self.fields, self.scale, self.offset)[1]
        h, w = (n // 64 for n in self.fields.shape[2:])
        is_live = maxima.reshape(len(maxima), h, w, -1) > 0
        return float(is_live[..., :SPARSE_CHANNELS].mean()), float(is_live.mean())

    def infer(self):
        """Logits (n, classes) as lists."""
        return self.net_for().predict(self.fields, self.scale, self.offset)[0].tolist()

    def train(self):
        """One step: forward, loss, backward, clip, momentum update.  The loss."""
        batch = self.job["batch"]
        part = images_at_once(batch, len(self.job["cores"]))
        net = self.net_for(training=True, images=part, batch=batch)
        if self.optimizer is None:
            self.optimizer = _core.Optimizer("sgd", net)
        labels = bench_peers.labels_of(batch, CLASSES)
        net.begin()
        loss = 0.0
        for at in range(0, batch, part):
            fields = self.fields[at : at + part]
            net.forward(fields, self.scale, self.offset)
            share = np.full(len(fields), 1 / batch)
            loss += net.backward(labels[at : at + part], share)[0].sum()
        clip = min(1.0, bench_peers.CLIP / net.gradient())
        self.optimizer.update(net, bench_peers.RATE, momentum=bench_peers.MOMENTUM, scale=clip)
        return loss

    def gradients(self, seed):
        """Write weights, and logits and gradients of one field, for bench_peers' compare."""
        self.weights(seed)
        net = self.net_for(training=True, images=1, batch=1)
        fields = np.load(self.path("fields.npy"), mmap_mode="r")
        net.begin()
        net.forward(fields[[seed % len(fields)]], self.scale, self.offset)
        _, logits = net.backward(np.array([seed % CLASSES]), np.ones(1))
        net.gradient()
        np.save(self.path(f"logits_{seed}.npy"), logits)
        np.save(self.path(f"gradients_{seed}.npy"), net.gradients)
        return [row[0] for row in net.slices]

    def dense(self):
        """Floating-point operations of one image where nothing is left out, by kind."""
        return dense_operations(self.net.slices, *self.fields.shape[2:])

    def executed(self):
        """Floating-point operations that the network held has done before its dense layers."""
        return self.net.executed

    def fma_peak(self):
        """GFLOP/s of one core in multiply-adds, as it is just now."""
        return _core.fma_peak()


if __name__ == "__main__":
    bench_peers.answer_all(dict.fromkeys(TOWERS, Ours))
