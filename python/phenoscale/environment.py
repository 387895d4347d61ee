# SPDX-License-Identifier: BSD-3-Clause
"""What the last bits of a result depend on beside files and options: processor and libraries."""

from __future__ import annotations

import numpy as np

import phenoscale
from phenoscale import _core

__all__ = ["environment"]


def environment() -> dict:
    """The instruction set in use, and versions."""
    return {"isa": _core.isa(), "versions": {"phenoscale": phenoscale.__version__,
                                             "numpy": np.__version__, **_core.versions()}}
