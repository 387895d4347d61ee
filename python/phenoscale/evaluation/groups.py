# SPDX-License-Identifier: BSD-3-Clause
"""How right each compound, plate, row and column of the plates is.

After levels.py; before evaluate.py.
"""

from __future__ import annotations

from phenoscale.evaluation.predicted import COMPOUND, PLATE, WELL
from phenoscale.scores.intervals import wilson
from phenoscale.tables.predictions import CLASS
from phenoscale.tables.wells import row_name, well_position

__all__ = ["group_tables"]

#: table -> its column in the frames of levels.py, and the levels that it counts
_GROUPS = {"compounds": (COMPOUND, ("field", "well", "treatment")),
           "plates": (PLATE, ("field", "well")),
           "rows": ("Row", ("field", "well")),
           "columns": ("Column", ("field", "well"))}


def group_tables(frames: dict) -> dict:
    """A table for each sort of group.

    Parameters
    ----------
    frames : dict of str to pandas.DataFrame
        Of `phenoscale.evaluation.levels.level_frames`.

    Returns
    -------
    dict of str to pandas.DataFrame
        "compounds", "plates", "rows", "columns", those that are known: the group; class and called,
        the true class and the most frequent call of its fields, of a compound; how many fields,
        wells, treatments it has, and how many are right; low, high, the 95 % interval of the share
        of wells (Wilson).
    """
    frames = {level: _placed(frame) for level, frame in frames.items()}
    found = {}
    for name, (column, levels) in _GROUPS.items():
        table = _table({level: frames[level] for level in levels if level in frames}, column)
        if table is not None:
            found[name] = table
    return found


def _placed(frame):
    """With the row and column of its well on the plate, where all wells have such names."""
    places = [well_position(well) for well in frame[WELL]] if WELL in frame else [None]
    if None in places:
        return frame
    return frame.assign(Row=[row_name(row) for row, _ in places],
                        Column=[str(column + 1) for _, column in places])


def _table(frames: dict, column: str):
    """Of the levels whose frames have the column; None where none of it is known."""
    import pandas

    fields, parts = frames["field"], []
    if column not in fields or (fields[column] == "").all():
        return None
    if column == COMPOUND:
        of = fields.groupby(column, sort=False)
        parts += [of["Truth"].agg(lambda names: ", ".join(sorted(set(names)))).rename("class"),
                  of[CLASS].agg(lambda names: names.mode().iloc[0]).rename("called")]
    for level, frame in frames.items():
        if column in frame:
            is_right = (frame["Truth"] == frame[CLASS]).groupby(frame[column], sort=False)
            parts += [is_right.size().rename(f"{level}s"),
                      is_right.sum().rename(f"{level}s_right")]
    table = pandas.concat(parts, axis=1)
    counts = [name for name in table if name not in ("class", "called")]
    table[counts] = table[counts].fillna(0).astype(int)
    table = table[table.index != ""]
    if "wells" in table:
        ends = [wilson(right, n) if n else (float("nan"),) * 2
                for right, n in zip(table["wells_right"], table["wells"])]
        table["low"], table["high"] = zip(*ends)
    order = sorted(table.index, key=lambda name: (len(name), name) if column in ("Row", "Column")
                   else (0, name))
    return table.loc[order].rename_axis(column).reset_index()
