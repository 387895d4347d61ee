# SPDX-License-Identifier: BSD-3-Clause
"""A run that goes on after its files changed: said with the first file, refused unless accepted."""

import json
import os
import shutil

import numpy as np
import pytest

pandas = pytest.importorskip("pandas")
tifffile = pytest.importorskip("tifffile")
import screens
from calls import stop_at, train_run, warnings_to
from phenoscale import InputError
from phenoscale.signals import Stopped
from phenoscale.tables.read import read_table
from phenoscale.training import begun
from phenoscale.training.recipe import Recipe

LABEL = "Metadata_Class"
RECIPE = Recipe(network="mcnn-gap", epochs=2, batch=3)


@pytest.fixture
def table(tmp_path):
    return read_table(screens.write_screen(tmp_path / "screen", 1, 8, 1))


def run(table, out, **options):
    return train_run(table, LABEL, out, RECIPE, threads=2, checkpoint_s=0, val_fraction=0.25,
                     **options)[0]


def stopped(table, out):
    with pytest.raises(Stopped):
        run(table, out, progress=stop_at(2))
    return json.loads((out / "files.json").read_text())


def rewrite(path, change, keep_times=False):
    about = os.stat(path)
    tifffile.imwrite(path, change(tifffile.imread(path)))
    if keep_times:
        os.utime(path, ns=(about.st_atime_ns, about.st_mtime_ns))


@pytest.mark.parametrize("keep_times", [False, True])
def test_other_pixels_are_said_and_refused(table, tmp_path, keep_times):
    """Of a few fields all are in the sample, so that times that lie do not matter."""
    stopped(table, tmp_path / "run")
    path = table.paths[3][1]
    rewrite(path, lambda pixels: pixels[::-1], keep_times)
    with pytest.raises(InputError) as error:
        run(table, tmp_path / "run", resume=True)
    assert str(error.value).startswith(
        "1 field has other pixels now than when the run began, the first "
        f"{table.place(3)}: {table.paths[3][0] if keep_times else path}: restore what was there")
    assert "--data-changed accept" in str(error.value)
    words = []
    run(table, tmp_path / "run", resume=True, data_changed="accept", progress=warnings_to(words))
    assert any("goes on with the files as they are now" in said for said in words)
    notes = json.loads((tmp_path / "run" / "config.json").read_text())["notes"]
    assert any(table.place(3) in note for note in notes)


def test_the_same_bytes_with_another_time_are_the_same(table, tmp_path):
    whole = run(table, tmp_path / "whole").digest()
    before = stopped(table, tmp_path / "run")
    for files in table.paths:
        for path in files:
            os.utime(path, ns=(1, 1))
    rewrite(table.paths[0][0], np.asarray)  # other bytes, the same pixels
    tifffile.imwrite(table.paths[1][0], tifffile.imread(table.paths[1][0]), compression="zlib")
    assert run(table, tmp_path / "run", resume=True).digest() == whole
    after = json.loads((tmp_path / "run" / "files.json").read_text())
    for (row, digest, old), (other, same, new) in zip(sorted(before["fields"]),
                                                      sorted(after["fields"])):
        assert (row, digest) == (other, same) and old != new  # looked at once only


def test_unchanged_files_are_read_in_a_sample_alone(table, tmp_path, monkeypatch):
    stopped(table, tmp_path / "run")
    read, real = [], begun.read_pixels

    def counted(fields, order, crew):
        read.append(len(order))
        return real(fields, order, crew)

    monkeypatch.setattr(begun, "read_pixels", counted)
    monkeypatch.setattr(begun, "_SAMPLE", 3)
    os.utime(table.paths[0][0], ns=(1, 1))
    run(table, tmp_path / "run", resume=True)
    assert read == [1 + 3]


def test_a_changed_file_with_the_pixels_of_another_side_is_an_error(table, tmp_path):
    stopped(table, tmp_path / "run")
    sides = pandas.read_csv(tmp_path / "run" / "split.csv")["Split"].tolist()
    one, other = sides.index("train"), sides.index("val")
    for mine, theirs in zip(table.paths[one], table.paths[other]):
        shutil.copy(theirs, mine)
    with pytest.raises(InputError, match="has the same pixels as"):
        run(table, tmp_path / "run", resume=True, data_changed="accept")


def test_a_record_that_is_gone_or_damaged_is_said(table, tmp_path):
    stopped(table, tmp_path / "run")
    for content in (None, "[" * 100000, '{"fields": [[1]]}', "[]"):
        shutil.copytree(tmp_path / "run", tmp_path / "other")
        path = tmp_path / "other" / "files.json"
        path.write_text(content) if content else path.unlink()
        words = []
        run(table, tmp_path / "other", resume=True, progress=warnings_to(words))
        assert any("whether they changed since is not seen" in said for said in words)
        shutil.rmtree(tmp_path / "other")


def test_a_word_that_is_none():
    from phenoscale.training.running import Running

    with pytest.raises(InputError, match="data_changed=yes: give refuse or accept"):
        Running(data_changed="yes")
