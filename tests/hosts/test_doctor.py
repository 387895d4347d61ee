# SPDX-License-Identifier: BSD-3-Clause
"""What doctor looks for is what the package says that it needs."""

import importlib.metadata
import re
from pathlib import Path

import pytest

from phenoscale.hosts import doctor


def test_packages_are_those_of_the_project():
    tomllib = pytest.importorskip("tomllib")
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    wanted = [*project["dependencies"], *extras["cli"], *extras["all"]]
    names = {re.match(r"[\w-]+", word)[0] for word in wanted} - {"onednn-cpu-gomp", "phenoscale"}
    assert set(doctor._NEEDED_FOR) == names


def test_what_is_too_old_is_said(monkeypatch):
    """By the metadata of the installation, which is that of pyproject.toml."""
    there = importlib.metadata.version
    for version, is_old in (("1.5.3", True), ("1.99", True), ("2.0.0", False), ("2.0", False),
                            ("10.1", False)):
        monkeypatch.setattr(importlib.metadata, "version", lambda name, version=version: (
            version if name == "pandas" else there(name)))
        monkeypatch.setattr(importlib.metadata, "requires", lambda name: [
            "numpy>=1.0", "phenoscale[cli]", "pandas>=2.0; extra == 'all'"])
        lines, is_well = doctor.examine()
        line, = (line for line in lines if line.startswith("pandas"))
        assert ("too old for tables: pip install 'pandas>=2.0'" in line) == is_old != is_well


def test_every_package_has_a_lowest_version():
    """Which `make oldest` runs the tests with; hosts have versions of their own."""
    tomllib = pytest.importorskip("tomllib")
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    groups = [project["dependencies"], *project["optional-dependencies"].values()]
    bare = [words for group in groups for words in group if not words.startswith("phenoscale")
            and not re.search(r"[=<>]", words.partition(";")[0])]
    assert not bare, ", ".join(bare)


def test_memory_is_what_this_process_may_use(monkeypatch):
    monkeypatch.setattr(doctor, "memory", lambda: 3 * 10**9)
    lines, _ = doctor.examine()
    assert any("3.0 GB of memory" in line for line in lines)
