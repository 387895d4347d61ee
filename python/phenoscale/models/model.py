# SPDX-License-Identifier: BSD-3-Clause
"""The model file: all that a host needs to classify a field, in one `model.safetensors`.

Weights as tensors, everything else as JSON text in the metadata.  Nothing in it is code: the
network is text with bounded integers that the C library checks.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from dataclasses import asdict, dataclass, field, fields

import numpy as np

from phenoscale import _core
from phenoscale.errors import InputError
from phenoscale.files.tensors import read_about, read_tensors, write_tensors
from phenoscale.machine import free_memory
from phenoscale.models import networks
from phenoscale.models.averaged import VIEWS, as_one, stored
from phenoscale.models.certainty import Certainty
from phenoscale.models.feeding import Feeding
from phenoscale.models.head import Head
from phenoscale.models.metadata import LIMIT_NAMES, faults
from phenoscale.models.novelty import Novelty
from phenoscale.tables.class_keys import class_keys

__all__ = ["Model", "load"]

_WHAT = "the model.safetensors of a 'phenoscale train' run"
_LIMIT_ABOUT = 15 << 16  # characters of the metadata in the file, below tensor_file's of all
#: of a Model; all else is metadata
_NO_TEXT = {"parameters", "slices", "path", "head", "novelty", "certainty", "feeding"}
_LATER = {"counts", "keys", "labels", "recipe", "views", "members"}  # what older files do not have
#: what is said only where it is another
_USUAL = {"views": VIEWS[0], "members": 1}


#: what is made of an entry of the metadata
_PARTS = {"head": Head, "novelty": Novelty, "certainty": Certainty, "feeding": Feeding}


@dataclass
class Model:
    """A trained network and how to use it.

    Attributes
    ----------
    parameters : ndarray of float32, (count,)
        All weights and biases, flat; of several networks one after the other.
    slices : list of tuple
        (name, offset, shape, is_bias) of the tensors of a network within, in their order.
    description : str
        The network as text (`phenoscale.models.networks`).
    network : str
        Its name: "mcnn" or "mcnn-gap".
    classes, channels : list of str
        In the order of the probabilities, and of the channels of a field.
    keys : list of str
        What the columns of the classes are called by; see `phenoscale.tables.class_keys`.
    sources : list of str
        Where the channels were in the training table: COLUMN or COLUMN:NUMBER.
    size : list of int
        (height, width) of the fields it was trained on, in pixels of the files.
    dtype : str
        Depth of those files: "uint8", "uint16" or "float32".
    scale, offset : list of float
        By channel; the network sees ``counts * scale + offset``.  Empty by plate.
    normalisation : str
        How scale and offset were found.
    label : str
        Column of the classes in the training table.
    split : dict
        Rule, held-out values and seed of the split.
    table_digest : str
        SHA-256 of the training table.
    seed : int
        Of weights, order and augmentation.
    bin : int
        Pixels are means of bin x bin.
    z : str or None
        How a stack becomes a plane: "max", "mean" or a number.
    padding : str
        The rule for sides that are no multiples of 128.
    embedding : dict
        Name and size of the embedding: the input of the last dense layer, which `description`
        has before its ReLU (`phenoscale.models.networks`), in files of older models behind it.
    controls : dict or None
        Mean and spread ("mean", "spread", each a list) of the embeddings of the control fields
        that it was trained on.
    counts : dict or None
        Range and spread of the counts of its training fields by channel
        (`phenoscale.models.counts`).
    recipe : dict
        The attributes of the `phenoscale.Recipe` that it was trained by; {} in older files.
    head : Head or None
        What else than the network has a say in the classes (`phenoscale.models.head`).
    labels : dict
        What the classes were before they were names, where that was a NumPy array or numbers in
        Python: "dtype", and "values" in the order of the classes; else {}.
    novelty : Novelty or None
        Whether a field is unlike every class (`phenoscale.models.novelty`).
    certainty : Certainty or None
        A temperature, and sets of classes (`phenoscale.models.certainty`).
    views : str
        Which views of a field its answers are the mean of: one of
        `phenoscale.models.averaged.VIEWS`.
    members : int
        Networks, of one description, whose answers are averaged.
    feeding : Feeding or None
        How fields are made alike by plate (`phenoscale.models.feeding`); None: by the training
        fields.
    version : str
        Of phenoscale.
    path : str
        Of its file, or "".
    """

    parameters: np.ndarray
    slices: list
    description: str
    network: str
    classes: list
    channels: list
    size: list
    dtype: str
    scale: list
    offset: list
    normalisation: str = "mean and standard deviation of each channel over the training fields"
    label: str = ""
    split: dict = field(default_factory=dict)
    table_digest: str = ""
    sources: list = field(default_factory=list)
    seed: int = 0
    bin: int = 1
    z: str | None = None
    padding: str = f"centred, to multiples of {networks.PAD}, 0 after normalisation"
    embedding: dict = field(default_factory=dict)
    controls: dict | None = None
    counts: dict | None = None
    version: str = ""
    keys: list = field(default_factory=list)
    path: str = ""
    recipe: dict = field(default_factory=dict)
    labels: dict = field(default_factory=dict)
    head: Head | None = None
    novelty: Novelty | None = None
    certainty: Certainty | None = None
    views: str = VIEWS[0]
    members: int = 1
    feeding: Feeding | None = None

    def __post_init__(self):
        self.keys = self.keys or class_keys(self.classes)

    @property
    def name(self) -> str:
        """What sentences call it: its file, or "the model"."""
        return self.path or "the model"

    def check_alone(self, what=None) -> None:
        """InputError where fields need the numbers of their plates, and these are not there."""
        if self.feeding is not None and what is None:
            raise InputError(self.feeding.refusal(self.name))

    def takes_any_size(self) -> bool:
        """Whether fields of another size than the training fields can be classified."""
        return self.network in networks.ANY_SIZE

    def distances(self, embeddings: np.ndarray) -> np.ndarray:
        """How far embeddings (n, embedding) lie from the controls, in units of the controls' own
        distance; NaN without controls.  See `controls_of`."""
        if self.controls is None:
            return np.full(len(embeddings), np.nan)
        mean, spread = (np.array(self.controls[key]) for key in ("mean", "spread"))
        return np.sqrt((((embeddings - mean) / spread) ** 2).mean(axis=1))

    def probabilities(self, logits: np.ndarray, numbers: np.ndarray) -> np.ndarray:
        """Of each class, (n, classes) float32, from the logits (n, classes) of the network and the
        numbers (n, measures) that the head asks for."""
        found = (_core.softmax(logits) if self.head is None
                 else self.head.probabilities(logits, numbers))
        return found if self.certainty is None else self.certainty.calibrated(found)

    def novelties(self, numbers: np.ndarray) -> np.ndarray:
        """How unlike every class fields of such numbers (n, measures) are, (n,) float64: above 1
        hardly any field of the classes is.  NaN where that is not known."""
        if self.novelty is None:
            return np.full(len(numbers), np.nan)
        reach = 1.0 if self.certainty is None else self.certainty.reach
        return self.novelty.of(self.head, numbers) / reach

    def sets(self, probabilities: np.ndarray, numbers: np.ndarray) -> dict:
        """One of `COVERAGES` to the classes that a field may be of, (n, classes) bool, by its
        probabilities and numbers; {} where that is not known."""
        if self.certainty is None:
            return {}
        is_measured = self.head is not None and self.head.asks_measures()
        novelty = self.novelties(numbers) if is_measured else np.full(len(numbers), np.nan)
        return {coverage: self.certainty.of_fields(probabilities, coverage, novelty)
                for coverage in self.certainty.sets}

    def digest(self) -> str:
        """SHA-256 of all that its answers come from, as the prediction files name the model."""
        found = hashlib.sha256(self.parameters)
        for _, _, numbers in self._beside():
            found.update(numbers)
        about = self._about()
        found.update(json.dumps([about["head"], about["novelty"], about["certainty"]]).encode()
                     if self.head or self.certainty else b"")
        found.update(b"" if self.views == VIEWS[0] else self.views.encode())
        found.update(json.dumps(about["feeding"]).encode() if self.feeding else b"")
        return found.hexdigest()

    def _beside(self) -> list[tuple]:
        """(name, shape, flat array) of the tensors that are not the network's."""
        return [one for part in (self.head, self.novelty) if part for one in part.tensors()]

    def net(self, height: int, width: int, threads: int, tower: str = "fused", member: int = 0,
            **more):
        """A `phenoscale._core.Net` of a member for fields of this size in their files, that sees
        them as they lie; for predictions, or as `more` says."""
        try:
            description = networks.resize(self.description, height // self.bin, width // self.bin)
            net = _core.Net(networks.TOWERS[tower](description), threads=threads,
                            memory=free_memory(), **more)
        except (ValueError, MemoryError) as error:
            raise InputError(f"{self.name}: no network for fields of {height} x {width}: {error}"
                             ) from None
        if net.parameters.size * self.members != self.parameters.size:
            raise InputError(f"the model takes no fields of {height} x {width}, only of "
                             f"{self.size[0]} x {self.size[1]}")
        net.parameters[:] = self.parameters.reshape(self.members, -1)[member]
        return net

    def asked(self, height: int, width: int, threads: int, tower: str = "fused"):
        """What its answers come from: the `net` of each member, in all `views`."""
        return as_one([self.net(height, width, threads, tower, member)
                       for member in range(self.members)], self.views)

    def check(self) -> None:
        """InputError where the file of this model could not be read again: before a training."""
        about = self._about()
        too_long = len(json.dumps(json.dumps(about))) > _LIMIT_ABOUT
        bad = faults(about, _WANTED) or ["classes"] * too_long
        if bad:
            raise InputError(f"a model file cannot hold the {bad[0]} of this training: at most "
                             f"{LIMIT_NAMES:,} names, {_LIMIT_ABOUT:,} characters in all")

    def _about(self) -> dict:
        about = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in _NO_TEXT}
        about = {name: value for name, value in about.items()
                 if name not in _USUAL or value != _USUAL[name]}
        return {**about, "head": self.head and self.head.about(),
                "novelty": self.novelty and self.novelty.about(),
                "certainty": self.certainty and asdict(self.certainty),
                "feeding": self.feeding and asdict(self.feeding)}

    def save(self, path) -> None:
        """Write the file, whole or not at all; the weights go to it from where they lie."""
        tensors = [(name, shape, self.parameters[at : at + math.prod(shape)])
                   for name, at, shape in stored(self.slices, self.members)]
        tensors += self._beside()
        write_tensors(path, "phenoscale", self._about(), tensors)


