# SPDX-License-Identifier: BSD-3-Clause
"""What every test may ask for, and one line on what was left out for want of data."""

import fcntl
import logging
import os
import re
import shutil
import tarfile
from pathlib import Path

import pytest

from c_build import SANITIZERS, Library

# As the command line has it, before OpenMP is loaded: where two processes share the processors,
# threads that spin while they wait take several times what the tests need.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

ROOT = Path(__file__).resolve().parents[1]
DATA = Path(os.environ.get("PHENOSCALE_TEST_DATA", ROOT.parent / "shared" / "data"))
#: name -> archive in it that has to be unpacked before use
ARCHIVES = {"bbbc013": "ExampleSBSImages.tar.xz", "bbbc021_fields": "images.tar"}


def pytest_addoption(parser):
    parser.addoption("--soak", action="store_true",
                     help="Far more mutants, kills and steps; `make soak` says so.")


@pytest.fixture(scope="session")
def amount(request):
    """A function from how much is done at each change and in a soak to how much is done now."""
    return lambda each_change, soak: soak if request.config.getoption("--soak") else each_change


@pytest.fixture(scope="session")
def shared_data(tmp_path_factory):
    """A function from the name of a data set to its folder; skips the test where it is absent."""
    unpacked = {}

    def find(name):
        folder = DATA / name
        if not folder.is_dir():
            pytest.skip(f"no data set {name} in {DATA}: set PHENOSCALE_TEST_DATA to run this")
        if name not in ARCHIVES:
            return folder
        if name not in unpacked:
            target = tmp_path_factory.mktemp(name)
            with tarfile.open(folder / ARCHIVES[name]) as archive:
                archive.extractall(target, **({"filter": "data"} if hasattr(tarfile, "data_filter")
                                              else {}))  # not in Python 3.9.2
            inside = list(target.iterdir())
            unpacked[name] = inside[0] if len(inside) == 1 else target
            for file in folder.glob("*.csv"):
                (unpacked[name] / file.name).write_bytes(file.read_bytes())
        return unpacked[name]

    return find


@pytest.fixture(scope="session")
def once(request, tmp_path_factory):
    """A function that fills a folder of this name once for all processes of the tests: `fill` is
    given an empty one by the first that asks, the others wait for it; the folder."""
    own = tmp_path_factory.getbasetemp()
    home = own.parent if hasattr(request.config, "workerinput") else own

    def make(name, fill):
        folder, done = home / name, home / f"{name}.done"
        with open(home / f"{name}.lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not done.exists():
                shutil.rmtree(folder, ignore_errors=True)  # of one that failed
                folder.mkdir()
                fill(folder)
                done.touch()
        return folder

    return make


@pytest.fixture(scope="session")
def sanitized(once, tmp_path_factory):
    """The C library with sanitizers."""
    return Library(once, tmp_path_factory.mktemp("sanitized"), SANITIZERS)


@pytest.fixture(scope="session")
def plain(once, tmp_path_factory):
    """The C library without, for valgrind."""
    if not shutil.which("valgrind"):
        pytest.skip("needs valgrind: tools/install-system-deps")
    return Library(once, tmp_path_factory.mktemp("plain"))


@pytest.fixture
def call(capsys):
    """A function that runs words as the program would: (status, stdout, stderr)."""
    from phenoscale.__main__ import main

    def run(*words):
        with pytest.raises(SystemExit) as caught:
            main([str(word) for word in words])
        return (caught.value.code or 0, *capsys.readouterr())

    return run


@pytest.fixture
def write_text(tmp_path):
    """Write text or bytes as screen.csv; its path."""

    def write(content, name="screen.csv"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return str(path)

    return write


@pytest.fixture
def path(tmp_path):
    """A TIFF to be written."""
    return str(tmp_path / "well A01.tif")


@pytest.fixture
def quiet(capfd):
    """Neither libtiff nor the reader ever prints; tifffile's remarks on bad files are not ours."""
    logging.getLogger("tifffile").setLevel(logging.CRITICAL)
    yield
    assert capfd.readouterr() == ("", "")


def pytest_terminal_summary(terminalreporter):
    """One line: what real data was not there."""
    skipped = [str(report.longrepr) for report in terminalreporter.getreports("skipped")]
    absent = [found[1] for text in skipped if (found := re.search(r"no data set (\S+) in", text))]
    if absent:
        terminalreporter.write_line(
            f"{len(absent)} tests skipped for want of real data in {DATA}: "
            + ", ".join(sorted(set(absent))))
