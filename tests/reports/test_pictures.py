# SPDX-License-Identifier: BSD-3-Clause
"""Pictures from made-up frames and pixels: each well at its place, refusals, what is written."""

import numpy as np
import pytest

pandas = pytest.importorskip("pandas")
pytest.importorskip("matplotlib")

from phenoscale import InputError
from phenoscale.reports import gallery
from phenoscale.reports import pictures as figures


def test_plate_map_draws_each_well_and_refuses_fields():
    frame = pandas.DataFrame({"Metadata_Well": ["A01", "H12"], "Phenoscale_Class": ["a", ""],
                              "Mark": ["-", ""], "Score": [0.5, np.nan]})
    axes = figures.plate_map(frame, ["a", "b"], "Score", limits=(-1, 1)).axes[0]
    assert [t.get_text() for t in axes.get_yticklabels()] == list("ABCDEFGH")
    assert [t.get_text() for t in axes.get_xticklabels()] == [str(i) for i in range(1, 13)]
    assert "−" in [t.get_text() for t in axes.texts]
    with pytest.raises(InputError, match="A01 has several rows"):
        figures.plate_map(pandas.concat([frame, frame]), ["a", "b"])


def test_composite_and_confusion():
    image = np.stack([np.full((2, 3), 5.0), np.zeros((2, 3))])
    picture = gallery.composite(image, [(0, 10), (0, 0)])
    assert picture.shape == (2, 3, 3) and np.allclose(picture[0, 0], [0, 0.5, 0.5 * 90 / 255])
    texts = [t.get_text() for t in figures.confusion([[3, 1], [0, 0]], ["a", "b"]).axes[0].texts]
    assert texts == ["3\n75 %", "1\n25 %"]
