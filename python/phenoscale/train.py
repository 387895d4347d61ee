# SPDX-License-Identifier: BSD-3-Clause
"""Training: fields and labels in, weights out.  Files and folders are run.py's business.

What is drawn at random (order, balance, augmentation, first weights) is a function of the seed,
the epoch and the sample, never of the threads or of how a batch is cut into parts.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from numbers import Integral, Real

import numpy as np

import phenoscale
from phenoscale import _core, models
from phenoscale.errors import InputError, listed
from phenoscale.fields import LIMIT_BIN, augment_bits, thread_count
from phenoscale.model_file import Model
from phenoscale.predict import run as predict_run

__all__ = ["BALANCES", "SCHEDULES", "Recipe", "Trained", "fit"]


def constant(progress: float) -> float:
    """The same rate throughout."""
    return 1.0


def linear(progress: float) -> float:
    """Up over the first twentieth, then down in a line to a hundredth."""
    return progress / 0.05 if progress < 0.05 else max(0.01, (1 - progress) / 0.95)


#: images that go through the head at once: its weights come from memory once for all of them
PART = 4
#: name -> factor of the rate as a function of the part of the training done (0..1)
SCHEDULES = {"constant": constant, "linear": linear}


@dataclass(frozen=True)
class Recipe:
    """How to train; every option of `phenoscale train` that changes the weights.

    Attributes
    ----------
    network : str
        "mcnn" or "mcnn-gap".
    epochs, batch : int
        Passes over the training fields; fields of one update.
    rate : float
        Learning rate, times the schedule's factor.
    schedule : str
        One of `SCHEDULES`.
    optimizer : str
        "nesterov", "sgd" or "adam".
    momentum, decay : float
        Of the optimizer; weight decay spares the biases.
    smoothing : float
        Of the labels, 0 to 1.
    clip : float
        Largest Euclidean norm of a gradient; longer ones are shortened to it. 0: no limit.
    augment : tuple of str
        Any of "flip", "turn" (square fields), "shift", "intensity".
    balance : str
        "class": every class as often as any other; "none": as they come.
    bin : int
        Pixels are means of bin x bin.
    z : str or None
        How stacks become planes (`phenoscale.table.read_table`).
    fc_relu : bool
        A ReLU after the dense layer of mcnn (`phenoscale.models`).
    tower : str
        "fused", or "plain": the slow twin through oneDNN, the same up to rounding.
    seed : int
    """

    network: str = "mcnn"
    epochs: int = 20
    batch: int = 4
    rate: float = 0.01
    schedule: str = "linear"
    optimizer: str = "nesterov"
    momentum: float = 0.9
    decay: float = 5e-5
    smoothing: float = 0.1
    clip: float = 5.0
    augment: tuple = ("flip",)
    balance: str = "class"
    bin: int = 1
    z: str | None = None
    fc_relu: bool = True
    tower: str = "fused"
    seed: int = 0

    def __post_init__(self):
        tables = {"network": models.NETWORKS, "schedule": SCHEDULES, "balance": BALANCES,
                  "tower": models.TOWERS, "optimizer": _core.optimizer_names()}
        for name, table in tables.items():
            if getattr(self, name) not in list(table):
                raise InputError(f"there is no {name} '{getattr(self, name)}': choose one of "
                                 f"{listed(table)}")
        bounds = {"epochs": (1, 100000), "batch": (1, 65536), "bin": (1, LIMIT_BIN),
                  "rate": (1e-9, 100.0), "momentum": (0.0, 0.99999), "decay": (0.0, 1.0),
                  "smoothing": (0.0, 0.999), "clip": (0.0, 1e9), "seed": (0, 2**63 - 1)}
        for name, (low, high) in bounds.items():
            value, kind = getattr(self, name), Real if isinstance(low, float) else Integral
            if not isinstance(value, kind) or not low <= value <= high:
                what = "number" if kind is Real else "whole number"
                raise InputError(f"{name}={value}: give a {what} from {low} to {high}")
            object.__setattr__(self, name, float(value) if kind is Real else int(value))
        if isinstance(self.augment, str):
            raise InputError(f"augment='{self.augment}': give a list of names, ['flip']")
        augment_bits(self.augment)


@dataclass
class Trained:
    """What `fit` made: the network, its normalisation, and a row of the log for each epoch."""

    recipe: Recipe
    net: object
    description: str
    size: tuple  # of a field in its files (h, w), and its depth
    dtype: str
    mean: np.ndarray
    std: np.ndarray
    scale: list
    offset: list
    log: list

    def model(self, classes, channels, **more) -> Model:
        """The model that it is; its parameters are those of the network, not a copy.

        more: `label`, `table_digest`, `sources` and `split` of a `Model`.
        """
        return Model(
            parameters=self.net.parameters, slices=self.net.slices, description=self.description,
            network=self.recipe.network, classes=classes, channels=channels,
            size=list(self.size), dtype=self.dtype, scale=self.scale, offset=self.offset,
            bin=self.recipe.bin, z=self.recipe.z, seed=self.recipe.seed,
            version=phenoscale.__version__,
            embedding={"name": "input of the last dense layer", "size": self.net.embedding},
            **more)


# ---- what is drawn -------------------------------------------------------------------------


def _hash(*words) -> np.ndarray:
    """splitmix64 of numbers or arrays of them: our random order, the same with every NumPy."""
    state = np.zeros(np.broadcast_shapes(*(np.shape(w) for w in words)), np.uint64)
    with np.errstate(over="ignore"):
        for word in words:
            state = state + np.asarray(word, np.uint64) + np.uint64(0x9E3779B97F4A7C15)
            state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
            state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
            state = state ^ (state >> np.uint64(31))
    return state


def _shuffled(numbers: np.ndarray, *key) -> np.ndarray:
    return numbers[np.argsort(_hash(*key, numbers), kind="stable")]


def _order_none(train: np.ndarray, labels: np.ndarray, seed: int, epoch: int) -> np.ndarray:
    return _shuffled(train, seed, epoch)


def _order_class(train: np.ndarray, labels: np.ndarray, seed: int, epoch: int) -> np.ndarray:
    """As many fields as there are, the classes in turn; small classes come round again."""
    classes = np.unique(labels[train])
    rounds = -(-len(train) // len(classes))
    drawn = np.empty((rounds, len(classes)), np.int64)
    for k, name in enumerate(classes):
        members = train[labels[train] == name]
        again = -(-rounds // len(members))
        drawn[:, k] = np.concatenate(
            [_shuffled(members, seed, epoch, turn) for turn in range(again)])[:rounds]
    turns = np.argsort(_hash(seed, epoch, np.arange(drawn.size)).reshape(drawn.shape), axis=1)
    return np.take_along_axis(drawn, turns, axis=1).ravel()[: len(train)]


#: name -> the order of an epoch, field numbers (n,)
BALANCES = {"class": _order_class, "none": _order_none}


# ---- numbers in ----------------------------------------------------------------------------


def statistics(source, order, progress=None) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of each channel over some fields, (c,) float64.

    Counts are summed as whole numbers, so they are exact in any order; floats in the order given,
    as differences from the first pixel, so that a constant channel has no deviation at all.
    """
    c, h, w = source.shape
    first, sums, squares = [None] * c, [0] * c, [0] * c
    source.start(order)
    for i in range(len(order)):
        for k, plane in enumerate(source.next()):
            is_float = plane.dtype.kind == "f"
            if first[k] is None:
                first[k] = float(plane[0, 0]) if is_float else 0
            values = plane.astype(np.float64) - first[k] if is_float else plane.astype(np.uint64)
            sums[k] += values.sum().item()
            squares[k] += (values * values).sum().item()
        source.release(1)
        if progress is not None:
            progress(i + 1, len(order))
    n = len(order) * h * w
    mean = np.array([first[k] + sums[k] / n for k in range(c)])
    variance = [(n * squares[k] - sums[k] ** 2) / n**2 for k in range(c)]
    std = np.sqrt(np.maximum(variance, 0))
    return mean, np.where(std > 0, std, 1.0)  # a constant channel is only centred


