# SPDX-License-Identifier: BSD-3-Clause
"""The slow twin of the C core: its layers, losses and optimizers in plain float64 NumPy.

Documentation as well as oracle: what the C layer of the same name computes, one image at a time::

    counts (c, h, w) -> input (h, w, c) -> conv, pool, merge ... -> gap or dense -> logits (k)

Parameters live in one flat vector with the slices of the C network.  A batch is the sum over its
images in one fixed pairwise tree.

Where a gradient depends on which side of zero a number lies (ReLU) or on which of two numbers is
the larger (maximum), rounding in float32 may choose otherwise.  Backward therefore notes the
smallest such margin it passed through, relative to the largest value of that map (`margin`).
"""

import math

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from phenoscale.models.networks import plain


def smallest(values, scale):
    """Smallest of `values` over `scale`; infinity when there is nothing to compare."""
    return float(values.min() / scale) if values.size and scale > 0 else math.inf


class Layer:
    """One line of a description: shapes at construction, then forward and backward of an image.

    `shape` is that of the output, `tensors` the (name, shape) of the parameters in their order,
    `stride` the pixels of the padded field that one cell of the output stands for.
    """

    tensors = ()
    margin = math.inf

    def __init__(self, options, above):
        self.options = options
        self.field = above[0].field if above else self
        self.stride = above[0].stride if above else 1

    def rectify(self, z):
        """Apply the ReLU where the layer has one; remember the pre-activation z."""
        self.z = z
        return np.maximum(z, 0) if self.options.get("relu") else z

    def unrectify(self, gradient):
        """Gradient by the pre-activation: none where z <= 0."""
        if not self.options.get("relu"):
            return gradient
        self.margin = smallest(np.abs(self.z[gradient != 0]), np.abs(self.z).max())
        return np.where(self.z > 0, gradient, 0)


class Input(Layer):
    """(count * gain) * scale + offset, then zeros around it to a multiple of `pad`, centred."""

    def __init__(self, options, above):
        super().__init__(options, above)
        c, h, w = (options[name] for name in ("channels", "height", "width"))
        pad = options.get("pad", 1)
        self.rows = -h % pad  # rows and columns of padding; the odd one comes after the field
        self.columns = -w % pad
        self.shape = (h + self.rows, w + self.columns, c)

    def forward(self, inputs, weights):
        counts, scale, offset, gain = inputs
        values = counts.astype(np.float64) * (1.0 if gain is None else gain)
        values = values * np.reshape(scale, (-1, 1, 1)) + np.reshape(offset, (-1, 1, 1))
        top, left = self.rows // 2, self.columns // 2
        padding = ((0, 0), (top, self.rows - top), (left, self.columns - left))
        return np.pad(values, padding).transpose(1, 2, 0)

    def backward(self, gradient):
        return [], []


