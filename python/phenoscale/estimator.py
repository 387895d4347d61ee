# SPDX-License-Identifier: BSD-3-Clause
"""The network with scikit-learn manners."""

from __future__ import annotations

import inspect
from dataclasses import fields as dataclass_fields

import numpy as np

from phenoscale.errors import InputError
from phenoscale.images.fields import FieldArrays
from phenoscale.images.usable import usable
from phenoscale.models.model import Model, load
from phenoscale.prediction.inputs import read_fields
from phenoscale.prediction.predict import predict as predict_fields
from phenoscale.prediction.predict import predict_table
from phenoscale.ranks.crew import Crew
from phenoscale.tables.labels import class_names
from phenoscale.tables.read import Reading, read_table
from phenoscale.tables.split import Split
from phenoscale.tables.table import Table
from phenoscale.training.first_pass import Labelled, provenance
from phenoscale.training.recipe import Recipe
from phenoscale.training.train import fit

__all__ = ["WholeImageClassifier"]

_DEFAULTS = {field.name: field.default for field in dataclass_fields(Recipe)}


class WholeImageClassifier:
    """A multi-scale convolutional network on whole fields, without segmentation.

    The network of Godinez 2017 (Bioinformatics 33:2010), or with global pooling at its end.

    Parameters
    ----------
    recipe
        The attributes of a `phenoscale.Recipe`, by name.
    threads : int, optional
        By default every processor this process may use; results do not depend on it.
    progress : callable, optional
        Takes events of `phenoscale.progress`, of the stages "statistics", "step" and "epoch".

    Attributes
    ----------
    classes_ : ndarray of str, (k,)
    model_ : phenoscale.models.model.Model
    log_ : list of dict
        One row an epoch.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> images = rng.integers(0, 1000, (8, 1, 128, 128)).astype(np.uint16)
    >>> images[4:] //= 8
    >>> classifier = WholeImageClassifier(network="mcnn-gap", epochs=1, batch=4)
    >>> classifier.fit(images, ["bright"] * 4 + ["dim"] * 4).predict_proba(images).shape
    (8, 2)
    """

    def __init__(self, *, threads=None, progress=None, **recipe):
        unknown = recipe.keys() - _DEFAULTS
        if unknown:
            raise TypeError(f"there is no parameter '{min(unknown)}'")
        self.threads, self.progress = threads, progress
        for name, value in {**_DEFAULTS, **recipe}.items():
            setattr(self, name, value)

    def get_params(self, deep=True) -> dict:
        """The parameters of the constructor."""
        return {name: getattr(self, name) for name in (*_DEFAULTS, "threads", "progress")}

    def set_params(self, **parameters):
        """Change parameters of the constructor; returns self."""
        known = self.get_params()
        for name, value in parameters.items():
            if name not in known:
                raise ValueError(f"there is no parameter '{name}'")
            setattr(self, name, value)
        return self

    def __sklearn_tags__(self):
        """What scikit-learn, where it is installed, asks of an estimator."""
        from sklearn.utils import ClassifierTags, Tags, TargetTags

        return Tags(estimator_type="classifier", target_tags=TargetTags(required=True),
                    classifier_tags=ClassifierTags(), transformer_tags=None, regressor_tags=None)

    def fit(self, table, label):
        """Train on every labelled field.

        Parameters
        ----------
        table : Table, path of a LoadData CSV, DataFrame, or array (n, channels, height, width)
        label : str or sequence of str
            Column of the classes; for arrays the classes themselves, (n,).

        Returns
        -------
        self
        """
        recipe = Recipe(**{name: getattr(self, name) for name in _DEFAULTS})
        crew = Crew(threads=self.threads, progress=self.progress)
        if isinstance(table, np.ndarray):
            source, classes, labels = _of_arrays(table, label, recipe)
            channels = [f"channel{k + 1}" for k in range(source.shape[0])]
            about = {"z": recipe.z}
        else:
            table = _as_table(table, Reading(z=recipe.z))
            fields = Labelled(usable(table), _column_name(label), Split(val_fraction=0), recipe,
                              crew.threads)
            source, classes, labels = fields.source, fields.classes, fields.labels
            channels, about = fields.table.channels, provenance(fields.table, label, recipe)
        trained = fit(source, labels, np.flatnonzero(labels >= 0), [], recipe, crew)
        self.log_ = trained.log
        self.classes_ = np.array(classes, dtype=object)
        self.model_ = trained.model(classes, channels, **about)
        self.model_.parameters = self.model_.parameters.copy()  # lets go of the network
        return self

    def _trained(self) -> Model:
        if not hasattr(self, "model_"):
            raise InputError("this classifier is not trained: call fit or load first")
        return self.model_

    def _predictions(self, table):
        model = self._trained()
        if isinstance(table, np.ndarray):
            return predict_fields(model, table, self.threads)
        if not isinstance(table, Table):
            table = read_fields(model, table)
        return predict_table(model, table, self.threads)

    def predict_proba(self, table) -> np.ndarray:
        """Probabilities (n, k), float32, in the order of `classes_`."""
        return self._predictions(table).probabilities

    def predict(self, table) -> np.ndarray:
        """The most probable class of each field, (n,)."""
        probabilities = self.predict_proba(table)
        return self.classes_[probabilities.argmax(axis=1)]

    def transform(self, table) -> np.ndarray:
        """Embeddings (n, e), float32: the input of the last dense layer, not normalised."""
        return self._predictions(table).embeddings

    def score(self, table, label) -> float:
        """Accuracy on the fields of known class: a column, or the classes themselves (n,)."""
        if isinstance(label, str):
            table = _as_table(table)
            label = table.column(label)
        truth, predicted = np.array(_names(label), dtype=object), self.predict(table)
        if len(truth) != len(predicted):
            raise InputError(f"{len(truth)} labels for {len(predicted)} fields: give one each")
        if not (truth != "").any():
            raise InputError("there is nothing to score: no field has a class")
        return float((predicted == truth)[truth != ""].mean())

    def save(self, path) -> None:
        """Write the model file."""
        self._trained().save(path)

    @classmethod
    def load(cls, path):
        """A trained classifier from a model file."""
        model = load(path)
        classifier = cls(network=model.network, seed=model.seed)
        classifier.model_ = model
        classifier.classes_ = np.array(model.classes, dtype=object)
        classifier.log_ = []
        return classifier


def _names(label) -> list[str]:
    """Classes as text; "" where there is none."""
    return ["" if v is None or v != v else str(v) for v in label]


def _column_name(label) -> str:
    if not isinstance(label, str):
        raise InputError("label: for a table give the name of its column of classes")
    return label


def _of_arrays(images, label, recipe: Recipe) -> tuple:
    """Source, classes and their numbers, of arrays."""
    source, names = FieldArrays(images, recipe.bin), _names(label)
    if len(names) != source.n:
        raise InputError(f"{len(names)} labels for {source.n} images: give one each")
    if len(set(names) - {""}) < 2:
        raise InputError("a classifier needs at least two classes")
    classes = class_names(names)
    return source, classes, np.array([classes.index(v) if v else -1 for v in names], np.int64)


def _as_table(table, reading: Reading | None = None) -> Table:
    return table if isinstance(table, Table) else read_table(table, reading or Reading())


def _signature() -> inspect.Signature:
    """What the constructor takes, for whoever asks: the attributes of a Recipe."""
    kind = inspect.Parameter.KEYWORD_ONLY
    words = {**_DEFAULTS, "threads": None, "progress": None}
    return inspect.Signature([inspect.Parameter(name, kind, default=value)
                              for name, value in words.items()])


WholeImageClassifier.__signature__ = _signature()
