# SPDX-License-Identifier: BSD-3-Clause
"""A file of `measure` or `predict` as it is needed to say what changed: what the table says of each
field as text, its measures as numbers, its embedding not at all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from phenoscale.errors import InputError
from phenoscale.files.csv import cell_text, plain_cell
from phenoscale.machine import free_memory
from phenoscale.tables.predictions import is_embedding, is_measure

if TYPE_CHECKING:
    import pandas

__all__ = ["measured_table"]

_ROWS = 2048  # read at a time
_SHARE = 3  # of the free memory, what is read takes one part: wells are made of it


def measured_table(path) -> tuple[pandas.DataFrame, pandas.DataFrame]:
    """What is said of the fields of a file, and their measures, row by row the same fields.

    Parameters
    ----------
    path : str or path
        A CSV, .csv.gz or .parquet.

    Returns
    -------
    about : pandas.DataFrame
        Text, "" where nothing is said.
    numbers : pandas.DataFrame of float32
        The columns of `is_measure`, NaN where a cell is empty; none where there are none.

    Raises
    ------
    InputError
        For a file that is no table or has no rows, a measure that is no number, and for more than
        a third of the free memory.
    """
    import pandas

    path, most, held, parts = str(path), free_memory() // _SHARE, 0, []
    try:
        for part in (_parquet if path.lower().endswith(".parquet") else _csv)(path):
            parts.append(part)
            held += sum(int(frame.memory_usage(deep=True).sum()) for frame in part)
            if held > most:
                raise InputError(f"{path} needs more than the {most:,} bytes of memory that can "
                                 "be given to it: split it by plates, or go where more is free")
    except pandas.errors.EmptyDataError:
        parts = []
    except InputError:
        raise
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise InputError(f"{path} cannot be read as a table: {why}") from None
    if not sum(len(about) for about, _ in parts):
        raise InputError(f"{path} has no rows: give a file that phenoscale measure or predict "
                         "wrote")
    about, numbers = (pandas.concat(frames, ignore_index=True) for frames in zip(*parts))
    return about, numbers


def _csv(path: str):
    import pandas

    header = pandas.read_csv(path, nrows=0, encoding="utf-8-sig").columns
    measures = [name for name in header if is_measure(name)]
    blocks = pandas.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8-sig",
                             chunksize=_ROWS, usecols=lambda name: not is_embedding(name))
    for block in blocks:
        numbers = {name: _numbers(path, block[name]) for name in measures}
        about = block.drop(columns=measures)
        about = pandas.DataFrame({plain_cell(name): list(map(plain_cell, about[name]))
                                  for name in about}, index=block.index)
        yield about, pandas.DataFrame(numbers, index=block.index)


def _parquet(path: str):
    import pandas
    import pyarrow.parquet

    with open(path, "rb") as stream:
        file = pyarrow.parquet.ParquetFile(stream)
        columns = [name for name in file.schema_arrow.names if not is_embedding(name)]
        for batch in file.iter_batches(_ROWS, columns=columns):
            block = batch.to_pandas()
            numbers = {name: _numbers(path, block[name]) for name in block if is_measure(name)}
            about = {name: list(map(cell_text, block[name]))
                     for name in block if name not in numbers}
            yield (pandas.DataFrame(about, index=block.index),
                   pandas.DataFrame(numbers, index=block.index))


def _numbers(path: str, cells):
    """Cells as float32."""
    import pandas

    try:
        return pandas.to_numeric(cells.where(cells != "")).astype("float32")
    except (ValueError, TypeError) as error:
        raise InputError(f"{path}: column {cells.name} has a cell that is no number ({error}): "
                         "measure again") from None
