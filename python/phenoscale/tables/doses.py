# SPDX-License-Identifier: BSD-3-Clause
"""Concentrations as people write them -> numbers in micromolar where a unit is given.

Part of reading a table; `join` compares tables by these numbers.
"""

from __future__ import annotations

import re

__all__ = ["parse_dose", "same_dose", "tidy_doses"]

_DOSE = re.compile(r"([-+]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d+)?)\s*(\S.*)?")
_THOUSANDS = re.compile(r"[-+]?\d{1,3}(?:(?:,\d{3}){2,}(?:\.\d*)?|,\d{3}\.\d*)(?!\d)")
_UNCLEAR = re.compile(r"[-+]?[1-9]\d{0,2},\d{3}(?![\d,.])")  # 1,000: a thousand or one?
_UNCLEAR_POINT = re.compile(r"[-+]?[1-9]\d{0,2}\.\d{3}(?![\d,.])")  # where a comma is decimal
_POINTS = re.compile(r"[-+]?\d{1,3}(?:(?:\.\d{3})+,\d*|(?:\.\d{3}){2,}(?!\d))")  # 1.000,5
_COMMA = re.compile(r"[-+]?\d*,\d+")
#: Units, to how many of micromolar they are.
_UNITS = {"pm": 1e-6, "nm": 1e-3, "um": 1.0, "mm": 1e3, "m": 1e6}
_PREFIXES = {"pico": "p", "nano": "n", "micro": "u", "milli": "m", "µ": "u", "μ": "u"}


def parse_dose(text: str) -> tuple[float, bool] | None:
    """The number and whether it had a unit (it is then in micromolar); None for other text.

    >>> parse_dose("30 nM"), parse_dose("3e-4"), parse_dose("5 µmol/L"), parse_dose("low")
    ((0.03, True), (0.0003, False), (5.0, True), None)
    """
    match = _DOSE.fullmatch(text.strip())
    if not match:
        return None
    number, unit = float(match[1]), (match[2] or "").strip().lower()
    if not unit:
        return number, False
    for word, letter in _PREFIXES.items():
        unit = letter + unit[len(word) :] if unit.startswith(word) else unit
    unit = re.sub(r"(mol/l|molar)$", "m", unit)
    return (float(f"{number * _UNITS[unit]:.12g}"), True) if unit in _UNITS else None


def tidy_doses(cells) -> list[str]:
    """Doses as plain numbers for tables, one spelling for each: decimal point, no unit, no zeros at
    an end; other text as it is.

    Raises
    ------
    ValueError
        (row, words) for a comma that may be either sort, in a column where no other tells.

    >>> tidy_doses(["0,3", "1,250", "30 micromolar", "1e-3", "high", "1,000,000 nM"])
    ['0.3', '1.25', '30', '0.001', 'high', '1000']
    """
    cells = [cell.strip() for cell in cells]
    is_decimal = any(_COMMA.match(cell) and not _THOUSANDS.match(cell) and not _UNCLEAR.match(cell)
                     for cell in set(cells))
    unclear = _UNCLEAR_POINT if is_decimal else _UNCLEAR
    for row, cell in enumerate(cells):
        if unclear.match(cell):
            sign, other = (".", "comma") if is_decimal else (",", "point")
            raise ValueError(row, f"'{cell}' may be a thousand or one: write it without the "
                                  f"'{sign}', or with a {other}")
    tidy = {cell: _tidy(cell) for cell in set(cells)}
    return [tidy[cell] for cell in cells]


def _tidy(text: str) -> str:
    plain = text
    if points := _POINTS.match(text):
        plain = points[0].replace(".", "").replace(",", ".") + text[points.end() :]
    elif thousands := _THOUSANDS.match(text):
        plain = thousands[0].replace(",", "") + text[thousands.end() :]
    elif _COMMA.match(text):
        plain = text.replace(",", ".", 1)
    dose = parse_dose(plain)
    if dose is None:
        return text
    return f"{dose[0]:.12g}"


def same_dose(a: float, b: float) -> bool:
    """Equal up to rounding in a file: 0.3 and 0.300000."""
    return abs(a - b) <= 1e-6 * max(abs(a), abs(b))
