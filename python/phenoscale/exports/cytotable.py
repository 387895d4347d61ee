# SPDX-License-Identifier: BSD-3-Clause
"""Parquet with the names that CytoTable gives, for pycytominer and copairs.

CytoTable puts Metadata_ before what tells of a row and Image_ before what was measured of it; of
our scores, which it would take for measurements, this makes metadata.
"""

from __future__ import annotations

import numpy as np

from phenoscale.exports.source import Source
from phenoscale.files.parquet import write_parquet

__all__ = ["write_cytotable"]

_NUMBER = "Metadata_ImageNumber"  # from 1, in the order of the table


def write_cytotable(source: Source, out: str) -> list[str]:
    """Write a .parquet, features as float32; gives the notes, of which there are none."""
    import pandas

    about = source.about.rename(columns={
        name: name if name.startswith(("Metadata_", "Image_")) else f"Metadata_{name}"
        for name in source.about})
    if source.unit == "field" and _NUMBER not in about:
        about.insert(0, _NUMBER, np.arange(1, len(about) + 1))
    features = source.features_frame().rename(columns={
        name: f"Image_{name}" for name in source.features if name.startswith("Phenoscale_")})
    write_parquet([pandas.concat([about, features], axis=1)], out, source.provenance)
    return []
