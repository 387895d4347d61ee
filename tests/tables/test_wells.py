# SPDX-License-Identifier: BSD-3-Clause
"""Names of wells, and the plates that hold them."""

from phenoscale.tables import wells


def test_well_names_and_layouts():
    assert wells.well_position("B02") == (1, 1) and wells.well_position(" h12 ") == (7, 11)
    assert wells.well_position("AF48") == (31, 47)
    assert not any(map(wells.well_position, ("", "A", "7", "A0", "ABC1", "A１", "A-1")))
    for names, layout in ((["A01", "H12"], (8, 12)), (["A01", "I01"], (16, 24)),
                          (["AF48"], (32, 48)), (["BZ99", "A01"], None), (["x"], None)):
        assert wells.plate_layout(names) == layout
