# SPDX-License-Identifier: BSD-3-Clause
"""Names of classes: what may be one, and what tells two apart."""

import pytest

pytest.importorskip("pandas")
from phenoscale import InputError
from phenoscale.tables.labels import class_names


def test_class_names():
    assert class_names(["b", "", "a", "b"]) == ["a", "b"]
    for names in (["a b", "ab"], ["+", "a"], ["Ω", "a"]):
        with pytest.raises(InputError, match="column moa: the class .* rename one"):
            class_names(names, "moa")
    for label in ("Split", "Phenoscale_Class", "Image_FileName_DNA"):
        with pytest.raises(InputError, match=f"column {label} cannot be the label"):
            class_names(["a", "b"], label)
