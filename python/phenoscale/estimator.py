# SPDX-License-Identifier: BSD-3-Clause
"""The network with scikit-learn manners."""

from __future__ import annotations

from dataclasses import fields as dataclass_fields

import numpy as np

from phenoscale.errors import InputError
from phenoscale.fields import FieldArrays, open_fields, thread_count
from phenoscale.model_file import Model, load
from phenoscale.predict import predict as predict_fields
from phenoscale.predict import predict_table, read_fields
from phenoscale.recipe import Recipe
from phenoscale.run import class_names
from phenoscale.split import split_table
from phenoscale.survey import usable
from phenoscale.train import PART, fit

__all__ = ["WholeImageClassifier"]


class WholeImageClassifier:
    """A multi-scale convolutional network on whole fields, without segmentation.

    The network of Godinez 2017 (Bioinformatics 33:2010), or with global pooling at its end.

    Parameters
    ----------
    network, epochs, batch, rate, schedule, optimizer, momentum, decay, smoothing, clip, augment,
    balance, patience, select, bin, z, fc_relu, tower, seed
        As in `phenoscale.train.Recipe`.
    threads : int, optional
        By default every processor this process may use; results do not depend on it.
    progress : callable, optional
        As for `phenoscale.train.fit`.

    Attributes
    ----------
    classes_ : ndarray of str, (k,)
    model_ : phenoscale.model_file.Model
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

    def __init__(self, network="mcnn", epochs=20, batch=4, rate=None, schedule="linear",
                 optimizer="nesterov", momentum=0.9, decay=5e-5, smoothing=0.1, clip=5.0,
                 augment=("flip",), balance="class", patience=0, select="last", bin=1, z=None,
                 fc_relu=True, tower="fused", seed=0, threads=None, progress=None):
        self.network, self.epochs, self.batch, self.rate = network, epochs, batch, rate
        self.schedule, self.optimizer, self.momentum = schedule, optimizer, momentum
        self.decay, self.smoothing, self.clip, self.augment = decay, smoothing, clip, augment
        self.balance, self.patience, self.select = balance, patience, select
        self.bin, self.z = bin, z
        self.fc_relu, self.tower, self.seed = fc_relu, tower, seed
        self.threads, self.progress = threads, progress

    def get_params(self, deep=True) -> dict:
        """The parameters of the constructor."""
        names = [f.name for f in dataclass_fields(Recipe)] + ["threads", "progress"]
        return {name: getattr(self, name) for name in names}

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
        recipe = Recipe(**{f.name: getattr(self, f.name) for f in dataclass_fields(Recipe)})
        threads = thread_count(self.threads)
        if isinstance(table, np.ndarray):
            source, names = FieldArrays(table, recipe.bin), _names(label)
            channels = [f"channel{k + 1}" for k in range(source.shape[0])]
            label_name, digest, sources, z = "", "", [], recipe.z
            if len(names) != source.n:
                raise InputError(f"{len(names)} labels for {source.n} images: give one each")
            if len(set(names) - {""}) < 2:
                raise InputError("a classifier needs at least two classes")
        else:
            table = _as_table(table, z=recipe.z)
            rows, found, _ = usable(table)
            table = table.select(rows)
            names, channels = table.column(_column_name(label)), table.channels
            label_name, digest, z = label, table.digest(), table.chosen or recipe.z
            sources = [channel.source() for channel in table.sources]
            split_table(table, label, val_fraction=0)  # for its checks of the classes
            source = open_fields(table, found, max(threads, PART), recipe.bin)
        classes = class_names(names, label_name)
        labels = np.array([classes.index(v) if v else -1 for v in names], np.int64)
        trained = fit(source, labels, np.flatnonzero(labels >= 0), [], recipe, threads,
                      self.progress)
        self.log_ = trained.log
        self.classes_ = np.array(classes, dtype=object)
        self.model_ = trained.model(classes, channels, sources=sources, label=label_name,
                                    z=z, table_digest=digest)
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
        return predict_table(model, _as_table(table, lambda: read_fields(model, table)),
                             self.threads)

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


def _as_table(table, read=None, **options):
    from phenoscale.table import Table, read_table

    if isinstance(table, Table):
        return table
    return read() if read else read_table(table, **options)
