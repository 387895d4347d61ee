# SPDX-License-Identifier: BSD-3-Clause
"""What a model wants of a table: its channels, its size and depth."""

from __future__ import annotations

from dataclasses import replace

from phenoscale.errors import InputError, NoChannel
from phenoscale.models.model import Model
from phenoscale.tables.columns import Channel
from phenoscale.tables.read import Reading, read_table
from phenoscale.tables.table import Table
from phenoscale.words import listed

__all__ = ["check_fits", "read_fields", "with_model_channels"]


def check_fits(model: Model, shape, dtype: str) -> None:
    """InputError unless files of this shape and depth are what the model was trained on."""
    c, h, w = shape
    if c != len(model.channels):
        raise InputError(
            f"the fields have {c} channels, the model needs {len(model.channels)}: "
            f"{', '.join(model.channels)}; choose them by --channels")
    if [h, w] != list(model.size) and not model.takes_any_size():
        raise InputError(
            f"the fields are {h} x {w} pixels, the {model.network} model was trained on "
            f"{model.size[0]} x {model.size[1]} and takes no other size: use fields of that size, "
            "or train with --network mcnn-gap, which takes any, each in a table of its own")
    if dtype != model.dtype:
        raise InputError(
            f"the fields are {dtype}, the model was trained on {model.dtype}: its scale would be "
            "wrong; export the images as they were for training")


def read_fields(model: Model, source, reading: Reading | None = None) -> Table:
    """A table as a model wants it: its channels, and stacks as in training.

    Parameters
    ----------
    model : Model
    source, reading
        As for `phenoscale.tables.read.read_table`.  The channels are by default those of the
        model, from the columns that they were in in the training table where this has them, else
        by name; `z` is the model's.
    """
    reading = replace(reading or Reading(), z=model.z)
    if reading.channels is not None:
        return read_table(source, reading)
    known = [Channel.parse(f"{name}={where}") for name, where in zip(model.channels, model.sources)]
    try:
        return read_table(source, replace(reading, channels=known or model.channels))
    except NoChannel:
        pass
    try:
        return read_table(source, replace(reading, channels=model.channels))
    except NoChannel as error:
        raise NoChannel(f"{error}: {_which_is_which(model)}") from None


def with_model_channels(model: Model, table: Table) -> Table:
    """The channels of the model, by their names; InputError where the table has not all of them:
    never by order."""
    missing = [name for name in model.channels if name not in table.channels]
    if missing:
        raise NoChannel(f"{table.source} has no channel {missing[0]} of the model: its fields "
                        f"have {len(table.channels)} channels, the model needs "
                        f"{len(model.channels)}: {listed(model.channels)}; theirs are "
                        f"{listed(table.channels)}: {_which_is_which(model)}")
    return table.with_channels(model.channels)


def _which_is_which(model: Model) -> str:
    words = [f"{name}=COLUMN" for name in model.channels]
    return (f"say which is which by --channels {','.join(words)} (in Python, read_table with "
            f"channels={words})")
