# SPDX-License-Identifier: BSD-3-Clause
"""The network with scikit-learn manners."""

from __future__ import annotations

import html
import inspect
import os
import sys
import warnings
from dataclasses import fields as dataclass_fields
from dataclasses import replace

import numpy as np

from phenoscale.errors import InputError
from phenoscale.images.fields import FieldArrays
from phenoscale.images.moments import statistics
from phenoscale.images.usable import usable
from phenoscale.models.averaged import joined
from phenoscale.models.feeding import Feeding
from phenoscale.models.model import Model, load
from phenoscale.prediction.inputs import read_fields
from phenoscale.prediction.measure import measure_fields
from phenoscale.prediction.plates import find_plates
from phenoscale.prediction.predict import measurer_of, predict_table
from phenoscale.prediction.predict import predict as predict_fields
from phenoscale.ranks.crew import Crew
from phenoscale.tables.labels import class_cells, class_numbers, label_words
from phenoscale.tables.predictions import embedding_column
from phenoscale.tables.read import Reading, read_table
from phenoscale.tables.repeats import well_groups
from phenoscale.tables.split import Split
from phenoscale.tables.table import Table
from phenoscale.tables.typed_labels import TypedLabels, as_data
from phenoscale.training.first_pass import Labelled, provenance
from phenoscale.training.head import fit_head, measurer_for
from phenoscale.training.members import member_recipe
from phenoscale.training.novelty import fit_novelty
from phenoscale.training.recipe import Recipe
from phenoscale.training.train import Trained, begin, fit
from phenoscale.words import count, listed

__all__ = ["WholeImageClassifier"]

_DEFAULTS = {field.name: field.default for field in dataclass_fields(Recipe)}
#: what the fit of a classifier ends with
_UNSCORED = ("no score: fit trains on every labelled field; keep whole wells or plates out of the "
             "table and ask score of them, or cross-validate with the wells as groups")
_EVERY = {**_DEFAULTS, "threads": None, "progress": None}  # parameter of the constructor