# ---- the loop ------------------------------------------------------------------------------


def images_at_once(batch: int, threads: int) -> int:
    """Images of a forward call in training."""
    return min(batch, max(threads, PART))


def make_net(description: str, batch: int, threads: int):
    """The network of a training, with fewer images at once where a quarter of the memory does not
    hold them; bits do not depend on it."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    images = images_at_once(batch, threads)
    while True:
        try:
            net = _core.Net(description, threads=threads, training=True, images=images,
                            batch=batch)
            if images == 1 or net.memory < memory / 4:
                return net
            del net
        except ValueError as error:
            raise InputError(f"no network for these fields: {error}") from None
        except MemoryError:
            if images == 1:
                raise
        images = -(-images // 2)


def _step(net, source, labels, scale, offset, smoothing: float):
    """Forward and backward of one batch, part by part: (mean loss, norm of the gradient)."""
    loss = 0.0
    net.begin()
    for at in range(0, len(labels), net.images):
        part = labels[at : at + net.images]
        net.forward([source.next() for _ in part], scale, offset)
        loss += net.backward(part, np.full(len(part), 1 / len(labels)), smoothing)[0]
        source.release(len(part))
    return loss, net.gradient()


def _epoch(trained: Trained, optimizer, source, labels, epoch: int, recipe: Recipe, tell) -> dict:
    """All steps of an epoch over fields of classes `labels`, in order; its row of the log."""
    net, steps = trained.net, -(-len(labels) // recipe.batch)
    row = {"epoch": epoch + 1, "step": epoch * steps, "images": 0, "loss": 0.0}
    begun = time.monotonic()
    for at in range(0, len(labels), recipe.batch):
        batch = labels[at : at + recipe.batch]
        loss, norm = _step(net, source, batch, trained.scale, trained.offset, recipe.smoothing)
        if not np.isfinite(norm):
            raise InputError(
                f"the gradient is no number any more in epoch {epoch + 1}, after "
                f"{row['images']} fields: try a smaller learning rate, and look for broken fields "
                "with 'phenoscale check'")
        rate = recipe.rate * SCHEDULES[recipe.schedule]((row["step"] + 1)
                                                        / (steps * recipe.epochs))
        shorten = min(1.0, recipe.clip / norm) if recipe.clip and norm > 0 else 1.0
        optimizer.update(net, rate, momentum=recipe.momentum, decay=recipe.decay, scale=shorten)
        seconds, images = time.monotonic() - begun, row["images"] + len(batch)
        row.update(step=row["step"] + 1, images=images, rate=rate, gradient_norm=norm,
                   loss=row["loss"] + (loss - row["loss"]) * len(batch) / images,
                   seconds=seconds, images_per_s=images / seconds)
        tell({"stage": "step", "done": row["step"], "of": steps * recipe.epochs, **row})
    return row


def _validate(net, source, labels, val, scale, offset, threads: int) -> dict:
    from phenoscale.evaluate import classification

    logits = predict_run(net, source, val, scale, offset, threads).logits
    loss = np.mean([_core.loss("softmax", row, int(label))[0]
                    for row, label in zip(logits, labels[val])])
    classes = list(range(net.classes))
    scores = classification(labels[val], logits.argmax(axis=1), classes)
    return {"val_loss": float(loss), "val_accuracy": scores["accuracy"],
            "val_balanced_accuracy": scores["balanced_accuracy"]}


def fit(source, labels, train, val, recipe: Recipe, threads: int | None = None,
        progress=None) -> Trained:
    """Train a network.

    Parameters
    ----------
    source : FieldFiles, FieldPictures or FieldArrays
        The fields, binned as the recipe says; files read ahead for as many `threads`.
    labels : ndarray of int64, (n,)
        Class of each field, 0 to k - 1; others than those of `train` and `val` are not looked at.
    train, val : ndarray of int64
        Numbers of the fields to train on, and to watch (may be empty).
    recipe : Recipe
    threads : int, optional
        By default every processor this process may use; the weights do not depend on it.
    progress : callable, optional
        Called with a dict after each part of the work: ``stage`` ("statistics", "step" or
        "epoch"), ``done``, ``of``, and for steps and epochs the row of the log so far.

    Raises
    ------
    InputError
        For a field that cannot be read, and for a loss that is no number any more.
    """
    tell = progress or (lambda event: None)
    threads = thread_count(threads)
    train, val = np.asarray(train, np.int64), np.asarray(val, np.int64)
    augment = augment_bits(recipe.augment)
    if "turn" in recipe.augment and source.shape[1] != source.shape[2]:
        raise InputError(f"quarter turns need square fields, not {source.shape[1]} x "
                         f"{source.shape[2]}: leave 'turn' out of --augment")
    classes = int(labels[train].max()) + 1
    description = models.describe(recipe.network, *source.shape, classes, recipe.fc_relu)
    net = make_net(models.TOWERS[recipe.tower](description), min(recipe.batch, len(train)), threads)
    net.initialise(recipe.seed)
    mean, std = statistics(source, train, lambda done, of: tell(
        {"stage": "statistics", "done": done, "of": of}))
    scale, offset = (1 / std).tolist(), (-mean / std).tolist()
    trained = Trained(recipe, net, description, source.size, source.dtype, mean, std, scale,
                      offset, [])
    optimizer = _core.Optimizer(recipe.optimizer, net)
    for epoch in range(recipe.epochs):
        order = BALANCES[recipe.balance](train, labels, recipe.seed, epoch)
        source.start(order, augment, recipe.seed, epoch)
        row = _epoch(trained, optimizer, source, labels[order], epoch, recipe, tell)
        if len(val):
            row.update(_validate(net, source, labels, val, scale, offset, threads))
        trained.log.append(row)
        tell({"stage": "epoch", "done": epoch + 1, "of": recipe.epochs, **row})
    return trained
