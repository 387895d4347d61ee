# SPDX-License-Identifier: BSD-3-Clause
"""Names of classes: what may be one, what is none, and what is said of their spelling."""

import unicodedata

import pytest

pandas = pytest.importorskip("pandas")
from phenoscale import InputError
from phenoscale.tables.labels import Labels, class_cells, class_names, is_no_class, label_words
from phenoscale.tables.read import read_table
from phenoscale.tables.split import split_table


def table_of(names, column="moa"):
    return read_table(pandas.DataFrame({
        "FileName_A": [f"{k}.tif" for k in range(len(names))], column: names}))


def words_of(names):
    return label_words(table_of(names).column("moa"), "moa")


def test_class_names():
    assert class_names(["b", "", "a", "b"]) == ["a", "b"]
    for names in (["a b", "ab"], ["+", "a"], ["Ω", "a"]):
        assert class_names(names, "moa") == sorted(names)
    for label in ("Split", "Phenoscale_Class", "Image_FileName_DNA"):
        with pytest.raises(InputError, match=f"column {label} cannot be the label"):
            class_names(["a", "b"], label)


# ---- none ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["", "NA", "na", "N/A", "nan", "NaN", "NULL", "null", "#N/A",
                                  "-666", "None", "<NA>", "#REF!"])
def test_words_for_none(name):
    assert is_no_class(name)
    assert class_cells(table_of(["a", name, "b"]), "moa").tolist() == ["a", "", "b"]


@pytest.mark.parametrize("name", ["Nanog", "sodium (Na)", "no", "0", "-", "untreated", "666",
                                  "negative", "null mutant"])
def test_words_that_are_classes(name):
    assert not is_no_class(name)


def test_none_is_no_class_and_is_counted():
    names = ["a", "a", "NA", "#N/A", "NA", "", "b", "b"]
    table = table_of(names)
    assert label_words(table.column("moa"), "moa") == [
        "column moa: 3 fields without a class, since its cell says none ('NA' (2 fields), '#N/A' "
        "(1 field)): rename what is a class"]
    sides, _ = split_table(table, "moa")
    assert sides.tolist() == ["train"] * 2 + ["unlabelled"] * 4 + ["train"] * 2
    assert Labels(table, "moa").fields == {"a": 2, "b": 2, "": 4}
    with pytest.raises(InputError, match="column moa has one class only, a"):
        split_table(table_of(["a", "a", "none", "none"]), "moa")


# ---- spelling ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("names", "difference"), [
    (["DMSO", "dmso", "Dmso"], "case"),
    (["5 uM taxol", "5\u00a0uM taxol", "5  uM taxol"], "blanks"),
    (["IL 6", "IL6"], "blanks"),
    (["DM\u200bSO", "DMSO"], "blanks"),
    (["Käse", unicodedata.normalize("NFD", "Käse")], "the form of a letter (Unicode)"),
    (["10 µM", "10 μM"], "the form of a letter (Unicode)"),
    (["IL‑6", "IL-6"], "the form of a letter (Unicode)"),
    (["1", "1.0", "1.00"], "the spelling of a number"),
    (["0.3", "0.30", "0,3", "3e-1"], "the spelling of a number"),
    (["taxol 1.0 uM", "taxol 1 uM"], "the spelling of a number"),
    (["30 nM", "0.03 uM"], "the spelling of a number"),
    (["DMSO 1", "dmso 1.0"], "case and the spelling of a number"),
])
def test_spellings_of_one_name(names, difference):
    words, = words_of([*names, "other", "other"])
    assert f"are {len(names)} classes and differ in {difference} only: write them alike" in words
    assert words.startswith("column moa: ") and all(
        name in words for name in names if name.isascii())


@pytest.mark.parametrize("names", [
    ["0.1", "1", "10"], ["+DOX", "-DOX"], ["TNFα", "TNFβ"], ["DMSO (+)", "DMSO (-)"],
    ["対照", "処理"], ["IL-6", "IL6"], ["BRD-1", "BRD-01"], ["1,000", "1"], ["A1", "A01"]])
def test_names_that_are_others(names):
    assert words_of(names) == []


def test_what_cannot_be_seen_is_shown():
    words, = words_of(["10 µM", "10 μM"])
    assert "'10 <U+00B5>M' (1 field), '10 <U+03BC>M' (1 field)" in words


def test_many_spellings_are_a_few_sentences():
    words = words_of([name for k in range(30) for name in (f"name{k}x", f"NAME{k}x")])
    assert len(words) == 6 and words[-1] == (
        "column moa: 25 more groups of names differ in their spelling only")


def test_doses_have_one_spelling():
    """Of the role concentration: they are classes by their numbers."""
    table = table_of(["0.3", "0.30", "3e-1", ".3", "300 nM", "1", "1.0", "01"], "concentration")
    label = "Metadata_Concentration"
    assert table.column(label).tolist() == ["0.3"] * 5 + ["1"] * 3
    assert label_words(table.column(label), label) == []


# ---- dates ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["2024-03-01 00:00:00", "2024-09-02", "1-Mar", "2-Sep", "Mar-01",
                                  "01. Mrz", "2-Sep-24", "3/1/2024"])
def test_dates_are_suspected(name):
    words, = words_of([name, "ACTB"])
    assert f"'{name}' (1 field) is a date: a spreadsheet makes dates of names such as MARCH1" in (
        words)


@pytest.mark.parametrize("name", ["MARCH1", "SEPT2", "1-2", "may", "2024", "1.5", "DEC1"])
def test_names_that_are_no_dates(name):
    assert words_of([name, "ACTB"]) == []


def test_dates_of_a_workbook(tmp_path):
    openpyxl = pytest.importorskip("openpyxl")
    import datetime

    book = openpyxl.Workbook()
    for row in (["FileName_A", "gene"], ["a.tif", datetime.datetime(2024, 3, 1)], ["b.tif", "B"]):
        book.active.append(row)
    book.save(tmp_path / "t.xlsx")
    words, = label_words(read_table(tmp_path / "t.xlsx").column("gene"), "gene")
    assert "'2024-03-01 00:00:00' (1 field) is a date" in words
