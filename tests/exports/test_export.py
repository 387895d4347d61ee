# SPDX-License-Identifier: BSD-3-Clause
"""`phenoscale export`: the formats, on the command line and in Python, from predictions on."""

import os

import pytest

import export_tables
import phenoscale
import screens
from calls import predict_to_file, verb
from phenoscale.cli.export import verb as command
from phenoscale.errors import InputError
from phenoscale.exports.export import FORMATS, export
from phenoscale.files.csv import write_csv

ENDINGS = {"anndata": ".h5ad", "cpa": ".properties", "cytotable": ".parquet", "omero": ".csv",
           "wells": ".csv"}
NEEDS = {"anndata": "anndata", "cytotable": "pyarrow"}


def test_every_format_has_an_ending_and_a_line_in_the_help():
    assert set(FORMATS) == set(ENDINGS)
    out = next(option for option in command.params if option.name == "out").help
    assert all(name in out and ending in out for name, ending in ENDINGS.items())


@pytest.fixture(scope="module")
def predictions(tmp_path_factory):
    """What a model says of a small screen, as Parquet and CSV."""
    folder = tmp_path_factory.mktemp("predicted")
    source = screens.write_screen(folder / "screen", 1, 4, 1)
    for name in ("p.csv", "p.parquet"):
        if name.endswith("csv") or pytest.importorskip("pyarrow"):
            predict_to_file(screens.make_model(), source, folder / name, measures="all")
    return folder


@pytest.mark.parametrize("source", ["p.csv", "p.parquet"])
@pytest.mark.parametrize("to", ENDINGS)
def test_predictions_go_to_every_format(predictions, tmp_path, capsys, to, source):
    pytest.importorskip(NEEDS.get(to, "numpy"))
    out = tmp_path / f"x{ENDINGS[to]}"
    verb("export", predictions / source, "--to", to, "--out", out)
    said = capsys.readouterr()
    paths = said.out.split()
    assert said.err == ""
    assert paths[0] == str(out) and sorted(paths) == sorted(
        str(tmp_path / name) for name in os.listdir(tmp_path))


def test_parquet_of_predict_says_of_which_model_it_is(predictions):
    from phenoscale.files.parquet import about_parquet

    model = screens.make_model()
    assert about_parquet(predictions / "p.parquet") == {
        "phenoscale": phenoscale.__version__, "model": model.digest(),
        "normalisation": model.normalisation}


def test_in_python_it_is_one_call(tmp_path):
    found = phenoscale.export(export_tables.wells(), "wells", tmp_path / "w.csv")
    assert found.paths == [str(tmp_path / "w.csv"), str(tmp_path / "w.json")]


@pytest.mark.parametrize("to", ENDINGS)
def test_other_endings_and_folders_that_are_not_there_are_refused(tmp_path, to):
    with pytest.raises(InputError, match="give a name that ends in"):
        export(export_tables.fields(), to, tmp_path / "x.xlsx")
    with pytest.raises(InputError, match="give a file in a folder that is there"):
        export(export_tables.fields(), to, tmp_path / "no" / f"x{ENDINGS[to]}")


def test_what_is_read_is_not_written_over(tmp_path):
    path = export_tables.written(export_tables.fields(), tmp_path / "p.csv")
    before = path.read_bytes()
    for to in ("wells", "omero"):
        with pytest.raises(InputError, match="p.csv is a file to read"):
            verb("export", path, "--to", to, "--out", path)
    os.link(path, tmp_path / "x.db")
    with pytest.raises(InputError, match="x.db is a file to read"):
        export(path, "cpa", tmp_path / "x.properties")
    assert path.read_bytes() == before


def test_an_unknown_format_names_those_that_there_are(tmp_path):
    with pytest.raises(InputError, match="there is no format h5ad: there are anndata, cpa"):
        export(export_tables.fields(), "h5ad", tmp_path / "x.h5ad")


def test_mistakes_are_one_sentence(tmp_path):
    write_csv(export_tables.treatments(), tmp_path / "t.csv")
    with pytest.raises(InputError, match="t.csv has no column Metadata_Well") as error:
        verb("export", tmp_path / "t.csv", "--to", "wells", "--out", tmp_path / "w.csv")
    assert "\n" not in str(error.value) and os.listdir(tmp_path) == ["t.csv"]
