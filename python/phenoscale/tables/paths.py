# SPDX-License-Identifier: BSD-3-Clause
"""Paths as tables of other machines hold them -> files here.

Part of reading a table; no file is opened.
"""

from __future__ import annotations

import os
import re
import urllib.parse

from phenoscale.errors import InputError

__all__ = ["PathRules"]

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

    def find(self, name: str, folder: str = "") -> str:
        """The absolute path of file `name` in `folder`; ValueError says what is wrong with it."""
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
