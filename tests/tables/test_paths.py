# SPDX-License-Identifier: BSD-3-Clause
"""Paths of other machines, and the fence around a root."""

import pytest

from calls import fails
from phenoscale.tables.read import read_table

PATHS = [
    (r"C:\data\week 1", "a.tif", r"C:\data=ROOT", "ROOT/week 1/a.tif"),
    (r"c:\Data", "a.tif", "C:/data=ROOT", "ROOT/a.tif"),
    (r"\\server\share\x", "a.tif", r"\\server\share=ROOT", "ROOT/x/a.tif"),
    ("/mnt/screens/x", "a.tif", "/mnt/screens/=ROOT/", "ROOT/x/a.tif"),
    ("", r"C:\data\a.tif", r"C:\data=ROOT", "ROOT/a.tif"),
    (r"week1\plate", "a.tif", "", "HERE/week1/plate/a.tif"),
    ("../other", "a.tif", "", "OVER/other/a.tif"),
    ("ignored", "/abs/a.tif", "", "/abs/a.tif"),
]


@pytest.mark.parametrize(("folder", "name", "maps", "found"), PATHS)
def test_paths(write_text, tmp_path, folder, name, maps, found):
    path = write_text(f'FileName_A,PathName_A\n"{name}","{folder}"\n')
    old, _, new = maps.replace("ROOT", str(tmp_path / "root")).rpartition("=")
    table = read_table(path, path_map={old: new} if old else None)
    for word, place in (("ROOT", tmp_path / "root"), ("HERE", tmp_path), ("OVER", tmp_path.parent)):
        found = found.replace(word, str(place))
    assert table.paths == [[found]]


@pytest.mark.parametrize(("folder", "maps", "words"), [
    (r"C:\data", {}, "C:/data/a.tif is a path of another machine: say with --path-map where it is "
                     "here, C:/data=FOLDER"),
    (r"\\server\x", {}, "//server/x/a.tif is a path of another machine"),
    ("/data2", {"/data": "/x"}, "no path begins with /data, which --path-map names"),
    ("https://idr.org", {}, "https://idr.org is not on this machine: copy the images here"),
    ("s3://bucket", {}, "s3: is not read")])
def test_paths_that_are_not_here(write_text, folder, maps, words):
    path = write_text(f"FileName_A,PathName_A\na.tif,{folder}\n")
    sentence = fails(path, path_map=maps)
    assert words in sentence and path in sentence


@pytest.mark.parametrize("name", [
    "../x.tif", "../../etc/passwd", "/etc/passwd", "a/../../x.tif", "link.tif", "away/x.tif",
    "file:///etc/passwd", "..\\x.tif", "a/b/c/../../../../x.tif"])
def test_nothing_outside_of_the_root_is_read(write_text, tmp_path, name):
    root = tmp_path / "root"
    root.mkdir()
    (root / "link.tif").symlink_to("/etc/hostname")
    (root / "away").symlink_to(tmp_path)
    assert "lies outside of --root" in fails(write_text(f"FileName_A\n{name}\n"), root=root)
    (root / "inner.tif").symlink_to(root / "real.tif")
    for name in ("a.tif", "a/../b.tif", "inner.tif", f"{root}/c.tif", "./d/e.tif"):
        assert read_table(write_text(f"FileName_A\n{name}\n"), root=root).paths[0][0].startswith(
            str(root))
    assert "is no folder" in fails(write_text("FileName_A\na.tif\n"), root=root / "none")


# ---- names in another spelling -------------------------------------------------------------------


def on_disk(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


NFC, NFD = "Käse", "Ka\u0308se"


@pytest.mark.parametrize(("there", "asked"), [
    ("a.TIF", "a.tif"), ("a.tif", "a.TIF"), ("a.Tiff", "a.tiff"),
    (f"{NFD}.tif", f"{NFC}.tif"), (f"{NFC}.tif", f"{NFD}.tif"), (f"{NFD}.TIF", f"{NFC}.tif"),
    (f"{NFD}/a.tif", f"{NFC}/a.tif"), (f"{NFC}/x/{NFC}/a.TIF", f"{NFD}/x/{NFD}/a.tif")])
def test_names_in_another_spelling_are_found(write_text, tmp_path, there, asked):
    """With a word, in tables with a few files of a folder and with many, inside of a root."""
    on_disk(tmp_path, there)
    for more in (0, 100):
        rows = [asked, *(f"{k}.tif" for k in range(more))]
        path = write_text("FileName_A\n" + "\n".join(rows) + "\n")
        for table in (read_table(path), read_table(path, root=tmp_path)):
            assert table.paths[0] == [f"{tmp_path}/{there}"]
            assert all(table.paths[k + 1] == [f"{tmp_path}/{k}.tif"] for k in range(more))
            words, = table.notes
            assert words == ("1 file there by a name in another spelling: "
                             f"{tmp_path}/{asked} is {f'{tmp_path}/{there}'!r}")


def test_only_one_file_that_fits_is_taken(write_text, tmp_path):
    """Not one of two, not another stem, and the name itself before any other."""
    on_disk(tmp_path, "a.TIF", "a.Tif", "B.tif", "c.tif", "c.TIF", f"d/{NFC}/x.tif",
            f"d/{NFD}/x.tif")
    names = ["a.tif", "b.tif", "c.tif", "none/a.tif", "d/Kase/x.tif"]
    table = read_table(write_text("FileName_A\n" + "\n".join(names) + "\n"))
    assert table.paths == [[f"{tmp_path}/{name}"] for name in names] and table.notes == []


def test_a_name_in_another_spelling_stays_inside_of_the_root(write_text, tmp_path):
    root = tmp_path / "root"
    root.mkdir()
    (root / "a.TIF").symlink_to("/etc/hostname")
    table = read_table(write_text("FileName_A\na.tif\n"), root=root)
    assert table.paths == [[f"{root}/a.tif"]]


def test_a_folder_is_listed_once(write_text, tmp_path, monkeypatch):
    import os

    on_disk(tmp_path, *(f"p/{k}.TIF" for k in range(90)), "q/a.tif")
    listed, listdir = [], os.listdir
    monkeypatch.setattr(os, "listdir", lambda folder: listed.append(folder) or listdir(folder))
    rows = [f"p/{k}.tif,p/{k}.tif,q/a.tif" for k in range(90)]
    table = read_table(write_text("FileName_A,FileName_B,FileName_C\n" + "\n".join(rows) + "\n"))
    assert listed == [f"{tmp_path}/p"] and len(table) == 90
    assert table.notes[0].startswith("90 files there by a name in another spelling")
