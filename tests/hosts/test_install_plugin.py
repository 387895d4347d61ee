# SPDX-License-Identifier: BSD-3-Clause
"""`phenoscale install-plugin` and what `doctor` says of plugins."""

import hashlib
import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

import phenoscale
from phenoscale.hosts import install_plugin
from phenoscale.hosts.install_plugin import HOSTS, NOTE, plugin_states

ROOT = Path(__file__).resolve().parents[2]
FILES = HOSTS["cellprofiler"].files
INSTALL = "from phenoscale.hosts.install_plugin import install; install('cellprofiler', '.')"


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A user whose CellProfiler has a plugins folder in its preferences: (home, folder)."""
    folder = tmp_path / "my plugins"
    folder.mkdir()
    (tmp_path / ".config").mkdir()
    (tmp_path / ".config/CellProfilerLocal.cfg").write_text(
        f"Telemetry\\ prompt=0\nPluginDirectoryCP4={folder}\n[View]\nsize=3\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path, folder


def said(host):
    return dict(plugin_states())[host]


def test_into_the_folder_of_the_preferences(home, call):
    _, folder = home
    assert said("CellProfiler") == f"no plugin in {folder}: phenoscale install-plugin cellprofiler"
    status, out, err = call("install-plugin", "cellprofiler")
    assert (status, err) == (0, "") and out.startswith(f"installed in {folder}: ")
    assert "phenoscale serve" in out
    assert sorted(os.listdir(folder)) == sorted([NOTE, *FILES])
    assert said("CellProfiler") == f"plugin of this version in {folder}"
    assert f"CellProfiler plugin of this version in {folder}" in call("doctor")[1]


def test_another_version_is_said_and_replaced(home, call, monkeypatch):
    _, folder = home
    with monkeypatch.context() as patch:
        patch.setattr(phenoscale, "__version__", "0.0.9")
        call("install-plugin", "cellprofiler")
    note = (folder / NOTE).read_text()
    (folder / NOTE).write_text(note.replace('.py": "', '.py": "0'))
    assert said("CellProfiler").startswith("plugin of phenoscale 0.0.9 in ")
    (folder / FILES[-1]).write_text("# the old one\n")
    assert call("install-plugin", "cellprofiler", folder)[0] == 0
    assert (folder / FILES[-1]).read_text() != "# the old one\n"
    assert "of this version" in said("CellProfiler")


@pytest.mark.parametrize("words, path", [((), ""), (("-S",), str(ROOT / "python"))],
                         ids=["editable install", "plain checkout"])
def test_from_the_source(tmp_path, words, path):
    """Without the environment's packages (-S) there is no phenoscale.plugins, only plugins/."""
    subprocess.run([sys.executable, *words, "-c", INSTALL], check=True, cwd=tmp_path,
                   env=os.environ | {"PYTHONPATH": path})
    for file in FILES:
        assert (tmp_path / file).read_bytes() == (ROOT / "plugins/cellprofiler" / file).read_bytes()


def test_files_of_others_stay(home, call):
    _, folder = home
    (folder / "measurewholeimage.py").write_text("mine\n")
    status, out, err = call("install-plugin", "cellprofiler")
    assert (status, out) == (1, "") and "is there already and not from" in err
    assert os.listdir(folder) == ["measurewholeimage.py"]
    assert (folder / "measurewholeimage.py").read_text() == "mine\n"


def test_without_a_folder_it_says_where_to_look(tmp_path, monkeypatch, call):
    monkeypatch.setenv("HOME", str(tmp_path))
    for host, words in (("cellprofiler", "File > Preferences > CellProfiler plugins directory"),
                        ("imagej", "Fiji.app")):
        status, out, err = call("install-plugin", host)
        assert status == 1 and words in err and "Traceback" not in err
        status, out, err = call("install-plugin", host, tmp_path / "none")
        assert status == 1 and "is no folder" in err
    assert "FOLDER installs it" in said("CellProfiler") and "FOLDER installs it" in said("ImageJ")


def test_imagej(home, call, tmp_path, monkeypatch):
    """Its files, where they are built, go to plugins/ of the folder; else it says how to build."""
    monkeypatch.setattr(install_plugin, "_HOME", tmp_path / "package")
    home = tmp_path / "Fiji.app"
    home.mkdir()
    assert "make imagej" in call("install-plugin", "imagej", home)[2]
    (tmp_path / "package/imagej").mkdir(parents=True)
    for file in HOSTS["imagej"].files:
        (tmp_path / "package/imagej" / Path(file).name).write_bytes(b"of ImageJ\n")
    assert "has no folder plugins" in call("install-plugin", "imagej", home)[2]
    (home / "plugins").mkdir()
    status, out, _ = call("install-plugin", "imagej", home)
    assert status == 0 and "its commands start phenoscale by: " in out
    # scripts are no commands of the menu, so they are not among the plugins
    assert sorted(os.listdir(home / "plugins")) == sorted(
        [NOTE, "phenoscale_.jar", "phenoscale.command"])
    assert sorted(os.listdir(home / "macros")) == ["phenoscale_classify.py",
                                                   "phenoscale_folder.ijm"]
    command = shlex.split((home / "plugins/phenoscale.command").read_text())
    assert Path(command[0]).is_file() and command[1:] == ["serve"]
    assert said("ImageJ") == f"plugin of this version in {home}"
    (home / "plugins/phenoscale.command").write_text("another python\n")
    assert said("ImageJ") == f"plugin of this version in {home}"


def test_what_an_earlier_version_left_goes_unless_it_was_changed(call, tmp_path, monkeypatch):
    """Its scripts were commands of the menu."""
    monkeypatch.setattr(install_plugin, "_HOME", tmp_path / "package")
    (tmp_path / "package/imagej").mkdir(parents=True)
    for file in HOSTS["imagej"].files:
        (tmp_path / "package/imagej" / Path(file).name).write_bytes(b"of ImageJ\n")
    plugins = tmp_path / "Fiji.app/plugins"
    plugins.mkdir(parents=True)
    note = {}
    for file in ("phenoscale_folder.ijm", "phenoscale_classify.py"):
        (plugins / file).write_bytes(b"old\n")
        note[file] = hashlib.sha256(b"old\n").hexdigest()
    (plugins / NOTE).write_text(json.dumps({"version": "0", "files": note}))
    (plugins / "phenoscale_classify.py").write_text("mine now\n")
    assert call("install-plugin", "imagej", plugins.parent)[0] == 0
    assert not (plugins / "phenoscale_folder.ijm").exists()
    assert (plugins / "phenoscale_classify.py").read_text() == "mine now\n"
