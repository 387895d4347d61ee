# SPDX-License-Identifier: BSD-3-Clause
"""What every test may ask for, and one line on what was left out for want of data."""

import os
import tarfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
DATA = Path(os.environ.get("PHENOSCALE_TEST_DATA", ROOT.parent / "shared" / "data"))
#: name -> archive in it that has to be unpacked before use
ARCHIVES = {"bbbc013": "ExampleSBSImages.tar.xz"}
_absent = []


@pytest.fixture(scope="session")
def shared_data(tmp_path_factory):
    """A function from the name of a data set to its folder; skips the test where it is absent."""
    unpacked = {}

    def find(name):
        folder = DATA / name
        if not folder.is_dir():
            _absent.append(name)
            pytest.skip(f"no data set {name} in {DATA}: set PHENOSCALE_TEST_DATA to run this")
        if name not in ARCHIVES:
            return folder
        if name not in unpacked:
            target = tmp_path_factory.mktemp(name)
            with tarfile.open(folder / ARCHIVES[name]) as archive:
                archive.extractall(target, filter="data")
            (unpacked[name],) = target.iterdir()
            for file in folder.glob("*.csv"):
                (unpacked[name] / file.name).write_bytes(file.read_bytes())
        return unpacked[name]

    return find


def pytest_terminal_summary(terminalreporter):
    """One line: what real data was not there."""
    if _absent:
        terminalreporter.write_line(
            f"{len(_absent)} tests skipped for want of real data in {DATA}: "
            + ", ".join(sorted(set(_absent))))
