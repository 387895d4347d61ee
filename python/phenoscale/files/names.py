# SPDX-License-Identifier: BSD-3-Clause
"""What the name of a file to write promises, and what it is then: no other ending is written."""

from __future__ import annotations

import os

from phenoscale.errors import InputError

__all__ = ["PARQUET", "check_name"]

PARQUET = ".parquet"
#: what is written -> as what, and the endings of its names
_KINDS = {"table": ("a table is written as CSV", (".csv", ".csv.gz")),
          "frame": ("a table is written as CSV or Parquet", (".csv", ".csv.gz", PARQUET)),
          "predictions": ("predictions are written as CSV or Parquet",
                          (".csv", ".csv.gz", PARQUET)),
          "parquet": ("Parquet is written", (PARQUET,)),
          "anndata": ("AnnData is written as HDF5", (".h5ad",)),
          "properties": ("properties of CellProfiler Analyst are written", (".properties",)),
          "page": ("a page is written as HTML", (".html", ".htm")),
          "picture": ("a picture is written as PNG", (".png",))}


def check_name(path, kind: str) -> None:
    """InputError for a name that promises another kind of file, or none.

    kind: "table", "frame", "predictions", "parquet", "anndata", "properties", "page" or "picture".
    """
    words, endings = _KINDS[kind]
    if not os.fspath(path).lower().endswith(endings):
        raise InputError(f"{path} cannot be written: {words}; give a name that ends in "
                         f"{' or '.join(endings)}")
