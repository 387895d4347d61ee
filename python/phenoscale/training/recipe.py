# SPDX-License-Identifier: BSD-3-Clause
"""How to train: every choice that changes the weights, and the tables of schedules and orders.

What is drawn at random is a function of the seed, the epoch and the sample, never of the threads,
of how a batch is cut into parts, or of where a run was resumed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from numbers import Integral, Real

import numpy as np

from phenoscale import _core
from phenoscale.errors import InputError
from phenoscale.images.fields import augment_bits
from phenoscale.models import networks
from phenoscale.models.averaged import MOST_MEMBERS, VIEWS
from phenoscale.models.feeding import NORMALISERS
from phenoscale.models.head import HEADS
from phenoscale.tables.values import values_of
from phenoscale.words import listed

__all__ = ["BALANCES", "SCHEDULES", "Recipe"]

#: Rate of a batch of four, the batch that it goes up from in proportion, and where that ends.
_RATE, _BATCH, _MOST_RATE = 0.01, 4, 0.032


# ---- schedules: the factor of the rate at a part of the training (0..1) ----------------------


def constant(progress: float, epochs: int) -> float:
    """The same rate throughout."""
    return 1.0


def linear(progress: float, epochs: int) -> float:
    """Up over the first twentieth, then down in a line to a hundredth."""
    return progress / 0.05 if progress < 0.05 else max(0.01, (1 - progress) / 0.95)


def cosine(progress: float, epochs: int) -> float:
    """Up over the first twentieth, then down as half a cosine to a hundredth (Loshchilov, Hutter
    2017, without restarts)."""
    if progress < 0.05:
        return progress / 0.05
    return 0.01 + 0.99 * (1 + math.cos(math.pi * (progress - 0.05) / 0.95)) / 2


def published(progress: float, epochs: int) -> float:
    """From an eighth up over five epochs, then down in a line to an eightieth: 0.001 to 0.008 to
    0.0001 for the rate of 0.008 and the 256 images of Datta 2019 (arXiv 1910.04852)."""
    epoch, warm = progress * epochs, min(5.0, epochs / 2)
    if epoch < warm:
        return 1 / 8 + (7 / 8) * epoch / warm
    return 1 + (1 / 80 - 1) * (epoch - warm) / (epochs - warm)


#: name -> factor of the rate, of the part of the training done and the epochs in all
SCHEDULES = {"constant": constant, "linear": linear, "cosine": cosine, "published": published}


# ---- orders: which fields an epoch has, and when -----------------------------------------------


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
#: which epoch's weights become the model
SELECTIONS = ("last", "best")


# ---- the recipe ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Recipe:
    """How to train; every option of `phenoscale train` that changes the weights.

    Attributes
    ----------
    network : str
        "mcnn" or "mcnn-gap".
    epochs, batch : int
        Passes over the training fields; fields of one update.
    rate : float, optional
        Learning rate, times the schedule's factor; by default 0.01 for a batch of 4, in
        proportion to the batch, at most 0.032.
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
        Any of "flip", "turn" (square fields), "shift", "intensity", "rotate", "noise", "drop".
    balance : str
        "class": every class as often as any other; "none": as they come.
    patience : int
        Stop after so many epochs without a smaller validation loss; 0: never.
    select : str
        "last", or "best": the epoch of the smallest validation loss.
    average : int
        The weights are the mean of those at the ends of so many last epochs; 1: those of the last.
    bin : int
        Pixels are means of bin x bin.
    z : str or None
        How stacks become planes (`phenoscale.tables.read.read_table`).
    fc_relu : bool
        A ReLU after the dense layer of mcnn (`phenoscale.models.networks`).
    tower : str
        "fused", or "plain": the slow twin through oneDNN, the same up to rounding.
    head : str, optional
        What the classes come from: "network", "measures", or "both", the mean of both; by default
        chosen at the end (`phenoscale.training.head`).
    nuclei : str, optional
        The channel whose cells are counted, or "none"
        (`phenoscale.images.measures.find_nuclei`).
    normalise : str
        One of `phenoscale.models.feeding.NORMALISERS`: by what the counts of a field are made
        alike, and by plate its measures.
    seed : int
    views : str
        "one", or "all": the model's answers are means over the flips and quarter turns of a field
        (`phenoscale.models.averaged`).
    members : int
        Networks, trained with `seed`, `seed` + 1, ..., whose answers the model averages.
    """

    network: str = "mcnn"
    epochs: int = 40
    batch: int = 4
    rate: float | None = None
    schedule: str = "linear"
    optimizer: str = "nesterov"
    momentum: float = 0.9
    decay: float = 5e-5
    smoothing: float = 0.1
    clip: float = 5.0
    augment: tuple = ("flip", "turn", "intensity")
    balance: str = "class"
    patience: int = 0
    select: str = "last"
    average: int = 1
    bin: int = 1
    z: str | None = None
    fc_relu: bool = True
    tower: str = "fused"
    head: str | None = None
    nuclei: str | None = None
    normalise: str = NORMALISERS[0]
    seed: int = 0
    views: str = VIEWS[0]
    members: int = 1

    def __post_init__(self):
        tables = {"network": networks.NETWORKS, "schedule": SCHEDULES, "balance": BALANCES,
                  "select": SELECTIONS, "tower": networks.TOWERS, "views": VIEWS,
                  "normalise": NORMALISERS, "optimizer": _core.optimizer_names()}
        if self.head is not None:
            tables["head"] = HEADS
        for name, table in tables.items():
            if getattr(self, name) not in list(table):
                raise InputError(f"there is no {name} '{getattr(self, name)}': choose one of "
                                 f"{listed(table)}")
        bounds = {"epochs": (1, 100000), "batch": (1, 65536), "patience": (0, 100000),
                  "average": (1, 100000),
                  "bin": (1, _core.limits()["bin"]), "rate": (1e-9, 100.0),
                  "momentum": (0.0, 0.99999), "decay": (0.0, 1.0), "smoothing": (0.0, 0.999),
                  "clip": (0.0, 1e9), "seed": (0, 2**63 - 1),
                  "members": (1, MOST_MEMBERS)}
        for name, (low, high) in bounds.items():
            value, kind = getattr(self, name), Real if isinstance(low, float) else Integral
            if name == "rate" and value is None:
                value = min(_MOST_RATE, _RATE * self.batch / _BATCH)
            if not isinstance(value, kind) or not low <= value <= high:
                what = "number" if kind is Real else "whole number"
                raise InputError(f"{name}={value}: give a {what} from {low} to {high}")
            object.__setattr__(self, name, float(value) if kind is Real else int(value))
        self._check_average()
        if not isinstance(self.fc_relu, (bool, np.bool_)):
            raise InputError(f"fc_relu={self.fc_relu!r}: give True or False")
        object.__setattr__(self, "fc_relu", bool(self.fc_relu))  # files of JSON hold no other
        object.__setattr__(self, "augment", tuple(values_of(self.augment, "augment")))
        augment_bits(self.augment)

    def _check_average(self) -> None:
        """InputError where it is not known beforehand which epochs are the last, or so many."""
        if self.average > self.epochs:
            raise InputError(f"average={self.average} and epochs={self.epochs}: give at most as "
                             "many as there are")
        if self.average > 1 and (self.patience or self.select == "best"):
            raise InputError(f"average={self.average} is the mean of the last epochs, where "
                             "patience and select='best' end with an epoch of their own choice: "
                             "leave out one or the other")

    def for_fields(self, shape) -> Recipe:
        """The recipe without what fields (channels, height, width) cannot have: quarter turns
        where they are not square."""
        if shape[1] == shape[2]:
            return self
        return replace(self, augment=tuple(name for name in self.augment if name != "turn"))

    def rate_at(self, progress: float) -> float:
        """The learning rate when a part of the training (0..1) is done."""
        return self.rate * SCHEDULES[self.schedule](progress, self.epochs)
