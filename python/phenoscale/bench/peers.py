# SPDX-License-Identifier: BSD-3-Clause
"""M-CNN in PyTorch and in TensorFlow, to be timed beside phenoscale.

`run.py` runs this file as a process of its own, in any environment that has one of the two
frameworks and NumPy; it imports nothing of phenoscale.  One JSON object a line comes in on stdin
and one goes out on stdout: first the job (which contender, cores, batch, folder), then requests
("infer", "train", "compare") until the input ends.  process.py is the other end of the pipe.
Arrays travel as .npy files in the folder of the job: `fields.npy` (n, c, h, w) uint16,
`scale.npy` and `offset.npy` (c,) float32, `parameters.npy` float32 flat, and the tensors' names,
places and shapes in `slices.json`.
"""

import importlib.util
import json
import os
import sys
import time

import numpy as np

SCALES = 7
RATE, MOMENTUM, CLIP = 1e-3, 0.9, 5.0
GRADIENT_TOLERANCE = 1e-3  # of a tensor's largest difference, over its largest value
MARGIN = 1e-5  # below it, float32 may decide a ReLU or a maximum either way
MOST_FLIPS, MOST_TRIALS = 16, 8


def peak_rss_mb():
    """Most memory this process ever held, in MB (1e6 bytes).

    Not ru_maxrss, which also remembers the parent's size from before the exec.
    """
    with open("/proc/self/status", encoding="ascii") as status:
        line = next(text for text in status if text.startswith("VmHWM"))
    return int(line.split()[1]) * 1024 / 1e6


def job_tensors(job, file_name="parameters.npy"):
    """The tensors in order: of each of the 7 scales three convolutions, then the 1x1 convolution
    and two dense layers; weight (out, in, kh, kw) or (units, ...), then bias."""
    flat = np.load(os.path.join(job["folder"], file_name), mmap_mode="r")
    with open(os.path.join(job["folder"], "slices.json"), encoding="utf-8") as text:
        slices = json.load(text)
    return [flat[at : at + int(np.prod(shape))].reshape(shape) for _, at, shape in slices]


def read_batch(job):
    """Fields (batch, c, h, w) uint16 and scale, offset (c,); fields repeat if there are too few."""
    folder = job["folder"]
    fields = np.load(os.path.join(folder, "fields.npy"), mmap_mode="r")
    fields = fields[np.arange(job["batch"]) % len(fields)]
    return fields, *(np.load(os.path.join(folder, name + ".npy")) for name in ("scale", "offset"))


def labels_of(n, classes):
    """Labels 0, 1, 2, ... over and over (n,) int64."""
    return np.arange(n, dtype=np.int64) % classes


