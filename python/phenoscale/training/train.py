# SPDX-License-Identifier: BSD-3-Clause
"""Training: fields and labels in, weights out.  Files and folders are run.py's business.

A training is a `Trained` that goes from step to step; between two steps it can be put down as plain
data (`Trained.state`) and taken up again, to the same bits.
"""

from __future__ import annotations

import time
import zlib
from dataclasses import asdict, dataclass, field

import numpy as np

import phenoscale
from phenoscale import _core
from phenoscale.errors import InputError
from phenoscale.images.fields import augment_bits
from phenoscale.images.moments import Moments, statistics
from phenoscale.machine import free_memory, memory
from phenoscale.models import networks
from phenoscale.models.model import Model
from phenoscale.prediction.counts import counts_of
from phenoscale.prediction.plates import Plates
from phenoscale.prediction.predict import Network
from phenoscale.ranks.alone import Alone, branches, own_places
from phenoscale.ranks.crew import Crew
from phenoscale.ranks.exchange import Exchange
from phenoscale.training.average import Average
from phenoscale.training.lost import Reader
from phenoscale.training.recipe import BALANCES, Recipe
from phenoscale.training.validate import validate
from phenoscale.training.watcher import Watcher

__all__ = ["Diverged", "Trained", "begin", "fit"]

#: images that go through the head at once: its weights come from memory once for all of them
PART = 4
#: Of steps without a finite gradient: so many in a row halve the rate, so many end the training.
_HALVE_AFTER, _STOP_AFTER = 3, 10
_EXPLODED = 1000.0  # times the loss of guessing: no step is made from it
_NAMED = 8  # fields named in a message


class Diverged(InputError):
    """Too many steps in a row had no finite loss or gradient."""


