# SPDX-License-Identifier: BSD-3-Clause
"""What doctor looks for is what the package says that it needs."""

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


def test_memory_is_what_this_process_may_use(monkeypatch):
    monkeypatch.setattr(doctor, "memory", lambda: 3 * 10**9)
    lines, _ = doctor.examine()
    assert any("3.0 GB of memory" in line for line in lines)
