# SPDX-License-Identifier: BSD-3-Clause
"""Fields to wells: pandas, pycytominer, and no copy where there is nothing to do."""

import numpy as np
import pandas
import pytest

from phenoscale.profiles.grouped import grouped


@pytest.mark.parametrize("how", ["mean", "median"])
def test_grouped_equals_pandas_and_pycytominer(how):
    rng = np.random.default_rng(0)
    values = rng.normal(size=(50, 4)).astype(np.float32)
    group = np.concatenate([np.arange(9), rng.integers(0, 9, 41)])
    found = grouped(values, group, how)
    frame = pandas.DataFrame(values.astype(float), columns=list("abcd"))
    assert np.allclose(found, frame.groupby(group).agg(how), atol=1e-6)
    pycytominer = pytest.importorskip("pycytominer")
    theirs = pycytominer.aggregate(frame.assign(Metadata_Well=group), strata=["Metadata_Well"],
                                   features=list("abcd"), operation=how)
    assert np.allclose(found, theirs[list("abcd")], atol=1e-6)


def test_missing_numbers_are_left_out():
    values = np.array([[1, np.nan], [3, np.nan], [5, 2]], np.float32)
    found = grouped(values, np.array([0, 0, 1]), "mean")
    assert found[:, 0].tolist() == [2, 5] and np.isnan(found[0, 1]) and found[1, 1] == 2


def test_nothing_is_copied_where_each_row_is_a_group():
    values = np.zeros((3, 2), np.float32)
    assert grouped(values, np.arange(3), "mean") is values
    assert grouped(values, np.array([1, 0, 2]), "mean") is not values
