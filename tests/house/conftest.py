# SPDX-License-Identifier: BSD-3-Clause
"""The wheel, built once for all that look at it."""

import shutil
import sys

import pytest

from wheels import ROOT, run


@pytest.fixture(scope="session")
def built(tmp_path_factory):
    """(path of a new wheel, what its building said)."""
    for program in ("gcc", "dpkg-source", "nasm"):
        if not shutil.which(program):
            pytest.skip(f"the wheel needs {program}: it is made on Debian, with "
                        "tools/install-system-deps wheel")
    out = tmp_path_factory.mktemp("wheelhouse")
    said = run(sys.executable, ROOT / "tools/build-wheel", sys.executable, out, cwd=out)
    wheel, = out.iterdir()
    return wheel, said