class WholeImageClassifier:
    """A multi-scale convolutional network on whole fields, without segmentation.

    The network of Godinez 2017 (Bioinformatics 33:2010), or with global pooling at its end.

    Parameters
    ----------
    recipe
        The attributes of a `phenoscale.Recipe`, by name.
    threads : int, optional
        By default as OMP_NUM_THREADS says, else every processor this process may use; results
        do not depend on it.
    progress : callable or bool, optional
        Takes events of `phenoscale.progress`, of the stages "statistics", "step" and "epoch"; True
        for bars, in a notebook too.

    Attributes
    ----------
    classes_ : ndarray, (k,)
        Sorted, of the type of the labels that it was trained on: text, numbers or booleans.
    model_ : phenoscale.models.model.Model
    log_ : list of dict
        One row an epoch, of each of several networks in turn.
    unscored_ : str
        Why the training has no score of its own, and how to come by one; "" after `load`.

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
        return {name: getattr(self, name) for name in _EVERY}

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
        from sklearn.utils import ClassifierTags, InputTags, Tags, TargetTags, TransformerTags

        return Tags(estimator_type="classifier", target_tags=TargetTags(required=True),
                    classifier_tags=ClassifierTags(), regressor_tags=None,
                    transformer_tags=TransformerTags(preserves_dtype=[]),
                    input_tags=InputTags(two_d_array=False))

    _estimator_type = "classifier"  # what scikit-learn before 1.6 asks

    def _more_tags(self):
        return {"X_types": [], "requires_y": True}

    def __repr__(self):
        given = [f"{name}={value!r}" for name, value in self.get_params().items()
                 if value != _EVERY[name]]
        return f"{type(self).__name__}({', '.join(given)})"

    def _repr_html_(self):
        """What a notebook shows of it."""
        words = "not trained"
        if hasattr(self, "model_"):
            height, width = self.model_.size
            words = (f"{len(self.classes_)} classes, channels {', '.join(self.model_.channels)}, "
                     f"fields of {height} x {width}")
        return f"<code>{html.escape(repr(self))}</code><br>{html.escape(words)}"

    def fit(self, table, label):
        """Train on every labelled field: no score comes of it, since none is kept out.

        Parameters
        ----------
        table : Table, path of a LoadData CSV, DataFrame, or array (n, channels, height, width)
        label : str or sequence
            Column of the classes; or the classes themselves, (n,): text, numbers or booleans.
            None, NaN and words for none ("NA") are no class, and not trained on.

        Returns
        -------
        self
        """
        if label is None:
            raise InputError("label: give the name of the column of classes, or the class of each "
                             "field")
        recipe = Recipe(**{name: getattr(self, name) for name in _DEFAULTS})
        crew = Crew(threads=self.threads, progress=self.progress)
        if isinstance(table, np.ndarray):
            source, given = FieldArrays(table, recipe.bin), TypedLabels(label)
            labels, words = _of_arrays(source, given), label_words(given.cells)
            classes = given.sorted(given.values)
            channels = [f"channel{k + 1}" for k in range(source.shape[0])]
            about, groups, fields = {"z": recipe.z}, list(range(source.n)), None
            _check_alone(recipe)
        else:
            reading = Reading(z=recipe.z)
            table, label, given = _with_labels(table, label, reading)
            table = table if isinstance(table, Table) else read_table(table, reading)
            fields = Labelled(usable(table), label, Split(val_fraction=0), recipe, crew.threads)
            source, words = fields.source, fields.words
            classes = given.sorted(fields.classes)
            labels = class_numbers(classes, class_cells(fields.table, label))
            channels, about = fields.table.channels, provenance(fields.table, label, recipe)
            about["feeding"] = fields.about["feeding"]
            groups = well_groups(fields.table)
        for sentence in words:
            warnings.warn(sentence, stacklevel=2)
        recipe, rows = recipe.for_fields(source.shape), np.flatnonzero(labels >= 0)
        weights, self.log_, self.unscored_ = [], [], _UNSCORED
        for number in range(recipe.members):
            trained, mine = None, member_recipe(recipe, number)  # no two trainings in memory
            begun = _by_plate(fields, labels, rows, mine, crew) if about.get("feeding") else None
            trained = fit(source, labels, rows, [], mine, crew, begun)
            weights.append(trained.net.parameters.copy())  # lets go of the network
            self.log_ += trained.log
        trained.recipe = recipe
        self.classes_ = given.array(classes)
        about |= _measured(source, labels, groups, channels, trained, fields, crew)
        model = trained.model(classes, channels, labels=as_data(self.classes_), **about)
        self.model_ = joined(replace(model, parameters=weights[0]), weights[1:])
        return self

    def _trained(self) -> Model:
        if not hasattr(self, "model_"):
            raise _not_fitted("this classifier is not trained: call fit or load first")
        return self.model_

    def _predictions(self, table, measures: str | None = None):
        model = self._trained()
        if isinstance(table, np.ndarray):
            return predict_fields(model, table, self.threads, measures=measures)
        if not isinstance(table, Table):
            table = read_fields(model, table)
        return predict_table(model, table, self.threads, measures=measures)

    def predict_proba(self, table) -> np.ndarray:
        """Probabilities (n, k), float32, in the order of `classes_`."""
        return self._predictions(table).probabilities

    def predict(self, table) -> np.ndarray:
        """The most probable class of each field, (n,)."""
        probabilities = self.predict_proba(table)
        return self.classes_[probabilities.argmax(axis=1)]

    def transform(self, table, measures: bool = False) -> np.ndarray:
        """What describes each field, (n, e), float32: embeddings, the input of the last dense
        layer, before a ReLU and not normalised.

        measures: whether the classic numbers stand beside them, (n, e + m); those that are not
        defined are NaN.  `get_feature_names_out` has the names.
        """
        found = self._predictions(table, "all" if measures else None)
        return np.hstack([found.embeddings, found.numbers]) if measures else found.embeddings

    def get_feature_names_out(self, input_features=None, measures: bool = False) -> np.ndarray:
        """Names of the columns of `transform`, of type object: as the file of predictions has
        them.  input_features: not looked at, pixels have no names."""
        model = self._trained()
        names = [embedding_column(k) for k in range(model.embedding["size"])]
        return np.array(names + (measurer_of(model, 1, "all").names if measures else []), object)

    def score(self, table, label) -> float:
        """Accuracy on the fields of known class: a column, or the classes themselves (n,)."""
        model = self._trained()
        if isinstance(label, str):
            table = table if isinstance(table, Table) else read_fields(model, table)
            label = table.column(label)
        _check_order(table, label)
        truth = np.array(TypedLabels(label).names, dtype=object)
        predicted = np.array(model.classes, object)[self.predict_proba(table).argmax(axis=1)]
        if len(truth) != len(predicted):
            raise InputError(f"{len(truth)} labels for {len(predicted)} fields: give one each")
        if not (truth != "").any():
            raise InputError("there is nothing to score: no field has a class")
        _check_known(truth, model.classes)
        return float((predicted == truth)[truth != ""].mean())

    def save(self, path) -> None:
        """Write the model file."""
        self._trained().save(path)

    @classmethod
    def load(cls, path):
        """A trained classifier from a model file."""
        model = load(path)
        classifier = cls(**_parameters(model, path))
        classifier.model_ = model
        labels = model.labels or {"values": model.classes, "dtype": object}
        classifier.classes_ = np.array(labels["values"], labels["dtype"])
        classifier.log_, classifier.unscored_ = [], ""
        return classifier


def _check_alone(recipe: Recipe) -> None:
    """InputError where arrays are to be fed by plate."""
    feeding = Feeding(recipe.normalise)
    if feeding.is_by_plate:
        raise InputError(feeding.refusal("normalise"))


def _by_plate(fields: Labelled, labels, rows, recipe: Recipe, crew: Crew) -> Trained:
    """A training at its beginning that knows the plates of its fields."""
    trained = begin(fields.source, labels, rows, recipe, crew)
    trained.know(statistics(fields.source, rows, crew.watch))
    trained.plates = find_plates(fields.source, fields.table, fields.about["feeding"], crew)
    crew.watch.note(trained.plates.notes)
    return trained


def _measured(source, labels, groups, channels, trained: Trained, fields, crew: Crew) -> dict:
    """What a model is told of the measures of its training: `head` and `novelty`, or nothing."""
    recipe = trained.recipe

    def warn(words):
        warnings.warn(words, stacklevel=4)

    measurer, words = measurer_for(recipe, channels, crew.threads, warn)
    if measurer is None:
        return {}
    rows = np.flatnonzero(labels >= 0)
    numbers = measure_fields(source, rows, measurer, "stop", crew).numbers
    if trained.plates:
        numbers = find_plates(source, fields.table, fields.about["feeding"], crew, measurer,
                              trained.plates).select(rows).relative(numbers)
    wells = [groups[row] for row in rows]
    head = fit_head(measurer, numbers, labels[rows], wells, recipe.balance == "class",
                    recipe.head)
    crew.watch.note([*[words] * bool(words), head.why])
    return {"head": head, "novelty": fit_novelty(head, numbers, labels[rows], wells)}


def _parameters(model: Model, path) -> dict:
    """The parameters of the constructor that gave a model, as far as its file says."""
    if not model.recipe:  # of an older version
        return {"network": model.network, "seed": model.seed, "bin": model.bin}
    known = {name: value for name, value in model.recipe.items() if name in _DEFAULTS}
    try:
        recipe = Recipe(**known)
        if recipe == replace(recipe, rate=None):  # the rule's own
            known["rate"] = None
    except (InputError, TypeError) as error:
        raise InputError(f"{path} is damaged: its recipe makes no sense: {error}") from None
    return {**known, "augment": recipe.augment, "views": model.views,
            "members": model.members}


def _not_fitted(words: str) -> InputError:
    """Also a NotFittedError where scikit-learn is there to know it."""
    theirs = getattr(sys.modules.get("sklearn.exceptions"), "NotFittedError", None)
    return type("NotFitted", (InputError, theirs), {})(words) if theirs else InputError(words)


def _with_labels(table, label, reading: Reading) -> tuple:
    """A table with a column of its labels, the column's name, and the labels where they are more
    than the text of it."""
    if not isinstance(table, (str, os.PathLike, Table)) and not hasattr(table, "columns"):
        raise InputError(f"fields in a {type(table).__name__}: give a table, an array (n, "
                         "channels, height, width), or a DataFrame with a column of the files, as "
                         "pandas.DataFrame({'FileName_DNA': paths})")
    if isinstance(label, str):
        is_frame = hasattr(table, "columns") and label in table.columns
        given = TypedLabels(table[label] if is_frame else [])
        return table, label, TypedLabels([]) if given.is_text() else given
    if not np.ndim(label):
        raise InputError("label: for a table give the name of its column of classes, or the "
                         "classes themselves")
    _check_order(table, label)
    given = TypedLabels(label)
    if isinstance(table, (str, os.PathLike)):
        table = read_table(table, reading)
    if len(given.cells) != len(table):
        raise InputError(f"{len(given.cells)} labels for {len(table)} fields: give one each")
    frame = table.frame if isinstance(table, Table) else table
    column = next(name for name in map("Label{}".format, ("", *range(2, len(frame.columns) + 3)))
                  if name not in frame.columns)
    frame = frame.assign(**{column: given.cells})
    return replace(table, frame=frame) if isinstance(table, Table) else frame, column, given


def _of_arrays(source: FieldArrays, given: TypedLabels) -> np.ndarray:
    """The number of each label of arrays."""
    if len(given.names) != source.n:
        raise InputError(f"{len(given.names)} labels for {source.n} images: give one each")
    if len(given.values) < 2:
        raise InputError("a classifier needs at least two classes")
    return class_numbers(given.sorted(given.values), given.names)


def _check_known(truth, classes) -> None:
    """InputError where no label is a class of the model, a warning where some are none."""
    unknown = sorted(set(truth) - {"", *classes})
    if not unknown:
        return
    words = f"{listed(unknown)}: no class of the model, which has {listed(classes)}"
    n = int(np.isin(truth, unknown).sum())
    if n == (truth != "").sum():
        raise InputError(f"there is nothing to score, all labels are {words}")
    warnings.warn(f"{count(n, 'field')} of {words}, and counted as wrong", stacklevel=3)


def _check_order(table, label) -> None:
    """InputError for labels whose index has the rows of a DataFrame in another order, or has some
    of them; labels that are counted from 0, or share no row with it, go by their order."""
    ours, theirs = getattr(table, "index", None), getattr(label, "index", None)
    if not hasattr(ours, "equals") or not hasattr(theirs, "equals") or ours.equals(theirs):
        return
    if len(ours) != len(theirs) or not set(ours) & set(theirs):
        return
    is_same = set(ours) == set(theirs)
    if not is_same and theirs.equals(type(theirs)(range(len(theirs)))):
        return
    what = "the rows of the table in another order" if is_same else "some rows of the table only"
    raise InputError(f"the labels have {what}: give label.loc[table.index], or label.to_numpy() "
                     "if their order is right")


def _signature() -> inspect.Signature:
    """What the constructor takes, for whoever asks: the attributes of a Recipe."""
    kind = inspect.Parameter.KEYWORD_ONLY
    return inspect.Signature([inspect.Parameter(name, kind, default=value)
                              for name, value in _EVERY.items()])


WholeImageClassifier.__signature__ = _signature()
