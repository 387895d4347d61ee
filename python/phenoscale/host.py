# SPDX-License-Identifier: BSD-3-Clause
"""What other programs ask of phenoscale, in words that JSON can say: tasks by name.

    CellProfiler's modules, in its own Python --.
    phenoscale serve, for ImageJ and others ----+-> execute(name, inputs) -> outputs

For all but `table` and `train` numpy and safetensors suffice.  docs/serve.md is the manual of the
tasks.
"""

from __future__ import annotations

import os
from collections import OrderedDict

import numpy as np

import phenoscale
from phenoscale import _core
from phenoscale.errors import InputError, listed
from phenoscale.evidence import Explainer
from phenoscale.fields import FieldArrays, thread_count
from phenoscale.host_fields import field_of, pack
from phenoscale.model_file import Model, class_key, load
from phenoscale.predict import check_fits, run

__all__ = ["TASKS", "execute"]

_KEPT = 2  # models, and networks, in memory
_loaded: OrderedDict = OrderedDict()  # (path, time, size) of a model file -> Model
_networks: OrderedDict = OrderedDict()  # (id of a model, size, threads, purpose) -> model, network


def execute(name: str, inputs: dict, update=None) -> dict:
    """Do a task.

    Parameters
    ----------
    name : str
        One of `TASKS`.
    inputs : dict
    update : callable, optional
        Called with (done, of, words) in between.

    Raises
    ------
    InputError
        For everything that the caller can mend, in one sentence.
    """
    if name not in TASKS:
        raise InputError(f"there is no task '{name}': the tasks are {listed(TASKS)}")
    if not isinstance(inputs, dict):
        raise InputError("the inputs of a task are an object of names and values")
    return TASKS[name](inputs, update or (lambda done, of, words="": None))


# ---- what is kept --------------------------------------------------------------------------------


def _keep(cache: OrderedDict, key, make):
    """The entry of a cache, made where it is not there; the oldest make room first."""
    if key not in cache:
        while len(cache) >= _KEPT:
            cache.popitem(last=False)
        cache[key] = make()
    cache.move_to_end(key)
    return cache[key]


def _model(inputs: dict) -> Model:
    """The model of a request, kept in memory until its file changes."""
    path = _get(inputs, "model", str)
    try:
        about = os.stat(path)
    except ValueError:
        raise InputError(f"{path!r} is no path of a file") from None
    except OSError:
        return load(path)  # its words for a file that is not there
    key = (os.path.realpath(path), about.st_mtime_ns, about.st_size)
    return _keep(_loaded, key, lambda: load(path))


def _network(model: Model, size, threads: int, purpose: str, make):
    """A network of a model, kept; with the model, so that no other can have its id."""
    key = (id(model), *size, threads, purpose)
    return _keep(_networks, key, lambda: (model, make()))[1]


# ---- inputs --------------------------------------------------------------------------------------


def _get(inputs: dict, name: str, kinds, *default):
    """An input of the right kind; InputError names it."""
    if default and inputs.get(name) is None:
        return default[0]
    if name not in inputs:
        raise InputError(f"the input '{name}' is missing")
    value = inputs[name]
    if not isinstance(value, kinds) or isinstance(value, bool) != (kinds is bool):
        raise InputError(f"the input '{name}' is {str(value)[:50]!r}: that is of the wrong kind")
    return value


def _threads(inputs: dict) -> int:
    return thread_count(_get(inputs, "threads", int, None))


# ---- tasks ---------------------------------------------------------------------------------------


def _version(inputs: dict, update) -> dict:
    return {"phenoscale": phenoscale.__version__, "isa": _core.isa(), "threads": thread_count()}


def _about(inputs: dict, update) -> dict:
    """What is in a model file."""
    model = _model(inputs)
    return {"channels": model.channels, "classes": model.classes,
            "keys": [class_key(name) for name in model.classes], "label": model.label,
            "network": model.network, "size": list(model.size), "dtype": model.dtype,
            "any_size": model.takes_any_size(), "bin": model.bin, "z": model.z,
            "embedding": model.embedding["size"], "has_controls": model.controls is not None,
            "digest": model.digest()[:16], "version": model.version}


