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


def test_wells_in_the_forms_of_instruments():
    for name in ("r02c03", "R2C3", "row 2 col 3", "B3", "b 03", "B.3", "Well B03", "3B", "B003"):
        assert wells.normalise_well(name) == "B03" and wells.is_well(name)
    for name in ("0203", "r0c1", "2nd", "DMSO", "12", "B", "well12"):
        assert wells.normalise_well(name) == name and not wells.is_well(name)
    for row, column, well in (("2", "3", "B03"), ("b", "03", "B03"), ("32", "48", "AF48"),
                              ("2.0", "3.0", "B03"), ("0", "3", ""), ("B", "0", ""),
                              ("A1", "2", ""), ("33", "1", ""), ("x", "49", "")):
        assert wells.well_at(row, column) == well