class PyTorch:
    """M-CNN in eager or compiled PyTorch, in one of two memory layouts."""

    def __init__(self, job):
        import torch

        torch.set_num_threads(len(job["cores"]))
        self.torch, self.job, self.version = torch, job, torch.__version__
        is_last = job.get("layout", "channels_last") == "channels_last"
        self.format = torch.channels_last if is_last else torch.contiguous_format
        self.weights = [w.requires_grad_() for w in self.tensors("parameters.npy")]
        fields, scale, offset = read_batch(job)
        self.fields = self.laid_out(torch.from_numpy(fields))
        self.scale, self.offset = (torch.from_numpy(v).view(1, -1, 1, 1) for v in (scale, offset))
        self.labels = torch.from_numpy(labels_of(job["batch"], len(self.weights[-1])))
        self.net = torch.compile(self.forward) if job.get("compiled") else self.forward
        self.optimizer = None

    def laid_out(self, tensor):
        """The same tensor, in the layout of the job where that makes a difference."""
        return tensor.contiguous(memory_format=self.format) if tensor.dim() == 4 else tensor

    def tensors(self, file_name):
        """Our tensors as PyTorch wants them: dense weights after a map are (units, c, h, w)."""
        arrays = [np.array(array) for array in job_tensors(self.job, file_name)]
        dense = arrays[6 * SCALES + 2]
        if dense.ndim == 4:  # not when the map is a single pixel
            arrays[6 * SCALES + 2] = dense.transpose(0, 3, 1, 2).reshape(len(dense), -1)
        return [self.laid_out(self.torch.from_numpy(np.ascontiguousarray(a))) for a in arrays]

    def inputs(self, fields):
        """uint16 (n, c, h, w) to normalised float32."""
        return fields.to(self.torch.float32) * self.scale + self.offset

    def forward(self, x, relu=None, pool=None):
        """Logits (n, classes).  `relu(site, z)` and `pool(site, z, window)` may be replaced."""
        functional = self.torch.nn.functional
        relu = relu or (lambda site, z: functional.relu_(z))
        pool = pool or (lambda site, z, window: functional.max_pool2d(z, window))
        w, columns = self.weights, []
        for s in range(SCALES):
            x = functional.max_pool2d(x, 2) if s else x
            a = x
            for k in range(3):
                at = 6 * s + 2 * k
                z = functional.conv2d(a, w[at], w[at + 1], padding=2)
                a = relu(f"scale{s}.conv{k + 1}", z)
            columns.append(pool(f"scale{s}.max", a, 64 >> s) if s < SCALES - 1 else a)
        head = w[6 * SCALES :]
        a = relu("merge", functional.conv2d(self.torch.cat(columns, 1), head[0], head[1]))
        a = pool("merge.max", a, 2).flatten(1)
        a = relu("dense", functional.linear(a, head[2], head[3]))
        return functional.linear(a, head[4], head[5])

    def infer(self):
        """Logits (n, classes) as lists."""
        with self.torch.inference_mode():
            return self.net(self.inputs(self.fields)).tolist()

    def train(self):
        """One step: forward, loss, backward, clip, momentum update.  The loss."""
        torch = self.torch
        if self.optimizer is None:
            self.optimizer = torch.optim.SGD(self.weights, RATE, momentum=MOMENTUM, fused=True)
        self.optimizer.zero_grad(set_to_none=True)
        loss = torch.nn.functional.cross_entropy(self.net(self.inputs(self.fields)), self.labels)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.weights, CLIP)
        self.optimizer.step()
        return float(loss.detach())

    def compare(self, seed):
        """`logits_SEED.npy`, `gradients_SEED.npy` of one field, which are ours, against PyTorch's;
        both with the weights in `parameters.npy`."""
        torch = self.torch
        self.weights = [w.requires_grad_() for w in self.tensors("parameters.npy")]
        fields = np.load(os.path.join(self.job["folder"], "fields.npy"), mmap_mode="r")
        field = torch.from_numpy(np.array(fields[seed % len(fields)])[None])
        x = self.inputs(self.laid_out(field))
        label = torch.tensor([seed % len(self.weights[-1])])
        logits = self.forward(x)
        loss = torch.nn.functional.cross_entropy(logits, label)
        theirs = torch.autograd.grad(loss, self.weights)
        ours = self.tensors(f"gradients_{seed}.npy")
        our_logits = torch.from_numpy(np.load(f"{self.job['folder']}/logits_{seed}.npy"))
        worst = torch.stack(self.differences(ours, theirs))
        excesses = ~(worst <= GRADIENT_TOLERANCE)  # NaN is one
        worst_logit = self.differences([our_logits], [logits.detach()])[0]
        result = {"seed": seed, "logits": float(worst_logit), "gradient": float(worst.max()),
                  "tensor": int(worst.argmax()), "excesses": int(excesses.sum()), "flips": [],
                  "traced": None}
        if result["excesses"]:
            del logits, loss, theirs
            result.update(Trace(self, x, label, ours).run())
        return result

    @staticmethod
    def differences(ours, theirs):
        """Of each tensor: the largest difference over the largest value."""
        return [(a - b).abs().max() / b.abs().max().clamp_min(1e-30) for a, b in zip(ours, theirs)]