def _predict(inputs: dict, update) -> dict:
    """Classes, probabilities, embeddings and distances from the controls of some fields."""
    model, fields = _model(inputs), _get(inputs, "fields", list)
    threads, wants = _threads(inputs), _get(inputs, "embeddings", bool, False)
    may_skip = _get(inputs, "on_error", str, "stop") == "skip"
    found = {"class": [], "probabilities": [], "distance": []}
    found.update({"embeddings": []} if wants else {})
    skipped = {}
    for number, given in enumerate(fields):
        try:
            row = _one(model, field_of(model, given), threads)
        except (InputError, _core.ImageError, OSError) as error:
            if not may_skip:
                raise
            skipped[str(number)], row = str(error), {}
        for name, column in found.items():
            column.append(row.get(name))
        update(number + 1, len(fields), f"{number + 1} of {len(fields)} fields")
    return {"classes": model.classes, **found, "skipped": skipped}


def _one(model: Model, field: np.ndarray, threads: int) -> dict:
    """What the model says of one field."""
    check_fits(model, field.shape, field.dtype.name)
    source = FieldArrays(field[None], model.bin)
    net = _network(model, source.size, threads, "predict",
                   lambda: model.net(*source.size, threads))
    found = run(net, source, [0], model.scale, model.offset, threads)
    return {"class": model.classes[int(found.logits[0].argmax())],
            "probabilities": found.probabilities[0].tolist(),
            "embeddings": found.embeddings[0].tolist(),
            "distance": float(model.distances(found.embeddings)[0]) if model.controls else None}


def _evidence(inputs: dict, update) -> dict:
    """Where in a field the evidence for a class lies."""
    model, threads = _model(inputs), _threads(inputs)
    field = field_of(model, _get(inputs, "field", (list, dict)))
    check_fits(model, field.shape, field.dtype.name)
    explainer = _network(model, field.shape[1:], threads, "evidence",
                         lambda: Explainer(model, field.shape[1:], threads))
    found = explainer.explain(field, _get(inputs, "class", str, None) or None)
    return {"class": found.name, "logit": found.logit, "bias": found.bias,
            "classes": model.classes, "probabilities": found.probabilities.tolist(),
            "scales": {str(side): share for side, share in found.scales.items()},
            "is_coarse": found.is_coarse, "heat": pack(found.heat())}


def _table(inputs: dict, update) -> dict:
    """A table or folder of fields to a file of predictions, as `phenoscale predict`."""
    from phenoscale.predict_file import predict_source

    how = _get(inputs, "how", dict, {})
    unknown = set(how) - {"preset", "pattern", "join", "channels", "roles", "root", "path_map"}
    if unknown:
        raise InputError(f"the input 'how' has an unknown entry {min(unknown)}")
    out = _get(inputs, "out", str)
    n, skipped = predict_source(
        _model(inputs), _get(inputs, "source", str), out, _threads(inputs),
        progress=lambda done, of: update(done, of, f"{done} of {of} fields"),
        inputs=[_get(inputs, "model", str)], **how)
    return {"out": out, "fields": n, "errors": skipped}


def _train(inputs: dict, update) -> dict:
    """A training on a table, as `phenoscale train`."""
    from phenoscale.progress import words
    from phenoscale.recipe import Recipe
    from phenoscale.report import write_report
    from phenoscale.run import train_run
    from phenoscale.table import read_table

    def tell(event):
        update(event.get("done", 0), event.get("of", 0), words(event))

    try:
        recipe = Recipe(**_get(inputs, "recipe", dict, {}))
    except TypeError as error:
        raise InputError(f"the recipe: {error}") from None
    table = read_table(_get(inputs, "table", str), _get(inputs, "channels", list, None),
                       z=recipe.z)
    folder = train_run(
        table, _get(inputs, "label", str), _get(inputs, "out", str), recipe,
        threads=_threads(inputs), holdout=_get(inputs, "holdout", dict, None),
        controls=_get(inputs, "controls", dict, None), on_error="skip",
        resume=_get(inputs, "resume", bool, False), progress=tell)[1]
    return {"model": os.path.join(folder, "model.safetensors"), "report": write_report(folder)}


#: name -> function of (inputs, update)
TASKS = {"version": _version, "about": _about, "predict": _predict, "evidence": _evidence,
         "table": _table, "train": _train}
