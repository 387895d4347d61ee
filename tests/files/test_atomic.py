# SPDX-License-Identifier: BSD-3-Clause
"""What a name stands for when it is written: links stay, and what is no file is refused."""

import os
import subprocess
import sys

import pytest

from phenoscale.errors import InputError
from phenoscale.files.atomic import (
    made_folder,
    real_file,
    remove_leftovers,
    whole_file,
    write_atomically,
)


def test_a_link_stays_and_its_target_is_written(tmp_path):
    """There, or to be made; through links of links and of folders."""
    (tmp_path / "far").mkdir()
    (tmp_path / "far" / "t.csv").write_text("old")
    (tmp_path / "near").symlink_to("far")
    for name, target in (("a", "far/t.csv"), ("b", "a"), ("c", "near/t.csv"), ("d", "far/new.csv")):
        (tmp_path / name).symlink_to(target)
        write_atomically(tmp_path / name, [name.encode()])
        assert os.readlink(tmp_path / name) == target
        assert (tmp_path / name).read_text() == name
    assert not list((tmp_path / "far").glob("*.tmp.*"))
    assert sorted(os.listdir(tmp_path / "far")) == ["new.csv", "t.csv"]
    assert real_file(tmp_path / "c") == str(tmp_path / "far" / "t.csv")


def test_links_that_lead_nowhere(tmp_path):
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    (tmp_path / "c").symlink_to("c")
    (tmp_path / "d").symlink_to("nowhere/t.csv")
    for name in "abc":
        with pytest.raises(InputError, match=f"{name} cannot be written: its links lead in a circ"):
            write_atomically(tmp_path / name, [b"x"])
    with pytest.raises(InputError, match="d cannot be written: No such file"):
        write_atomically(tmp_path / "d", [b"x"])
    with pytest.raises(InputError, match="is no path of a file"):
        write_atomically("a\0b", [b"x"])
    assert sorted(os.listdir(tmp_path)) == list("abcd")


def test_folders_and_devices_stay_what_they_are(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "null").symlink_to("/dev/null")
    (tmp_path / "folder").symlink_to(tmp_path)
    before = os.lstat("/dev/full")
    for path in (tmp_path, tmp_path / "pipe", tmp_path / "null", tmp_path / "folder", "/dev/full"):
        with pytest.raises(InputError, match="it is a folder or a device, a pipe or a stream"):
            write_atomically(path, [b"x"])
    assert sorted(os.listdir(tmp_path)) == ["folder", "null", "pipe"]
    assert os.path.samestat(before, os.lstat("/dev/full"))


@pytest.mark.parametrize("name", ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1", "link"])
def test_the_stream_of_a_process_is_not_replaced(tmp_path, name):
    """Not even where it is a file: what a shell appends to would be gone."""
    (tmp_path / "link").symlink_to("/dev/stdout")
    (tmp_path / "out").write_text("before\n")
    there = os.readlink("/dev/stdout")
    with open(tmp_path / "out", "a") as out:
        done = subprocess.run(
            [sys.executable, "-c", "import sys\nfrom phenoscale.files.atomic import *\n"
             "try: write_atomically(sys.argv[1], [b'x'])\n"
             "except ValueError as error: print(error, file=sys.stderr)", name],
            cwd=tmp_path, stdout=out, stderr=subprocess.PIPE, text=True)
    assert done.stderr.startswith(f"{name} cannot be written: it is a folder or a device, a pipe")
    assert os.readlink("/dev/stdout") == there
    assert (tmp_path / "out").read_text() == "before\n" and len(os.listdir(tmp_path)) == 2


def test_what_killed_processes_left_is_removed_and_nothing_else(tmp_path):
    kept = ["a.csv", "a.csv.tmp", "a.csv.tmp.x", "b.csv.tmp.1", f"a.csv.tmp.{os.getpid()}"]
    for name in (*kept, "a.csv.tmp.1", "a.csv.tmp.4194304"):
        (tmp_path / name).touch()
    remove_leftovers(tmp_path, r"a\.csv")
    assert sorted(os.listdir(tmp_path)) == sorted(kept)


def test_what_another_library_writes_is_whole_or_not_there(tmp_path):
    path = tmp_path / "t.db"
    with whole_file(path) as name:
        assert not path.exists() and os.path.dirname(name) == str(tmp_path)
        with open(name, "w") as file:
            file.write("new")
    assert path.read_text() == "new"
    with pytest.raises(KeyError), whole_file(path) as name, open(name, "w") as file:
        file.write("half")
        raise KeyError
    assert path.read_text() == "new" and os.listdir(tmp_path) == ["t.db"]
    with pytest.raises(InputError, match="t.db cannot be written: No space"), whole_file(path):
        raise OSError(28, "No space left on device")
    with pytest.raises(InputError, match="t.db cannot be written: broken"), whole_file(path):
        raise OSError("broken")  # as h5py has it


def test_a_folder_is_made_or_its_path_is_named(tmp_path):
    assert made_folder(tmp_path / "a" / "b") == str(tmp_path / "a" / "b") == made_folder(
        str(tmp_path / "a" / "b"))
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="file cannot be made: .*: give another folder"):
        made_folder(tmp_path / "file")