@dataclass
class Trained:
    """A training: the network, its normalisation, and where it stands.

    Attributes
    ----------
    counts, plates : dict or None, Plates or None
        Of the fields it is trained on, as a `Model` keeps them; of all, where it is by plate.
    epoch, position : int
        Epochs done, and fields of the one under way.
    log : list of dict
        A row an epoch.
    row : dict
        Of the epoch under way, so far.
    factor : float
        Of the rate: halved by steps that were no use.
    bad_steps, skipped : int
        Steps without a finite gradient: in a row just now, and in all.
    best, waited : float, int
        Smallest validation loss, and epochs since.
    is_over : bool
        All epochs are done, or patience is.
    unread, lost : dict of int to str
        Fields that could not be read at the beginning, or later on, and why.
    """

    recipe: Recipe
    net: object
    optimizer: object
    description: str
    size: tuple  # of a field in its files (h, w), and its depth
    dtype: str
    mean: np.ndarray
    std: np.ndarray
    average: Average  # of the last epochs' weights
    counts: dict | None = None
    plates: Plates | None = None
    epoch: int = 0
    position: int = 0
    log: list = field(default_factory=list)
    row: dict = field(default_factory=dict)
    factor: float = 1.0
    bad_steps: int = 0
    skipped: int = 0
    best: float = float("inf")
    waited: int = 0
    is_over: bool = False
    unread: dict = field(default_factory=dict)
    lost: dict = field(default_factory=dict)

    _STATE = ("epoch", "position", "log", "row", "factor", "bad_steps", "skipped", "best", "waited",
              "is_over")

    def know(self, moments: Moments) -> None:
        """Take the normalisation, and what the counts are like, from the fields trained on."""
        self.mean, self.std = moments.result()
        self.counts = counts_of(moments.levels)

    @property
    def scales(self) -> tuple:
        """(scale, offset) by channel: the network sees counts * scale + offset; empty by plate."""
        return ([], []) if self.plates else ((1 / self.std).tolist(),
                                             (-self.mean / self.std).tolist())

    @property
    def step(self) -> int:
        """Steps done."""
        return self.row.get("step", self.log[-1]["step"] if self.log else 0)

    def network(self, threads: int) -> Network:
        """Its network, to be asked."""
        return Network(self.net, *self.scales, threads, plates=self.plates)

    def model(self, classes, channels, **more) -> Model:
        """The model that it is; its parameters are those of the network, not a copy.

        more: what it is told of its table (`phenoscale.training.first_pass.provenance`), `split`
        and `controls` of a `Model`.
        """
        recipe = {**asdict(self.recipe), "augment": list(self.recipe.augment)}
        views, _ = recipe.pop("views"), recipe.pop("members")  # the model has its own
        return Model(
            parameters=self.net.parameters, slices=self.net.slices, description=self.description,
            network=self.recipe.network, classes=classes, channels=channels,
            size=list(self.size), dtype=self.dtype, **dict(zip(("scale", "offset"), self.scales)),
            bin=self.recipe.bin, seed=self.recipe.seed, counts=None if self.plates else self.counts,
            embedding={"name": networks.EMBEDDING, "size": self.net.embedding},
            views=views, recipe=recipe, version=phenoscale.__version__, **more)

    def state(self) -> tuple[dict, list]:
        """Where it stands, as (what JSON can hold, [(name, flat array)]); the arrays are views."""
        about = {name: getattr(self, name) for name in self._STATE}
        about.update(recipe=asdict(self.recipe), description=self.description,
                     mean=self.mean.tolist(), std=self.std.tolist(), counts=self.counts,
                     plates=self.plates and self.plates.about(),
                     unread=list(map(list, self.unread.items())),
                     lost=list(map(list, self.lost.items())), optimizer_steps=self.optimizer.steps)
        return about, [("parameters", self.net.parameters), *self.average.tensors(),
                       *((f"state{k}", state) for k, state in enumerate(self.optimizer.states))]

    def restore(self, about: dict, tensors) -> None:
        """Stand where `state` was taken.

        Parameters
        ----------
        about : dict
        tensors : phenoscale.files.tensors.Stored

        Raises
        ------
        InputError
            For a state of another network or optimizer.
        """
        _, mine = self.state()
        if (about.get("description") != self.description
                or tensors.lengths != {name: len(array) for name, array in mine}):
            raise InputError("the checkpoint is of another network")
        for name, array in mine:
            tensors.read(name, array)
        self.stand(about)

    def stand(self, about: dict) -> None:
        """Take over all of a state but its tensors."""
        self.optimizer.steps = about["optimizer_steps"]
        self.mean, self.std = np.array(about["mean"]), np.array(about["std"])
        self.counts = about.get("counts")
        if self.plates:
            self.plates.stand(about["plates"])
        self.unread, self.lost = dict(about.get("unread", [])), dict(about.get("lost", []))
        for name in self._STATE:
            setattr(self, name, about[name])


# ---- the loop ------------------------------------------------------------------------------


def images_at_once(batch: int, threads: int) -> int:
    """Images of a forward call in training."""
    return min(batch, max(threads, PART))


