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
from dataclasses import replace

import numpy as np

import phenoscale
from phenoscale import _core
from phenoscale.errors import InputError
from phenoscale.hosts.task_fields import field_of, pack
from phenoscale.hosts.task_schema import SCHEMAS
from phenoscale.images.fields import FieldArrays
from phenoscale.images.measures import find_nuclei, measure_names
from phenoscale.machine import thread_count
from phenoscale.models.certainty import set_words
from phenoscale.models.head import HEADS
from phenoscale.models.model import Model, load
from phenoscale.prediction.counts import far_from, sentences_of
from phenoscale.prediction.evidence import Explainer
from phenoscale.prediction.inputs import check_fits
from phenoscale.prediction.predict import Network
from phenoscale.progress import Watch, words
from phenoscale.ranks.crew import Crew
from phenoscale.tables.read import Reading
from phenoscale.words import listed

__all__ = ["TASKS", "execute", "update_of"]

_KEPT = 2  # models, and networks, in memory
_loaded: OrderedDict = OrderedDict()  # (path, time, size) of a model file -> Model
_networks: OrderedDict = OrderedDict()  # (id of a model, size, threads, purpose) -> model, network


def execute(name: str, inputs: dict, progress=None) -> dict:
    """Do a task.

    Parameters
    ----------
    name : str
        One of `TASKS`.
    inputs : dict
    progress : callable, optional
        Takes events of `phenoscale.progress`; `update_of` makes of each what a host shows.

    Raises
    ------
    InputError
        For everything that the caller can mend, in one sentence.
    """
    if name not in TASKS:
        raise InputError(f"there is no task '{name}': the tasks are {listed(TASKS)}")
    if not isinstance(inputs, dict):
        raise InputError("the inputs of a task are an object of names and values")
    schema = SCHEMAS[name]
    schema.inputs.check(inputs)
    given = {word: value for word, value in inputs.items() if value is not None}
    outputs = TASKS[name](given, Watch(progress))
    schema.check_outputs(outputs)
    return outputs


def update_of(name: str, event: dict) -> tuple[int, int, str]:
    """What a host shows of an event of a task: done, of how many, words.  In a training the fields
    that are predicted are one stage of several."""
    done, of = event.get("done", 0), event.get("of", 0)
    is_all = event["stage"] == "predict" and name != "train"
    return done, of, f"{done} of {of} fields" if is_all else words(event)


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
    path = inputs["model"]
    try:
        about = os.stat(path)
    except OSError:
        return load(path)  # its words for a file that is not there
    key = (os.path.realpath(path), about.st_mtime_ns, about.st_size)
    return _keep(_loaded, key, lambda: load(path))


def _network(model: Model, size, threads: int, purpose: str, make):
    """A network of a model, kept; with the model, so that no other can have its id."""
    key = (id(model), *size, threads, purpose)
    return _keep(_networks, key, lambda: (model, make()))[1]


# ---- tasks: inputs as task_schema.py has checked them -------------------------------------------


def _threads(inputs: dict) -> int:
    return thread_count(inputs.get("threads"))


def _version(inputs: dict, watch) -> dict:
    return {"phenoscale": phenoscale.__version__, "isa": _core.isa(), "threads": thread_count()}


def _about(inputs: dict, watch) -> dict:
    """What is in a model file."""
    model = _model(inputs)
    head, known = model.head, model.certainty
    return {"head": head.kind if head else HEADS[0], "measure_names": _measure_names(model),
            "channels": model.channels, "classes": model.classes,
            "keys": model.keys, "label": model.label,
            "network": model.network, "size": list(model.size), "dtype": model.dtype,
            "any_size": model.takes_any_size(), "bin": model.bin, "z": model.z,
            "embedding": model.embedding["size"], "has_controls": model.controls is not None,
            "sets": sorted(known.sets, reverse=True) if known else [],
            "has_novelty": model.novelty is not None and head.asks_measures(),
            "certainty": known and known.why,
            "digest": model.digest()[:16], "version": model.version}


def _measure_names(model: Model) -> list:
    """What the measures of its fields are."""
    return model.head.names if model.head else measure_names(
        model.channels, find_nuclei(model.channels)[0])


def _predict(inputs: dict, watch) -> dict:
    """Classes, probabilities, embeddings, measures and distances from the controls of some fields;
    warnings where their counts lie far from those of the training."""
    model, fields = _model(inputs), inputs["fields"]
    threads, wanted = _threads(inputs), "all" if inputs.get("measures") else None
    may_skip = inputs.get("on_error") == "skip"
    found = {name: [] for name in ("class", "probabilities", "distance", "set", "set90", "novelty",
                                   "cells", "quality")}
    found.update({name: [] for name in ("embeddings", "measures") if inputs.get(name)})
    skipped, levels = {}, []
    for number, given in enumerate(fields):
        try:
            row = _one(model, field_of(model, given), threads, wanted)
            levels.append(row["levels"])
        except (InputError, _core.ImageError, OSError) as error:
            if not may_skip:
                raise
            skipped[str(number)], row = str(error), {}
        for name, column in found.items():
            column.append(row.get(name))
        watch.tell("predict", number + 1, len(fields))
    warnings = sentences_of(far_from(model.counts, model.channels, levels, [""] * len(levels)))
    names = {"measure_names": _measure_names(model)} if wanted else {}
    return {"classes": model.classes, **found, **names, "skipped": skipped, "warnings": warnings}


