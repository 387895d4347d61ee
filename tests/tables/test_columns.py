# SPDX-License-Identifier: BSD-3-Clause
"""Columns that are no channels and no data: numbers of rows, illumination, saved pictures."""

import pandas
import pytest

from phenoscale.errors import InputError
from phenoscale.tables.read import read_table


@pytest.mark.parametrize("head", ["", "Unnamed: 0"])
def test_numbers_of_rows_are_left_out_with_a_word(write_text, head):
    path = write_text(f"{head},FileName_A,well\n0,a.tif,A1\n1,b.tif,A2\n7,c.tif,A3\n")
    table = read_table(path)
    assert list(table.frame.columns) == ["Image_FileName_A", "Metadata_Well"]
    assert table.notes == [f"{path}: the first column has no name and numbers the rows: it is left "
                           "out"]
    frame = pandas.read_csv(path)  # which calls it so
    assert list(read_table(frame).frame.columns) == list(table.frame.columns)


@pytest.mark.parametrize("cells", [("x", "y"), ("1", "1"), ("1.5", "2")])
def test_other_columns_without_a_name_are_refused(write_text, cells):
    path = write_text(f",FileName_A\n{cells[0]},a.tif\n{cells[1]},b.tif\n")
    with pytest.raises(InputError, match="line 1: column 1 has no name"):
        read_table(path)
    with pytest.raises(InputError, match="line 1: column 2 has no name"):
        read_table(write_text("FileName_A,\na.tif,1\nb.tif,2\n"))


def test_illumination_functions_are_no_channels(write_text):
    path = write_text("FileName_OrigDNA,FileName_IllumDNA,PathName_IllumDNA\n"
                      "a.tif,P1_DNA.npy,illum\nb.tif,P1_DNA.npy,illum\n")
    table = read_table(path)
    assert table.channels == ["OrigDNA"]
    assert "no channels: column FileName_IllumDNA (P1_DNA.npy)" in table.notes[0]
    with pytest.raises(InputError, match="column FileName_IllumDNA .* names no images: its "
                                         "channels are OrigDNA"):
        read_table(path, channels=["IllumDNA"])
    with pytest.raises(InputError, match="FileName_A .a.npy. names no images"):
        read_table(pandas.DataFrame({"FileName_A": ["a.npy"]}))


def test_saved_pictures_beside_channels_are_named(write_text):
    path = write_text("FileName_OrigDNA,FileName_Overlay\na.tif,a.png\nb.tif,b.png\n")
    assert "leave them out with --channels OrigDNA" in read_table(path).notes[0]
    assert read_table(path, channels=["OrigDNA"]).notes == []
    assert read_table(path, channels=["OrigDNA", "Overlay"]).notes == []
    assert read_table(write_text("FileName_A,FileName_B\na.png,b.png\n")).notes == []
