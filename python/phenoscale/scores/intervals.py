# SPDX-License-Identifier: BSD-3-Clause
"""How certain a share is."""

from __future__ import annotations

import math

__all__ = ["wilson"]

_Z = 1.96  # of 95 %


def wilson(right: int, n: int) -> tuple[float, float]:
    """The 95 % interval of a share of `right` among n, from 0 to 1 (Wilson 1927, JASA 22:209)."""
    middle = (right + _Z * _Z / 2) / (n + _Z * _Z)
    half = _Z / (n + _Z * _Z) * math.sqrt(right * (n - right) / n + _Z * _Z / 4)
    return max(middle - half, 0.0), min(middle + half, 1.0)