class Trace:
    """Which undecided ReLU or maximum explains that two gradients of one network differ.

    Every decision of the forward pass is made explicit: a ReLU multiplies by a mask of 0 and 1, a
    window maximum is (1 - m) * largest + m * runner-up with m = 0.  The gradient g of the weights
    is then differentiable by the decisions, and d<g, e>/dm, with e the difference of the two
    gradients, tells for every decision at once whether flipping it may explain e.  Of those with a
    margin below 1e-5 the most likely are tried and the best is flipped, one after the other, until
    no tensor differs by more than the tolerance.
    """

    def __init__(self, peer, x, label, ours):
        self.peer, self.torch, self.x, self.label, self.ours = peer, peer.torch, x, label, ours
        self.decisions, self.margins, self.windows = {}, {}, {}

    def relu(self, site, z):
        """z times its mask (same shape)."""
        if site not in self.decisions:
            self.decisions[site] = (z.detach() > 0).to(z.dtype).requires_grad_()
            self.margins[site] = z.detach().abs()
        return z * self.decisions[site]

    def pool(self, site, z, window):
        """Window maximum (n, c, h, w), as a mixture of the largest and the runner-up."""
        if site not in self.decisions:
            max_pool2d, flat = self.torch.nn.functional.max_pool2d, z.detach().flatten(2)
            top, first = max_pool2d(z.detach(), window, return_indices=True)
            rest = flat.scatter(2, first.flatten(2), -self.torch.inf).view(z.shape)
            runner_up, second = max_pool2d(rest, window, return_indices=True)
            self.windows[site] = first.flatten(2), second.flatten(2)
            is_dead = top <= 0  # neither passes anything: no decision
            self.margins[site] = (top - runner_up).masked_fill(is_dead, self.torch.inf)
            self.decisions[site] = self.torch.zeros_like(top).requires_grad_()
        m = self.decisions[site]
        a, b = (z.flatten(2).gather(2, index).view(m.shape) for index in self.windows[site])
        return a + m * (b - a)

    def gradients(self, create_graph):
        """Of the loss by the weights, with the decisions as they are now."""
        logits = self.peer.forward(self.x, self.relu, self.pool)
        loss = self.torch.nn.functional.cross_entropy(logits, self.label)
        return self.torch.autograd.grad(loss, self.peer.weights, create_graph=create_graph)

    def candidates(self, gradients):
        """(slope, site, index) of the undecided decisions most likely to explain the errors."""
        weighted = [(ours - g.detach()) / g.detach().abs().max().clamp_min(1e-30) ** 2
                    for ours, g in zip(self.ours, gradients)]
        agreement = sum((g * e).sum() for g, e in zip(gradients, weighted))
        slopes = self.torch.autograd.grad(agreement, list(self.decisions.values()))
        found = []
        for (site, decision), slope in zip(self.decisions.items(), slopes):
            gain = slope * (1 - 2 * decision.detach())
            gain[self.margins[site] >= MARGIN] = 0
            top, places = gain.flatten().topk(min(MOST_TRIALS, gain.numel()))
            places = zip(*np.unravel_index(places.numpy(), gain.shape))
            found += [(slope, site, tuple(int(i) for i in at))
                      for slope, at in zip(top.tolist(), places) if slope > 0]
        return sorted(found, reverse=True)[:MOST_TRIALS]

    def flip(self, site, at):
        """Decide one ReLU or window the other way."""
        with self.torch.no_grad():
            self.decisions[site][at] = 1 - self.decisions[site][at]

    def errors(self, site, at):
        """(sum of squares, largest) of the tensors' differences with one decision flipped."""
        self.flip(site, at)
        worst = self.torch.stack(self.peer.differences(self.ours, self.gradients(False)))
        self.flip(site, at)
        return float((worst**2).sum()), float(worst.max())

    def run(self):
        """{"flips": [...], "traced": whether they explain every excess, "undecided": how many}."""
        flips = []
        while True:
            gradients = self.gradients(create_graph=True)
            worst = self.torch.stack(self.peer.differences(self.ours, gradients)).detach()
            before, square = float(worst.max()), float((worst**2).sum())
            if before <= GRADIENT_TOLERANCE or len(flips) == MOST_FLIPS:
                break
            found = self.candidates(gradients)
            del gradients
            trials = [(*self.errors(site, at), site, at) for _, site, at in found]
            least, after, site, at = min(trials, default=(square, before, None, None))
            if not least < square:
                break
            self.flip(site, at)
            flips.append({"site": site, "at": at, "margin": float(self.margins[site][at]),
                          "before": before, "after": after})
        undecided = sum(int((margin < MARGIN).sum()) for margin in self.margins.values())
        return {"flips": flips, "traced": before <= GRADIENT_TOLERANCE, "undecided": undecided}


