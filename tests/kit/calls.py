# SPDX-License-Identifier: BSD-3-Clause
"""The package's calls with loose words, gathered here into the bundles that it takes."""

import os
import signal
from dataclasses import fields

import pytest

from phenoscale.errors import InputError
from phenoscale.prediction import file
from phenoscale.ranks.crew import Crew
from phenoscale.tables import split as splits
from phenoscale.tables.read import Reading, read_table
from phenoscale.training import run
from phenoscale.training.running import Running


def _taken(kind, words):
    """One bundle made of those of the words that it has, which are taken away."""
    return kind(**{entry.name: words.pop(entry.name) for entry in fields(kind)
                   if entry.name in words})


def _split(words):
    column = words.pop("split", None)
    return splits.Split(column=column, **{name: words.pop(name) for name in (
        "holdout", "val_by", "val_fraction") if name in words})


def split_table(table, label, seed=0, **words):
    """`phenoscale.tables.split.split_table`."""
    return splits.split_table(table, label, splits.Split(column=words.pop("split", None), **words),
                              seed)


def train_run(table, label, out, recipe, controls=None, **words):
    """`phenoscale.train_run`."""
    split, running = _split(words), _taken(Running, words)
    return run.train_run(table, label, out, recipe, split, controls, running, Crew(**words))


def predict_to_file(model, source, out, **words):
    """`phenoscale.predict_to_file`."""
    reading, writing = _taken(Reading, words), _taken(file.Writing, words)
    return file.predict_to_file(model, source, out, reading, writing, Crew(**words))


def counting(stage, call):
    """A receiver of progress that gives `call` (done, of) of one stage."""
    return lambda event: call(event["done"], event["of"]) if event["stage"] == stage else None


def warnings_to(words):
    """A receiver of progress that appends the warnings to a list."""
    return lambda event: words.append(event["words"]) if event["stage"] == "warning" else None


def stop_at(step, number=signal.SIGINT):
    """A progress callback that sends a signal to this process at a step."""
    def tell(event):
        if event["stage"] == "step" and event["done"] == step:
            os.kill(os.getpid(), number)
    return tell


def verb(*words):
    """Status of a verb of the command line; its errors are raised."""
    from phenoscale.cli.verbs import cli

    return cli.main([str(word) for word in words], standalone_mode=False)


def fails(path, **options):
    """The one sentence that reading a table ends in."""
    with pytest.raises(InputError) as error:
        read_table(path, **options)
    sentence = str(error.value)
    assert "\n" not in sentence
    return sentence
