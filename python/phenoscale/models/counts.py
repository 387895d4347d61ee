# SPDX-License-Identifier: BSD-3-Clause
"""What a model file keeps of the counts that it was trained on, by channel.

prediction/counts.py makes it, and judges plates by it.
"""

from __future__ import annotations

__all__ = ["KEPT", "QUANTILES", "is_counts"]

#: Of each field: the mean of its counts; the count that 1 % are below; their deviation; log2 of
#: fine over coarse detail; and (mean - floor) / deviation, which no gain changes.
KEPT = ("mean", "floor", "deviation", "detail", "shape")
#: What is kept of each over the fields: least, quartiles, most.
QUANTILES = (0, 25, 50, 75, 100)
_LARGEST = 1e39  # of a float32


def is_counts(value, channels: int) -> bool:
    """Whether an entry of a model file is None or {name of `KEPT`: a row of `QUANTILES` a channel,
    "bits": all bits set in any count of the channel, as a number}."""
    if value is None:
        return True
    return (isinstance(value, dict) and set(value) == {*KEPT, "bits"}
            and all(isinstance(rows, list) and len(rows) == channels for rows in value.values())
            and all(type(bits) is int and 0 <= bits < 1 << 16 for bits in value["bits"])
            and all(_is_ascending(row) for name in KEPT for row in value[name]))


def _is_ascending(row) -> bool:
    return (isinstance(row, list) and len(row) == len(QUANTILES)
            and all(type(n) in (int, float) and abs(n) <= _LARGEST for n in row)
            and row == sorted(row))