def _one(model: Model, field: np.ndarray, threads: int, measures: str | None) -> dict:
    """What the model says of one field; measures: as for `Network.of`."""
    check_fits(model, field.shape, field.dtype.name)
    source = FieldArrays(field[None], model.bin)
    network = _network(model, source.size, threads, f"predict {measures}",
                       lambda: Network.of(model, source.size, threads, measures=measures))
    found = network.run(source, [0])
    cells, quality, novelty = found.cells, found.quality, found.novelty
    sets = {coverage: set_words(model.keys, one)[0] for coverage, one in found.sets.items()}
    return {"class": model.classes[int(found.probabilities[0].argmax())],
            "probabilities": found.probabilities[0].tolist(),
            "embeddings": found.embeddings[0].tolist(), "measures": found.numbers[0].tolist(),
            "cells": None if cells is None else float(cells[0]),
            "set": sets.get("95"), "set90": sets.get("90"),
            "novelty": None if novelty is None else float(novelty[0]),
            "quality": quality and quality[0], "levels": found.by_channel()[0],
            "distance": float(model.distances(found.embeddings)[0]) if model.controls else None}


def _evidence(inputs: dict, watch) -> dict:
    """Where in a field the evidence for a class lies."""
    model, threads = _model(inputs), _threads(inputs)
    field = field_of(model, inputs["field"])
    check_fits(model, field.shape, field.dtype.name)
    explainer = _network(model, field.shape[1:], threads, "evidence",
                         lambda: Explainer(model, field.shape[1:], threads))
    found = explainer.explain(field, inputs.get("class") or None)
    return {"class": found.name, "logit": found.logit, "bias": found.bias,
            "classes": model.classes, "probabilities": found.probabilities.tolist(),
            "scales": {str(side): share for side, share in found.scales.items()},
            "is_coarse": found.is_coarse, "heat": pack(found.heat())}


def _reading(inputs: dict) -> Reading:
    """How the fields of a table or folder are read, by the words of the command line."""
    how = inputs.get("how", {})
    return Reading(**{word: value for word, value in how.items() if value is not None})


def _table(inputs: dict, watch) -> dict:
    """A table or folder of fields to a file of predictions, as `phenoscale predict`."""
    from phenoscale.prediction.file import Writing, predict_to_file

    measures = {True: "all", False: "none"}.get(inputs.get("measures"))
    out, writing = inputs["out"], Writing(keep=[inputs["model"]], measures=measures)
    told = _Told(watch)
    n, skipped = predict_to_file(
        _model(inputs), inputs["source"], out, _reading(inputs), writing,
        Crew(threads=_threads(inputs), progress=told))
    return {"out": out, "fields": n, "errors": skipped, "warnings": told.warnings}


class _Told(Watch):
    """Passes events on, and keeps what was warned of for the outputs of a task."""

    def __init__(self, progress):
        super().__init__(progress)
        self.warnings = []

    def __call__(self, event: dict) -> None:
        if event["stage"] == "warning":
            self.warnings.append(event["words"])
        super().__call__(event)


def _train(inputs: dict, watch) -> dict:
    """A training on a table or folder, as `phenoscale train`."""
    from phenoscale.reports.report import write_report
    from phenoscale.tables.read import read_table
    from phenoscale.tables.split import Split
    from phenoscale.training.recipe import Recipe
    from phenoscale.training.run import train_run
    from phenoscale.training.run_folder import RunFolder
    from phenoscale.training.running import Running

    given = inputs.get("recipe", {})
    recipe = Recipe(**{word: value for word, value in given.items() if value is not None})
    table = read_table(inputs["table"], replace(_reading(inputs), z=recipe.z))
    told = _Told(watch)
    running = Running(on_error=inputs.get("on_error", "stop"),
                      resume=inputs.get("resume", False))
    folder = RunFolder(train_run(
        table, inputs["label"], inputs["out"], recipe,
        Split(holdout=inputs.get("holdout")), inputs.get("controls"),
        running, Crew(threads=_threads(inputs), progress=told))[1])
    return {"model": folder.file(folder.MODEL), "report": write_report(folder.path),
            "unscored": folder.unscored(), "warnings": told.warnings}


#: name -> function of (inputs, Watch)
TASKS = {"version": _version, "about": _about, "predict": _predict, "evidence": _evidence,
         "table": _table, "train": _train}