class TensorFlow:
    """M-CNN in TensorFlow's graph mode, channels last."""

    def __init__(self, job):
        import tensorflow as tf

        threads = len(job["cores"])
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(threads)
        self.tf, self.version = tf, tf.__version__
        flatten = 6 * SCALES + 2
        self.weights = []
        for k, array in enumerate(job_tensors(job)):
            if array.ndim == 4 and k != flatten:
                array = array.transpose(2, 3, 1, 0)  # (kh, kw, in, out)
            elif array.ndim > 1:
                array = array.reshape(len(array), -1).T  # (h, w, c) is our order as well
            self.weights.append(tf.Variable(np.ascontiguousarray(array)))
        fields, self.scale, self.offset = read_batch(job)
        self.fields = tf.constant(np.ascontiguousarray(fields.transpose(0, 2, 3, 1)))
        self.labels = tf.constant(labels_of(job["batch"], self.weights[-1].shape[0]))
        self.velocity = None
        self.predict_graph = tf.function(self.forward)
        self.step_graph = tf.function(self.step)

    def forward(self, fields):
        """Logits (n, classes) of fields (n, h, w, c) uint16."""
        tf, w, columns = self.tf, self.weights, []
        x = tf.cast(fields, tf.float32) * self.scale + self.offset
        for s in range(SCALES):
            x = tf.nn.max_pool2d(x, 2, 2, "VALID") if s else x
            a = x
            for at in range(6 * s, 6 * s + 6, 2):
                a = tf.nn.relu(tf.nn.bias_add(tf.nn.conv2d(a, w[at], 1, "SAME"), w[at + 1]))
            window = 64 >> s
            columns.append(tf.nn.max_pool2d(a, window, window, "VALID") if window > 1 else a)
        head = w[6 * SCALES :]
        a = tf.nn.conv2d(tf.concat(columns, 3), head[0], 1, "VALID")
        a = tf.nn.max_pool2d(tf.nn.relu(tf.nn.bias_add(a, head[1])), 2, 2, "VALID")
        a = tf.reshape(a, (fields.shape[0], -1))
        a = tf.nn.relu(tf.nn.bias_add(tf.matmul(a, head[2]), head[3]))
        return tf.nn.bias_add(tf.matmul(a, head[4]), head[5])

    def step(self, fields, labels):
        """One step as a graph: forward, loss, backward, clip, momentum update."""
        tf = self.tf
        with tf.GradientTape() as tape:
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, self.forward(fields))
            loss = tf.reduce_mean(losses)
        gradients, _ = tf.clip_by_global_norm(tape.gradient(loss, self.weights), CLIP)
        for weight, velocity, gradient in zip(self.weights, self.velocity, gradients):
            tf.raw_ops.ResourceApplyMomentum(
                var=weight.handle, accum=velocity.handle, lr=RATE, grad=gradient,
                momentum=MOMENTUM)
        return loss

    def infer(self):
        """Logits (n, classes) as lists."""
        return self.predict_graph(self.fields).numpy().tolist()

    def train(self):
        """One step, as PyTorch's.  The loss."""
        if self.velocity is None:
            self.velocity = [self.tf.Variable(self.tf.zeros_like(w)) for w in self.weights]
        return float(self.step_graph(self.fields, self.labels).numpy())


PEERS = {"pytorch": ("torch", PyTorch), "tensorflow": ("tensorflow", TensorFlow)}


def find():
    """Which frameworks this environment has."""
    return [name for name, (module, _) in PEERS.items() if importlib.util.find_spec(module)]


def answer(contender, request):
    """Do one request; its answer as a dict that JSON can hold."""
    work = getattr(contender, request.pop("do"))
    start = time.perf_counter()
    result = work(**request)
    seconds = time.perf_counter() - start
    return {"result": result, "seconds": seconds, "rss_mb": peak_rss_mb()}


def answer_all(contenders):
    """Answer one JSON line after the other; `contenders` is name -> class, built from the job."""
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what a framework prints is not an answer
    job = json.loads(sys.stdin.readline())
    if job["contender"] == "find":
        print(json.dumps({"found": find()}), file=replies, flush=True)
        return
    os.sched_setaffinity(0, job["cores"])  # before the framework counts its cores
    contender = contenders[job["contender"]](job)
    print(json.dumps({"version": contender.version}), file=replies, flush=True)
    for line in sys.stdin:
        print(json.dumps(answer(contender, json.loads(line))), file=replies, flush=True)


if __name__ == "__main__":
    answer_all({name: peer for name, (_, peer) in PEERS.items()})
