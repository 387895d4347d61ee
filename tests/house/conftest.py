# SPDX-License-Identifier: BSD-3-Clause
"""The wheel, built once for all that look at it."""

import shutil
import sys

import pytest

from wheels import ROOT, run


@pytest.fixture(scope="session")
def built(once):
    """(path of a new wheel, what its building said)."""
    for program in ("gcc", "dpkg-source", "nasm"):
        if not shutil.which(program):
            pytest.skip(f"the wheel needs {program}: it is made on Debian, with "
                        "tools/install-system-deps wheel")

    def build(folder):
        out = folder / "out"
        out.mkdir()
        (folder / "said").write_text(run(sys.executable, ROOT / "tools/build-wheel",
                                         sys.executable, out, cwd=out))

    folder = once("wheelhouse", build)
    wheel, = (folder / "out").iterdir()
    return wheel, (folder / "said").read_text()
