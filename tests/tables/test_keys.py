# SPDX-License-Identifier: BSD-3-Clause
"""The key of a field: one for each, the same whichever table names the field."""

import pandas

from phenoscale.tables.keys import KEY, field_keys
from phenoscale.tables.read import read_table
from phenoscale.tables.table import write_table


def keys(cells, **words):
    return read_table(pandas.DataFrame(cells), **words).keys


def test_names_that_repeat_in_other_folders_are_other_fields():
    found = keys({"file": ["DMSO/001.tif", "taxol/001.tif", "b/DMSO/001.tif"]})
    assert len(set(found)) == 3
    assert [key.rsplit(" ")[0] for key in found] == ["DMSO/001.tif", "taxol/001.tif",
                                                     "DMSO/001.tif"]


def test_pages_and_samples_are_other_fields():
    for name in ("Frame", "Sample"):
        found = keys({"FileName_A": ["a/stack.tif"] * 3, f"{name}_A": ["0", "1", "2"]})
        assert len(set(found)) == 3


def test_a_second_channel_tells_fields_apart():
    found = keys({"FileName_A": ["a/one.tif"] * 2, "FileName_B": ["a/x.tif", "a/y.tif"]})
    assert len(set(found)) == 2


def test_rows_of_the_same_files_have_their_numbers():
    found = keys({"FileName_A": ["x/a.tif", "x/b.tif", "x/a.tif"]})
    assert len(set(found)) == 3
    assert [key.partition(" row ")[2] for key in found] == ["1", "", "3"]


def test_fields_without_a_file_have_keys():
    found = keys({"FileName_A": ["", "", "a.tif"], "FileName_B": ["", "b.tif", ""]})
    assert len(set(found)) == 3 and found[0].startswith("no file ")


def test_some_fields_keep_their_keys():
    table = read_table(pandas.DataFrame({"FileName_A": ["a.tif", "b.tif", "a.tif"]}))
    some = table.select([2, 1])
    assert some.keys == [table.keys[2], table.keys[1]]
    assert some.select([1]).with_channels(["A"]).keys == [table.keys[1]]


def test_neither_order_of_channels_nor_of_rows_nor_another_table_matters(tmp_path):
    cells = {"FileName_A": ["a1.tif", "a2.tif"], "FileName_B": ["b1.tif", "b2.tif"],
             "well": ["A01", "A02"]}
    table = read_table(pandas.DataFrame(cells), root=tmp_path)
    frame = pandas.DataFrame(cells).iloc[::-1]
    assert keys(frame, root=tmp_path, channels=["B", "A"]) == table.keys[::-1]
    (tmp_path / "other").mkdir()
    write_table(table, tmp_path / "other" / "clean.csv")
    assert read_table(tmp_path / "other" / "clean.csv").keys == table.keys


def test_a_stack_of_several_files_has_one():
    table = read_table(pandas.DataFrame({
        "FileName_A": ["a0.tif", "a1.tif", "b0.tif", "b1.tif"], "z": ["0", "1", "0", "1"],
        "well": ["A01", "A01", "A02", "A02"]}), z="max")
    assert len(set(field_keys(table))) == len(table) == 2
    assert not any(key.partition(" row ")[2] for key in table.keys)


def test_its_column_is_not_metadata_nor_a_feature():
    """So that pycytominer leaves it alone."""
    from phenoscale.tables.predictions import is_embedding, is_own

    assert not KEY.startswith(("Metadata_", "Image_", "Cells_", "Nuclei_", "Cytoplasm_"))
    assert is_own(KEY) and not is_embedding(KEY)