def load(path) -> Model:
    """Read a model file.

    Raises
    ------
    InputError
        For a file that is missing, damaged, of another program, or of a later format.
    """
    path = os.fspath(path)
    model = _check_about(path, read_about(path, "phenoscale", _WHAT))
    try:
        # no network with more parameters than the file has room for, whatever its text says
        net = _core.Net(model.description, limit=os.path.getsize(path) // 4,
                        memory=free_memory())
    except (ValueError, MemoryError) as error:
        raise InputError(f"{path}: its network cannot be built: {error}") from None
    height, width = (side // model.bin for side in model.size)
    field = {f"channels={len(model.channels)}", f"height={height}", f"width={width}"}
    is_ours = field <= set(model.description.partition("\n")[0].split(" "))
    if not is_ours or (net.classes, net.embedding * model.members) != (
            len(model.classes), model.embedding["size"]):
        raise InputError(f"{path} is damaged: its network is not one for its classes, channels, "
                         "field size and embedding")
    model.slices = net.slices
    del net  # its own weights need not be in memory beside those of the file
    wanted = [(name, shape) for name, _, shape in stored(model.slices, model.members)]
    n = sum(math.prod(shape) for _, shape in wanted)
    classes = len(model.classes)
    if model.head is not None:
        wanted += model.head.shapes(classes)
        beside = sum(math.prod(shape) for _, shape in wanted)
    if model.novelty is not None:
        wanted += model.novelty.shapes(model.head, classes)
    count = sum(math.prod(shape) for _, shape in wanted)
    if 4 * count > os.path.getsize(path):
        raise InputError(f"{path} is damaged: its tensors have no room in it")
    numbers = np.empty(count, np.float32)
    read_tensors(path, wanted, numbers)
    model.parameters, model.path = numbers[:n], path
    if model.head is not None:
        model.head.take(numbers[n:], classes)
    if model.novelty is not None:
        model.novelty.take(numbers[beside:], model.head, classes)
    if not np.isfinite((numbers.min(), numbers.max())).all():
        raise InputError(f"{path} is damaged: it has weights that are NaN or infinite")
    return model


#: entries of the metadata that every file has
_WANTED = {f.name for f in fields(Model)} - _NO_TEXT - _LATER


def _check_about(path: str, about: dict) -> Model:
    bad = faults(about, _WANTED)
    if bad:
        raise InputError(f"{path} is damaged, or needs another version of phenoscale: its "
                         f"'{bad[0]}' is missing or makes no sense")
    return Model(parameters=np.empty(0, np.float32), slices=[],
                 **{name: kind(**about[name]) for name, kind in _PARTS.items() if about.get(name)},
                 **{f.name: about[f.name] for f in fields(Model)
                    if f.name not in _NO_TEXT and f.name in about})
