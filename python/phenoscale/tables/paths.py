# SPDX-License-Identifier: BSD-3-Clause
"""Paths as tables of other machines hold them -> files here.

Part of reading a table; no file is opened.  A folder is listed, once, where a file of it is not
there by its name: it may be by the same name in another spelling.
"""

from __future__ import annotations

import os
import re
import unicodedata
import urllib.parse

from phenoscale.errors import InputError

__all__ = ["PathRules"]

_PLAIN = re.compile(r"(?!\.)[^/\\:\0]+")  # a name that no rule changes
_FEW = 64  # files of a folder that are looked for one by one
_DRIVE = re.compile(r"[A-Za-z]:(?=/|$)|//[^/]")


class PathRules:
    """How the paths of one table are found.

    Parameters
    ----------
    folder : str
        Where relative paths begin.
    fence : str, optional
        Nothing outside of this folder is read, links followed.
    path_map : dict of str to str, optional
        Beginnings of paths, as the table has them, to what they are here.
    """

    def __init__(self, folder, fence=None, path_map=None):
        self.folder = os.path.abspath(folder)
        self.fence = None if fence is None else os.path.realpath(fence)
        if fence is not None and not os.path.isdir(self.fence):
            raise InputError(f"--root {fence} is no folder")
        self.maps = [(_slashes(old).rstrip("/"), new) for old, new in (path_map or {}).items()]
        self.used = set()  # beginnings that some path had
        self._real = {}  # folder -> where it really is
        self._folders = {}  # folder of the table -> beginning of the paths of its files

    def find(self, name: str, folder: str = "") -> str:
        """The absolute path of file `name` in `folder`; ValueError says what is wrong with it."""
        if not _PLAIN.fullmatch(name):
            return self._find(name, folder)
        if folder not in self._folders:
            self._folders[folder] = self._find(name, folder)[: -len(name)]
        path = self._folders[folder] + name
        if self.fence is not None:
            self._check_inside(path)
        return path

    def found_as(self, paths) -> dict[str, str]:
        """Files that are not there, to the one that is: by a name in another form of Unicode (as
        macOS writes "ä"), or with an ending in another case (.TIF)."""
        folders, found = {}, {}
        for path in paths:
            folders.setdefault(path.rpartition(os.sep)[0], []).append(path)
        homes = {}
        for folder, mine in folders.items():
            home = _home(folder, homes)
            if home is not None:
                found.update(_others(folder, home, set(mine)))
        return {path: other for path, other in found.items() if self._is_inside(other)}

    def _find(self, name: str, folder: str) -> str:
        if "\0" in name + folder:
            raise ValueError("the path has a zero byte")
        name, folder = _slashes(_local(name)), _slashes(_local(folder))
        is_whole = name.startswith("/") or _DRIVE.match(name)
        path = self._mapped(name if is_whole or not folder else f"{folder.rstrip('/')}/{name}")
        if _DRIVE.match(path) and os.sep == "/":
            raise ValueError(f"{path} is a path of another machine: say with --path-map where it "
                             f"is here, {os.path.dirname(path)}=FOLDER")
        path = os.path.normpath(os.path.join(self.folder, path))
        if self.fence is not None:
            self._check_inside(path)
        return path

    def _mapped(self, path: str) -> str:
        for old, new in self.maps:
            head, rest = path[: len(old)], path[len(old) :]
            same = head.lower() == old.lower() if _DRIVE.match(old) else head == old
            if same and (not rest or rest.startswith("/")):
                self.used.add(old)
                return _slashes(new).rstrip("/") + rest
        return path

    def _is_inside(self, path: str) -> bool:
        try:
            return self.fence is None or self._check_inside(path) is None
        except ValueError:
            return False

    def _check_inside(self, path: str) -> None:
        folder, name = os.path.split(path)
        if folder not in self._real:
            self._real[folder] = os.path.realpath(folder)
        real = os.path.join(self._real[folder], name)
        if os.path.islink(real):
            real = os.path.realpath(real)
        if os.path.commonpath([real, self.fence]) != self.fence:
            raise ValueError(f"{path} lies outside of --root {self.fence}: leave --root out, or "
                             "keep the files below it")


def _slashes(path: str) -> str:
    return path.replace("\\", "/")


def _local(path: str) -> str:
    """A file: URL as a path; other URLs are not read."""
    scheme, colon, rest = path.partition(":")
    if not colon or len(scheme) < 2 or not scheme.isalnum() or not rest.startswith("/"):
        return path
    if scheme.lower() != "file":
        raise ValueError(f"{path} is not on this machine: copy the images here, {scheme}: is not "
                         "read")
    rest = urllib.parse.unquote(re.sub(r"^//(localhost)?(?=/)", "", rest))
    return rest[1:] if _DRIVE.match(rest[1:]) and rest[2:3] == ":" else rest


# ---- names in another spelling -------------------------------------------------------------------


def _spelled(name: str) -> str:
    """One spelling for all that a name may have."""
    stem, dot, ending = name.rpartition(".")
    return unicodedata.normalize("NFC", f"{stem}{dot}{ending.lower()}" if dot else name)


def _listing(folder: str) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return []


def _home(folder: str, known: dict) -> str | None:
    """A folder as it is called here; None where it is not there."""
    if folder not in known:
        known[folder] = folder if os.path.isdir(folder or os.sep) else None
        if known[folder] is None and not folder.isascii():
            above, _, name = folder.rpartition(os.sep)
            above = _home(above, known)
            form = unicodedata.normalize("NFC", name)
            same = [] if above is None else [
                f"{above}{os.sep}{other}" for other in _listing(above or os.sep)
                if unicodedata.normalize("NFC", other) == form]
            known[folder] = same[0] if len(same) == 1 and os.path.isdir(same[0]) else None
    return known[folder]


def _others(folder: str, home: str, paths: set):
    """Pairs of a path in `folder`, and that of the file in `home` which is meant."""
    if folder == home and len(paths) <= _FEW and all(map(os.path.lexists, paths)):
        return
    there = set(_listing(home))
    missing = {path: name for path in paths
               if (name := path[len(folder) + 1 :]) not in there or folder != home}
    spellings = {}
    for name in there if missing else ():
        spellings.setdefault(_spelled(name), []).append(name)
    for path, name in missing.items():
        same = [name] if name in there else spellings.get(_spelled(name), [])
        if len(same) == 1:
            yield path, f"{home}{os.sep}{same[0]}"
