# SPDX-License-Identifier: BSD-3-Clause
"""An evaluation as a page of text, the headline first.

After evaluate.py.
"""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import numpy as np

from phenoscale.evaluation.levels import LEVELS
from phenoscale.words import count

if TYPE_CHECKING:
    from phenoscale.evaluation.evaluate import Evaluation

__all__ = ["page_of"]

_WIDTH, _MOST_ROWS, _MOST_CLASSES = 100, 40, 12
_SIDES = {None: "", "test": "held-out ", "val": "validation "}
#: table -> its heading
_HEADINGS = {"answered": "Where only the surest are answered", "compounds": "By compound",
             "plates": "By plate", "rows": "By row of the plate",
             "columns": "By column of the plate", "controls": "Controls, log-odds of the wells",
             "doses": "Doses"}
_DOSE_COLUMNS = ["compound", "curve", "n", "doses", "spearman", "v", "fit_ok", "ec50", "ec50_low",
                 "ec50_high", "hill", "r2"]


def page_of(found: Evaluation) -> str:
    """Lines of at most 100 columns, tables aside."""
    parts = [_head(found), *(textwrap.fill(note, _WIDTH) for note in found.notes),
             _scores(found), _confusion(found)]
    for name, heading in _HEADINGS.items():
        if name in found.tables:
            parts.append(f"{heading}\n{_table(_shown(name, found.tables[name]))}")
    return "\n\n".join(parts)


def _head(found: Evaluation) -> str:
    """How right, how sure, of what."""
    head = found.headline
    value, low, high = head["accuracy"]
    over = count(head["groups"], head["unit"])
    sure = (f"95 % interval {_percent(low)} to {_percent(high)}, {head['interval']} over {over}"
            if np.isfinite(low) else "no interval")
    fields = int(found.tables["scores"].set_index("level").loc["field", "n"].max())
    more = ", ".join(f"{name} {head[key][0]:.3f}" for name, key in (
        ("balanced accuracy", "balanced_accuracy"), ("AUC", "auc"), ("calibration error", "ece")))
    return (f"{found.source}: {count(fields, _SIDES[found.side] + 'field')}, classes of "
            f"{found.label}: {len(found.classes)}\n"
            f"By {head['level']}: {head['right']} of {count(head['n'], head['level'])} right, "
            f"{_percent(value)} ({sure})\n{more}")


def _scores(found: Evaluation) -> str:
    """Scores in rows, levels in columns, each with the interval of the headline's sort."""
    import pandas

    scores, columns = found.tables["scores"], {}
    for level in [name for name in reversed(LEVELS) if name in set(scores["level"])]:
        mine = scores[scores["level"] == level]
        unit = mine["unit"].iloc[0] if level != "treatment" else "compound"
        mine = mine[mine["unit"] == unit]
        over = f", over {count(mine['groups'].iloc[0], unit)}" if unit else ""
        columns[f"by {level}{over}"] = [
            f"{row.value:.3f}" + (f" ({row.low:.3f} to {row.high:.3f})" if np.isfinite(row.low)
                                  else "") for row in mine.itertuples()]
    names = list(dict.fromkeys(scores["score"]))
    return _table(pandas.DataFrame({"score": names, **columns}))


def _confusion(found: Evaluation) -> str:
    """Of the level of the headline; of many classes the calls that are wrong."""
    level = found.headline["level"]
    table = found.tables[f"confusion_{level}"]
    if len(table) <= _MOST_CLASSES:
        return f"Called what, by {level}: true classes in rows\n{_table(table)}"
    long = table.melt("class", var_name="called", value_name=f"{level}s")
    wrong = long[(long["class"] != long["called"]) & (long[f"{level}s"] > 0)]
    return (f"Called wrongly, by {level}\n"
            + _table(wrong.sort_values(f"{level}s", ascending=False, kind="stable")))


def _shown(name: str, table):
    """What fits a line of a table; the rest is in its CSV."""
    if name != "doses":
        return table
    unit = " (steps)" if table["is_rank"].any() else ""
    why = ["reason"] if (table["reason"] != "").any() else []
    return table[_DOSE_COLUMNS + why].rename(columns={"ec50": f"ec50{unit}"})


def _table(frame) -> str:
    """Columns side by side, text to the left, numbers to the right."""
    cells = [[_cell(value) for value in frame.iloc[:_MOST_ROWS, at]]
             for at in range(frame.shape[1])]
    lines = [[] for _ in range(min(len(frame), _MOST_ROWS) + 1)]
    for at, (name, column) in enumerate(zip(map(str, frame.columns), cells)):
        width = max(map(len, [name, *column]))
        is_text = frame.iloc[:, at].dtype.kind not in "iuf"
        for line, cell in zip(lines, [name, *column]):
            line.append(cell.ljust(width) if is_text else cell.rjust(width))
    more = [f"and {len(frame) - _MOST_ROWS} more"] if len(frame) > _MOST_ROWS else []
    return "\n".join(["  ".join(line).rstrip() for line in lines] + more)


def _cell(value) -> str:
    if isinstance(value, (bool, np.bool_)):
        return "yes" if value else "no"
    if isinstance(value, (float, np.floating)):
        return "-" if not np.isfinite(value) else f"{value:.3g}"
    return str(value)


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"