def make_net(description: str, batch: int, threads: int, share: int | None = None,
             forms_dense: bool = False):
    """The network of a training, with fewer images at once where a quarter of the memory does not
    hold them; bits do not depend on it.

    share: of a batch, images that this process has; all by default.
    """
    images = images_at_once(share or batch, threads)
    while True:
        try:
            net = _core.Net(description, threads=threads, training=True, images=images,
                            batch=batch, forms_dense=forms_dense, memory=free_memory())
            if images == 1 or net.memory < memory() / 4:
                return net
            del net
        except ValueError as error:
            raise InputError(f"no network for these fields: {error}") from None
        except MemoryError:
            if images == 1:
                raise
        images = -(-images // 2)


def begin(source, labels, train, recipe: Recipe, crew: Crew) -> Trained:
    """A training that has done nothing yet; its normalisation is still to be found.

    Parameters
    ----------
    source, labels, train, recipe, crew
        As for `fit`.

    Raises
    ------
    InputError
        For fields that the recipe does not fit.
    """
    if "turn" in recipe.augment and source.shape[1] != source.shape[2]:
        raise InputError(f"quarter turns need square fields, not {source.shape[1]} x "
                         f"{source.shape[2]}: leave 'turn' out of --augment")
    classes = int(labels[train].max()) + 1
    description = networks.describe(recipe.network, *source.shape, classes, recipe.fc_relu)
    batch, ranks = min(recipe.batch, len(train)), crew.ranks
    net = make_net(networks.TOWERS[recipe.tower](description), batch, crew.threads,
                   branches(batch, ranks.size)[0], ranks.exchange == "matrix")
    net.initialise(recipe.seed)
    channels = source.shape[0]
    return Trained(recipe, net, _core.Optimizer(recipe.optimizer, net), description, source.size,
                   source.dtype, np.zeros(channels), np.ones(channels),
                   Average(recipe.epochs, recipe.average, len(net.parameters)))


def _compute(trained: Trained, exchange: Exchange, source, labels, rows):
    """Forward and backward of this rank's share of a batch, part by part: (mean loss, norm of the
    gradient) of all of it."""
    net, smoothing = trained.net, trained.recipe.smoothing
    first, end = exchange.begin(len(rows))
    for at in range(first, end, net.images):
        part = rows[at : min(end, at + net.images)]
        fed = trained.plates.of(part) if trained.plates else trained.scales
        net.forward([source.next() for _ in part], *fed)
        exchange.head(at, labels[part], smoothing)
        if source.faults:
            exchange.spoil(at)
        if at + len(part) == end:
            exchange.send()
        net.backward_fields()
        source.release(len(part))
    if first == end:
        exchange.send()
    return exchange.finish()


def _update(trained: Trained, progress: float, norm: float) -> float:
    """One update with the gradient of that norm: the rate."""
    recipe = trained.recipe
    rate = recipe.rate_at(progress) * trained.factor
    shorten = min(1.0, recipe.clip / norm) if recipe.clip and norm > 0 else 1.0
    trained.optimizer.update(trained.net, rate, momentum=recipe.momentum, decay=recipe.decay,
                             scale=shorten)
    trained.bad_steps = 0
    return rate


def _skip(trained: Trained, watcher: Watcher, fields: list[str], loss: float) -> float:
    """A step whose loss or gradient is no number: the weights stay as they are."""
    trained.bad_steps += 1
    trained.skipped += 1
    more = f" and {len(fields) - _NAMED} more" if len(fields) > _NAMED else ""
    words = (f"step {trained.step + 1}: the loss ({loss:.4g}) or its gradient is no number or has "
             f"exploded; the step is left out. Its fields: {'; '.join(fields[:_NAMED])}{more}")
    if trained.bad_steps >= _STOP_AFTER:
        raise Diverged(
            f"{trained.bad_steps} steps in a row had no use, the last {words}. Try a smaller "
            "learning rate, and look at these fields with 'phenoscale check'; the last good "
            "weights are in last_good.safetensors if there was a checkpoint")
    if trained.bad_steps == _HALVE_AFTER:
        trained.factor /= 2
        words += f". From now on half the learning rate (a factor of {trained.factor:g})"
    watcher.warn(words)
    return trained.recipe.rate * trained.factor


def _epoch(trained: Trained, exchange: Exchange, source: Reader, labels, order, crew: Crew,
           watcher: Watcher) -> None:
    """The steps that are left of an epoch over the fields `order`, up to one that loses fields."""
    recipe, n, order = trained.recipe, len(order), source.order(order)
    steps = -(-n // recipe.batch)
    if not trained.row:
        trained.row = {"epoch": trained.epoch + 1, "step": trained.epoch * steps, "images": 0,
                       "loss": 0.0, "seconds": 0.0}
    explosion = _EXPLODED * np.log(trained.net.classes)
    own = own_places(trained.position, n, recipe.batch, crew.ranks)
    source.start(order[own], augment_bits(recipe.augment), recipe.seed, trained.epoch, own)
    begun, before = time.monotonic(), trained.row["seconds"]
    while trained.position < n:
        row, batch = trained.row, order[trained.position : trained.position + recipe.batch]
        with watcher.computing():
            loss, norm = _compute(trained, exchange, source, labels, batch)
        if np.isfinite(loss) and np.isfinite(norm) and loss < explosion:
            rate = _update(trained, (row["step"] + 1) / (steps * recipe.epochs), norm)
            images = row["images"] + len(batch)
            loss = row["loss"] + (loss - row["loss"]) * len(batch) / images
            row.update(images=images, loss=loss, gradient_norm=norm)
            source.stepped()
        elif source.settle(crew.ranks):
            return
        else:
            rate = _skip(trained, watcher, [source.place(int(k)) for k in batch], loss)
        seconds = before + time.monotonic() - begun
        trained.position += len(batch)
        row.update(step=row["step"] + 1, rate=rate, seconds=seconds,
                   images_per_s=trained.position / seconds)
        crew.watch.tell("step", row["step"], steps * recipe.epochs, **row)
        watcher.step_done(trained)


def _check_same(trained: Trained, ranks: Alone) -> None:
    """All ranks must have the same weights."""
    if ranks.size > 1 and len(set(ranks.everyone(zlib.crc32(trained.net.parameters)))) > 1:
        raise InputError(f"the ranks' weights differ after epoch {trained.epoch + 1}: a machine "
                         "computes wrongly; look at its memory, and go on with --resume")


def _end_epoch(trained: Trained, watcher: Watcher) -> None:
    """Note an epoch, and whether it was the last."""
    recipe, row = trained.recipe, trained.row
    if "val_loss" in row:
        is_better = row["val_loss"] < trained.best
        if is_better:
            watcher.improved(trained)  # before the epoch counts: it may fail, and is done again
            trained.best = row["val_loss"]
        trained.waited = 0 if is_better else trained.waited + 1
    trained.log.append(row)
    trained.epoch, trained.position, trained.row = trained.epoch + 1, 0, {}
    trained.average.end_epoch(trained.epoch, trained.net.parameters)
    is_patient = not recipe.patience or trained.waited < recipe.patience
    trained.is_over = trained.epoch == recipe.epochs or not is_patient
    if not is_patient and trained.epoch < recipe.epochs:
        watcher.warn(f"ended after epoch {trained.epoch}: {trained.waited} without a smaller "
                     "validation loss")


def fit(source, labels, train, val, recipe: Recipe, crew: Crew | None = None,
        trained: Trained | None = None, watcher: Watcher | None = None) -> Trained:
    """Train a network.

    Parameters
    ----------
    source : FieldFiles, FieldPictures or FieldArrays
        The fields, binned as the recipe says; files read ahead for as many threads as the crew's.
    labels : ndarray of int64, (n,)
        Class of each field, 0 to k - 1; others than those of `train` and `val` are not looked at.
    train, val : ndarray of int64
        Numbers of the fields to train on, and to watch (may be empty).
    recipe : Recipe
    crew : Crew, optional
        Who shares each step; the weights do not depend on its threads.  Told of the stages
        "statistics", "step" and "epoch", the latter two with the row of the log so far.
    trained : Trained, optional
        One from `begin`, its normalisation known, that goes on from where it stands.
    watcher : Watcher, optional

    Raises
    ------
    InputError
        For a field that cannot be read, and after ten steps in a row whose loss is no number.
    """
    crew, watcher = crew or Crew(), watcher or Watcher()
    train, val = np.asarray(train, np.int64), np.asarray(val, np.int64)
    if (recipe.patience or recipe.select == "best") and not len(val):
        raise InputError("patience and the best epoch need validation fields: give a validation "
                         "fraction, or leave them out")
    if trained is None:
        trained = begin(source, labels, train, recipe, crew)
        trained.know(statistics(source, train, crew.watch))
    exchange = Exchange(trained.net, crew.ranks)
    source = Reader(source, labels, train, trained.lost, watcher)
    while not trained.is_over:
        order = BALANCES[recipe.balance](train, labels, recipe.seed, trained.epoch)
        while not trained.row or trained.position < len(order):
            _epoch(trained, exchange, source, labels, order, crew, watcher)
        _check_same(trained, crew.ranks)
        if len(val):
            with watcher.computing():
                network = trained.network(crew.threads)
                trained.row.update(validate(network, source, labels, val, crew.ranks))
        crew.watch.tell("epoch", trained.epoch + 1, recipe.epochs, **trained.row)
        _end_epoch(trained, watcher)
        watcher.step_done(trained)
    return trained