class Conv(Layer):
    """Convolution (as networks say; mathematically a correlation), stride 1, zeros around."""

    def __init__(self, options, above):
        super().__init__(options, above)
        h, w, c = above[0].shape
        k, filters = options["kernel"], options["filters"]
        self.shape = (h, w, filters)
        self.tensors = (("weight", (filters, c, k, k)), ("bias", (filters,)))

    def windows(self, image):
        """(h, w, c, k, k): the k x k surroundings of each pixel."""
        k = self.options["kernel"]
        around = ((k // 2, k // 2), (k // 2, k // 2), (0, 0))
        return sliding_window_view(np.pad(image, around), (k, k), axis=(0, 1))

    def forward(self, inputs, weights):
        self.image, (self.weight, bias) = inputs[0], weights
        z = np.tensordot(self.windows(self.image), self.weight, ([2, 3, 4], [1, 2, 3])) + bias
        return self.rectify(z)

    def backward(self, gradient):
        dz = self.unrectify(gradient)
        weight = np.tensordot(dz, self.windows(self.image), ([0, 1], [0, 1]))
        turned = self.weight[:, :, ::-1, ::-1]
        image = np.tensordot(self.windows(dz), turned, ([2, 3, 4], [0, 2, 3]))
        return [image], [weight, dz.sum((0, 1))]


class Pool(Layer):
    """Maximum of windows side by side; what does not fill a window is left out (VALID).

    The gradient goes to the first maximum in row-major order.  NaN wins.
    """

    def __init__(self, options, above):
        super().__init__(options, above)
        h, w, c = above[0].shape
        k = options["window"]
        self.shape = (h // k, w // k, c)
        self.stride = above[0].stride * k

    def forward(self, inputs, weights):
        (h, w, c), k = self.shape, self.options["window"]
        self.above = inputs[0].shape
        cells = inputs[0][: h * k, : w * k].reshape(h, k, w, k, c).transpose(0, 2, 1, 3, 4)
        self.cells = cells.reshape(h, w, k * k, c)
        self.where = self.cells.argmax(2)[:, :, None]
        return np.take_along_axis(self.cells, self.where, 2)[:, :, 0]

    def backward(self, gradient):
        (h, w, c), k = self.shape, self.options["window"]
        if k > 1:  # an exact tie follows the rule
            second, first = np.moveaxis(np.partition(self.cells, k * k - 2, 2)[:, :, -2:], 2, 0)
            gap = (first - second)[(gradient != 0) & (first != second)]
            self.margin = smallest(gap, np.abs(self.cells).max())
        cells = np.zeros_like(self.cells)
        np.put_along_axis(cells, self.where, gradient[:, :, None], 2)
        image = np.zeros(self.above)
        cells = cells.reshape(h, w, k, k, c).transpose(0, 2, 1, 3, 4)
        image[: h * k, : w * k] = cells.reshape(h * k, w * k, c)
        return [image], []


class Merge(Layer):
    """Channels of several maps of one size, side by side in the order of `from`."""

    def __init__(self, options, above):
        super().__init__(options, above)
        self.channels = [layer.shape[2] for layer in above]
        self.shape = (*above[0].shape[:2], sum(self.channels))

    def forward(self, inputs, weights):
        return np.concatenate(inputs, axis=2)

    def backward(self, gradient):
        return np.split(gradient, np.cumsum(self.channels)[:-1], axis=2), []


class Gap(Layer):
    """Average, then maximum, of each channel over the cells that see the true field: (2c)."""

    def __init__(self, options, above):
        super().__init__(options, above)
        self.above = h, w, c = above[0].shape
        self.shape = (2 * c,)
        field, stride = self.field, self.stride
        top, left = field.rows // 2, field.columns // 2

        def seen(cells, start, size):
            edge = np.arange(cells) * stride
            return (edge + stride > start) & (edge < start + size)

        rows = seen(h, top, field.options["height"])
        columns = seen(w, left, field.options["width"])
        self.mask = rows[:, None] & columns

    def pool(self, image):
        """Of an image that nobody remembers."""
        seen = image[self.mask]
        return np.concatenate([seen.mean(0), seen.max(0)])

    def forward(self, inputs, weights):
        self.seen = inputs[0][self.mask]  # (cells, c)
        self.where = self.seen.argmax(0)
        return self.pool(inputs[0])

    def backward(self, gradient):
        average, maximum = np.split(gradient, 2)
        cells, c = self.seen.shape
        if cells > 1:
            second, first = np.partition(self.seen, cells - 2, axis=0)[-2:]
            self.margin = smallest((first - second)[first != second], np.abs(self.seen).max())
        seen = np.repeat(average[None] / cells, cells, axis=0)
        seen[self.where, np.arange(c)] += maximum
        image = np.zeros(self.above)
        image[self.mask] = seen
        return [image], []


class Dense(Layer):
    """Weighted sums of everything above; weights are (units, h, w, c), or (units, n)."""

    def __init__(self, options, above):
        super().__init__(options, above)
        self.shape = (options["units"],)
        inputs = above[0].shape[2:] if above[0].shape[:2] == (1, 1) else above[0].shape
        self.tensors = (("weight", (options["units"], *inputs)), ("bias", self.shape))

    def forward(self, inputs, weights):
        self.input, (self.weight, bias) = inputs[0], weights
        flat = self.weight.reshape(len(bias), -1)
        return self.rectify(flat @ self.input.ravel() + bias)

    def backward(self, gradient):
        dz = self.unrectify(gradient)
        image = np.tensordot(dz, self.weight, 1).reshape(self.input.shape)
        weight = np.multiply.outer(dz, self.input).reshape(self.weight.shape)
        return [image], [weight, dz]


class Relu(Layer):
    """What stands between a layer with rectify=1 and the one that it reads."""

    def __init__(self, options, above):
        super().__init__({"relu": 1}, above)
        self.shape = above[0].shape

    def forward(self, inputs, weights):
        return self.rectify(inputs[0])

    def backward(self, gradient):
        return [self.unrectify(gradient)], []


LAYERS = {"input": Input, "conv": Conv, "pool": Pool, "merge": Merge, "gap": Gap, "dense": Dense}


def softmax(logits):
    """Probabilities of logits along the last axis."""
    powers = np.exp(logits - np.max(logits, axis=-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)


def softmax_loss(logits, label, smoothing=0.0):
    """Cross-entropy of one image and its gradient by the logits (k).

    The target is 1 - smoothing for the label, plus smoothing / k for every class.
    """
    logits = np.asarray(logits, dtype=np.float64)
    target = (1 - smoothing) * (np.arange(logits.size) == label) + smoothing / logits.size
    shifted = logits - logits.max()
    loss = np.log(np.exp(shifted).sum()) - target @ shifted
    return loss, softmax(logits) - target


LOSSES = {"softmax": softmax_loss}


# Optimizers change weights and their list of states in place; g is the gradient after scaling and
# decay, step counts from 1, recipe is a dict of rate, momentum, second and epsilon.
def sgd(weights, g, states, step, recipe):
    """Stochastic gradient descent with (heavy ball) momentum."""
    states[0][:] = recipe["momentum"] * states[0] + g
    weights -= recipe["rate"] * states[0]


def nesterov(weights, g, states, step, recipe):
    """Momentum that looks ahead by one step."""
    states[0][:] = recipe["momentum"] * states[0] + g
    weights -= recipe["rate"] * (g + recipe["momentum"] * states[0])


def adam(weights, g, states, step, recipe):
    """Adam (Kingma and Ba 2015) with corrected bias."""
    first, second = recipe["momentum"], recipe["second"]
    states[0][:] = first * states[0] + (1 - first) * g
    states[1][:] = second * states[1] + (1 - second) * g**2
    mean, square = states[0] / (1 - first**step), states[1] / (1 - second**step)
    weights -= recipe["rate"] * mean / (np.sqrt(square) + recipe["epsilon"])


OPTIMIZERS = {"sgd": (sgd, 1), "nesterov": (nesterov, 1), "adam": (adam, 2)}  # states each


def effective_gradient(gradient, weights, is_bias, decay, scale):
    """scale * gradient + decay * weight; biases do not decay."""
    return scale * gradient + decay * np.where(is_bias, 0, weights)


def pairwise_sum(leaves):
    """Sum in the fixed tree: at level s = 1, 2, 4 ... leaf k takes leaf k + s in."""
    leaves = [np.array(leaf) for leaf in leaves]
    s = 1
    while s < len(leaves):
        for k in range(0, len(leaves) - s, 2 * s):
            leaves[k] = leaves[k] + leaves[k + s]
        s *= 2
    return leaves[0]


class ReferenceNet:
    """A network from the same text as the C one; `slices`: (name, offset, shape, is_bias) over the
    flat parameters.  `forward` gives logits (k), embedding of one field; `gradient` sums a batch.
    """

    def __init__(self, description):
        self.layers, self.sources, self.slices, self.count = {}, {}, [], 0
        previous = None
        for line in plain(description).splitlines():  # a tower is what it stands for
            name, words = line.strip().split(": ")
            kind, *options = words.split()
            options = dict(option.split("=") for option in options)
            sources = options.pop("from", previous)
            if options.pop("rectify", "0") == "1":
                self.layers[f"{name}.relu"] = Relu({}, [self.layers[sources]])
                self.sources[f"{name}.relu"], sources = [sources], f"{name}.relu"
            self.sources[name] = sources.split(",") if sources else []
            above = [self.layers[source] for source in self.sources[name]]
            layer = LAYERS[kind]({key: int(value) for key, value in options.items()}, above)
            self.layers[name] = layer
            for tensor, shape in layer.tensors:
                self.slices.append((f"{name}.{tensor}", self.count, shape, tensor == "bias"))
                self.count += math.prod(shape)
            previous = name
        self.last = previous

    def tensors(self, flat):
        """Views of a flat vector by the names of the slices."""
        ends = {name: (at, at + math.prod(shape), shape) for name, at, shape, _ in self.slices}
        return {name: flat[a:b].reshape(shape) for name, (a, b, shape) in ends.items()}

    def forward(self, parameters, field, scale=1.0, offset=0.0, gain=None):
        """Logits (k) and embedding of one field (c, h, w)."""
        tensors, values = self.tensors(np.asarray(parameters, dtype=np.float64)), {}
        for name, layer in self.layers.items():
            inputs = [values[source] for source in self.sources[name]]
            weights = [tensors[f"{name}.{tensor}"] for tensor, _ in layer.tensors]
            values[name] = layer.forward(inputs or (field, scale, offset, gain), weights)
        return values[self.last], self.embedding(values)

    def read(self, name):
        """The layer that a layer reads, behind a ReLU of its own or not."""
        source = self.sources[name][0]
        return self.read(source) if isinstance(self.layers[source], Relu) else source

    def embedding(self, values):
        """What the last dense layer reads, without ReLUs of rectify=1 on the way."""
        name = self.read(self.last)
        if isinstance(self.layers[name], Gap):
            return self.layers[name].pool(values[self.read(name)])
        return values[name].ravel()

    def backward(self, gradient):
        """Gradient (count) by the parameters of the last forward, from that by the logits."""
        flat = np.zeros(self.count)
        tensors = self.tensors(flat)
        gradients = {self.last: gradient}
        for name, layer in reversed(self.layers.items()):
            if name not in gradients:  # a layer that nothing reads
                continue
            to_inputs, to_weights = layer.backward(gradients.pop(name))
            for source, value in zip(self.sources[name], to_inputs):
                gradients[source] = gradients.get(source, 0) + value
            for (tensor, _), value in zip(layer.tensors, to_weights):
                tensors[f"{name}.{tensor}"][...] = value
        return flat

    def margin(self):
        """Smallest margin of the last backward (see the top of this file)."""
        return min(layer.margin for layer in self.layers.values())

    def step(self, parameters, fields, labels, weights, scale=1.0, offset=0.0, gain=None,
             smoothing=0.0, loss="softmax"):
        """Weighted loss, logits (n, k), gradient (count) and smallest margin of a batch."""
        total, logits, gradients, margin = 0.0, [], [], math.inf
        for field, label, weight in zip(fields, labels, weights):
            logits.append(self.forward(parameters, field, scale, offset, gain)[0])
            value, by_logits = LOSSES[loss](logits[-1], label, smoothing)
            total += weight * value
            gradients.append(self.backward(weight * by_logits))
            margin = min(margin, self.margin())
        return total, np.array(logits), pairwise_sum(gradients), margin
