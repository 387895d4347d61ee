# SPDX-License-Identifier: BSD-3-Clause
"""`phenoscale install-plugin`: files of plugins/ -> the folder where a host looks for plugins.

    plugins/cellprofiler/*.py -> CellProfiler's plugins folder
    plugins/imagej/*          -> plugins/ of an ImageJ or Fiji folder; its scripts to macros/, since
                                 in plugins/ each would be a command of the menu

Beside them goes a note of what was installed, so that `phenoscale doctor` can compare, so that only
files of ours are ever written over, and so that those of an earlier version go.
"""

from __future__ import annotations

import configparser
import hashlib
import importlib.resources
import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path

import phenoscale
from phenoscale.errors import InputError

__all__ = ["HOSTS", "install", "plugin_states"]

NOTE = ".phenoscale-plugin.json"  # version, and name of a file to its SHA-256


def _home():
    """The folder of the plugins: an installed package, or in a plain checkout beside python/."""
    try:
        return importlib.resources.files("phenoscale.plugins")
    except ModuleNotFoundError:
        return Path(phenoscale.__file__).parents[2] / "plugins"


_HOME = _home()


@dataclass(frozen=True)
class Host:
    """A program with a folder for plugins.

    Attributes
    ----------
    name : str
        As people write it.
    files : tuple of str
        What the plugin consists of, as seen from `below`.
    below : str
        Folder within the one that the user names.
    command : str
        File, beside the plugin, in which it finds the command of a worker; "" for none.
    build : str
        How files that are missing from the package are made.
    find : callable
        The folder in the program's preferences, or None.
    where : str
        How a user finds it.
    then : str
        What to do next.
    """

    name: str
    files: tuple
    below: str
    command: str
    build: str
    find: object
    where: str
    then: str


def _cellprofiler_folder() -> str | None:
    """The plugins folder in CellProfiler's preferences, where they are a file (wx.Config)."""
    home = Path.home()
    places = [home / ".config/CellProfilerLocal.cfg", home / ".CellProfilerLocal.cfg",
              home / "Library/Preferences/CellProfilerLocal.cfg"]
    if os.environ.get("APPDATA"):
        places.append(Path(os.environ["APPDATA"]) / "CellProfilerLocal.cfg")
    for place in places:
        lines = configparser.RawConfigParser(strict=False)
        try:
            lines.read_string("[top]\n" + place.read_text(errors="replace"))
        except (OSError, configparser.Error):
            continue
        for name, value in lines.items("top"):
            if name in ("plugindirectorycp4", "plugindirectory") and value:
                return value.replace("\\\\", "\\")
    return None


def _imagej_folder() -> str | None:
    """An ImageJ or Fiji where people keep them."""
    for place in ("~/Fiji.app", "~/Fiji", "~/ImageJ", "~/Desktop/Fiji.app", "~/.imagej",
                  "/Applications/Fiji.app", "/opt/Fiji.app"):
        if os.path.isdir(os.path.join(os.path.expanduser(place), "plugins")):
            return os.path.expanduser(place)
    return None


#: name on the command line -> Host
HOSTS = {
    "cellprofiler": Host(
        "CellProfiler", ("_phenoscale_backend.py", "_phenoscale_images.py",
                         "_phenoscale_settings.py", "measurewholeimage.py", "trainwholeimage.py"),
        "", "", "install phenoscale again", _cellprofiler_folder,
        "in CellProfiler it is under File > Preferences > CellProfiler plugins directory",
        "start CellProfiler anew: the modules are under Measurement"),
    "imagej": Host(
        "ImageJ", ("phenoscale_.jar", "../macros/phenoscale_folder.ijm",
                   "../macros/phenoscale_classify.py"),
        "plugins", "phenoscale.command", "run `make imagej` in the source of phenoscale",
        _imagej_folder,
        "it is the one with the program, ImageJ or Fiji.app, and with a folder plugins in it",
        "start ImageJ anew: see Plugins > phenoscale"),
}


def install(name: str, folder=None) -> list[str]:
    """Copy a plugin into the folder of its host.

    Parameters
    ----------
    name : str
        One of `HOSTS`.
    folder : str or path, optional
        By default what the host's preferences name.

    Returns
    -------
    list of str
        Lines for the user.

    Raises
    ------
    InputError
        Where there is no folder, no plugin, or a file in the way.
    """
    host = HOSTS[name]
    given = folder or host.find()
    if not given:
        raise InputError(f"which folder? {host.where}; give it: phenoscale install-plugin {name} "
                         "FOLDER")
    if not os.path.isdir(given):
        raise InputError(f"{given} is no folder: {host.where}")
    contents = _contents(name, host)
    target = Path(given) / host.below
    if not target.is_dir():
        raise InputError(f"{given} has no folder {host.below}: {host.where}")
    if host.command:
        contents[host.command] = f"{_command()}\n".encode()
    ours = _note(target).get("files", {})
    for file, content in contents.items():
        path = target / file
        if path.exists() and file not in ours and path.read_bytes() != content:
            raise InputError(f"{path} is there already and not from `phenoscale install-plugin`: "
                             "move it away first")
    for file, content in contents.items():
        (target / file).parent.mkdir(exist_ok=True)
        (target / file).write_bytes(content)
    for file in ours.keys() - contents.keys():  # of an earlier version
        path = target / Path(file).name
        if path.is_file() and _digest(path.read_bytes()) == ours[file]:
            path.unlink()
    note = {"version": phenoscale.__version__,
            "files": {file: _digest(content) for file, content in contents.items()}}
    (target / NOTE).write_text(json.dumps(note, indent=1) + "\n")
    lines = [f"installed in {target}: {', '.join(contents)}", host.then]
    if host.command:
        lines.append(f"its commands start phenoscale by: {_command()}")
    if name == "cellprofiler":
        lines.append("where CellProfiler's Python has no phenoscale, set 'Worker command' of the "
                     f"modules to: {_command()}")
    return lines


def plugin_states():
    """(name of a host, words) for `phenoscale doctor`: where its plugin is, and of what version."""
    for name, host in HOSTS.items():
        folder = host.find()
        if folder is None:
            yield host.name, (f"plugin: phenoscale install-plugin {name} FOLDER installs it")
            continue
        note = _note(Path(folder) / host.below)
        if not note:
            yield host.name, f"no plugin in {folder}: phenoscale install-plugin {name}"
        elif {file: digest for file, digest in note["files"].items() if file != host.command} == {
                file: _digest(content) for file, content in _contents(name, host).items()}:
            yield host.name, f"plugin of this version in {folder}"
        else:
            yield host.name, (f"plugin of phenoscale {note['version']} in {folder}, which is "
                              f"another: phenoscale install-plugin {name}")


def _contents(name: str, host: Host) -> dict[str, bytes]:
    """File name to bytes."""
    try:
        return {file: (_HOME / name / Path(file).name).read_bytes() for file in host.files}
    except OSError as error:
        raise InputError(f"{error.filename} is not there: {host.build}") from None


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _note(folder: Path) -> dict:
    """What was installed in a folder, {} where nothing was."""
    try:
        note = json.loads((folder / NOTE).read_text())
    except (OSError, ValueError):
        return {}
    is_ours = isinstance(note, dict) and isinstance(note.get("files"), dict) and "version" in note
    return note if is_ours else {}


def _command() -> str:
    """The command that starts a worker with this Python."""
    program = Path(sys.executable).with_name("phenoscale" + (".exe" if os.name == "nt" else ""))
    return f'"{program}" serve' if " " in str(program) else f"{program} serve"
