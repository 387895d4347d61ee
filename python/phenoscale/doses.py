# SPDX-License-Identifier: BSD-3-Clause
"""Concentrations as people write them -> numbers in micromolar where a unit is given.

Part of reading a table; `join` compares tables by these numbers.
"""

from __future__ import annotations

import re

__all__ = ["parse_dose", "same_dose", "tidy_dose"]

_DOSE = re.compile(r"([-+]?(?:\d+(?:[.,]\d*)?|[.,]\d+)(?:[eE][-+]?\d+)?)\s*(\S.*)?")
#: Units, to how many of micromolar they are.
_UNITS = {"pm": 1e-6, "nm": 1e-3, "um": 1.0, "mm": 1e3, "m": 1e6}
_WORDS = {"picomolar": "pm", "nanomolar": "nm", "micromolar": "um", "millimolar": "mm",
          "molar": "m", "µm": "um", "μm": "um", "umol/l": "um", "nmol/l": "nm"}


def parse_dose(text: str) -> tuple[float, bool] | None:
    """The number and whether it had a unit (it is then in micromolar); None for other text.

    >>> parse_dose("30 nM"), parse_dose("3e-4"), parse_dose("0,3"), parse_dose("low")
    ((0.03, True), (0.0003, False), (0.3, False), None)
    """
    match = _DOSE.fullmatch(text.strip())
    if not match:
        return None
    number, unit = float(match[1].replace(",", ".")), (match[2] or "").strip().lower()
    if not unit:
        return number, False
    unit = _WORDS.get(unit, unit)
    return (float(f"{number * _UNITS[unit]:.12g}"), True) if unit in _UNITS else None


def tidy_dose(text: str) -> str:
    """A dose as a plain number for tables: decimal point, no unit; other text as it is.

    >>> tidy_dose("0,3"), tidy_dose("30 micromolar"), tidy_dose("1e-3"), tidy_dose("high")
    ('0.3', '30', '1e-3', 'high')
    """
    dose = parse_dose(text)
    if dose is None:
        return text
    return f"{dose[0]:.12g}" if dose[1] else text.strip().replace(",", ".")


def same_dose(a: float, b: float) -> bool:
    """Equal up to rounding in a file: 0.3 and 0.300000."""
    return abs(a - b) <= 1e-6 * max(abs(a), abs(b))
