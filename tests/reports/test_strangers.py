# SPDX-License-Identifier: BSD-3-Clause
"""A run folder that somebody else made: a report, or one sentence; soon, and in little memory."""

import json
import os

import pytest

from phenoscale import InputError
from phenoscale.reports.report import write_report
from phenoscale.training import run_folder
from phenoscale.training.run_folder import RunFolder

CONFIG = {"classes": ["a", "b"], "label": "Metadata_Class", "channels": ["DNA"],
          "table": "<script>alert(1)</script>", "notes": ["<b>bold</b>"]}
SPLIT = ("FileName_DNA,Metadata_Class,Split,Phenoscale_Field\n"
         "a.tif,a,train,a.tif\nb.tif,<img src=x>,test,b.tif\n")


def give(folder, name, content):
    """A file of a run folder: bytes, text, or what makes it."""
    path = folder / name
    if callable(content):
        content(path)
    else:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())


def large(path):
    """10 GB that take no room."""
    with open(path, "wb") as file:
        file.truncate(10 << 30)


def config(**more):
    return json.dumps({**CONFIG, **more})


STRANGE = {"a pipe": os.mkfifo, "a device": lambda path: os.symlink("/dev/zero", path),
           "a folder": os.mkdir, "a loop": lambda path: os.symlink(path, path), "large": large}
TABLES = ("log.csv", "split.csv", "predictions.csv", "errors.csv", "heads.csv")
CONFIGS = [b"", b"\xff", b"[]", b"1", b"{}", b"[" * 100_000, b'{"a":' * 100_000, b"NaN",
           config(more=json.loads("[" * 500 + "]" * 500)).encode()]
WRONG = [0, 1.5, True, "x", [], [[]], [{}], [None], {}, {"a": {}}, {"a": [[]]}, ["a", "a"]]


@pytest.mark.parametrize("what", STRANGE)
@pytest.mark.parametrize("name", ("config.json", *TABLES))
def test_what_is_no_file_of_a_run(tmp_path, name, what):
    for other, content in (("config.json", config()), ("split.csv", SPLIT)):
        if other != name:
            give(tmp_path, other, content)
    give(tmp_path, name, STRANGE[what])
    with pytest.raises(InputError, match=name) as error:
        write_report(tmp_path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("content", CONFIGS, ids=range(len(CONFIGS)))
def test_what_is_no_config(tmp_path, content):
    give(tmp_path, "config.json", content)
    with pytest.raises(InputError, match="config.json is missing or damaged .*: give a folder"):
        write_report(tmp_path)


@pytest.mark.parametrize("name", ["classes", "keys", "channels", "notes", "label", "z", "bin",
                                  "weights_sha256", "split", "roles", "holdout", "controls",
                                  "n_val", "seconds", "size"])
def test_entries_of_other_kinds(tmp_path, name):
    """A report, or a sentence that names the entry."""
    give(tmp_path, "split.csv", SPLIT)
    give(tmp_path, "log.csv", "epoch,loss\n1,2\nx,y\n")
    for value in WRONG:
        give(tmp_path, "config.json", config(**{name: value}))
        try:
            write_report(tmp_path)
        except InputError as error:
            assert name in str(error) and "\n" not in str(error), (value, str(error))


@pytest.mark.parametrize("content", [b"", b"\0\0", b"\xff\xfe", b"a", b"a,a\n1,2\n",
                                     b"epoch,loss\n", b"epoch,loss\n1,nan\n2,1e999\n",
                                     b"\"", b"a,b\n1,2,3\n",
                                     b"Split,Phenoscale_Field\ntest\n", b"Split\n<script>\n",
                                     "Phenoscale_Field,Phenoscale_Class\nä,ö\n".encode(),
                                     b"Head,Side\nnetwork,test\n", b"Head\n<script>\n"])
@pytest.mark.parametrize("name", TABLES)
def test_tables_of_other_kinds(tmp_path, name, content):
    give(tmp_path, "config.json", config())
    give(tmp_path, "split.csv", SPLIT)
    give(tmp_path, name, content)
    try:
        write_report(tmp_path)
    except InputError as error:
        assert name in str(error) or "predictions" in str(error), str(error)


def test_embeddings_do_not_count_where_they_are_not_read(tmp_path, monkeypatch):
    """A large prediction is what train wrote; one of so much text is not."""
    monkeypatch.setattr(run_folder, "free_memory", lambda: 8 * 1000)
    folder = run_folder.RunFolder(tmp_path)
    for name, is_read in (("Image_Phenoscale_Emb", True), ("Other", False)):
        columns = ["Phenoscale_Class", *(f"{name}{k:04d}" for k in range(200))]
        give(tmp_path, "predictions.csv", ",".join(columns) + "\n" + 3 * ("a" + 200 * ",0" + "\n"))
        if is_read:
            assert list(folder.cells("predictions.csv")) == ["Phenoscale_Class"]
        else:
            with pytest.raises(InputError, match="more than the 1,000 that can be read here"):
                folder.cells("predictions.csv")


@pytest.mark.parametrize("name", TABLES[:3])
def test_columns_of_one_name(tmp_path, name):
    """Once the blanks around it are gone."""
    give(tmp_path, "config.json", config())
    give(tmp_path, "split.csv", SPLIT)
    give(tmp_path, name, "epoch,loss,Split, Split,Phenoscale_Field\n1,2,test,x,b.tif\n")
    with pytest.raises(InputError, match=f"{name} cannot be read as a table: .*'Split' twice"):
        write_report(tmp_path)


def test_names_are_no_markup(tmp_path):
    give(tmp_path, "config.json", config(classes=["a", "<img src=x onerror=alert(1)>"]))
    give(tmp_path, "split.csv", SPLIT)
    page = open(write_report(tmp_path), encoding="utf-8").read()
    assert page.count("<script") == 1 and "<img src=x" not in page and "<b>bold" not in page
    assert RunFolder(tmp_path).has("report.html")
